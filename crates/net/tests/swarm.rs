//! The connections of a swarm over pipes, in virtual time: whatever happens to a connection, each
//! miner leaves when it is told to.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use midstate_net::{
    Account, Connection, Dial, Dialling, LinkLimits, Order, PoolUrl, Redirects, Route, Swarm,
    SwarmConfig, V2Wishes,
};
use midstate_stratum::ClientConfig;
use midstate_swarm::Event;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

/// A pool that takes every connection and says nothing.
#[derive(Default)]
struct Pool(Mutex<Vec<DuplexStream>>);

impl Pool {
    fn hang_up(&self) {
        self.0.lock().unwrap().clear();
    }
}

impl Dial for Pool {
    fn dial<'a>(&'a self, _: &'a PoolUrl, _: &'a Route) -> Dialling<'a> {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.0.lock().unwrap().push(theirs);
        Box::pin(async { Ok(Connection { transport: Box::new(ours), peer: None }) })
    }
}

async fn until(events: &mut mpsc::UnboundedReceiver<Event>, wanted: impl Fn(&Event) -> bool) {
    let found = async {
        while let Some(event) = events.recv().await {
            if wanted(&event) {
                return;
            }
        }
        panic!("the miner has ended without it");
    };
    timeout(Duration::from_secs(300), found).await.expect("it comes soon");
}

#[tokio::test(start_paused = true)]
async fn a_miner_whose_connection_breaks_while_it_leaves_leaves_all_the_same() {
    let pool = Arc::new(Pool::default());
    let (told, mut events) = mpsc::unbounded_channel();
    let config = SwarmConfig {
        account: Account {
            url: "pool:3333".parse().unwrap(),
            client: ClientConfig::new("me"),
            route: Route::default(),
            redirects: Redirects::None,
            v2: V2Wishes::default(),
        },
        user: Arc::new(|worker| format!("w{worker}")),
        limits: LinkLimits::default(),
        connections_a_second: 100,
        is_public_allowed: true,
        dial: Arc::clone(&pool) as Arc<dyn Dial>,
        started: Instant::now(),
        frames: None,
        faults: None,
    };
    let tell = move |_: Duration, _: u32, event: Event| drop(told.send(event));
    let mut swarm = Swarm::new(config, Arc::new(tell));
    swarm.order(Order::Join(0));
    until(&mut events, |event| *event == Event::Connected).await;
    swarm.order(Order::Leave(0));
    // Within the time that shares of threads are waited for.
    tokio::time::sleep(Duration::from_millis(100)).await;
    pool.hang_up();
    until(&mut events, |event| matches!(event, Event::Lost { .. })).await;
    until(&mut events, |event| *event == Event::Left).await;
    swarm.end().await;
}

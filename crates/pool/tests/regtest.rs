//! The pool on its own chain, by the lines that a miner sends.

use std::net::SocketAddr;
use std::time::Duration;

use midstate_pool::{Event, PoolConfig, RegtestPool, SessionId};
use midstate_stratum::Limits;
use serde_json::{Value, json};

/// Core's `MAX_FUTURE_BLOCK_TIME`.
const TWO_HOURS: Duration = Duration::from_secs(2 * 60 * 60);

/// A miner of a few hashes.
struct Miner {
    pool: RegtestPool,
    session: SessionId,
    /// The newest one that was announced.
    job: Option<String>,
}

impl Miner {
    fn join(now: Duration) -> Self {
        let config = PoolConfig { difficulty: 1e-9, limits: Limits::default() };
        let mut pool = RegtestPool::new(config, Vec::new(), now).expect("it starts");
        let session = pool.connect(SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut miner = Self { pool, session, job: None };
        miner.ask(now, "mining.subscribe", json!([]));
        miner.ask(now, "mining.authorize", json!(["me", ""]));
        miner
    }

    /// The answer to a request.
    fn ask(&mut self, now: Duration, method: &str, params: Value) -> Value {
        let line = format!("{}\n", json!({"id": 1, "method": method, "params": params}));
        self.pool.handle_bytes(now, self.session, line.as_bytes());
        self.hear().expect("a request has its answer")
    }

    /// Takes what the pool sends: its jobs, and an answer if there is one.
    fn hear(&mut self) -> Option<Value> {
        let mut answer = None;
        while let Some((_, bytes)) = self.pool.poll_transmit() {
            for line in String::from_utf8(bytes).expect("text").lines() {
                let message: Value = serde_json::from_str(line).expect("JSON");
                match message["method"].as_str() {
                    Some("mining.notify") => {
                        self.job = message["params"][0].as_str().map(str::to_owned);
                    }
                    Some(_) => {}
                    None => answer = Some(message),
                }
            }
        }
        answer
    }

    /// Mines a block with this time in its header. It ends the job.
    fn mine(&mut self, now: Duration, time: Duration) {
        let job = self.job.take().expect("there is a job");
        let time = format!("{:08x}", time.as_secs());
        for nonce in 0..10_000 {
            let nonce = format!("{nonce:08x}");
            self.ask(now, "mining.submit", json!(["me", job, "00000000", time, nonce]));
            let mut events = std::iter::from_fn(|| self.pool.poll_event());
            if events.any(|event| matches!(event, Event::Block { .. })) {
                return;
            }
        }
        panic!("no block with time {time}");
    }
}

#[test]
fn a_chain_two_hours_ahead_of_the_clock_waits_for_it() {
    let now = Duration::from_secs(1_700_000_000);
    let mut miner = Miner::join(now);
    // Above genesis alone, a block's time is the median.
    miner.mine(now, now + TWO_HOURS);
    assert_eq!(miner.job, None, "the next one's time would be two hours and a second ahead");
    let late = miner.ask(now, "mining.submit", json!(["me", "1", "00000000", "6553f100", "0"]));
    assert_eq!(late["error"][0], 21, "{late}");

    let then = now + Duration::from_secs(1);
    assert_eq!(miner.pool.poll_timeout(), then);
    miner.pool.handle_timeout(now);
    assert_eq!((miner.hear(), &miner.job), (None, &None), "not yet");
    miner.pool.handle_timeout(then);
    miner.hear();
    miner.mine(then, then + TWO_HOURS);
    assert_eq!(miner.pool.chain().height(), 2);
}

//! Names of pools: looked up anew for every connection, and every address they have is tried. The
//! names are the test's, the sockets are real.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midstate_net::{Dial, Dialler, LinkEnd, Route};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::pipes::{Running, account};

const LONG: Duration = Duration::from_secs(200);

/// Where the pool of the test below is. The system's resolver has no state of ours either.
static MOVING: Mutex<Option<SocketAddr>> = Mutex::new(None);

fn moving(host: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
    assert_eq!(host, "moving.example");
    let address = *MOVING.lock().unwrap();
    Ok(vec![address.ok_or(io::ErrorKind::NotFound)?])
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[tokio::test]
async fn s9_a_pool_whose_name_appears_and_moves_is_followed_at_the_next_attempt() {
    let (old, new) = (listen().await, listen().await);
    let dialler = Arc::new(Dialler { lookup: moving, ..Dialler::default() });
    let mut link = Running::start_by(dialler, vec![account("moving.example:3333")], None);
    let lost = "cannot find moving.example";
    link.until(|link| link.lost.iter().any(|reason| reason.contains(lost))).await;

    *MOVING.lock().unwrap() = Some(old.1);
    let (connection, _) = timeout(LONG, old.0.accept()).await.unwrap().unwrap();
    *MOVING.lock().unwrap() = Some(new.1);
    drop(connection);
    // The old address still has a listener: going there again would succeed, too.
    let (_connection, _) = timeout(LONG, new.0.accept()).await.unwrap().unwrap();
    assert!(timeout(Duration::ZERO, old.0.accept()).await.is_err(), "nobody goes there any more");
    assert_eq!(link.stop().await, LinkEnd::Stopped);
}

/// Two addresses that refuse, and one where somebody listens.
fn last_of_three(_: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let listening = SocketAddr::from(([127, 0, 0, 1], port));
    // Nothing listens on port 1 of an address that is this machine's alone.
    let refusing = SocketAddr::from(([127, 0, 0, 1], 1));
    Ok(vec![refusing, refusing, listening])
}

#[tokio::test]
async fn s9_every_address_of_a_name_is_tried() {
    let (listener, address) = listen().await;
    let url = format!("several.example:{}", address.port()).parse().unwrap();
    let dialler = Dialler { lookup: last_of_three, ..Dialler::default() };
    let route = Route::default();
    let dialled = timeout(LONG, dialler.dial(&url, &route)).await.unwrap();
    assert_eq!(dialled.map_err(|error| error.to_string()).unwrap().peer, Some(address.ip()));
    timeout(LONG, listener.accept()).await.unwrap().unwrap();
}

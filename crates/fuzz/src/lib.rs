//! The part that the targets share: a Stratum client, and the pool that the fuzzer speaks for. Of
//! Stratum V2, `v2`.
#![forbid(unsafe_code)]

#[cfg(feature = "libfuzzer")]
pub use libfuzzer_sys;
#[cfg(not(feature = "libfuzzer"))]
pub mod replay;
pub mod v2;

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_stratum::{Client, ClientConfig, ClientEvent};
use serde_json::Value;

/// The version bits that the client would roll.
pub const MASK: u32 = midstate_chain::BIP320_MASK;
/// Any time will do.
pub const NOW: Duration = Duration::from_secs(1000);
/// A job that is always good.
pub const JOB: &str = concat!(
    r#"{"id":null,"method":"mining.notify","params":["good","#,
    r#""00000000000000000000000000000000000000000000000000000000000000ff","#,
    r#""0100","00",[],"20000000","1d00ffff","65000000",true]}"#,
);
/// So easy that every hash is a share.
pub const EASY: &str = r#"{"id":null,"method":"mining.set_difficulty","params":[1e-10]}"#;

/// A target: with libFuzzer, or as a program that plays examples.
#[macro_export]
macro_rules! target {
    (|$bytes:ident| $body:block) => {
        #[cfg(feature = "libfuzzer")]
        $crate::libfuzzer_sys::fuzz_target!(|$bytes: &[u8]| $body);
        #[cfg(not(feature = "libfuzzer"))]
        fn main() {
            $crate::replay::main(|$bytes: &[u8]| $body);
        }
    };
}

/// A client that is not connected.
pub fn idle() -> Client {
    Client::new(ClientConfig::new("address.worker"))
}

/// A connected client, its requests not yet answered.
pub fn connected() -> Client {
    let mut client = idle();
    client.handle_connected(NOW);
    client
}

/// A client at work, and its job.
pub fn working() -> (Client, Arc<Job>) {
    let mut client = connected();
    for request in sent(&mut client) {
        let result = match request["method"].as_str() {
            Some("mining.configure") => {
                r#"{"version-rolling":true,"version-rolling.mask":"1fffe000"}"#
            }
            Some("mining.subscribe") => r#"[[["mining.notify","s"]],"a1b2c3d4",4]"#,
            _ => "true",
        };
        answer(&mut client, &request, result.as_bytes());
    }
    say(&mut client, EASY.as_bytes());
    say(&mut client, JOB.as_bytes());
    let job = newest_job(&mut client).expect("the job is good");
    (client, job)
}

/// The pool says a line.
pub fn say(client: &mut Client, line: &[u8]) {
    client.handle_bytes(NOW, line);
    client.handle_bytes(NOW, b"\n");
}

/// The pool answers a request with this, be it what it may.
pub fn answer(client: &mut Client, request: &Value, result: &[u8]) {
    let head = format!(r#"{{"id":{},"error":null,"result":"#, request["id"]);
    say(client, &[head.as_bytes(), result, b"}"].concat());
}

/// The client's requests, each of which pools can read (S12).
pub fn sent(client: &mut Client) -> Vec<Value> {
    std::iter::from_fn(|| client.poll_transmit())
        .map(|line| {
            assert!(line.len() <= 1024 && line.ends_with(b"\n"), "S12: {} bytes", line.len());
            serde_json::from_slice(&line).expect("the client writes JSON")
        })
        .collect()
}

/// Everything that happened.
pub fn events(client: &mut Client) -> Vec<ClientEvent> {
    std::iter::from_fn(|| client.poll_event()).collect()
}

/// The last job among the events, which are all taken.
pub fn newest_job(client: &mut Client) -> Option<Arc<Job>> {
    events(client).into_iter().rev().find_map(|event| match event {
        ClientEvent::Job(job) => Some(job),
        _ => None,
    })
}

/// A share of this job.
pub fn share(job: &Arc<Job>, nonce: u32) -> Share {
    let mut share = Share {
        job: Arc::clone(job),
        extranonce2: vec![0; job.extranonce2_size],
        version: job.version,
        time: job.time,
        nonce,
        hash: Default::default(),
    };
    share.hash = share.header().hash();
    share
}

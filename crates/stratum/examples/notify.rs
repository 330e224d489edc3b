//! The time to read a job (S6): `mining.notify` with twelve branches, from bytes to
//! [`ClientEvent::Job`], best of many windows. `notify [JOBS]`, by default 2,000 in each window.

use std::time::{Duration, Instant};

use midstate_stratum::{Client, ClientConfig, ClientEvent};
use serde_json::{Value, json};

const WINDOWS: usize = 200;
/// As many as a client remembers, so that each is new when it comes again.
const JOBS: usize = 64;

fn main() {
    let argument = std::env::args().nth(1);
    let jobs: usize = argument.map_or(2000, |text| text.parse().expect("a whole number of jobs"));
    let mut client = working_client();
    let lines: Vec<_> = (0..=JOBS).map(line).collect();
    let mut best = Duration::MAX;
    for _ in 0..WINDOWS {
        let started = Instant::now();
        let mut read = 0;
        for line in lines.iter().cycle().take(jobs) {
            client.handle_bytes(Duration::ZERO, line);
            while let Some(event) = client.poll_event() {
                read += usize::from(matches!(event, ClientEvent::Job(_)));
            }
        }
        best = best.min(started.elapsed());
        assert_eq!(read, jobs, "every line is a job");
    }
    let each = best.as_secs_f64() * 1e6 / jobs as f64;
    println!("{each:.2} microseconds for a job of {} bytes", lines[0].len());
}

/// A client that the pool has let in.
fn working_client() -> Client {
    let mut client = Client::new(ClientConfig { version_mask: 0, ..ClientConfig::new("me") });
    client.handle_connected(Duration::ZERO);
    while let Some(request) = client.poll_transmit() {
        let request: Value = serde_json::from_slice(&request).expect("we write JSON");
        let result = match request["method"].as_str() {
            Some("mining.subscribe") => json!([[["mining.notify", "1"]], "f000000f", 4]),
            _ => json!(true),
        };
        let answer = json!({"id": request["id"], "result": result, "error": null});
        client.handle_bytes(Duration::ZERO, format!("{answer}\n").as_bytes());
    }
    while client.poll_event().is_some() {}
    client
}

fn line(number: usize) -> Vec<u8> {
    let branch: Vec<_> = (0..12).map(|index| format!("{index:064x}")).collect();
    let params = json!([
        number.to_string(),
        format!("{:064x}", 1),
        format!("{:0130x}", 2),
        format!("{:0178x}", 3),
        branch,
        "20000000",
        "1d00ffff",
        "65000000",
        false,
    ]);
    let call = json!({"id": null, "method": "mining.notify", "params": params});
    format!("{call}\n").into_bytes()
}

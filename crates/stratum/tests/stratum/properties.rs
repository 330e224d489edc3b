//! Anything at all: no bytes make the client or the server panic, write what is no line, or lose a
//! share.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_stratum::{
    Client, ClientConfig, ClientEvent, Limits, Server, ServerConfig, ServerEvent, ShareOutcome,
    sanitize,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::mock::{BLOCK_BITS, EASY, HARD_BITS, OTHER_PREV, PREV, config, notify_params, share_at};

/// Few by default, since these run on every `cargo test`; `PROPTEST_CASES` asks for more.
pub(crate) fn cases(few: u32) -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(few),
    }
}

/// JSON without reason.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0u64..60).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-z \"\u{1b}\u{202e}ß]{0,12}".prop_map(Value::from),
        "[0-9a-f]{0,80}".prop_map(Value::from),
        Just(json!("version-rolling")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-z.-]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn params() -> impl Strategy<Value = Value> {
    prop::collection::vec(any_json(), 0..11).prop_map(Value::from)
}

const METHODS: [&str; 17] = [
    "mining.notify",
    "mining.set_difficulty",
    "mining.set_extranonce",
    "mining.set_version_mask",
    "mining.set_version",
    "client.reconnect",
    "client.show_message",
    "client.get_version",
    "mining.ping",
    "mining.nonsense",
    "mining.configure",
    "mining.subscribe",
    "mining.authorize",
    "mining.submit",
    "mining.suggest_difficulty",
    "mining.extranonce.subscribe",
    "",
];

/// Lines of every degree of sense.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let call = (any_json(), prop::sample::select(&METHODS[..]), params())
        .prop_map(|(id, method, params)| json!({"id": id, "method": method, "params": params}));
    let answer = (0u64..60, any_json(), any_json())
        .prop_map(|(id, result, error)| json!({"id": id, "result": result, "error": error}));
    let yes = (0u64..60).prop_map(|id| json!({"id": id, "result": true, "error": null}));
    let no = (0u64..60, 20i64..26)
        .prop_map(|(id, code)| json!({"id": id, "result": null, "error": [code, "no", null]}));
    let subscribed = (0u64..60, "[0-9a-f]{0,4}", 0usize..4)
        .prop_map(|(id, first, size)| json!({"id": id, "result": [null, first, size]}));
    let bits = prop::sample::select(vec![HARD_BITS, BLOCK_BITS]);
    let prev = prop::sample::select(vec![PREV, OTHER_PREV]);
    let job = ("[a-c]", prev, bits, any::<bool>()).prop_map(|(id, prev, bits, clean)| {
        json!({"method": "mining.notify", "params": notify_params(&id, prev, bits, clean)})
    });
    let easy = (0u32..3).prop_map(|times| {
        json!({"method": "mining.set_difficulty", "params": [EASY * 2f64.powi(times as i32)]})
    });
    let message = prop_oneof![call, answer, yes, no, subscribed, job, easy];
    prop_oneof![
        8 => message.clone().prop_map(|message| message.to_string().into_bytes()),
        1 => (message, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(message, at, byte)| {
            let mut line = message.to_string().into_bytes();
            let at = at.index(line.len());
            line[at] = byte;
            line
        }),
        1 => prop::collection::vec(any::<u8>(), 0..60),
    ]
}

#[derive(Debug, Clone)]
enum Act {
    Connect,
    Disconnect,
    Handshake,
    Line(Vec<u8>),
    Bytes(Vec<u8>),
    Find(u32),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => Just(Act::Connect),
        1 => Just(Act::Disconnect),
        3 => Just(Act::Handshake),
        20 => line().prop_map(Act::Line),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Act::Bytes),
        20 => (0u32..400).prop_map(Act::Find),
        2 => (0u64..40_000).prop_map(Act::Wait),
    ]
}

/// A client, what it was given, and what it gave back.
struct Trial {
    client: Client,
    now: Duration,
    jobs: Vec<Arc<Job>>,
    found: Vec<Share>,
    ended: Vec<Share>,
    asked: Vec<Value>,
}

impl Trial {
    fn act(&mut self, act: Act) {
        match act {
            Act::Connect => self.client.handle_connected(self.now),
            Act::Disconnect => self.client.handle_disconnected(self.now),
            Act::Handshake => {
                for request in std::mem::take(&mut self.asked) {
                    let result = match request["method"].as_str() {
                        Some("mining.subscribe") => json!([null, "a1", 2]),
                        Some("mining.submit") => continue,
                        _ => json!(true),
                    };
                    let answer = json!({"id": request["id"], "result": result});
                    self.client.handle_bytes(self.now, format!("{answer}\n").as_bytes());
                }
            }
            Act::Line(mut line) => {
                line.push(b'\n');
                self.client.handle_bytes(self.now, &line);
            }
            Act::Bytes(bytes) => self.client.handle_bytes(self.now, &bytes),
            Act::Find(nonce) => {
                // Mostly in the newest job, at times in an old one.
                let back = (nonce as usize % 3).min(self.jobs.len().saturating_sub(1));
                if let Some(job) = self.jobs.iter().rev().nth(back) {
                    let share = share_at(job, job.version | job.rollable_bits(), nonce / 2);
                    self.found.push(share.clone());
                    self.client.submit(self.now, share);
                }
            }
            Act::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.client.handle_timeout(self.now);
            }
        }
    }

    fn collect(&mut self) {
        while let Some(line) = self.client.poll_transmit() {
            assert!(line.len() <= 1024 && line.ends_with(b"\n"));
            let line: Value = serde_json::from_slice(&line).expect("the client writes JSON");
            self.asked.push(line);
        }
        while let Some(event) = self.client.poll_event() {
            match event {
                ClientEvent::Job(job) => {
                    is_safe(&job.id);
                    self.jobs.push(job);
                }
                ClientEvent::Verdict(ShareOutcome { share, reason, .. }) => {
                    is_safe(reason.as_deref().unwrap_or_default());
                    self.ended.push(share);
                }
                ClientEvent::Remark(remark) => is_safe(&remark.sentence("pool")),
                ClientEvent::AuthorizationRefused { reason } => is_safe(&reason),
                ClientEvent::Close(reason) => is_safe(&reason.to_string()),
                _ => {}
            }
        }
        if let Some(due) = self.client.poll_timeout()
            && due <= self.now
        {
            self.client.handle_timeout(self.now);
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timer that is due is handled");
        }
    }
}

/// Text that a terminal shows as it is (S11).
fn is_safe(text: &str) {
    assert_eq!(sanitize(text, 400), text);
}

/// In an order that does not depend on when a share ended.
fn sorted(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_by_key(|share| (*share.hash.as_bytes(), Arc::as_ptr(&share.job)));
    shares
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn i9_s14_no_input_panics_the_client_or_loses_a_share(
        acts in prop::collection::vec(act(), 0..150),
        outbox in 1usize..20,
    ) {
        let limits = Limits { outbox, ..Limits::default() };
        let mut trial = Trial {
            client: Client::new(ClientConfig { limits, ..config() }),
            now: Duration::from_secs(10),
            jobs: Vec::new(),
            found: Vec::new(),
            ended: Vec::new(),
            asked: Vec::new(),
        };
        for act in [Act::Connect, Act::Handshake].into_iter().chain(acts) {
            trial.act(act);
            trial.collect();
            prop_assert!(trial.client.pending() <= outbox);
            prop_assert_eq!(trial.found.len(), trial.ended.len() + trial.client.pending());
        }
        trial.client.finish(trial.now);
        trial.collect();
        prop_assert_eq!(trial.client.pending(), 0);
        prop_assert_eq!(sorted(trial.found), sorted(trial.ended));
    }

    #[test]
    fn s14_no_input_panics_the_server(
        lines in prop::collection::vec(line(), 0..60),
        pieces in 1usize..100,
    ) {
        let mut server = Server::new(ServerConfig {
            extranonce1: vec![1],
            extranonce2_size: 2,
            version_mask: 0x1fff_e000,
            limits: Limits::default(),
        });
        let stream = lines.join(&b'\n');
        for piece in stream.chunks(pieces) {
            server.handle_bytes(piece);
            while let Some(event) = server.poll_event() {
                match event {
                    ServerEvent::Authorize { ticket, .. } | ServerEvent::Submit { ticket, .. } => {
                        server.answer(ticket, Ok(()));
                    }
                    _ => {}
                }
            }
            while let Some(line) = server.poll_transmit() {
                prop_assert!(line.ends_with(b"\n"));
                prop_assert!(serde_json::from_slice::<Value>(&line).is_ok());
            }
        }
    }
}

//! A scripted pool for one client: lines in, lines out, time at the test's command.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_stratum::{Client, ClientConfig, ClientEvent, CloseReason, Remark, ShareOutcome};
use serde_json::{Value, json};

/// So easy that every hash is a share; with mainnet's bits it is never a block.
pub(crate) const EASY: f64 = 1e-10;
/// Difficulty 1 as the network's: no test finds a block by chance.
pub(crate) const HARD_BITS: &str = "1d00ffff";
/// Signet's, the easiest that are no toy: 5 million hashes to a block.
pub(crate) const SIGNET_BITS: &str = "1e0377ae";
/// Regtest's: 2 hashes to a block.
pub(crate) const BLOCK_BITS: &str = "207fffff";

pub(crate) const PREV: &str = "4d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000";
pub(crate) const OTHER_PREV: &str =
    "0000000000000000000000000000000000000000000000000000000000000001";

pub(crate) struct Mock {
    pub(crate) client: Client,
    pub(crate) now: Duration,
}

pub(crate) fn config() -> ClientConfig {
    ClientConfig { user_agent: "midstate/0.1".into(), ..ClientConfig::new("addr.worker") }
}

/// The parameters of a good `mining.notify`.
pub(crate) fn notify_params(id: &str, prev: &str, bits: &str, clean: bool) -> Value {
    json!([
        id,
        prev,
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0f0351",
        "ffffffff0100f2052a01000000015100000000",
        [],
        "20000000",
        bits,
        "65000000",
        clean
    ])
}

impl Mock {
    /// Not yet connected; the clock does not begin at zero.
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self { client: Client::new(config), now: Duration::from_secs(1_000_000) }
    }

    /// Connected, through the handshake, with an easy difficulty and no job yet. Nothing is left in
    /// the queues.
    pub(crate) fn ready() -> Self {
        let mut mock = Self::new(config());
        mock.handshake("a1b2c3d4", 4);
        mock.events();
        mock
    }

    pub(crate) fn handshake(&mut self, extranonce1: &str, extranonce2_size: usize) {
        let asked = self.connect();
        for request in &asked {
            let result = match request["method"].as_str().expect("a method") {
                "mining.configure" => {
                    json!({"version-rolling": true, "version-rolling.mask": "1fffe000"})
                }
                "mining.subscribe" => {
                    json!([[["mining.notify", "session"]], extranonce1, extranonce2_size])
                }
                _ => json!(true),
            };
            self.answer(&request["id"], result);
        }
        self.difficulty(EASY);
    }

    pub(crate) fn connect(&mut self) -> Vec<Value> {
        self.client.handle_connected(self.now);
        self.sent()
    }

    pub(crate) fn disconnect(&mut self) {
        self.client.handle_disconnected(self.now);
    }

    /// The pool sends bytes.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.client.handle_bytes(self.now, bytes);
    }

    /// The pool sends a line.
    pub(crate) fn line(&mut self, line: &str) {
        self.bytes(line.as_bytes());
        self.bytes(b"\n");
    }

    pub(crate) fn call(&mut self, method: &str, params: Value) {
        self.line(&json!({"id": null, "method": method, "params": params}).to_string());
    }

    pub(crate) fn answer(&mut self, id: &Value, result: Value) {
        self.line(&json!({"id": id, "result": result, "error": null}).to_string());
    }

    pub(crate) fn refuse(&mut self, id: &Value, error: Value) {
        self.line(&json!({"id": id, "result": null, "error": error}).to_string());
    }

    pub(crate) fn difficulty(&mut self, difficulty: f64) {
        self.call("mining.set_difficulty", json!([difficulty]));
    }

    /// Announces a job and returns it as the client hands it out.
    pub(crate) fn job(&mut self, id: &str, prev: &str, clean: bool) -> Arc<Job> {
        self.call("mining.notify", notify_params(id, prev, HARD_BITS, clean));
        self.newest_job().unwrap_or_else(|| panic!("job {id} is handed out"))
    }

    /// The last job among the events, which are all taken.
    pub(crate) fn newest_job(&mut self) -> Option<Arc<Job>> {
        self.events().into_iter().rev().find_map(|event| match event {
            ClientEvent::Job(job) => Some(job),
            _ => None,
        })
    }

    /// All lines the client wants to write.
    pub(crate) fn sent(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.client.poll_transmit())
            .map(|line| {
                assert_eq!(line.iter().filter(|&&byte| byte == b'\n').count(), 1);
                assert!(line.len() <= 1024, "S12: {} bytes", line.len());
                serde_json::from_slice(&line).expect("the client writes JSON")
            })
            .collect()
    }

    pub(crate) fn events(&mut self) -> Vec<ClientEvent> {
        std::iter::from_fn(|| self.client.poll_event()).collect()
    }

    pub(crate) fn submit(&mut self, share: &Share) {
        self.client.submit(self.now, share.clone());
    }

    /// Submits a share and returns the request, which must have been written.
    pub(crate) fn submitted(&mut self, share: &Share) -> Value {
        self.submit(share);
        let mut sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent.remove(0)
    }

    /// The verdicts among the events, which are all taken.
    pub(crate) fn verdicts(&mut self) -> Vec<ShareOutcome> {
        let outcome = |event| match event {
            ClientEvent::Verdict(outcome) => Some(outcome),
            _ => None,
        };
        self.events().into_iter().filter_map(outcome).collect()
    }

    /// The only verdict among the events.
    pub(crate) fn verdict(&mut self) -> ShareOutcome {
        let mut verdicts = self.verdicts();
        assert_eq!(verdicts.len(), 1, "{verdicts:?}");
        verdicts.remove(0)
    }

    /// Time passes, with every timer that falls due on the way.
    pub(crate) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.client.poll_timeout().filter(|&due| due <= until) {
            assert!(due >= self.now, "a deadline in the past would spin");
            self.now = due;
            self.client.handle_timeout(due);
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next > due), "a timer that was handled does not return");
        }
        self.now = until;
    }

    pub(crate) fn wait_seconds(&mut self, seconds: u64) {
        self.wait(Duration::from_secs(seconds));
    }

    /// Why the client wants to be disconnected, if it does. Takes all events.
    pub(crate) fn closed(&mut self) -> Option<CloseReason> {
        self.events().into_iter().find_map(|event| match event {
            ClientEvent::Close(reason) => Some(reason),
            _ => None,
        })
    }

    /// The warnings among the events, which are all taken.
    pub(crate) fn warnings(&mut self) -> Vec<String> {
        let warning = |event| match event {
            ClientEvent::Remark(Remark::Warning { text }) => Some(text),
            _ => None,
        };
        self.events().into_iter().filter_map(warning).collect()
    }

    /// Messages and warnings among the events, which are all taken.
    pub(crate) fn remarks(&mut self) -> Vec<Remark> {
        let remark = |event| match event {
            ClientEvent::Remark(remark) => Some(remark),
            _ => None,
        };
        self.events().into_iter().filter_map(remark).collect()
    }
}

/// The request for a method among those sent.
pub(crate) fn asked<'a>(sent: &'a [Value], method: &str) -> &'a Value {
    let found = sent.iter().find(|request| request["method"] == method);
    found.unwrap_or_else(|| panic!("{method} is asked: {sent:?}"))
}

/// The methods of what was sent, in order.
pub(crate) fn methods(sent: &[Value]) -> Vec<&str> {
    sent.iter().map(|request| request["method"].as_str().unwrap_or("(answer)")).collect()
}

/// A share of this job at one nonce, good or not.
pub(crate) fn share_at(job: &Arc<Job>, version: u32, nonce: u32) -> Share {
    let mut share = Share {
        job: Arc::clone(job),
        extranonce2: vec![0; job.extranonce2_size],
        version,
        time: job.time,
        nonce,
        hash: Default::default(),
    };
    share.hash = share.header().hash();
    share
}

/// The `nth` share of a job that meets its share target, which must be easy.
pub(crate) fn share(job: &Arc<Job>, nth: usize) -> Share {
    let all = (0..100_000).map(|nonce| share_at(job, job.version, nonce));
    all.filter(Share::meets_share_target).nth(nth).expect("an easy target")
}

/// A share that is a block, and no toy; for jobs with [`SIGNET_BITS`] on [`PREV`] and the
/// extranonce1 of [`Mock::ready`]. Found once, by trying.
pub(crate) fn earnest_block(job: &Arc<Job>, nth: usize) -> Share {
    let nonces = [3_330_645, 5_135_428, 7_525_631, 15_968_276, 23_095_699, 26_905_129, 27_252_439];
    let share = share_at(job, job.version, nonces[nth]);
    assert!(share.is_block() && !job.has_toy_blocks());
    share
}

/// A share that is a block; for jobs with [`BLOCK_BITS`].
pub(crate) fn block(job: &Arc<Job>, nth: usize) -> Share {
    let all = (0..1000).map(|nonce| share_at(job, job.version, nonce));
    all.filter(Share::is_block).nth(nth).expect("regtest's target")
}

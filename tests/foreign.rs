//! A miner that shares no code with ours, written from the protocol's text: bytes over TCP, hashes
//! by the `sha2` crate. It joins the pool of `midstate demo` and mines a block there.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::program::{PATIENCE, Running};

pub(crate) struct Foreigner {
    reader: BufReader<TcpStream>,
    extranonce1: Vec<u8>,
    extranonce2_size: usize,
    difficulty: f64,
    job: Option<Value>,
}

fn sha256d(data: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(data)).into()
}

impl Foreigner {
    fn connect(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let reader = BufReader::new(stream);
        let extranonce1 = Vec::new();
        Self { reader, extranonce1, extranonce2_size: 0, difficulty: 1.0, job: None }
    }

    /// A member of the pool, for tests of other things.
    pub(crate) fn join(address: &str, worker: &str) -> Self {
        let mut miner = Self::connect(address);
        miner.send(&json!({"id": 1, "method": "mining.subscribe", "params": []}));
        let subscribed = miner.answer_to(&json!(1));
        miner.extranonce1 = hex::decode(subscribed["result"][1].as_str().unwrap()).unwrap();
        miner.extranonce2_size = subscribed["result"][2].as_u64().unwrap() as usize;
        miner.send(&json!({"id": 2, "method": "mining.authorize", "params": [worker, ""]}));
        assert_eq!(miner.answer_to(&json!(2))["result"], true);
        miner
    }

    /// Mines until the pool has taken a share.
    pub(crate) fn deliver(&mut self, worker: &str) {
        for id in 3.. {
            let [job, extranonce2, time, nonce] = self.mine();
            let params = [worker, &job, &extranonce2, &time, &nonce];
            self.send(&json!({"id": id, "method": "mining.submit", "params": params}));
            if self.answer_to(&json!(id))["result"] == true {
                return;
            }
            self.give_up(&job);
        }
    }

    /// Another miner was faster: on to the next job, if that is not here already.
    fn give_up(&mut self, id: &str) {
        self.job.take_if(|job| job[0] == id);
    }

    fn send(&mut self, message: &Value) {
        // Byte by byte: a server must not care how a line is cut.
        for byte in format!("{message}\n").bytes() {
            self.reader.get_mut().write_all(&[byte]).unwrap();
        }
    }

    /// Reads one message and takes from it what it tells about work.
    fn read(&mut self) -> Value {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let message: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line}"));
        match message["method"].as_str() {
            Some("mining.set_difficulty") => {
                self.difficulty = message["params"][0].as_f64().unwrap();
            }
            Some("mining.notify") => self.job = Some(message["params"].clone()),
            _ => {}
        }
        message
    }

    fn answer_to(&mut self, id: &Value) -> Value {
        loop {
            let message = self.read();
            if message.get("method").is_none() && message["id"] == *id {
                return message;
            }
        }
    }

    /// Whether something is there to be read at once.
    fn has_mail(&mut self) -> bool {
        if !self.reader.buffer().is_empty() {
            return true;
        }
        self.reader.get_ref().set_nonblocking(true).unwrap();
        let mail = self.reader.fill_buf().is_ok_and(|bytes| !bytes.is_empty());
        self.reader.get_ref().set_nonblocking(false).unwrap();
        mail
    }

    /// Mines until a share of some job is found: (job id, extranonce2, ntime, nonce).
    fn mine(&mut self) -> [String; 4] {
        loop {
            while self.job.is_none() || self.has_mail() {
                self.read();
            }
            let job = self.job.clone().unwrap();
            let text = |at: usize| job[at].as_str().unwrap();
            let bytes = |at: usize| hex::decode(text(at)).unwrap();
            let extranonce2 = vec![0xab; self.extranonce2_size];
            let coinbase =
                [bytes(2), self.extranonce1.clone(), extranonce2.clone(), bytes(3)].concat();
            let mut root = sha256d(&coinbase);
            for sibling in job[4].as_array().unwrap() {
                let sibling = hex::decode(sibling.as_str().unwrap()).unwrap();
                root = sha256d(&[root.to_vec(), sibling].concat());
            }
            let reversed = |at: usize| bytes(at).into_iter().rev().collect::<Vec<u8>>();
            // The previous hash comes with each of its eight words swapped.
            let previous: Vec<u8> =
                bytes(1).chunks(4).flat_map(|word| word.iter().rev().copied()).collect();
            let mut header =
                [reversed(5), previous, root.to_vec(), reversed(7), reversed(6), vec![0; 4]]
                    .concat();
            assert_eq!(header.len(), 80);

            // Difficulty 1 is 0xffff * 2^208; the top 64 bits of the hash decide well enough here,
            // rounded so that what passes meets the target for sure.
            let top = (65535.0 / self.difficulty * 2f64.powi(208 - 192)).floor() as u64;
            for nonce in 0..200_000u32 {
                header[76..].copy_from_slice(&nonce.to_le_bytes());
                let hash = sha256d(&header);
                let value = u64::from_le_bytes(hash[24..].try_into().unwrap());
                if value < top {
                    let nonce = format!("{nonce:08x}");
                    return [text(0).into(), hex::encode(extranonce2), text(7).into(), nonce];
                }
                if nonce % 20_000 == 19_999 && self.has_mail() {
                    break;
                }
            }
            // Not in these: turn the extranonce by reconnecting the same way a new job would.
            self.job = Some(rolled(job));
        }
    }
}

/// The same job a second later: other headers, still within the pool's rules.
fn rolled(mut job: Value) -> Value {
    let time = u32::from_str_radix(job[7].as_str().unwrap(), 16).unwrap() + 1;
    job[7] = json!(format!("{time:08x}"));
    job
}

#[test]
fn a_foreign_miner_joins_the_demo_and_mines_a_block() {
    // The demo's own miner is slow, and it never gets to the end by itself.
    let mut demo = Running::start(&[
        "demo",
        "--listen",
        "127.0.0.1:0",
        "--blocks",
        "100000",
        "--difficulty",
        "0.0001",
        "--max-hashrate",
        "10k",
        "--threads",
        "1",
    ]);
    let mut miner = Foreigner::connect(&demo.pool_address());

    // Work before a subscription, and a method that nobody knows: refused, and still connected.
    let params = ["w", "1", "00", "00000000", "00000000"];
    miner.send(&json!({"id": 1, "method": "mining.submit", "params": params}));
    assert_eq!(miner.answer_to(&json!(1))["error"][0], 25);
    miner.send(&json!({"id": 2, "method": "mining.make_coffee", "params": []}));
    assert!(!miner.answer_to(&json!(2))["error"].is_null());
    // An id that is a string is either understood or refused, but never ignored.
    miner.send(&json!({"id": "three", "method": "mining.subscribe", "params": []}));
    let answer = miner.answer_to(&json!("three"));
    let subscribed = if answer["error"].is_null() {
        answer
    } else {
        miner.send(&json!({"id": 3, "method": "mining.subscribe", "params": []}));
        miner.answer_to(&json!(3))
    };
    miner.extranonce1 = hex::decode(subscribed["result"][1].as_str().unwrap()).unwrap();
    miner.extranonce2_size = subscribed["result"][2].as_u64().unwrap() as usize;
    assert!(miner.extranonce2_size >= 2);

    let submit = |id: u64, [job, extranonce2, time, nonce]: &[String; 4]| {
        let params = ["foreigner", job, extranonce2, time, nonce];
        json!({"id": id, "method": "mining.submit", "params": params})
    };
    let share = miner.mine();
    miner.send(&submit(4, &share));
    assert_eq!(miner.answer_to(&json!(4))["error"][0], 24, "not authorized yet");
    miner.send(&json!({"id": 5, "method": "mining.authorize", "params": ["foreigner", ""]}));
    assert_eq!(miner.answer_to(&json!(5))["result"], true);

    // Another miner may be faster by a hair: then the share is stale, and the next one is tried.
    for id in 10.. {
        let share = miner.mine();
        miner.send(&submit(id, &share));
        let answer = miner.answer_to(&json!(id));
        if answer["result"] == true {
            miner.send(&submit(id + 100_000, &share));
            let again = miner.answer_to(&json!(id + 100_000));
            let code = again["error"][0].as_i64().unwrap();
            assert!([21, 22].contains(&code), "the same again is stale or a duplicate: {again}");
            break;
        }
        assert_eq!(answer["error"][0], 21, "{answer}");
        miner.give_up(&share[0]);
    }
    demo.signal("INT");
    assert_eq!(demo.exit_code(), Some(0));
}

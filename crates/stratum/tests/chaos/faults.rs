//! The faults: each is done to the world at some moment, and is over after a while.

use serde_json::json;

use crate::pool::QUARTER;
use crate::world::{Answering, World};

/// A way in which pools and lines break.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) name: &'static str,
    pub(crate) strike: fn(&mut World),
}

const fn fault(name: &'static str, strike: fn(&mut World)) -> Fault {
    Fault { name, strike }
}

/// Each once.
pub(crate) const FAULTS: &[Fault] = &[
    fault("nobody listens for two minutes", |w| {
        w.refuse(120);
        w.reset();
    }),
    fault("the name cannot be found for an hour", |w| {
        w.refuse(3600);
        w.reset();
    }),
    fault("connection reset", World::reset),
    fault("connection closed in order", World::close),
    fault("half-open: no byte for 400 s", |w| w.mute(400)),
    fault("one direction is dead: requests vanish", |w| w.deaf(300)),
    fault("slow line: a byte a second", |w| w.slow(40)),
    fault("5 s of latency", |w| w.delay(5, 120)),
    fault("one byte per packet", |w| w.split(60)),
    fault("everything in one packet", |w| w.merge(7)),
    fault("notify before the answers of the handshake", |w| {
        w.notify_first = true;
        w.reset();
    }),
    fault("authorize answered long after the first job", |w| {
        w.late_authorize = true;
        w.reset();
    }),
    fault("no answer to shares", |w| w.answer_shares(Answering::Never, 60)),
    fault("answers to shares after two minutes", |w| w.answer_shares(Answering::Late, 60)),
    fault("answers to shares twice", |w| w.answer_shares(Answering::Twice, 60)),
    fault("answers to shares with ids nobody asked by", |w| w.answer_shares(Answering::Stray, 60)),
    fault("answers to shares on the next connection", |w| {
        w.answer_shares(Answering::NextConnection, 20);
    }),
    fault("answers to shares in every shape of an error", |w| {
        w.answer_shares(Answering::Errors, 60);
    }),
    fault("every share refused", |w| w.answer_shares(Answering::Refuse, 120)),
    fault("\"unauthorized\" to every share", |w| w.answer_shares(Answering::Unauthorized, 60)),
    fault("pool restarts with another extranonce", |w| {
        w.renew_session();
        w.reset();
    }),
    fault("session resumed, unanswered shares come again", |w| {
        w.answer_shares(Answering::Never, 10);
        w.reset_in(5);
    }),
    fault("difficulty up and down in the middle of a job", |w| {
        let factor = w.pick(&[1.0, 2.0, 4.0, 8.0, 0.5]);
        w.pool.difficulty = QUARTER * factor;
        let line = w.pool.set_difficulty();
        w.send(&line);
    }),
    fault("a pool that judges old jobs by the newest difficulty", |w| {
        w.pool.judges_by_newest = true;
        w.pool.difficulty = QUARTER * w.pick(&[1.0, 4.0]);
        let line = w.pool.set_difficulty();
        w.send(&line);
    }),
    fault("difficulties that are none", |w| {
        for text in ["0", "-1", "null", "[]", "\"abc\"", "1e999", "{}"] {
            w.raw(&format!("{{\"method\":\"mining.set_difficulty\",\"params\":[{text}]}}\n"));
        }
        w.raw("{\"method\":\"mining.set_difficulty\",\"params\":[NaN]}\n");
    }),
    fault("another extranonce1 in the middle of a job", |w| {
        let extranonce1 = w.number();
        w.pool.extranonce1 = format!("{extranonce1:08x}");
        w.announce_extranonce();
    }),
    fault("another size of extranonce2", |w| {
        w.pool.extranonce2_size = w.pick(&[2, 4, 8]);
        w.announce_extranonce();
    }),
    fault("another version mask in the middle of a job", |w| {
        w.pool.mask = w.pick(&[0, 0x1fff_e000, 0x00ff_e000]);
        let mask = format!("{:08x}", w.pool.mask);
        w.call("mining.set_version_mask", json!([mask]));
    }),
    fault("the same job again", |w| {
        let job = w.pool.same_job();
        w.send(&job);
    }),
    fault("an old id with a new content", |w| {
        let job = w.pool.job_named("1", false);
        w.send(&job);
    }),
    fault("a chain of jobs that are not clean", |w| {
        for _ in 0..30 {
            let job = w.pool.job(false);
            w.send(&job);
        }
    }),
    fault("1,000 jobs at once", |w| {
        for _ in 0..1000 {
            let job = w.pool.job(true);
            w.send(&job);
        }
    }),
    fault("time runs backwards from job to job", |w| {
        w.pool.time -= 500;
        let job = w.pool.job(false);
        w.send(&job);
    }),
    fault("the chain reorganises, and not clean", |w| {
        w.pool.prev ^= 3;
        let job = w.pool.job(false);
        w.send(&job);
    }),
    fault("redirects, to itself and to others, in a loop", |w| {
        for params in [json!([]), json!(["evil.example", 3333, 0]), json!(["", 70000]), json!(7)] {
            w.call("client.reconnect", params);
        }
    }),
    fault("lines that are not JSON, not UTF-8, not messages", |w| {
        let lines: [&[u8]; 6] =
            [b"{\n", b"\xff\xfe\n", b"[]\n", b"\0\n", b"\xef\xbb\xbf{}\n", b"\r\n"];
        lines.iter().for_each(|line| w.bytes(line));
    }),
    fault("a flood of malformed lines", |w| w.bytes(&b"nonsense\n".repeat(20))),
    fault("a line without an end", |w| w.bytes(&[b'a'; 600 * 1024])),
    fault("questions with ids of ours, unknown methods, escapes", |w| {
        for id in 0..30 {
            w.send(&json!({"id": id, "method": "client.get_version", "params": []}));
            w.send(&json!({"id": id, "method": "mining.ping", "params": []}));
            w.send(&json!({"id": id, "method": "mining.surprise", "params": [[[[1]]]]}));
        }
        w.call("client.show_message", json!(["\u{1b}]0;owned\u{7}"]));
    }),
    fault("jobs that cannot be built", |w| {
        for (at, value) in [
            (1, json!("00")),
            (2, json!("abc")),
            (4, json!(vec!["00".repeat(32); 40])),
            (4, json!(["zz"])),
            (6, json!("00000000")),
            (7, json!(null)),
        ] {
            let mut params = json!([
                "bad",
                "00".repeat(32),
                "00",
                "00",
                [],
                "20000000",
                "1d00ffff",
                "65000000",
                true
            ]);
            params[at] = value;
            w.call("mining.notify", params);
        }
        w.call("mining.notify", json!([]));
    }),
    fault("the process stalls for 20 s", |w| w.sleep(20)),
    fault("the process stalls for an hour", |w| w.sleep(3600)),
];

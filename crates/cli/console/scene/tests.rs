//! Pictures of the page at the widths it is made for.

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::mining::event::ShareEvent;
use crate::mining::status::{BlockCounts, JobStatus, Rates, ShareCounts};

fn status() -> Status {
    Status {
        seconds: 724.0,
        seconds_hashing: 724.0,
        state: State::Mining,
        url: Some("stratum+tcp://pool.example.org:3333".into()),
        kernel: "avx512",
        threads: 2,
        midstates: 32,
        job: Some(JobStatus {
            job_id: "6643f2a1".into(),
            height: Some(128),
            difficulty: 0.06,
            network_difficulty: 1.55e14,
            target: "00".repeat(32),
            age: 4.25,
        }),
        header: None,
        rates: Rates {
            hps_10s: Some(86.4e6),
            hps_60s: Some(86.1e6),
            hps_15m: Some(85.9e6),
            hps_10s_overall: Some(86.3e6),
        },
        hashes: 62_000_000_000,
        thread_hashes: Vec::new(),
        shares: ShareCounts {
            found: 241,
            accepted: 238,
            rejected: 1,
            stale: 1,
            throttled: 0,
            unresolved: 1,
        },
        blocks: BlockCounts { found: 0, accepted: 0, rejected: 0 },
        best_difficulty: 17.25,
        latency_ms: Some(38.4),
        seconds_to_share: Some(2.98),
        seconds_to_block: Some(7.7e15),
        seconds_of_interval: 0.0,
    }
}

fn scene() -> Scene {
    let mut scene = Scene::new(false);
    for second in 1..=120u64 {
        // A dip half a minute ago.
        let rate = if (88..92).contains(&second) { 30_000_000 } else { 86_000_000 };
        let hashes = scene.counted.1 + rate;
        scene.set_status(&Status { seconds: second as f64, hashes, ..status() });
    }
    scene.status = Some(status());
    scene.say(Sentence::Note("authorized at stratum+tcp://pool.example.org:3333".into()));
    scene.say(Sentence::Note(
        "warning: stratum+tcp://pool.example.org:3333: not encrypted: whoever is on the way can \
         read it and take the work; if the pool has a TLS port, use stratum+tls://"
            .into(),
    ));
    let hash = format!("{}1f{}", "0".repeat(12), "c3".repeat(25));
    scene.say(Sentence::Result(format!("rejected share {hash} (code 23): low difficulty share")));
    scene
}

/// The page as text, without the spaces at the ends of its lines.
fn picture(scene: &Scene, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| scene.draw(frame)).unwrap();
    let symbols: Vec<_> =
        terminal.backend().buffer().content().iter().map(ratatui::buffer::Cell::symbol).collect();
    let lines = symbols.chunks(usize::from(width)).map(|line| line.concat().trim_end().to_owned());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn u5_the_page_at_100_columns() {
    assert_snapshot!(picture(&scene(), 100, 18), @r"
mining  12 min 04 s    q quit   p pause   + - threads
rate     86.4 MH/s in 10 s   86.1 MH/s in 60 s   85.9 MH/s in 15 min
▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▂▂▂▂▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
kernel   avx512, 2 threads, 32 midstates, 62.0 Ghashes so far
pool     stratum+tcp://pool.example.org:3333
job      height 128, difficulty 0.0600, network 155 T, 4.2 s old, id 6643f2a1
next     a share every 3.0 s, over 99 % likely within a minute; a block every 244 million years
shares   241 = 238 accepted + 1 rejected + 1 stale + 0 throttled + 1 unresolved, 38 ms
best     difficulty 17.3
blocks   0 found, 0 accepted, 0 rejected

authorized at stratum+tcp://pool.example.org:3333
warning: stratum+tcp://pool.example.org:3333: not encrypted: whoever is on the way can read it and
take the work; if the pool has a TLS port, use stratum+tls://
rejected share 00000000…c3c3c3c3 (code 23): low difficulty share
");
}

#[test]
fn u5_the_page_at_60_columns() {
    assert_snapshot!(picture(&scene(), 60, 16), @r"
mining  12 min 04 s    q quit   p pause   + - threads
rate     86.4 MH/s, 60 s 86.1 MH/s, 15 min 85.9 MH/s
▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▂▂▂▂▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
kernel   avx512, 2 threads, 32 midstates
pool     stratum+tcp://pool.example.org:3333
job      height 128, difficulty 0.0600, 4.2 s old
next     share every 3.0 s; a block every 244 million years
shares   241 found, 238 accepted, 1 rejected, 38 ms
best     difficulty 17.3
blocks   0 found, 0 accepted, 0 rejected

warning: stratum+tcp://pool.example.org:3333: not encrypted:
whoever is on the way can read it and take the work; if the
pool has a TLS port, use stratum+tls://
rejected share 00000000…c3c3c3c3 (code 23): low difficulty
share
");
}

#[test]
fn u5_the_page_at_30_columns_and_few_lines() {
    assert_snapshot!(picture(&scene(), 30, 7), @r"
mining  12 min 04 s
rate 86.4 MH/s
pool pool.example.org:3333
next share every 3.0 s
shares 238 of 241 accepted
blocks 0 of 0 accepted
rejected share
");
}

#[test]
fn before_the_first_job_and_during_a_pause() {
    let mut scene = Scene::new(false);
    let idle = Status {
        state: State::Connecting,
        seconds: 0.25,
        url: None,
        job: None,
        rates: Rates { hps_10s: None, hps_60s: None, hps_15m: None, hps_10s_overall: None },
        latency_ms: None,
        seconds_to_share: None,
        seconds_to_block: None,
        ..status()
    };
    scene.set_status(&idle);
    assert_snapshot!(picture(&scene, 80, 12), @r"
connecting  0.2 s    q quit   p pause   + - threads
rate     0 H/s in 10 s

kernel   avx512, 2 threads, 32 midstates, 62.0 Ghashes so far
next     nothing is being hashed
shares   241 = 238 accepted + 1 rejected + 1 stale + 0 throttled + 1 unresolved
best     difficulty 17.3
blocks   0 found, 0 accepted, 0 rejected
");
    scene.set_status(&Status { state: State::Paused, ..status() });
    assert!(picture(&scene, 80, 12).starts_with("paused  12 min 04 s"));
}

#[test]
fn a_terminal_of_any_size_can_be_drawn_on() {
    let scene = scene();
    for (width, height) in (0..=12).flat_map(|width| (0..=12).map(move |height| (width, height))) {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| scene.draw(frame)).unwrap();
    }
    assert!(picture(&scene, 12, 1).starts_with("mining  12"));
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    for wanted in [true, false] {
        let scene = Scene { colours: wanted, ..scene() };
        let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
        terminal.draw(|frame| scene.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != Color::Reset), wanted);
    }
}

#[test]
fn what_is_kept_has_bounds_and_leaves_accepted_shares_out() {
    let mut scene = Scene::new(false);
    let mut share = ShareEvent {
        pool: String::new(),
        job_id: String::new(),
        extranonce2: String::new(),
        ntime: String::new(),
        nonce: String::new(),
        version: String::new(),
        hash: String::new(),
        difficulty: 1.0,
        target_difficulty: 1.0,
        verdict: Verdict::Accepted,
        code: None,
        reason: None,
        latency_ms: 1.0,
        block: false,
        advice: None,
        listed: None,
    };
    scene.hear(&Event::Share(share.clone()), Sentence::Result("accepted".into()));
    assert_eq!(scene.take_kept().len(), 0);
    share.verdict = Verdict::Rejected;
    scene.hear(&Event::Share(share), Sentence::Result("rejected".into()));
    assert_eq!(scene.take_kept().len(), 1);
    assert_eq!(scene.shown.len(), 2);

    for number in 0..MOST_KEPT + 5 {
        scene.say(Sentence::Result(number.to_string()));
    }
    let kept = scene.take_kept();
    assert_eq!(kept.len(), MOST_KEPT);
    assert_eq!(kept.front(), Some(&Sentence::Result("5".into())));
    assert_eq!(scene.shown.len(), MOST_SHOWN);
    assert!(scene.take_kept().is_empty(), "it is printed once");
}

//! Pictures of the page at the widths it is made for; the widest are in `snapshots`.

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::mining::event::ShareEvent;
use crate::mining::status::{BlockCounts, JobStatus, Rates, Readings, ShareCounts, State};

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
            protocol: "stratum1",
            channel: None,
            job_id: "6643f2a1".into(),
            height: Some(128),
            difficulty: 0.06,
            network_difficulty: 1.55e14,
            target: "00".repeat(32),
            age: 4.25,
        }),
        jobs: 1,
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
        readings: Readings::default(),
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

/// The same at the embedded pool, on a machine with sensors.
fn scene_of_a_pool() -> Scene {
    let mut scene = scene();
    let counts = ShareCounts { found: 12, accepted: 12, rejected: 0, stale: 0, ..status().shares };
    scene.status = Some(Status {
        shares: ShareCounts { unresolved: 0, ..counts },
        blocks: BlockCounts { found: 12, accepted: 12, rejected: 0 },
        readings: Readings { temperature: Some(67.4), watts: Some(88.0) },
        seconds_to_block: Some(2.98),
        ..status()
    });
    let miner = |name: &str, hps, blocks: u64| WorkerStatus {
        name: name.to_owned(),
        hps,
        error: hps.map(|_| 0.29),
        accepted: blocks,
        rejected: 0,
        blocks,
        silent: 1.0,
    };
    let guests = (1..=8).map(|number| miner(&format!("guest {number}"), Some(1e5), 1));
    let some = [
        miner("this machine", Some(86e6), 12),
        miner("ann", Some(4.2e6), 1),
        miner("a name that is as long as a name of a miner may be", None, 0),
    ];
    scene.set_miners(some.into_iter().chain(guests).collect());
    scene
}

#[test]
fn u5_two_panes_at_160_columns() {
    assert_snapshot!(picture(&scene_of_a_pool(), 160, 40));
}

#[test]
fn u5_two_panes_at_120_columns_with_the_miners_of_the_pool() {
    assert_snapshot!(picture(&scene_of_a_pool(), 120, 30));
}

#[test]
fn u5_two_panes_at_100_columns() {
    assert_snapshot!(picture(&scene(), 100, 24), @r"
mining  12 min 04 s    q quit   p pause   + - threads   ? help

rate     86.4 MH/s counted in 10 s               │ pool     stratum+tcp://pool.example.org:3333
         86.1 MH/s in 60 s   85.9 MH/s in 15 min │ job      height 128, difficulty 0.0600, 4.2 s old
▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄    ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄ │ next     a share every 3.0 s
███████████████    █████████████████████████████ │          a block every 244 million years
███████████████▁▁▁▁█████████████████████████████ │ shares   238 of 239 accepted, 1 rejected
████████████████████████████████████████████████ │ best     difficulty 17.3
48 s ago          at most 86.0 MH/s          now │ blocks   none yet
kernel   avx512, 2 threads, 32 midstates         │
hashes   62.0 G so far                           │

authorized at stratum+tcp://pool.example.org:3333
warning: stratum+tcp://pool.example.org:3333: not encrypted: whoever is on the way can read it and
take the work; if the pool has a TLS port, use stratum+tls://
rejected share 00000000…c3c3c3c3 (code 23): low difficulty share
");
}

#[test]
fn u5_a_low_terminal_has_one_column() {
    assert_snapshot!(picture(&scene(), 100, 17), @r"
mining  12 min 04 s    q quit   p pause   + - threads   ? help
rate     86.4 MH/s counted in 10 s   86.1 MH/s in 60 s   85.9 MH/s in 15 min
▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▂▂▂▂▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇
kernel   avx512, 2 threads, 32 midstates, 62.0 Ghashes so far
pool     stratum+tcp://pool.example.org:3333
job      height 128, difficulty 0.0600, network 155 T, 4.2 s old, id 6643f2a1
next     a share every 3.0 s, over 99 % likely within a minute; a block every 244 million years
shares   241 found: 238 accepted, 1 rejected, 1 stale, 1 unresolved, answer in 38 ms
best     difficulty 17.3
blocks   none yet

authorized at stratum+tcp://pool.example.org:3333
warning: stratum+tcp://pool.example.org:3333: not encrypted: whoever is on the way can read it and
take the work; if the pool has a TLS port, use stratum+tls://
rejected share 00000000…c3c3c3c3 (code 23): low difficulty share
");
}

#[test]
fn u5_one_column_at_80_columns() {
    assert_snapshot!(picture(&scene_of_a_pool(), 80, 24), @r"
mining  12 min 04 s    q quit   p pause   + - threads   ? help
rate     86.4 MH/s counted in 10 s   86.1 MH/s in 60 s   85.9 MH/s in 15 min
▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃    ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃
███████████████████████████████████████████████    █████████████████████████████
███████████████████████████████████████████████    █████████████████████████████
███████████████████████████████████████████████▄▄▄▄█████████████████████████████
████████████████████████████████████████████████████████████████████████████████
1 min 20 s ago                       at most 86.0 MH/s                       now
kernel   avx512, 2 threads, 32 midstates, 62.0 Ghashes so far
machine  CPU at 67 °C, 88 W
pool     stratum+tcp://pool.example.org:3333
job      height 128, difficulty 0.0600, network 155 T, 4.2 s old, id 6643f2a1
next     a share every 3.0 s, over 99 % likely within a minute
shares   12 found, all accepted, answer in 38 ms
best     difficulty 17.3
blocks   12 found, all accepted
miners   this machine 12 blocks, ann 1 block, 9 more

authorized at stratum+tcp://pool.example.org:3333
warning: stratum+tcp://pool.example.org:3333: not encrypted: whoever is on the
way can read it and take the work; if the pool has a TLS port, use
stratum+tls://
rejected share 00000000…c3c3c3c3 (code 23): low difficulty share
");
}

#[test]
fn u5_one_column_at_60_columns() {
    assert_snapshot!(picture(&scene(), 60, 20), @r"
mining  12 min 04 s    q  p  + -  ?
rate     86.4 MH/s, 60 s 86.1 MH/s, 15 min 85.9 MH/s
▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅    ▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅
███████████████████████████    █████████████████████████████
███████████████████████████▇▇▇▇█████████████████████████████
1 min 00 s ago             at most 86.0 MH/s             now
kernel   avx512, 2 threads, 32 midstates
pool     stratum+tcp://pool.example.org:3333
job      height 128, difficulty 0.0600, 4.2 s old
next     share every 3.0 s; a block every 244 million years
shares   238 of 239 accepted, 1 rejected
best     difficulty 17.3
blocks   none yet

authorized at stratum+tcp://pool.example.org:3333
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
shares 238 of 239 accepted
blocks none yet
rejected share
");
}

#[test]
fn u5_help_fits_a_small_terminal() {
    let mut scene = scene();
    scene.toggle_help();
    assert_snapshot!(picture(&scene, 60, 20), @r"
The keys:
  q       quit with a summary, as Ctrl-C does
  p       pause, and go on
  + -     one thread more, one thread fewer
  ?       open and close this page; Esc closes it, too

The rows:
  rate    hashes a second, counted when they are finished
  plot    the rate of each second, the newest at the right
  kernel  the code that hashes, its threads and midstates
  machine temperature and power of the CPU, where it tells
  pool    the pool or node that gives the work
  job     the work in hand: block height and difficulty
  next    the mean wait. Luck decides and has no memory
  shares  proofs of work sent, and the answers to them
  best    the difficulty of the best hash so far
  blocks  hashes that solved a block of the network
  miners  at the pool in this program, rates by shares
");
    // The keys come first.
    assert!(picture(&scene, 40, 5).contains("quit"));
    scene.toggle_help();
    assert_eq!(picture(&scene, 60, 20), picture(&super::tests::scene(), 60, 20));
}

/// Nothing has happened yet.
fn idle() -> Status {
    Status {
        state: State::Connecting,
        seconds: 0.25,
        url: None,
        job: None,
        rates: Rates { hps_10s: None, hps_60s: None, hps_15m: None, hps_10s_overall: None },
        hashes: 0,
        shares: ShareCounts { found: 0, accepted: 0, rejected: 0, stale: 0, ..status().shares },
        best_difficulty: 0.0,
        latency_ms: None,
        seconds_to_share: None,
        seconds_to_block: None,
        ..status()
    }
}

#[test]
fn zeros_are_not_told() {
    let mut scene = Scene::new(false);
    scene.set_status(&idle());
    assert_snapshot!(picture(&scene, 80, 12), @r"
connecting  0.2 s    q quit   p pause   + - threads   ? help
rate     nothing hashed in 10 s

kernel   avx512, 2 threads, 32 midstates
next     no share before there is work
shares   none yet
best     none yet
blocks   none yet
");
    for (width, height) in [(60, 20), (80, 24), (100, 24), (120, 30)] {
        let picture = picture(&scene, width, height);
        assert!(!picture.contains(" 0 "), "{picture}");
        assert!(picture.matches("none yet").count() >= 3, "{picture}");
        assert_eq!(picture.matches(" ago ").count(), 1, "the plot has an axis: {picture}");
    }
}

#[test]
fn a_pause_promises_no_share() {
    let mut scene = scene();
    let paused =
        Status { state: State::Paused, seconds_to_share: None, seconds_to_block: None, ..status() };
    scene.set_status(&paused);
    for (width, height) in [(60, 20), (100, 24), (120, 30)] {
        let picture = picture(&scene, width, height);
        assert!(picture.starts_with("paused  12 min 04 s"), "{picture}");
        assert!(picture.contains("no share during a pause"), "{picture}");
        assert!(!picture.contains(" every "), "{picture}");
        assert!(picture.contains("none now, 86.4 MH/s before the pause"), "{picture}");
        assert!(!picture.contains("in 60 s"), "{picture}");
    }
}

#[test]
fn what_became_of_shares_and_blocks_adds_up() {
    let mut scene = scene();
    let blocks = BlockCounts { found: 3, accepted: 1, rejected: 1 };
    scene.set_status(&Status { blocks, ..status() });
    let told = picture(&scene, 120, 12);
    assert!(told.contains("3 found: 1 accepted, 1 rejected, 1 without a verdict"), "{told}");
    assert!(told.contains("241 found: 238 accepted, 1 rejected, 1 stale, 1 unresolved"), "{told}");
}

#[test]
fn a_terminal_of_any_size_can_be_drawn_on() {
    let mut scene = scene_of_a_pool();
    let small = (0..=12).flat_map(|width| (0..=12).map(move |height| (width, height)));
    let wide = (99..=102).flat_map(|width| (15..=32).map(move |height| (width, height)));
    let sizes: Vec<_> = small.chain(wide).chain([(300, 100), (400, 18)]).collect();
    for _ in 0..2 {
        for &(width, height) in &sizes {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            terminal.draw(|frame| scene.draw(frame)).unwrap();
        }
        scene.toggle_help();
    }
    assert!(picture(&scene, 12, 1).starts_with("mining  12"));
}

#[test]
fn colours_are_used_only_where_they_are_wanted() {
    for wanted in [true, false] {
        let scene = Scene { palette: Palette { colours: wanted }, ..scene() };
        let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
        terminal.draw(|frame| scene.draw(frame)).unwrap();
        let cells = terminal.backend().buffer().content();
        assert_eq!(cells.iter().any(|cell| cell.fg != Color::Reset), wanted);
    }
}

#[test]
fn what_is_kept_has_bounds_and_leaves_accepted_shares_out() {
    let mut scene = Scene::new(false);
    let share = |verdict| Event::Share(ShareEvent::example(verdict));
    scene.hear(&share(Verdict::Accepted), Sentence::Result("accepted".into()));
    assert_eq!(scene.take_kept().len(), 0);
    scene.hear(&share(Verdict::Rejected), Sentence::Result("rejected".into()));
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

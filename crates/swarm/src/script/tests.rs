//! What scripts come to: a table of words with the hashes that they owe, properties, mistakes.

use proptest::prelude::*;

use super::*;

fn script(profile: &str, workers: u32) -> Script {
    Script::parse(profile, workers, 7).unwrap_or_else(|error| panic!("{profile}: {error}"))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Hashes that worker 0 owes at each second.
fn owed(profile: &str, seconds: &[u64]) -> Vec<u64> {
    let script = script(profile, 1);
    seconds.iter().map(|&second| script.owed(0, ms(1000 * second))).collect()
}

#[test]
fn every_word_owes_what_it_says() {
    let table: &[(&str, &[u64], &[u64])] = &[
        ("steady:5M", &[0, 1, 60], &[0, 5_000_000, 300_000_000]),
        ("steady:0", &[0, 60], &[0, 0]),
        ("step:1M@30s,10M@60s", &[30, 31, 60, 61], &[0, 1_000_000, 30_000_000, 40_000_000]),
        ("step:1M,10M@60s", &[1, 60, 61], &[1_000_000, 60_000_000, 70_000_000]),
        ("ramp:1M..50M/2m", &[0, 120, 121], &[0, 3_060_000_000, 3_110_000_000]),
        ("ramp:1000..0/10s", &[5, 10, 99], &[3750, 5000, 5000]),
        ("ramp:1000..2000/10s@5s", &[5, 10, 15, 16], &[5000, 11_250, 20_000, 22_000]),
        (
            "burst:20M/1s every 10s",
            &[1, 9, 10, 11],
            &[20_000_000, 20_000_000, 20_000_000, 40_000_000],
        ),
        ("burst:20/1s@5s every 10s", &[5, 6, 14, 15, 16], &[0, 20, 20, 20, 40]),
        ("steady:10 stall:@60s for 30s", &[60, 75, 90, 91], &[600, 600, 600, 610]),
        ("steady:10 stall:@5s for 5s stall:@8s for 4s", &[5, 12, 13], &[50, 50, 60]),
        ("oscillate:0..10/20s", &[10, 20, 30, 40], &[50, 100, 150, 200]),
        ("oscillate:0..10/20s", &[5, 15], &[12, 87]),
        ("oscillate:10..0/20s@10s", &[10, 20, 30], &[100, 150, 200]),
        // Rates add up.
        ("steady:10 burst:20/1s every 10s step:5@1s", &[1, 2], &[30, 45]),
        // A stall has the last word.
        ("stall:@0s for 1s step:7 ramp:1..1/1s", &[1, 2], &[0, 8]),
    ];
    for (profile, seconds, hashes) in table {
        assert_eq!(owed(profile, seconds), *hashes, "{profile}");
    }
}

#[test]
fn a_hash_is_owed_when_it_is_whole() {
    let script = script("steady:3", 1);
    let at = [333_333, 333_334, 666_666, 666_667, 999_999, 1_000_000];
    let owed = at.map(|at| script.owed(0, Duration::from_micros(at)));
    assert_eq!(owed, [0, 1, 1, 2, 2, 3]);
}

#[test]
fn the_largest_numbers_of_the_language_are_exact() {
    let month = Duration::from_secs(31 * 86_400);
    let script = script("ramp:0..1T/31d", 1);
    assert_eq!(script.owed(0, month), 31 * 86_400 * 500_000_000_000);
    assert_eq!(script.owed(0, Duration::MAX), u64::MAX, "and none beyond is a small number");
}

#[test]
fn those_who_leave_owe_no_more_and_those_who_join_begin_then() {
    let script = script("steady:10 join:2@5s leave:3@10s", 4);
    assert_eq!(script.workers(), 6);
    let present = |second: u64| (0..6).filter(|&w| script.is_present(w, ms(1000 * second))).count();
    assert_eq!([0, 4, 5, 9, 10, 99].map(present), [4, 4, 6, 6, 3, 3]);
    for worker in 0..6 {
        let joined = if worker < 4 { 0 } else { 5 };
        let stays = script.is_present(worker, ms(10_000));
        let until = if stays { 100 } else { 10 };
        assert_eq!(script.owed(worker, ms(100_000)), 10 * (until - joined), "{worker}");
        assert_eq!(script.rate(worker, ms(4_999)), if joined == 0 { 10.0 } else { 0.0 });
    }
    assert_eq!(script.rate_of_all(ms(5_000)), 60.0);
    assert_eq!(script.rate_of_all(ms(10_000)), 30.0);
    let changes = [0, 5_000, 10_000].map(|at| script.next_change(ms(at)));
    assert_eq!(changes, [Some(ms(5_000)), Some(ms(10_000)), None]);
}

#[test]
fn a_part_of_the_workers_is_rounded_to_the_nearest() {
    let left = |profile, workers| {
        let script = script(profile, workers);
        (0..script.workers()).filter(|&worker| script.is_present(worker, ms(60_000))).count()
    };
    assert_eq!(left("steady:1 leave:20%@10s", 1000), 800);
    assert_eq!(left("steady:1 leave:20%@10s", 7), 6);
    assert_eq!(left("steady:1 leave:50%@10s leave:50%@20s", 100), 25);
    assert_eq!(left("steady:1 join:100%@10s join:50%@20s", 100), 300);
    assert_eq!(left("steady:1 leave:100%@10s", 5), 0);
}

#[test]
fn the_seed_decides_who_leaves() {
    let gone = |seed| {
        let script = Script::parse("steady:1 leave:10@10s", 1000, seed).unwrap();
        (0..1000).filter(|&worker| !script.is_present(worker, ms(10_000))).collect::<Vec<_>>()
    };
    assert_eq!(gone(1), gone(1));
    assert_ne!(gone(1), gone(2));
    assert!(gone(1).iter().any(|&worker| worker > 500), "{:?}", gone(1));
}

#[test]
fn the_bends_of_a_worker_are_those_of_its_time() {
    let script = script("step:1,2@20s stall:@40s for 5s join:1@10s leave:1@42s", 1);
    let bends = |worker| script.bends(worker).iter().map(Duration::as_secs).collect::<Vec<_>>();
    let mut both = [bends(0), bends(1)];
    both.sort();
    let leaver = (0..2).find(|&worker| !script.is_present(worker, ms(42_000))).unwrap();
    assert!(!bends(leaver).contains(&45));
    assert_eq!(both[0][..2], [0, 20]);
    assert_eq!(both[1][..2], [10, 20]);
}

#[test]
fn a_file_of_groups_is_read() {
    let file = "[[group]]\nname = \"small\"\nworkers = 3\nprofile = \"steady:10 join:1@5s\"\n\
                [[group]]\nworkers = 2\nprofile = \"steady:100 leave:1@5s\"\n";
    let script = Script::from_toml(file, 7).unwrap();
    let groups: Vec<_> = script.groups().collect();
    assert_eq!(groups, [("small", 0..4), ("2", 4..6)]);
    let owed: Vec<_> = (0..6).map(|worker| script.owed(worker, ms(10_000))).collect();
    assert_eq!(owed[..4], [100, 100, 100, 50]);
    assert_eq!(owed[4] + owed[5], 1500);
    assert_eq!(script.owed(6, ms(10_000)), 0, "there is no such worker");
}

#[test]
fn a_mistake_in_a_file_is_named_with_its_place() {
    let said = |file: &str| Script::from_toml(file, 0).unwrap_err().to_string();
    let group = |lines: &str| format!("[[group]]\nname = \"big\"\n{lines}\n");
    assert!(said("").contains("0 groups: expected 1 to 100; expected a table [[group]]"));
    let unknown = said(&group("workers = 1\nprofil = \"steady:1\""));
    assert!(unknown.contains("line 4") && unknown.contains("profil"), "{unknown}");
    assert!(said(&group("workers = -1\nprofile = \"steady:1\"")).contains("line 3"));
    let word = said(&group("workers = 1\nprofile = \"steady:x\""));
    assert!(word.starts_with("group big: steady:x: `x` is no rate"), "{word}");
    assert!(said(&group("workers = 0\nprofile = \"steady:1\"")).starts_with("0 workers"));
    assert!(said(&"#".repeat(300_000)).contains("300000 bytes"));
}

#[test]
fn every_mistake_names_the_word_the_form_and_an_example() {
    let said = |profile: &str| Script::parse(profile, 10, 0).unwrap_err().to_string();
    assert_eq!(
        said("stedy:5M"),
        "stedy:5M: no word of a profile; expected one of steady, step, ramp, burst, stall, \
         oscillate, leave, join, as steady:5M"
    );
    assert_eq!(
        said("ramp:1M..50M"),
        "ramp:1M..50M: the time that it takes is not said; expected ramp:RATE..RATE/TIME[@TIME], \
         as ramp:1M..50M/2m"
    );
    let table = [
        ("", "no word gives a rate"),
        ("stall:@1s for 1s", "no word gives a rate"),
        ("5M", "no word of a profile"),
        ("steady", "`` is no rate"),
        ("steady:5m", "`5m` is no rate"),
        ("steady:2000T", "above 1T"),
        ("steady:1.5", "`1.5` is no rate"),
        ("step:1M,2M", "2M does not say from when on"),
        ("step:1M@5s,2M@5s", "the times do not rise"),
        ("ramp:1M/2m", "the second rate is not said"),
        ("ramp:1M..2M/0s", "0s is no time at all"),
        ("burst:1M/1s", "the time from one burst to the next is not said"),
        ("burst:1M/10s every 10s", "without a pause"),
        ("steady:1 stall:60s for 1s", "when it begins is not said"),
        ("steady:1 stall:@60s", "how long it lasts is not said"),
        ("steady:1 leave:20%", "when is not said"),
        ("steady:1 leave:200%@1s", "more than 100%"),
        ("steady:1 leave:0@1s", "nobody would come or go"),
        ("steady:1 leave:11@1s", "10 workers are there"),
        ("steady:1 leave:5@1s leave:6@2s", "5 workers are there"),
        ("steady:1 join:9991@1s", "10001 workers"),
        ("steady:1 join:18446744073709551615@1s", "workers"),
        ("steady:1 and more", "`1 and more` is no rate"),
    ];
    for (profile, words) in table {
        assert!(said(profile).contains(words), "{profile}: {}", said(profile));
    }
    assert!(said(&"steady:1 ".repeat(65)).contains("65 words: expected at most 64"));
    assert!(said(&"x".repeat(20_000)).contains("20000 bytes"));
    assert!(Script::parse("steady:1", 0, 0).is_err());
    assert!(Script::parse("steady:1", 10_001, 0).is_err());
}

/// A word with its rate as a function of time, which is written here a second time.
#[derive(Debug, Clone)]
enum Word {
    Step(Vec<(u64, u64)>),
    Line { from: u64, to: u64, span: u64, at: u64, returns: bool },
    Burst { rate: u64, span: u64, every: u64, at: u64 },
}

impl Word {
    fn text(&self) -> String {
        match self {
            Self::Step(steps) => {
                let steps: Vec<_> =
                    steps.iter().map(|(at, rate)| format!("{rate}@{at}ms")).collect();
                format!("step:{}", steps.join(","))
            }
            Self::Line { from, to, span, at, returns } => {
                let name = if *returns { "oscillate" } else { "ramp" };
                format!("{name}:{from}..{to}/{span}ms@{at}ms")
            }
            Self::Burst { rate, span, every, at } => {
                format!("burst:{rate}/{span}ms@{at}ms every {every}ms")
            }
        }
    }

    /// At a time in milliseconds.
    fn rate(&self, t: f64) -> f64 {
        match self {
            Self::Step(steps) => {
                let mut steps = steps.iter().filter(|(at, _)| *at as f64 <= t);
                steps.next_back().map_or(0.0, |(_, rate)| *rate as f64)
            }
            &Self::Line { from, to, span, at, returns } => {
                let part = (t - at as f64).max(0.0) / span as f64;
                let part = match returns {
                    true => 1.0 - (2.0 * part.fract() - 1.0).abs(),
                    false => part.min(1.0),
                };
                from as f64 * (1.0 - part) + to as f64 * part
            }
            Self::Burst { rate, span, every, at } => {
                let since = t - *at as f64;
                let is_on = since >= 0.0 && since % (*every as f64) < *span as f64;
                if is_on { *rate as f64 } else { 0.0 }
            }
        }
    }
}

fn word() -> impl Strategy<Value = Word> {
    let rate = || 0..50_000_u64;
    prop_oneof![
        prop::collection::btree_map(0..900_u64, rate(), 1..4)
            .prop_map(|steps| Word::Step(steps.into_iter().collect())),
        (rate(), rate(), 1..900_u64, 0..300_u64, any::<bool>())
            .prop_map(|(from, to, span, at, returns)| Word::Line { from, to, span, at, returns }),
        (rate(), 1..100_u64, 1..300_u64, 0..300_u64).prop_map(|(rate, span, pause, at)| {
            Word::Burst { rate, span, every: span + pause, at }
        }),
    ]
}

/// Words, and stalls as `(from, length)`.
fn profile() -> impl Strategy<Value = (Vec<Word>, Vec<(u64, u64)>)> {
    let stalls = prop::collection::vec((0..900_u64, 1..200_u64), 0..3);
    (prop::collection::vec(word(), 1..4), stalls)
}

fn text((words, stalls): &(Vec<Word>, Vec<(u64, u64)>)) -> String {
    let words = words.iter().map(Word::text);
    let stalls = stalls.iter().map(|(at, length)| format!("stall:@{at}ms for {length}ms"));
    words.chain(stalls).collect::<Vec<_>>().join(" ")
}

/// The sum until `until` milliseconds. Between two quarters of a millisecond every rate is a
/// straight line, so that the rate in their middle is the exact mean.
fn integral((words, stalls): &(Vec<Word>, Vec<(u64, u64)>), until: u64) -> f64 {
    let is_stalled =
        |t: f64| stalls.iter().any(|&(at, length)| at as f64 <= t && t < (at + length) as f64);
    let middles = (0..4 * until).map(|quarter| (quarter as f64 + 0.5) / 4.0);
    let rates =
        middles.filter(|&t| !is_stalled(t)).map(|t| words.iter().map(|w| w.rate(t)).sum::<f64>());
    rates.sum::<f64>() / 4000.0
}

/// Some times before `end` microseconds.
fn times(end: u64) -> impl Strategy<Value = Vec<Duration>> {
    prop::collection::vec((0..end).prop_map(Duration::from_micros), 0..50)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_sum_is_the_integral_to_the_hash(profile in profile(), until in 0..1000_u64) {
        let owed = script(&text(&profile), 1).owed(0, ms(until)) as f64;
        let integral = integral(&profile, until);
        prop_assert!(owed <= integral + 1e-4 && integral < owed + 1.0 + 1e-4, "{owed} {integral}");
    }

    #[test]
    fn the_sum_never_falls(profile in profile(), mut times in times(2_000_000)) {
        let script = script(&text(&profile), 1);
        times.sort_unstable();
        prop_assert!(times.iter().map(|&at| script.owed(0, at)).is_sorted());
    }

    /// However often the script is asked, the differences come to the same hashes.
    #[test]
    fn it_does_not_matter_how_time_is_cut(profile in profile(), mut cuts in times(1_000_000)) {
        let script = script(&format!("{} join:1@300ms leave:1@700ms", text(&profile)), 2);
        cuts.push(ms(1000));
        cuts.sort_unstable();
        for worker in 0..3 {
            let (mut done, mut sum) = (0, 0);
            for &at in &cuts {
                let lacks = script.owed(worker, at) - done;
                (done, sum) = (done + lacks, sum + lacks);
            }
            prop_assert_eq!(sum, script.owed(worker, ms(1000)));
        }
    }

    /// Whoever stays for a part of the time owes the sum of that part.
    #[test]
    fn a_stay_owes_its_part_of_the_sum(
        profile in profile(), joined in 0..500_u64, left in 500..1000_u64
    ) {
        let words = text(&profile);
        let alone = script(&words, 1);
        let guest = script(&format!("{words} join:1@{joined}ms leave:100%@{left}ms"), 1);
        let part = alone.owed(0, ms(left)) as i64 - alone.owed(0, ms(joined)) as i64;
        let owed = guest.owed(1, ms(2000)) as i64;
        prop_assert!((part - owed).abs() <= 1, "{part} {owed}");
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-z0-9.:@/,% ]{0,40}", workers in 0..20_u32) {
        if let Ok(script) = Script::parse(&text, workers, 1) {
            script.owed(0, ms(1000));
        }
    }
}

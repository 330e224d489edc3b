//! Pools that let us in and are no use all the same, beside a healthy one. One seed each here;
//! `cargo xtask chaos --seeds N` plays N.
//!
//! In every run each share has exactly one verdict, the healthy pool gets the work within the
//! bound, the bad pool is returned to only after a good minute, its connections stay few, no cause
//! is told twice within ten seconds, and no failover is without a reason.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use midstate_net::{Dial, Frames, LinkEnd};
use midstate_stratum::Verdict;

use crate::pipes::{Mood, Pools, Refusal, Running, account};

/// How a pool is no use, and the seconds within which the other one must have the work while a
/// share is found each second.
const USELESS: &[(Mood, u64)] = &[
    (Mood::Brief(50), 10),
    (Mood::Brief(5_000), 30),
    (Mood::HangsUpAtShares, 15),
    (Mood::Refuses(Refusal::Code(20)), 40),
    (Mood::Refuses(Refusal::Code(21)), 40),
    (Mood::Refuses(Refusal::Code(22)), 40),
    (Mood::Refuses(Refusal::Code(23)), 40),
    (Mood::Refuses(Refusal::Code(24)), 40),
    (Mood::Refuses(Refusal::Code(-7)), 40),
    (Mood::Refuses(Refusal::Text), 40),
    (Mood::Refuses(Refusal::False), 40),
    (Mood::Mute, 70),
];

fn seeds() -> u64 {
    std::env::var("CHAOS_SEEDS").map_or(1, |text| text.parse().expect("CHAOS_SEEDS is a number"))
}

async fn play(mood: Mood, bound: u64, seed: u64) {
    fastrand::seed(seed);
    let pools = Pools::default();
    pools.set("one", mood);
    pools.set("two", Mood::Good);
    let mut link = Running::start(&pools, &["one", "two"]);
    let (mut found, mut moved_at) = (0, None);
    for second in 0..600_u64 {
        if moved_at.is_none() && link.pool() == Some("two") {
            moved_at = Some(second);
        }
        if link.job.is_some() {
            link.find_share();
            found += 1;
        }
        link.pass_millis(500 + fastrand::u64(0..1000)).await;
    }
    let at = moved_at.unwrap_or_else(|| panic!("{mood:?}, seed {seed}: the other never worked"));
    assert!(at <= bound, "{mood:?}, seed {seed}: {at} s");
    // Ten minutes with pauses of up to a minute, and short ones only at the start.
    let connections = pools.connections("one");
    assert!(connections <= 40, "{mood:?}, seed {seed}: {connections} connections");
    assert_told_seldom(&link, &format!("{mood:?}, seed {seed}"));
    assert!(!link.failovers.is_empty());
    for (_, reason) in &link.failovers {
        assert!(reason.as_ref().is_some_and(|reason| !reason.is_empty()), "{mood:?}: no reason");
    }

    // It is good again, and has a good minute to show, unless it was just on trial.
    let is_away = link.pool() == Some("two");
    pools.set("one", Mood::Good);
    link.pass_millis(1).await;
    let back = link.until_working_for("one").await.as_secs();
    let bounds = if is_away { 55..=65 * 60 } else { 0..=65 * 60 };
    assert!(bounds.contains(&back), "{mood:?}, seed {seed}: returned after {back} s");
    link.until(|link| link.job.is_some()).await;
    link.find_share();
    link.pass(5).await;
    assert_eq!(link.stop().await, LinkEnd::Stopped);
    assert_eq!(link.verdicts.len(), found + 1, "{mood:?}, seed {seed}: a verdict each");
    assert!(link.count(Verdict::Accepted) > 0);
}

/// One line for each cause in ten seconds; numbers make no other cause.
fn assert_told_seldom(link: &Running, what: &str) {
    let mut last: HashMap<String, f64> = HashMap::new();
    for (at, text) in &link.told {
        let cause: String = text.chars().filter(|symbol| !symbol.is_ascii_digit()).collect();
        if let Some(before) = last.insert(cause, *at) {
            assert!(at - before >= 10.0, "{what}: {text:?} at {before} s and {at} s");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_pool_that_takes_no_work_keeps_it_loses_a_share_or_is_connected_to_all_the_time() {
    for &(mood, bound) in USELESS {
        for seed in 0..seeds() {
            play(mood, bound, seed).await;
        }
        println!("{mood:?}: {} seeds", seeds());
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_earns_trust_by_work_not_by_a_handshake() {
    for mood in [Mood::Brief(50), Mood::HangsUpAtShares] {
        let pools = Pools::default();
        pools.set("one", mood);
        let mut link = Running::start(&pools, &["one"]);
        for _ in 0..3600 {
            if link.job.is_some() {
                link.find_share();
            }
            link.pass(1).await;
        }
        let connections = pools.connections("one");
        assert!((40..=130).contains(&connections), "{mood:?}: {connections} in an hour");
        link.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_any_kind_at_the_only_pool_are_told_and_slow_it_down() {
    let pools = Pools::default();
    pools.set("one", Mood::Refuses(Refusal::Code(20)));
    let mut link = Running::start(&pools, &["one"]);
    for _ in 0..600 {
        if link.job.is_some() {
            link.find_share();
        }
        link.pass(1).await;
    }
    let told = link.warnings.iter().find(|text| text.contains("Invalid address")).unwrap();
    for words in ["likely cause", "no other pool is on the list", "pauses"] {
        assert!(told.contains(words), "{told}");
    }
    let connections = pools.connections("one");
    assert!((5..=15).contains(&connections), "{connections}");
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn silence_has_consequences_before_three_minutes() {
    let pools = Pools::default();
    pools.set("one", Mood::Mute);
    pools.set("two", Mood::Good);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("one").await;
    for _ in 0..70 {
        if link.pool() == Some("one") {
            link.find_share();
        }
        link.pass(1).await;
    }
    assert_eq!(link.pool(), Some("two"));
    let (_, reason) = &link.failovers[0];
    assert!(reason.as_ref().unwrap().contains("shares unanswered"), "{reason:?}");
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_reason_names_the_present_trouble_never_an_older_one_and_is_never_null() {
    for (mood, words) in [
        (Mood::Idle, "it let us in but has sent no work for 10 s"),
        (Mood::Silent, "nothing useful for 10 s"),
        (Mood::Rude, "closed the connection"),
        (Mood::Refusing, "refused"),
    ] {
        let pools = Pools::default();
        pools.set("one", mood);
        pools.set("two", Mood::Good);
        let mut link = Running::start(&pools, &["one", "two"]);
        link.until_working_for("two").await;
        let reason = link.failovers[0].1.clone().unwrap_or_default();
        assert!(reason.contains(words), "{mood:?}: {reason}");
        link.stop().await;
    }
    // The port was closed at first. That is over once the pool takes the connection.
    let LinkEnd::Unreachable(reason) = give_up_at(Mood::Idle).await else { panic!("it ends") };
    assert!(!reason.contains("refused"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_reason_names_the_trouble_of_the_pool_that_is_left_also_on_the_way_up() {
    let pools = Pools::default();
    pools.set("one", Mood::Refuses(Refusal::Code(20)));
    pools.set("two", Mood::Good);
    let mut link = Running::start(&pools, &["one", "two"]);
    mine_until_working_for(&mut link, "two").await;
    // The first is as bad as it was; it is returned to because the second is gone.
    pools.set("two", Mood::Rude);
    link.until_working_for("one").await;
    let (_, reason) = link.failovers.last().unwrap();
    let reason = reason.as_ref().unwrap();
    assert!(reason.contains("two:3333: the pool closed the connection"), "{reason}");
    // Both serve, and the first gets its next chance, no more.
    pools.set("two", Mood::Good);
    mine_until_working_for(&mut link, "two").await;
    link.until_working_for("one").await;
    let (_, reason) = link.failovers.last().unwrap();
    let reason = reason.as_ref().unwrap();
    assert!(reason.contains("our shares are tried there again"), "{reason}");
    // A pool that came back is healthy again.
    pools.set("one", Mood::Refusing);
    link.until_working_for("two").await;
    pools.set("one", Mood::Good);
    link.until_working_for("one").await;
    link.stop().await;
}

/// Finds a share a second until work is done for this pool.
async fn mine_until_working_for(link: &mut Running, host: &str) {
    for _ in 0..600 {
        if link.pool() == Some(host) {
            return;
        }
        if link.job.is_some() {
            link.find_share();
        }
        link.pass(1).await;
    }
    panic!("{host} never worked");
}

/// How a link ends whose only pool is away at first.
async fn give_up_at(mood: Mood) -> LinkEnd {
    let pools = Pools::default();
    pools.set("one", Mood::Refusing);
    let mut link = Running::start_with(&pools, &["one"], Some(300));
    link.pass(100).await;
    pools.set("one", mood);
    link.end().await
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_does_so_at_a_pool_that_takes_no_work() {
    for mood in [Mood::Brief(50), Mood::Idle, Mood::Silent, Mood::Rude] {
        let LinkEnd::Unreachable(reason) = give_up_at(mood).await else {
            panic!("{mood:?}: it ends")
        };
        assert!(reason.starts_with("no pool let us work for 300 s"), "{mood:?}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn rule_5_who_has_work_is_never_given_up_whatever_was_before() {
    for (mood, sessions, finds) in [
        (Mood::Brief(1_000), 3, true),
        (Mood::Brief(1_000), 3, false),
        (Mood::Rude, 2, false),
        (Mood::Refuses(Refusal::Code(20)), 2, true),
    ] {
        let pools = Pools::default();
        pools.set("one", mood);
        let mut link = Running::start_with(&pools, &["one"], Some(30));
        while pools.connections("one") < sessions || link.job.is_some() {
            if finds && link.job.is_some() {
                link.find_share();
            }
            link.pass_millis(100).await;
        }
        pools.set("one", Mood::Good);
        link.until_working_for("one").await;
        for _ in 0..50 {
            if finds {
                link.find_share();
            }
            link.pass(1).await;
        }
        assert_eq!(link.pool(), Some("one"), "{mood:?}");
        // It goes away for good: only now does the clock run.
        pools.set("one", Mood::Refusing);
        let LinkEnd::Unreachable(reason) = link.end().await else { panic!("{mood:?}: it ends") };
        assert!(reason.contains("refused"), "{mood:?}: {reason}");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_redirect_every_event_names_the_server_that_we_are_connected_to() {
    let pools = Pools::default();
    pools.set("one", Mood::Redirecting("", 4444));
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    link.find_share();
    link.until(|link| link.job.is_none()).await;
    let before = link.urls.len();
    assert!(link.urls.iter().all(|(url, listed)| url.contains(":3333") && listed.is_none()));
    link.until_working_for("one").await;
    for (url, listed) in &link.urls[before..] {
        assert!(url.contains(":4444"), "{url}");
        assert!(listed.as_ref().is_some_and(|listed| listed.contains(":3333")), "{listed:?}");
    }
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rule_3_a_pool_that_says_it_will_be_away_for_long_is_not_waited_for() {
    for (wait, soon) in [(0, false), (10, false), (11, true), (3600, true)] {
        let pools = Pools::default();
        pools.set("one", Mood::Away(wait));
        pools.set("two", Mood::Good);
        let mut link = Running::start(&pools, &["one", "two"]);
        link.until_working_for("one").await;
        link.find_share();
        link.until(|link| link.job.is_none()).await;
        pools.set("one", Mood::Good);
        link.pass(2).await;
        let expected =
            [None, Some("one"), Some("two")][usize::from(wait == 0) + 2 * usize::from(soon)];
        assert_eq!(link.pool(), expected, "{wait} s");
        if soon {
            let reason = link.failovers[0].1.clone().unwrap_or_default();
            let words = format!("after a wait of {} s", wait.min(60));
            assert!(reason.contains(&words), "{reason}");
        }
        // The wait is kept, up to its limit, and the pool has the work again once it is proven.
        let connections = pools.connections("one");
        link.pass(wait.min(60)).await;
        assert_eq!(pools.connections("one"), connections + usize::from(wait > 2), "{wait} s");
        link.pass(70).await;
        assert_eq!(link.pool(), Some("one"), "{wait} s");
        link.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rule_3_the_wait_that_the_only_pool_asks_for_is_kept_up_to_its_limit_and_told() {
    let pools = Pools::default();
    pools.set("one", Mood::Away(3600));
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    link.find_share();
    link.until(|link| link.job.is_none()).await;
    link.pass(59).await;
    assert_eq!(pools.connections("one"), 1);
    link.pass(2).await;
    assert_eq!(pools.connections("one"), 2);
    let told = "client.reconnect: the wait is cut to 60 s, the limit, from 3600 s";
    assert!(link.warnings.iter().any(|warning| warning == told), "{:?}", link.warnings);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rule_5_the_reason_has_the_words_of_a_pool_that_refuses_a_request_and_hangs_up() {
    let pools = Pools::default();
    pools.set("one", Mood::Protesting("Method not found"));
    pools.set("two", Mood::Good);
    let mut accounts = vec![account("one:3333"), account("two:3333")];
    accounts[0].client.version_mask = 0x1fff_e000;
    let mut link = Running::start_at(&pools, accounts, None);
    link.until_working_for("two").await;
    let reason = link.failovers[0].1.clone().unwrap_or_default();
    assert_eq!(reason, "the pool closed the connection; before that it said: Method not found");
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn rule_6_after_a_redirect_frames_name_the_server_and_the_pool_of_the_list() {
    let pools = Pools::default();
    pools.set("one", Mood::Redirecting("", 4444));
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let frames = Frames::to(move |frame| sink.lock().unwrap().push((frame.pool, frame.listed)));
    let dial = Arc::new(pools.clone()) as Arc<dyn Dial>;
    let mut link = Running::start_tapped(dial, vec![account("one:3333")], None, Some(frames));
    link.until_working_for("one").await;
    link.find_share();
    link.until(|link| link.job.is_none()).await;
    link.until_working_for("one").await;
    link.stop().await;
    let told = told.lock().unwrap();
    let (redirected, direct): (Vec<_>, Vec<_>) =
        told.iter().partition(|(pool, _)| pool.contains(":4444"));
    assert!(!direct.is_empty() && !redirected.is_empty(), "{told:?}");
    assert!(direct.iter().all(|(_, listed)| listed.is_none()), "{direct:?}");
    let is_listed = |listed: &Option<Arc<str>>| listed.as_deref() == Some("stratum+tcp://one:3333");
    assert!(redirected.iter().all(|(_, listed)| is_listed(listed)), "{redirected:?}");
}

#[tokio::test(start_paused = true)]
async fn a_seat_that_panics_leaves_no_share_under_way_for_ever() {
    let pools = Pools::default();
    pools.set("one", Mood::Mute);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    let job = link.job.clone();
    (0..3).for_each(|_| link.find_share());
    link.pass(5).await;
    pools.set("one", Mood::Panicking);
    link.until(|link| link.warnings.iter().any(|text| text.contains("a bug"))).await;
    link.pass(1).await;
    assert_eq!(link.count(Verdict::Unresolved), 3, "{:?}", link.verdicts);
    link.job = job;
    link.find_share();
    link.pass(5).await;
    assert_eq!(link.verdicts.len(), 4, "and a later one has its verdict, too");
    link.stop().await;
}

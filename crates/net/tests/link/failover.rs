//! Down the list and back up, redirects, reloads and ends (S7, S9, I9, I20), in virtual time.

use std::time::Duration;

use midstate_net::{Account, LinkEnd, Redirects, Trust};
use midstate_stratum::{ExpectedPayout, Verdict};

use tokio::time::sleep;

use crate::pipes::{Mood, Pools, Running, account};

fn pools(moods: &[(&str, Mood)]) -> Pools {
    let pools = Pools::default();
    for &(host, mood) in moods {
        pools.set(host, mood);
    }
    pools
}

#[tokio::test(start_paused = true)]
async fn s9_killing_the_primary_moves_work_to_the_backup_within_5_s_and_back_later() {
    let pools = pools(&[("one", Mood::Good), ("two", Mood::Good)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("one").await;
    assert_eq!(pools.connections("two"), 0, "the backup rests");
    link.find_share();
    link.until(|link| link.count(Verdict::Accepted) == 1).await;

    pools.set("one", Mood::Refusing);
    let moved = link.until_working_for("two").await;
    assert!(moved < Duration::from_secs(5), "{moved:?}");
    link.find_share();
    link.until(|link| link.count(Verdict::Accepted) == 2).await;
    assert_eq!(pools.accepted("two").len(), 1);

    // The primary is back, and has to prove itself for a minute.
    pools.set("one", Mood::Good);
    let returned = link.until_working_for("one").await;
    let seconds = returned.as_secs();
    assert!(
        (60..=125).contains(&seconds),
        "60 s of health after at most 60 s of back-off: {seconds}"
    );
    link.find_share();
    link.until(|link| link.count(Verdict::Accepted) == 3).await;
    assert_eq!((pools.accepted("one").len(), pools.accepted("two").len()), (2, 1));
    assert_eq!(link.stop().await, LinkEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn i9_a_share_of_the_moment_in_which_work_moves_on_is_still_sent() {
    let pools = pools(&[("one", Mood::Refusing), ("two", Mood::Good), ("three", Mood::Good)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("two").await;
    pools.set("one", Mood::Good);
    let old = link.job.clone();
    link.until_working_for("one").await;
    // Threads that the new job had not reached yet.
    sleep(Duration::from_millis(20)).await;
    let new = std::mem::replace(&mut link.job, old);
    link.find_share();
    link.job = new;
    link.pass(10).await;
    assert_eq!((link.count(Verdict::Accepted), pools.accepted("two").len()), (1, 1));

    // The same where the list of pools is another one.
    let old = link.job.clone();
    link.reloads.send(vec![account("three:3333")]).unwrap();
    link.until_working_for("three").await;
    sleep(Duration::from_millis(20)).await;
    link.job = old;
    link.find_share();
    link.pass(10).await;
    assert_eq!((link.count(Verdict::Accepted), pools.accepted("one").len()), (2, 1));
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s9_a_primary_that_comes_and_goes_costs_no_work() {
    let pools = pools(&[("one", Mood::Refusing), ("two", Mood::Good)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("two").await;
    for _ in 0..20 {
        pools.set("one", Mood::Good);
        link.pass(45).await;
        pools.set("one", Mood::Rude);
        link.pass(45).await;
        assert_eq!(link.pool(), Some("two"));
    }
    assert_eq!(pools.connections("two"), 1, "it was never left");
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn i9_jobs_of_a_pool_that_proves_itself_do_not_crowd_out_those_that_are_hashed() {
    let pools = pools(&[("one", Mood::Refusing), ("two", Mood::Good)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("two").await;
    pools.set("one", Mood::Flooding);
    while pools.connections("one") == 0 {
        link.pass(1).await;
    }
    link.pass(10).await;
    assert_eq!(link.pool(), Some("two"), "the first is not trusted yet");
    link.find_share();
    link.pass(1).await;
    assert_eq!((link.count(Verdict::Accepted), pools.accepted("two").len()), (1, 1));
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s13_a_pool_whose_jobs_pay_somebody_else_is_left_at_once() {
    let pools = pools(&[("one", Mood::Good), ("two", Mood::Good)]);
    let mut strict = account("one:3333");
    strict.client.expect_payout = Some(ExpectedPayout {
        address: "bc1qours".into(),
        script: vec![0x51],
        least_percent: None,
        strict: true,
    });
    let mut link = Running::start_at(&pools, vec![strict, account("two:3333")], None);
    let moved = link.until_working_for("two").await;
    assert!(moved < Duration::from_secs(2), "{moved:?}");
    link.pass(300).await;
    assert_eq!(link.pool(), Some("two"), "the first stays tried and stays left");
    assert!(pools.connections("one") > 2);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s9_pools_that_are_silent_rude_or_idle_are_passed_over() {
    for (mood, limit) in
        [(Mood::Rude, 8), (Mood::Silent, 11), (Mood::Idle, 11), (Mood::Unwelcoming, 1)]
    {
        let pools = pools(&[("one", mood), ("two", mood), ("three", Mood::Good)]);
        let mut link = Running::start(&pools, &["one", "two", "three"]);
        let moved = link.until_working_for("three").await;
        assert!(moved <= Duration::from_secs(2 * limit), "{mood:?}: {moved:?}");
        link.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn s9_attempts_are_spread_out_and_never_stop() {
    let pools = pools(&[("one", Mood::Rude)]);
    let mut link = Running::start(&pools, &["one"]);
    link.pass(3600).await;
    // Full jitter: on average half of 1, 2, 4, .. 60, 60, .. seconds.
    let attempts = pools.connections("one");
    assert!((70..240).contains(&attempts), "{attempts} attempts in an hour");
    pools.set("one", Mood::Good);
    let back = link.until_working_for("one").await;
    assert!(back <= Duration::from_secs(60), "{back:?}");
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn i9_shares_that_were_found_without_a_pool_keep_waiting_and_end_once() {
    let pools = pools(&[("one", Mood::Good)]);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    let job = link.job.clone();
    pools.set("one", Mood::Refusing);
    link.until(|link| link.job.is_none()).await;
    link.job = job;
    for _ in 0..10 {
        link.find_share();
    }
    link.pass(30).await;
    assert!(link.verdicts.is_empty(), "the session may come back");
    // It comes back with another extranonce: what was found in the old one is void.
    pools.set("one", Mood::Good);
    link.until(|link| link.verdicts.len() == 10).await;
    assert_eq!(link.count(Verdict::Stale), 10);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn i9_what_a_pool_never_answered_is_given_up_while_it_is_away() {
    let pools = pools(&[("one", Mood::Mute)]);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    (0..10).for_each(|_| link.find_share());
    link.pass(1).await;
    pools.set("one", Mood::Refusing);
    link.pass(118).await;
    assert!(link.verdicts.is_empty(), "the session may come back");
    link.pass(2).await;
    assert_eq!(link.count(Verdict::Unresolved), 10);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn i20_a_stop_waits_for_answers_but_not_for_ever() {
    let pools = pools(&[("one", Mood::Good)]);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    for _ in 0..50 {
        link.find_share();
    }
    assert_eq!(link.stop().await, LinkEnd::Stopped);
    assert_eq!(link.count(Verdict::Accepted), 50);
    assert_eq!(pools.accepted("one").len(), 50);

    pools.set("one", Mood::Mute);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    for _ in 0..50 {
        link.find_share();
    }
    let before = link.seconds();
    assert_eq!(link.stop().await, LinkEnd::Stopped);
    assert_eq!(link.count(Verdict::Unresolved), 50);
    assert!((link.seconds() - before - 3.0).abs() < 0.1, "3 s, then the end");
}

#[tokio::test(start_paused = true)]
async fn s9_refused_by_all_after_one_retry_each_is_the_end() {
    let pools = pools(&[("one", Mood::Unwelcoming), ("two", Mood::Unwelcoming)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    assert!(
        matches!(link.end().await, LinkEnd::Refused(reason) if reason.contains("user or password"))
    );
    assert_eq!((pools.connections("one"), pools.connections("two")), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn s9_a_pool_that_let_us_in_once_may_refuse_for_a_while() {
    let pools = pools(&[("one", Mood::Good)]);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    pools.set("one", Mood::Unwelcoming);
    link.pass(600).await;
    pools.set("one", Mood::Good);
    link.until_working_for("one").await;
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn give_up_counts_from_the_last_healthy_moment() {
    let pools = pools(&[("one", Mood::Good), ("two", Mood::Refusing)]);
    let mut link = Running::start_with(&pools, &["one", "two"], Some(100));
    link.pass(500).await;
    assert_eq!(link.pool(), Some("one"));
    pools.set("one", Mood::Refusing);
    let end = link.end().await;
    assert!(matches!(end, LinkEnd::Unreachable(reason) if reason.contains("refused")));
    let seconds = link.seconds();
    assert!((599.0..602.0).contains(&seconds), "{seconds}");
}

#[tokio::test(start_paused = true)]
async fn who_never_gives_up_may_say_so_with_the_largest_number() {
    let pools = pools(&[("one", Mood::Good)]);
    let mut link = Running::start_with(&pools, &["one"], Some(u64::MAX));
    link.until_working_for("one").await;
    link.pass(500).await;
    assert_eq!(link.stop().await, LinkEnd::Stopped);
}

#[tokio::test(start_paused = true)]
async fn s7_a_redirect_to_another_port_is_followed_and_one_by_order_is_not() {
    let pools = pools(&[("one", Mood::Redirecting("", 4444))]);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    link.find_share();
    link.until(|link| link.job.is_none()).await;
    link.until_working_for("one").await;
    assert_eq!(pools.connections("one"), 2);
    link.stop().await;

    let mut stubborn = account("one:3333");
    stubborn.redirects = Redirects::None;
    let mut link = Running::start_at(&pools, vec![stubborn], None);
    link.until_working_for("one").await;
    link.find_share();
    link.until(|link| link.warnings.iter().any(|text| text.contains("--no-redirect"))).await;
    assert_eq!(pools.connections("one"), 3);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s7_a_stranger_is_gone_to_where_the_user_says_so_and_told_of() {
    let to_a_stranger = Mood::Redirecting("stranger.example", 4444);
    for (redirects, words, goes) in [
        (Redirects::Owner, "without TLS only the port may change; if you trust it", false),
        (Redirects::Any, "followed: --redirect any", true),
    ] {
        let pools = pools(&[("one.example", to_a_stranger), ("stranger.example", Mood::Idle)]);
        let account = Account { redirects, ..account("one.example:3333") };
        let mut link = Running::start_at(&pools, vec![account], None);
        link.until_working_for("one.example").await;
        link.find_share();
        link.until(|link| link.warnings.iter().any(|text| text.contains(words))).await;
        link.pass(1).await;
        assert_eq!(pools.connections("stranger.example"), usize::from(goes));
        link.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_list_leaves_the_pools_that_stay_alone() {
    let pools = pools(&[("one", Mood::Good), ("two", Mood::Good), ("three", Mood::Good)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("one").await;
    link.find_share();
    link.reloads.send(vec![account("one:3333"), account("three:3333")]).unwrap();
    link.until(|link| link.count(Verdict::Accepted) == 1).await;
    link.pass(60).await;
    assert_eq!((link.pool(), pools.connections("one")), (Some("one"), 1), "nothing was noticed");

    link.find_share();
    link.reloads.send(vec![account("three:3333"), account("two:3333")]).unwrap();
    link.until_working_for("three").await;
    assert_eq!(link.count(Verdict::Accepted), 2, "what was found for the old pool went there");
    assert_eq!(pools.accepted("one").len(), 2);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn i9_a_share_for_a_pool_that_is_no_longer_there_has_a_verdict_too() {
    let pools = pools(&[("one", Mood::Good), ("two", Mood::Good)]);
    let mut link = Running::start(&pools, &["one"]);
    link.until_working_for("one").await;
    let old = link.job.clone();
    link.reloads.send(vec![account("two:3333")]).unwrap();
    link.until_working_for("two").await;
    link.pass(10).await;
    // A thread that the new job had not reached yet.
    link.job = old;
    link.find_share();
    link.pass(10).await;
    assert_eq!(link.count(Verdict::Stale), 1, "{:?}", link.verdicts);
    link.stop().await;
}

#[tokio::test(start_paused = true)]
async fn s8_plaintext_in_public_is_warned_of_once_and_tls_without_trust_every_time() {
    for (url, trust, proxy, word, at_least) in [
        ("one:3333", Trust::System, None, "not encrypted", 1),
        ("one:3333", Trust::System, Some("socks5://127.0.0.1:9050"), "not encrypted", 1),
        ("stratum+tls://one:3333", Trust::Anybody, None, "--tls-insecure", 4),
    ] {
        let pools = pools(&[("one", Mood::Good)]);
        let mut account = account(url);
        account.route.trust = trust;
        account.route.proxy = proxy.map(|proxy| proxy.parse().unwrap());
        let mut link = Running::start_at(&pools, vec![account], None);
        for _ in 0..4 {
            link.until_working_for("one").await;
            pools.set("one", Mood::Good);
            link.until(|link| link.job.is_none()).await;
        }
        let warnings = link.warnings.iter().filter(|text| text.contains(word)).count();
        assert_eq!(warnings, at_least, "{:?}", link.warnings);
        link.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn s14_a_panic_at_one_pool_does_not_end_the_mining() {
    let pools = pools(&[("one", Mood::Panicking), ("two", Mood::Good)]);
    let mut link = Running::start(&pools, &["one", "two"]);
    link.until_working_for("two").await;
    assert!(link.warnings.iter().any(|text| text.contains("a bug, please report it")));
    pools.set("one", Mood::Good);
    link.until_working_for("one").await;
    assert_eq!(link.stop().await, LinkEnd::Stopped);
}

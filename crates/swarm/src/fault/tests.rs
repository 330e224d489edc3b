//! What a plan of faults comes to, and what the books say of it.

use super::*;

fn plan(list: &str) -> FaultPlan {
    FaultPlan::parse(list, 7).expect(list)
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The faults of so many shares, one a second.
fn of_shares(plan: &mut FaultPlan, count: u64) -> Vec<Fault> {
    (0..count).filter_map(|second| plan.for_share(at(second))).collect()
}

#[test]
fn the_table_of_kinds_is_in_the_order_of_the_kinds() {
    for (index, fault) in Fault::all().enumerate() {
        assert_eq!(fault as usize, index, "{}", fault.name());
        assert_eq!(fault.row().0, fault);
    }
    assert_eq!(Fault::all().count(), 12);
}

#[test]
fn every_kind_is_wished_for_by_its_name() {
    for fault in Fault::all() {
        let plan = plan(&format!("{}:3", fault.name()));
        assert_eq!(plan.kinds().collect::<Vec<_>>(), [fault]);
    }
}

#[test]
fn a_count_is_reached_and_not_passed() {
    let mut plan = plan("duplicate:20");
    assert_eq!(of_shares(&mut plan, 1000).len(), 20);
    let mut plan = self::plan("disconnect:4");
    let mut acts = Vec::new();
    while let Some(due) = plan.next_act() {
        assert_eq!(plan.act(due.saturating_sub(Duration::from_micros(1))), None, "not too early");
        acts.push((due, plan.act(due)));
    }
    assert!(acts.iter().all(|(_, act)| *act == Some(Fault::Disconnect)));
    let within: Vec<_> = acts.iter().map(|(due, _)| due.as_secs() / PAUSE.as_secs()).collect();
    assert_eq!(within, [0, 1, 2, 3], "one in each span");
}

#[test]
fn a_part_of_the_shares_is_that_part() {
    let mut plan = plan("low:1%");
    let count = of_shares(&mut plan, 100_000).len();
    assert!((900..1100).contains(&count), "{count}");
    assert_eq!(of_shares(&mut self::plan("low:0%"), 1000).len(), 0);
    assert_eq!(of_shares(&mut self::plan("low:100%"), 1000).len(), 1000);
}

#[test]
fn a_rate_is_that_many_in_each_time() {
    let mut plan = plan("unauthorized:3/m");
    let count = of_shares(&mut plan, 600).len();
    assert!((29..=30).contains(&count), "{count}");
    let mut plan = self::plan("silent:2/30s");
    let acts = (0..600).filter(|&second| plan.act(at(second)).is_some()).count();
    assert!((39..=40).contains(&acts), "{acts}");
}

#[test]
fn no_wish_takes_all_shares_from_another() {
    let mut plan = plan("low:100%,duplicate:100%,stale:100%");
    let faults = of_shares(&mut plan, 300);
    for fault in [Fault::Low, Fault::Duplicate, Fault::Stale] {
        assert_eq!(faults.iter().filter(|&&one| one == fault).count(), 100);
    }
}

#[test]
fn acts_are_not_made_of_shares_nor_shares_of_acts() {
    let mut plan = plan("disconnect:5,duplicate:5");
    assert_eq!(of_shares(&mut plan, 100), [Fault::Duplicate; 5]);
    assert_eq!(plan.act(at(100)), Some(Fault::Disconnect));
}

#[test]
fn the_same_seed_gives_the_same_faults() {
    let faults = |seed| {
        let mut plan = FaultPlan::parse("low:30%,bad-time:5", seed).unwrap();
        (0..100).map(|second| plan.for_share(at(second))).collect::<Vec<_>>()
    };
    assert_eq!(faults(1), faults(1));
    assert_ne!(faults(1), faults(2));
}

#[test]
fn a_mistake_names_the_word_and_the_forms() {
    let said = |list| FaultPlan::parse(list, 0).unwrap_err().to_string();
    assert_eq!(
        said("low:1%,duplicat:20"),
        "duplicat:20: `duplicat` is no kind of fault; there are stale, duplicate, low, bad-job, \
         bad-extranonce, bad-time, bad-version, unauthorized, late, silent, half-line, disconnect; \
         expected KIND:COUNT, KIND:PERCENT% of the shares, or KIND:COUNT/TIME, as duplicate:20, \
         low:1% or disconnect:3/m"
    );
    assert!(said("low").starts_with("low: how often is not said; expected KIND:COUNT"));
    assert!(said("disconnect:5%").contains("disconnect is not made of shares"));
    assert!(said("low:101%").contains("101% is more than 100%"));
    assert!(said("low:0/m").contains("0/m is none"));
    assert!(said("low:2000/s").contains("more than 1000 a second"));
    assert!(said("low:3/fortnight").contains("is no time"));
    assert!(said("").contains("`` is no kind of fault"));
}

fn answered(fault: Fault, answer: Result<(), Option<i64>>) -> FaultNews {
    let answer = answer.map_err(|code| code.map(Code::Number));
    FaultNews::Answered { fault, answer, latency: Duration::ZERO }
}

#[test]
fn the_books_say_what_the_pool_made_of_them() {
    use FaultNews::{CutOff, Done, Unanswered, Unsent};
    let mut books = FaultBooks::of([Fault::Duplicate, Fault::Stale].into_iter());
    for _ in 0..20 {
        books.record(&Done(Fault::Duplicate));
        books.record(&answered(Fault::Duplicate, Err(Some(22))));
    }
    let sentences = |books: &FaultBooks| -> Vec<String> {
        books.kinds().map(|(fault, counts)| counts.sentence(fault)).collect()
    };
    assert_eq!(
        sentences(&books),
        ["sent 0 stale shares", "sent 20 duplicates: 20 refused with 22"]
    );
    assert_eq!(books.let_through(), 0);
    for answer in [Ok(()), Err(None), Err(Some(21))] {
        books.record(&Done(Fault::Stale));
        books.record(&answered(Fault::Stale, answer));
    }
    for news in [
        Done(Fault::Disconnect),
        Unsent(Fault::Disconnect),
        Unsent(Fault::Stale),
        Unanswered(Fault::Stale),
        Done(Fault::Silent),
        CutOff(Fault::Silent),
        answered(Fault::Late, Ok(())),
    ] {
        books.record(&news);
    }
    assert_eq!(
        sentences(&books),
        [
            "sent 3 stale shares: 1 refused without a code, 1 refused with 21, 1 LET THROUGH, 1 \
             not answered, 1 could not be sent",
            "sent 20 duplicates: 20 refused with 22",
            "sent 0 late shares: 1 accepted",
            "made 1 silence: 1 cut off by the pool",
            "made 1 disconnect: 1 could not be made",
        ]
    );
    assert_eq!(books.let_through(), 1, "late shares are good ones");
}

#[test]
fn a_pool_that_invents_codes_fills_no_memory() {
    let mut books = FaultBooks::default();
    for code in 0..1000 {
        books.record(&answered(Fault::Low, Err(Some(code))));
    }
    let (_, counts) = books.kinds().next().unwrap();
    assert!(counts.refused.len() <= 17);
    assert_eq!(counts.refused(), 1000);
}

//! A class in virtual time: who sits, who is away, who may join, and books that agree.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use midstate_classroom::{
    Class, ClassLimits, ClassStatus, HitsError, JoinError, Kind, RenameError, Report, Verdict, Work,
};
use midstate_pool::{Front, PoolConfig, RegtestPool};

const CODE: &str = "123456";

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_700_000_000 + seconds)
}

fn from(last: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, last], 1))
}

/// A class at a pool whose shares take a few hashes, and whose blocks a few shares.
struct Room {
    pool: RegtestPool,
    class: Class,
}

impl Room {
    fn open(limits: ClassLimits) -> Self {
        let config = PoolConfig { block_difficulty: 4e-8, ..PoolConfig::new(1e-9, 7) };
        let pool = RegtestPool::new(config, Vec::new(), at(0)).unwrap();
        let class = Class::new(at(0), CODE.into(), "teacher's machine", (1, 4e-8), limits);
        Self { pool, class }
    }

    fn join(&mut self, now: Duration, name: &str, token: &str) -> Result<String, JoinError> {
        let joined = self.class.join(now, &mut self.pool, from(1), (CODE, name), token.to_owned());
        self.settle(now);
        joined
    }

    /// The class hears of what happened at the pool.
    fn settle(&mut self, now: Duration) {
        while let Some(event) = self.pool.poll_event() {
            self.class.handle_event(now, self.pool.pool(), &event);
        }
    }

    fn report(
        &mut self,
        now: Duration,
        token: &str,
        report: &Report,
    ) -> Result<Vec<Verdict>, HitsError> {
        let reported = self.class.handle_report(now, &mut self.pool, from(1), token, report);
        self.settle(now);
        reported.map(|(verdicts, _)| verdicts)
    }

    fn work(&mut self, token: &str) -> Work {
        self.class.poll_work(&mut self.pool, token).unwrap()
    }

    fn status(&self, now: Duration) -> ClassStatus {
        self.class.status(now, self.pool.pool())
    }
}

/// Guesses: every nonce of these, with the first midstate. One in four or so is a share.
fn guess(work: &Work, nonces: std::ops::Range<u32>) -> Report {
    let done = u64::from(nonces.end) * work.midstates.len() as u64;
    Report { piece: work.piece, done, hits: nonces.map(|nonce| (0, nonce)).collect() }
}

/// Guesses are no mistakes here.
fn patient() -> ClassLimits {
    ClassLimits { strikes: u32::MAX, requests: 1000, burst: 1000, ..ClassLimits::default() }
}

#[test]
fn what_a_device_is_told_is_what_the_standings_say() {
    let mut room = Room::open(patient());
    for (name, token) in [("Ada", "a"), ("Bo", "b"), ("Ada", "c")] {
        room.join(at(0), name, token).unwrap();
    }
    let (tokens, mut told) = (["a", "b", "c"], [[0u64; 4]; 3]);
    let mut works = tokens.map(|token| (room.work(token), 0));
    for round in 0..40 {
        for device in 0..3 {
            let (token, told) = (tokens[device], &mut told[device]);
            if let Some(work) = room.class.poll_work(&mut room.pool, token) {
                works[device] = (work, 0);
            }
            let (work, next) = &mut works[device];
            let report = guess(work, *next..*next + 16);
            *next += 16;
            let verdicts = room.report(at(round), token, &report).unwrap();
            assert_eq!(room.report(at(round), token, &report).unwrap(), verdicts, "sent again");
            for verdict in verdicts {
                match verdict {
                    Verdict::Accepted { block, .. } => {
                        told[0] += 1;
                        told[1] += u64::from(block);
                    }
                    Verdict::Stale => told[2] += 1,
                    Verdict::Rejected { .. } => told[3] += 1,
                }
            }
        }
    }
    let status = room.status(at(40));
    for (name, told) in ["Ada", "Bo", "Ada 2"].into_iter().zip(told) {
        let row = status.rows.iter().find(|row| row.name.as_deref() == Some(name)).unwrap();
        assert_eq!([row.shares, row.blocks, row.stale, row.rejected], told, "{name}");
        assert_eq!((row.kind, row.here), (Some(Kind::Device), true));
        assert!(row.shares > 20 && row.best.is_some() && row.hps.is_some(), "{row:?}");
    }
    let blocks: u64 = status.rows.iter().map(|row| row.blocks).sum();
    assert_eq!((status.found, u64::from(status.height)), (blocks, blocks + 1));
    assert!(blocks > 0 && status.waits.len() as u64 == blocks);
    // About as many as were found: some tens, give or take.
    let ratio = status.expected_blocks / blocks as f64;
    assert!((0.5..2.0).contains(&ratio), "{blocks} found, {} expected", status.expected_blocks);
    let order: Vec<_> = status.rows.iter().map(|row| (row.blocks, row.work)).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "{order:?}");
}

#[test]
fn a_silent_device_loses_its_seat_and_finds_its_row_again() {
    let mut room = Room::open(patient());
    room.join(at(0), "Ada", "a").unwrap();
    let work = room.work("a");
    room.report(at(100), "a", &guess(&work, 0..16)).unwrap();
    let before = room.status(at(100)).rows[0].shares;
    assert_eq!(room.class.poll_timeout(), Some(at(280)));
    room.class.handle_timeout(at(279), &mut room.pool);
    assert_eq!(room.status(at(279)).devices, 1);
    room.class.handle_timeout(at(280), &mut room.pool);
    room.settle(at(280));
    let away = room.status(at(280));
    assert_eq!((away.devices, away.rows[0].here, away.rows[0].shares), (0, false, before));
    // It speaks again: its old hits come too late, and there is new work.
    let verdicts = room.report(at(300), "a", &guess(&work, 16..20)).unwrap();
    assert_eq!(verdicts, [const { Verdict::Stale }; 4]);
    let again = room.work("a");
    assert!(again.piece > work.piece && again.midstates != work.midstates);
    room.report(at(301), "a", &guess(&again, 0..16)).unwrap();
    let back = room.status(at(301));
    assert_eq!((back.rows.len(), back.rows[0].here), (1, true));
    assert!(back.rows[0].shares > before);
    // A page that was closed is gone sooner.
    room.class.close(at(301), "a");
    assert_eq!(room.class.poll_timeout(), Some(at(316)));
}

#[test]
fn a_full_class_says_so_and_a_place_that_is_free_is_given_anew() {
    let mut room = Room::open(ClassLimits { devices: 2, remembered: 3, ..patient() });
    room.join(at(0), "Ada", "a").unwrap();
    room.join(at(0), "Bo", "b").unwrap();
    assert_eq!(room.join(at(1), "Cy", "c"), Err(JoinError::Full(2)));
    room.class.close(at(1), "a");
    room.class.handle_timeout(at(16), &mut room.pool);
    assert_eq!(room.join(at(16), "Cy", "c").unwrap(), "Cy");
    let refused = room.class.open(at(17), &mut room.pool, from(1), "a");
    assert!(matches!(refused, Err(HitsError::Wait(_))), "Ada's place is taken: {refused:?}");
    // The one silent longest is forgotten when there are too many.
    room.class.close(at(18), "b");
    room.class.handle_timeout(at(40), &mut room.pool);
    assert_eq!(room.join(at(40), "Di", "d").unwrap(), "Di");
    let forgotten = room.class.open(at(41), &mut room.pool, from(1), "a");
    assert_eq!(forgotten, Err(HitsError::Unknown));
    // Its name stays its own: the books have a row of it.
    room.class.close(at(41), "d");
    room.class.handle_timeout(at(60), &mut room.pool);
    assert_eq!(room.join(at(60), "Ada", "e").unwrap(), "Ada 2");
    // A page that was closed is opened again, and the name that it showed is typed.
    room.class.close(at(61), "e");
    room.class.handle_timeout(at(80), &mut room.pool);
    assert_eq!(room.join(at(80), "Ada 2", "f").unwrap(), "Ada 3");
}

#[test]
fn a_block_makes_the_hits_of_others_stale_and_nobody_is_blamed() {
    let limits = ClassLimits { requests: 1000, burst: 1000, ..ClassLimits::default() };
    let mut room = Room::open(patient());
    let mut other = Room::open(limits);
    for room in [&mut room, &mut other] {
        room.join(at(0), "Ada", "a").unwrap();
    }
    room.join(at(0), "Bo", "b").unwrap();
    let late = room.work("b");
    let work = room.work("a");
    let block = |verdict: &Verdict| matches!(verdict, Verdict::Accepted { block: true, .. });
    let mut reports = (0..).step_by(16).map(|nonce| guess(&work, nonce..nonce + 16));
    while !room.report(at(1), "a", &reports.next().unwrap()).unwrap().iter().any(block) {}
    for nonce in 0..30 {
        let verdicts = room.report(at(2), "b", &guess(&late, nonce..nonce + 1)).unwrap();
        assert_eq!(verdicts, [Verdict::Stale]);
    }
    let row = room.status(at(2)).rows.into_iter().find(|row| row.name.as_deref() == Some("Bo"));
    let row = row.unwrap();
    assert_eq!((row.shares, row.rejected, row.stale), (0, 0, 30));
    assert!(room.work("b").clean);
    // Whoever guesses is dropped by and by, where guesses are mistakes.
    let mut work = other.work("a");
    let mut last = Ok(Vec::new());
    for nonce in (0..4000).step_by(16) {
        // After a block a guess for the work before is late, and no mistake.
        work = other.class.poll_work(&mut other.pool, "a").unwrap_or(work);
        last = other.report(at(3), "a", &guess(&work, nonce..nonce + 16));
        if last.is_err() {
            break;
        }
    }
    assert!(matches!(last, Err(HitsError::Dropped(_))), "{last:?}");
    other.settle(at(3));
    assert_eq!(other.status(at(3)).devices, 0);
}

#[test]
fn when_it_is_over_nobody_joins_and_nothing_counts() {
    let mut room = Room::open(patient());
    room.join(at(0), "Ada", "a").unwrap();
    room.join(at(0), "Cy", "c").unwrap();
    room.class.close(at(0), "c");
    room.class.handle_timeout(at(15), &mut room.pool);
    room.settle(at(15));
    let work = room.work("a");
    room.class.end(&mut room.pool);
    room.settle(at(16));
    assert_eq!(room.join(at(16), "Bo", "b"), Err(JoinError::Over));
    assert_eq!(room.report(at(16), "a", &guess(&work, 0..16)), Err(HitsError::Over));
    let status = room.status(at(16));
    assert!(status.over && status.devices == 0);
    let here: Vec<_> = status.rows.iter().map(|row| (row.name.as_deref(), row.here)).collect();
    assert_eq!(here, [(Some("Ada"), true), (Some("Cy"), false)], "who was here to the end");
}

#[test]
fn every_limit_has_its_row() {
    let rows = ClassLimits::default().rows();
    assert_eq!(rows.len(), 18);
    assert!(rows.iter().all(|row| row.name.contains(' ') && !row.over.is_empty()), "{rows:?}");
}

#[test]
fn the_teacher_gives_names_and_shares_and_blocks_stay_counted() {
    let mut room = Room::open(patient());
    for (name, token) in [("Rude", "a"), ("Bo", "b")] {
        room.join(at(0), name, token).unwrap();
    }
    let work = room.work("a");
    room.report(at(1), "a", &guess(&work, 0..16)).unwrap();
    let before = room.status(at(1));
    let hide = |room: &mut Room, who: &str| room.class.rename(room.pool.pool(), who, None);
    let renamed = hide(&mut room, "rude").unwrap();
    assert_eq!((&*renamed.before, &*renamed.name), ("Rude", "guest"));
    let after = room.status(at(1));
    assert_eq!(after.rows[0].name.as_deref(), Some("guest"));
    for (before, after) in before.rows.iter().zip(&after.rows) {
        let counted = |row: &midstate_classroom::Row| (row.shares, row.blocks, row.work, row.stale);
        assert_eq!(counted(before), counted(after));
    }
    // Nowhere is it called otherwise, nor does anybody else get that name.
    let shown = serde_json::to_string(&after).unwrap();
    assert!(!shown.contains("Rude"), "{shown}");
    let you: Vec<_> = after.devices().map(|(joined, you)| (joined, you.row.name)).collect();
    assert_eq!(you[0], ("Rude", Some("guest".to_owned())), "its own page knows who it is");
    assert_eq!(room.join(at(2), "", "c").unwrap(), "guest 2");
    assert_eq!(room.join(at(2), "rude", "d").unwrap(), "rude 2", "its old name stays taken");
    // It goes on as before, and so does what it finds.
    room.report(at(3), "a", &guess(&work, 16..32)).unwrap();
    let later = room.status(at(3));
    assert!(later.rows[0].shares >= after.rows[0].shares);
    assert_eq!(later.rows[0].name.as_deref(), Some("guest"));
    // By number as well, to any name that is free, or back.
    let pool = room.pool.pool();
    let number = room.class.find(pool, "guest").unwrap().number;
    let named = |room: &mut Room, wish: &str| {
        let who = format!("#{number}");
        room.class.rename(room.pool.pool(), &who, Some(wish)).unwrap().name
    };
    assert_eq!(named(&mut room, "bo"), "bo 2");
    assert_eq!(named(&mut room, " A\u{202e}da \n"), "Ada");
    assert_eq!(named(&mut room, "Rude"), "Rude");
    for nobody in ["Zoe", "#99", "#", ""] {
        let error = hide(&mut room, nobody).unwrap_err();
        assert_eq!(error, RenameError::Nobody(nobody.to_owned()), "{nobody}");
    }
}

//! Each fault at the embedded pool, by each protocol, without sockets and in virtual time: what the
//! pool answers, and that everything else goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use midstate_chain::{Bits, Header, Job, Share, Verdict};
use midstate_pool::{Front, PoolConfig, RegtestPool, SessionId};
use midstate_stratum::{ClientConfig, Server, ServerConfig, ServerEvent};
use midstate_sv2::{self as sv2, Authority, ChannelKind, Dialled};
use midstate_swarm::{Books, Code, Event, Fault, FaultCounts, Miner, MinerConfig};

const EPOCH: Duration = Duration::from_secs(1_700_000_000);
const SECOND: Duration = Duration::from_secs(1);
/// A share of the pool takes some forty hashes.
const DIFFICULTY: f64 = 1e-8;

/// The protocol that a miner speaks.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Speaks {
    V1,
    V2(ChannelKind),
}

const ALL: [Speaks; 3] =
    [Speaks::V1, Speaks::V2(ChannelKind::Standard), Speaks::V2(ChannelKind::Extended)];

impl Speaks {
    fn config(self) -> MinerConfig {
        match self {
            Self::V1 => ClientConfig::new("me").into(),
            Self::V2(kind) => sv2::ClientConfig { kind, ..sv2::ClientConfig::new("me") }.into(),
        }
    }

    /// The code of a refusal, a number or a word.
    fn code(self, number: i64, word: &str) -> Code {
        match self {
            Self::V1 => Code::Number(number),
            Self::V2(_) => Code::Word(word.to_owned()),
        }
    }
}

/// A pool and a miner that hashes whenever it is told to.
struct World {
    speaks: Speaks,
    now: Duration,
    pool: RegtestPool,
    session: Option<SessionId>,
    miner: Miner,
    books: Books,
    job: Option<Arc<Job>>,
    /// The next nonce, so that no share is found twice.
    nonce: u32,
    cut: u32,
}

impl World {
    /// Blocks are out of reach unless they are as easy as shares.
    fn new(speaks: Speaks, block_difficulty: f64) -> Self {
        let config = PoolConfig { block_difficulty, ..PoolConfig::new(DIFFICULTY, 7) };
        let mut world = Self {
            speaks,
            now: Duration::ZERO,
            pool: RegtestPool::new(config, Vec::new(), EPOCH).expect("it starts"),
            session: None,
            miner: Miner::with_faults(speaks.config()),
            books: Books::new(1),
            job: None,
            nonce: 0,
            cut: 0,
        };
        world.connect();
        world
    }

    fn connect(&mut self) {
        let from = SocketAddr::from(([127, 0, 0, 1], 1));
        self.session = Some(match self.speaks {
            Speaks::V1 => self.pool.connect(from),
            Speaks::V2(_) => {
                let authority = Authority::from_secret([7; 32]).expect("it is a key");
                self.pool.connect_v2(from, authority, [8; 32])
            }
        });
        let unix = u32::try_from((EPOCH + self.now).as_secs()).expect("32 bits last until 2106");
        let dialled = Dialled { host: "pool".to_owned(), port: 3333, unix, entropy: [5; 32] };
        self.miner.handle_connected(self.now, Some(dialled));
        self.exchange();
    }

    fn exchange(&mut self) {
        self.pool.handle_timeout(EPOCH + self.now);
        loop {
            let mut is_busy = false;
            while let Some(event) = self.miner.poll_event() {
                match &event {
                    Event::Job(job) => self.job.clone_from(job),
                    Event::Cut { .. } => self.cut += 1,
                    _ => {}
                }
                self.books.record(self.now, 0, &event);
            }
            let Some(session) = self.session else { return };
            if let Some(reason) = self.miner.poll_end() {
                self.hang_up(&reason);
                continue;
            }
            while let Some(line) = self.miner.poll_transmit() {
                self.pool.handle_bytes(EPOCH + self.now, session, &line);
                is_busy = true;
            }
            while !self.miner.is_silent()
                && let Some(line) = self.pool.poll_transmit(session)
            {
                self.miner.handle_bytes(self.now, &line);
                is_busy = true;
            }
            while self.pool.poll_event().is_some() {}
            if !is_busy {
                return;
            }
        }
    }

    fn hang_up(&mut self, reason: &str) {
        self.pool.disconnect(self.session.take().expect("it is connected"));
        self.miner.handle_disconnected(self.now, reason);
    }

    fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += SECOND;
            self.miner.handle_timeout(self.now);
            self.exchange();
        }
    }

    /// Hashes the present job until there is a share.
    fn find(&mut self) -> Share {
        let job = Arc::clone(self.job.as_ref().expect("there is a job"));
        let extranonce2 = vec![0; job.extranonce2_size];
        let header = job.header(&extranonce2);
        loop {
            self.nonce += 1;
            let (nonce, Header { version, time, .. }) = (self.nonce, header);
            let hash = Header { nonce, ..header }.hash();
            if job.share_target.is_met_by(&hash) {
                return Share { job, extranonce2, version, time, nonce, hash };
            }
        }
    }

    fn good(&mut self) {
        let share = self.find();
        self.miner.submit(self.now, share);
        self.exchange();
    }

    fn wrong(&mut self, fault: Fault) {
        let share = self.find();
        self.miner.submit_wrong(self.now, share, fault);
        self.exchange();
    }

    fn counts(&self, fault: Fault) -> FaultCounts {
        let kind = self.books.faults().kinds().find(|(kind, _)| *kind == fault);
        kind.map(|(_, counts)| counts.clone()).unwrap_or_default()
    }

    /// Good shares as `(found, accepted)`; none was lost.
    fn shares(&self) -> (u64, u64) {
        let shares = self.books.shares();
        (shares.found(), shares.accepted())
    }
}

/// So many were done, and all were refused with this code.
fn refused(done: u64, code: Code) -> FaultCounts {
    FaultCounts { done, refused: [(Some(code), done)].into(), ..FaultCounts::default() }
}

fn accepted(done: u64) -> FaultCounts {
    FaultCounts { done, accepted: done, ..FaultCounts::default() }
}

#[test]
fn shares_that_are_wrong_in_themselves_are_refused_and_the_next_good_one_is_not() {
    for speaks in ALL {
        for (fault, number, word) in [
            (Fault::Duplicate, 22, "duplicate-share"),
            (Fault::Low, 23, "difficulty-too-low"),
            (Fault::BadJob, 21, "invalid-job-id"),
            (Fault::BadExtranonce, 20, "bad-extranonce-size"),
            (Fault::Unauthorized, 24, ""),
        ] {
            let is_lacking = match fault {
                Fault::BadExtranonce => speaks == Speaks::V2(ChannelKind::Standard),
                Fault::Unauthorized => speaks != Speaks::V1,
                _ => false,
            };
            let mut world = World::new(speaks, 1.0);
            for _ in 0..5 {
                world.wrong(fault);
                world.good();
            }
            let counts = match is_lacking {
                true => FaultCounts { unsent: 5, ..FaultCounts::default() },
                false => refused(5, speaks.code(number, word)),
            };
            assert_eq!(world.counts(fault), counts, "{} {speaks:?}", fault.name());
            let is_used_up = fault != Fault::Duplicate && !is_lacking;
            let good = if is_used_up { 5 } else { 10 };
            assert_eq!(world.shares(), (good, good), "{} {speaks:?}", fault.name());
        }
    }
}

#[test]
fn a_stale_share_waits_until_its_job_is_void() {
    for speaks in ALL {
        let mut world = World::new(speaks, DIFFICULTY * 4.0);
        world.wrong(Fault::Stale);
        world.wait(9 * SECOND);
        assert_eq!(world.counts(Fault::Stale), FaultCounts::default(), "its job lasts");
        // Some share is a block, which voids the job.
        while world.counts(Fault::Stale).done == 0 {
            world.good();
        }
        assert_eq!(world.counts(Fault::Stale), refused(1, speaks.code(21, "stale-share")));
    }
}

#[test]
fn a_stale_share_whose_job_lasts_is_told_as_not_sent() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.wrong(Fault::Stale);
        world.miner.finish(world.now);
        world.exchange();
        assert_eq!(world.counts(Fault::Stale), FaultCounts { unsent: 1, ..FaultCounts::default() });
    }
}

#[test]
fn the_end_of_a_run_is_not_laid_to_the_pool() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.wrong(Fault::HalfLine);
        world.miner.act(world.now, Fault::Silent);
        world.miner.finish(world.now);
        world.exchange();
        let [silent, half] = [Fault::Silent, Fault::HalfLine].map(|fault| world.counts(fault));
        assert_eq!((silent.done, silent.cut_off), (1, 0));
        assert_eq!((half.done, half.cut_off, half.unanswered), (1, 0, 1));
    }
}

#[test]
fn shares_from_the_future_and_with_forbidden_bits_meet_the_target_and_are_refused_all_the_same() {
    for speaks in ALL {
        for (fault, word) in [
            (Fault::BadTime, "invalid-share"),
            (Fault::BadVersion, "invalid-non-rollable-version-bit"),
        ] {
            let mut world = World::new(speaks, DIFFICULTY * 4.0);
            world.wrong(fault);
            assert_eq!(world.shares(), (1, 1), "the share that brings it about is a good one");
            // From the next job on that was never hashed.
            while world.counts(fault).done == 0 {
                world.good();
            }
            let code = speaks.code(20, word);
            assert_eq!(world.counts(fault), refused(1, code), "{} {speaks:?}", fault.name());
            let (found, accepted) = world.shares();
            for _ in 0..20 {
                world.good();
            }
            assert_eq!(world.shares(), (found + 20, accepted + 20), "{}", fault.name());
        }
    }
}

#[test]
fn a_late_share_comes_ten_seconds_later() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.wrong(Fault::Late);
        world.wait(9 * SECOND);
        assert_eq!(world.counts(Fault::Late), FaultCounts::default());
        world.wait(SECOND);
        assert_eq!(world.counts(Fault::Late), accepted(1));
        assert_eq!(world.shares(), (0, 0));
    }
}

#[test]
fn half_a_line_or_frame_holds_all_others_back_until_its_rest_comes() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        // One in front that was not polled yet keeps its place.
        let share = world.find();
        world.miner.submit(world.now, share);
        world.wrong(Fault::HalfLine);
        world.wrong(Fault::HalfLine);
        world.good();
        world.wrong(Fault::Low);
        assert_eq!(world.counts(Fault::HalfLine).accepted, 0);
        world.wait(4 * SECOND);
        assert_eq!(world.shares(), (3, 1));
        world.wait(SECOND);
        let counts = world.counts(Fault::HalfLine);
        assert_eq!((counts.done, counts.accepted, counts.unsent), (1, 1, 1), "one at a time");
        assert_eq!(world.shares(), (3, 3));
        assert_eq!(world.books.answers().count(), 0, "the pool has taken no time");
        let code = speaks.code(23, "difficulty-too-low");
        assert_eq!(world.counts(Fault::Low), refused(1, code));
    }
}

#[test]
fn a_silent_miner_neither_reads_nor_writes_for_a_minute() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.miner.act(world.now, Fault::Silent);
        world.good();
        world.wait(59 * SECOND);
        assert_eq!(world.shares(), (1, 0));
        world.wait(SECOND);
        assert_eq!(world.shares(), (1, 1));
        assert_eq!(world.books.answers().count(), 0, "the pool has taken no time");
        assert_eq!(world.counts(Fault::Silent).done, 1);
    }
}

#[test]
fn a_pool_that_hangs_up_on_a_silent_miner_is_told_so() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.miner.act(world.now, Fault::Silent);
        world.hang_up("the pool closed the connection");
        world.exchange();
        let counts = world.counts(Fault::Silent);
        assert_eq!((counts.done, counts.cut_off, world.cut), (1, 1, 1));
        assert_eq!(world.books.connections().lost, 0, "the fault has brought it about");
        world.connect();
        world.good();
        assert_eq!(world.shares(), (1, 1));
    }
}

#[test]
fn a_disconnect_is_no_lost_connection_and_the_miner_comes_back() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.good();
        world.miner.act(world.now, Fault::Disconnect);
        world.exchange();
        assert_eq!((world.counts(Fault::Disconnect).done, world.cut), (1, 1));
        assert_eq!(world.books.connections().lost, 0);
        world.connect();
        world.good();
        assert_eq!(world.shares(), (2, 2));
    }
}

#[test]
fn a_disconnect_of_ours_is_not_laid_to_the_pool_that_waits_for_half_a_line() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.wrong(Fault::HalfLine);
        world.miner.act(world.now, Fault::Disconnect);
        world.exchange();
        let half = world.counts(Fault::HalfLine);
        assert_eq!((half.done, half.cut_off, half.unanswered, world.cut), (1, 0, 1, 1));
    }
}

/// On regtest half of all hashes are blocks, and a pool takes a block whatever its share target.
#[test]
fn a_low_share_is_no_block() {
    for speaks in ALL {
        let mut world = World::new(speaks, DIFFICULTY / 8.0);
        for _ in 0..30 {
            world.wrong(Fault::Low);
        }
        let low = world.counts(Fault::Low);
        assert_eq!((low.done, low.accepted), (30, 0), "{low:?}");
    }
}

#[test]
fn wrong_shares_without_an_answer_are_told_when_the_connection_ends() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        let share = world.find();
        world.miner.submit_wrong(world.now, share, Fault::Low);
        world.hang_up("the pool closed the connection");
        world.exchange();
        let counts = world.counts(Fault::Low);
        assert_eq!((counts.done, counts.unanswered), (1, 1));
        // Without a connection nothing goes wrong: the share is a good one.
        world.connect();
        let share = world.find();
        world.hang_up("the pool closed the connection");
        world.miner.submit_wrong(world.now, share, Fault::Low);
        world.exchange();
        assert_eq!((world.counts(Fault::Low).done, world.counts(Fault::Low).unsent), (1, 1));
        assert_eq!(world.books.shares().found(), 1);
    }
}

#[test]
fn a_miner_without_faults_does_nothing_wrong() {
    for speaks in ALL {
        let mut world = World::new(speaks, 1.0);
        world.miner = Miner::new(speaks.config());
        world.connect();
        world.wrong(Fault::Low);
        world.miner.act(world.now, Fault::Disconnect);
        world.exchange();
        assert_eq!(world.counts(Fault::Low), FaultCounts { unsent: 1, ..FaultCounts::default() });
        assert_eq!((world.shares(), world.cut), ((1, 1), 0));
    }
}

/// A server of its own, whose jobs are of a chain as hard as mainnet.
#[test]
fn nothing_goes_wrong_where_blocks_are_worth_money() {
    let mut world = World::new(Speaks::V1, 1.0);
    let template = Job::clone(world.job.as_ref().unwrap());
    let bits = Bits::from_consensus(0x1702_0000);
    let mut server = Server::new(ServerConfig {
        extranonce1: vec![1; 4],
        extranonce2_size: 4,
        version_mask: 0,
        limits: Default::default(),
    });
    let mut miner = Miner::with_faults(ClientConfig::new("me"));
    let (mut submitted, mut verdicts, mut faults) = (0, 0, Vec::new());
    miner.handle_connected(Duration::ZERO, None);
    for round in 0..6 {
        while let Some(line) = miner.poll_transmit() {
            server.handle_bytes(&line);
        }
        while let Some(event) = server.poll_event() {
            match event {
                ServerEvent::Authorize { ticket, .. } => server.answer(ticket, Ok(())),
                ServerEvent::Submit { ticket, .. } => {
                    submitted += 1;
                    server.answer(ticket, Ok(()));
                }
                _ => {}
            }
        }
        if round == 1 {
            server.set_difficulty(DIFFICULTY);
            let network_target = bits.to_target().unwrap();
            server.notify(&Job { bits, network_target, clean: true, ..template.clone() });
        }
        while let Some(line) = server.poll_transmit() {
            miner.handle_bytes(Duration::ZERO, &line);
        }
        while let Some(event) = miner.poll_event() {
            match event {
                Event::Job(job) => world.job = job,
                Event::Verdict(outcome) if outcome.verdict == Verdict::Accepted => verdicts += 1,
                Event::Fault(news) => faults.push(news),
                _ => {}
            }
        }
        if round == 2 {
            for fault in Fault::all() {
                match fault.is_of_share() {
                    true => miner.submit_wrong(Duration::ZERO, world.find(), fault),
                    false => miner.act(Duration::ZERO, fault),
                }
            }
        }
    }
    let of_shares = Fault::all().filter(|fault| fault.is_of_share()).count();
    assert_eq!((submitted, verdicts), (of_shares, of_shares), "all are good shares");
    let is_unsent = |news: &_| matches!(news, midstate_swarm::FaultNews::Unsent(_));
    assert!(faults.len() == 12 && faults.iter().all(is_unsent), "{faults:?}");
    assert_eq!(miner.poll_end(), None);
}

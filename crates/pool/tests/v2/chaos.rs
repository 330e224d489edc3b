//! Chaos between our own client and our own pool over Stratum V2, in virtual time: lines that break
//! in many ways, and strangers at the same pool that send what nobody should.
//!
//! Every fault is played over several seeds, at moments that the seed chooses; then the line is
//! good again and each client must come back to work. In every run: each share that was found has
//! exactly one verdict; the pool counts none twice; a share that the pool accepted is accepted or
//! unresolved in the client's books, one that it refused is refused or unresolved, and one that it
//! never got is neither; the pool's sums are those of its events, and its chain is as long as its
//! blocks. No honest connection ends where the line only was slow or strangers misbehaved.
//!
//! `CHAOS_SEEDS` sets the number of seeds and `CHAOS_FAULT` part of a name; `cargo xtask chaos
//! --seeds N` sets the first, and builds for speed.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use midstate_chain::{Hash256, Job, Share, Verdict};
use midstate_pool::{EmbeddedPoolEvent, Front, PoolConfig, SessionId, VardiffConfig};
use midstate_sv2::{ChannelKind, Client, ClientConfig, Dialled, Event};
use mining_sv2 as mining;

use crate::miner::{Hall, Miner, UNIX, authority};

/// A fault of a line, or a kind of stranger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The connection ends; a part of the bytes on their way still arrives.
    Cut,
    /// The miner leaves by its own wish, and comes back.
    Left,
    /// Bytes take up to two seconds: the six ways of the opening have fifteen.
    Delayed,
    /// Bytes come one by one, or all at once.
    Pieces,
    /// Two pieces change their places.
    Reordered,
    /// A piece comes again.
    Replayed,
    /// A piece is lost.
    Lost,
    /// A bit is another one.
    Flipped,
    /// The handshake, of either side, is garbage.
    Handshake,
    /// Strangers announce frames that are too long.
    Oversized,
    /// Strangers send messages that make no sense.
    Malformed,
    /// Strangers submit shares of jobs and channels that are not theirs, weak ones and old ones.
    Nonsense,
    /// Strangers open and close channels without end.
    Channels,
    /// Strangers send bytes that are no handshake.
    Garbage,
}

const FAULTS: [Fault; 14] = [
    Fault::Cut,
    Fault::Left,
    Fault::Delayed,
    Fault::Pieces,
    Fault::Reordered,
    Fault::Replayed,
    Fault::Lost,
    Fault::Flipped,
    Fault::Handshake,
    Fault::Oversized,
    Fault::Malformed,
    Fault::Nonsense,
    Fault::Channels,
    Fault::Garbage,
];

impl Fault {
    /// Whether the connections of honest miners may end by it.
    fn is_fatal(self) -> bool {
        use Fault::{Cut, Flipped, Handshake, Left, Lost, Reordered, Replayed};
        matches!(self, Cut | Left | Reordered | Replayed | Lost | Flipped | Handshake)
    }
}

fn seeds() -> u64 {
    match std::env::var("CHAOS_SEEDS") {
        Ok(text) => text.parse().expect("CHAOS_SEEDS is a number"),
        Err(_) => 1,
    }
}

#[test]
fn no_fault_loses_doubles_or_invents_a_share_and_both_books_agree() {
    let wanted = std::env::var("CHAOS_FAULT").unwrap_or_default().to_lowercase();
    let is_chosen = |fault: &Fault| format!("{fault:?}").to_lowercase().contains(&wanted);
    let chosen: Vec<_> = FAULTS.into_iter().filter(is_chosen).collect();
    assert!(!chosen.is_empty(), "no fault's name contains {wanted:?}");
    let play = |fault: Fault| {
        let mut sum = Sum::default();
        for seed in 0..seeds() {
            sum.add(&World::run(fault, seed));
        }
        println!("{:<10} {} seeds: {sum:?}", format!("{fault:?}"), seeds());
        assert!(sum.accepted > 0, "{fault:?}: {sum:?}");
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    for some in chosen.chunks(threads) {
        std::thread::scope(|scope| {
            some.iter().for_each(|&fault| drop(scope.spawn(move || play(fault))));
        });
    }
}

/// Counts of runs.
#[derive(Debug, Default)]
struct Sum {
    found: u64,
    accepted: u64,
    rejected: u64,
    stale: u64,
    unresolved: u64,
    connections: u64,
    blocks: u64,
}

impl Sum {
    fn add(&mut self, other: &Self) {
        self.found += other.found;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.stale += other.stale;
        self.unresolved += other.unresolved;
        self.connections += other.connections;
        self.blocks += other.blocks;
    }
}

/// Bytes on their way, with the time when they arrive.
#[derive(Default)]
struct Pipe(VecDeque<(Duration, Vec<u8>)>);

impl Pipe {
    fn due(&mut self, now: Duration) -> Option<Vec<u8>> {
        let is_due = self.0.front().is_some_and(|(due, _)| *due <= now);
        is_due.then(|| self.0.pop_front()).flatten().map(|(_, bytes)| bytes)
    }
}

/// One of our own miners, and its line.
struct Honest {
    client: Client,
    id: Option<SessionId>,
    up: Pipe,
    down: Pipe,
    /// When it dials again.
    dials: Duration,
    /// The handshake has passed on this line, each way.
    greeted: [bool; 2],
    /// By channel.
    jobs: BTreeMap<Option<u32>, Arc<Job>>,
    connections: u64,
}

struct World {
    rng: Rng,
    fault: Fault,
    is_calm: bool,
    hall: Hall,
    miners: Vec<Honest>,
    strangers: Vec<Miner>,
    /// Of each share that was found: its verdict.
    verdicts: HashMap<Hash256, Option<Verdict>>,
}

impl World {
    fn run(fault: Fault, seed: u64) -> Sum {
        let mut rng = Rng::with_seed(seed * 100 + fault as u64);
        let block_difficulty = rng.choice([1e-9, 1e-8, 1e-6]).unwrap();
        let vardiff = VardiffConfig { first: 1e-9, easiest: 1e-9, hardest: 1e-7, seconds: 1.0 };
        let config = PoolConfig {
            vardiff: rng.bool().then_some(vardiff),
            block_difficulty,
            ..PoolConfig::new(1e-9, rng.u32(..))
        };
        let mut world = Self {
            fault,
            is_calm: false,
            hall: Hall::new(config),
            miners: (0..rng.usize(1..4)).map(|number| Honest::new(number, &mut rng)).collect(),
            strangers: Vec::new(),
            verdicts: HashMap::new(),
            rng,
        };
        (0..120).for_each(|_| world.step());
        world.is_calm = true;
        world.strangers.clear();
        // Time to notice that a line is dead, to dial again, and to work.
        (0..150).for_each(|_| world.step());
        world.settle();
        world.judge(seed)
    }

    fn step(&mut self) {
        let wait = if self.is_calm { 400 } else { self.rng.u64(0..500) };
        self.hall.now += Duration::from_millis(wait);
        self.hall.pool.handle_timeout(self.hall.now);
        for number in 0..self.miners.len() {
            if !self.is_calm && self.rng.u32(..12) == 0 {
                self.strike(number);
            }
            self.work(number);
            self.carry(number);
        }
        if !self.is_calm {
            self.play_stranger();
        }
        self.hall.hear();
    }

    /// Finds a share or two, and hands them in.
    fn work(&mut self, number: usize) {
        let miner = &mut self.miners[number];
        for job in miner.jobs.values() {
            let mut share = Share {
                job: Arc::clone(job),
                extranonce2: (0..job.extranonce2_size).map(|_| self.rng.u8(..)).collect(),
                version: job.version | (self.rng.u32(..) & job.rollable_bits()),
                time: job.time,
                nonce: 0,
                hash: job.prev_hash,
            };
            for _ in 0..4 {
                share.nonce = self.rng.u32(..);
                share.hash = share.header().hash();
                if job.submit_target().is_met_by(&share.hash)
                    && self.verdicts.insert(share.hash, None).is_none()
                {
                    miner.client.submit(self.hall.now, share.clone());
                }
            }
        }
    }

    /// Moves bytes, times and events.
    fn carry(&mut self, number: usize) {
        let Self { hall, miners, rng, fault, is_calm, verdicts, .. } = self;
        let miner = &mut miners[number];
        let now = hall.now;
        if miner.id.is_none() && now >= miner.dials {
            miner.dial(hall, rng);
        }
        miner.client.handle_timeout(now);
        let late = |rng: &mut Rng| match fault {
            Fault::Delayed if !*is_calm => Duration::from_millis(rng.u64(0..2_000)),
            _ => Duration::ZERO,
        };
        let is_pieces = *fault == Fault::Pieces && !*is_calm;
        if let Some(id) = miner.id {
            for is_up in [true, false] {
                let bytes: Vec<Vec<u8>> = std::iter::from_fn(|| match is_up {
                    true => miner.client.poll_transmit(),
                    false => hall.pool.poll_transmit(id),
                })
                .collect();
                let pieces = match is_pieces {
                    false => bytes,
                    true => {
                        let size = if rng.bool() { 1 } else { 5000 };
                        bytes.concat().chunks(size).map(<[u8]>::to_vec).collect()
                    }
                };
                let pipe = if is_up { &mut miner.up } else { &mut miner.down };
                for piece in pieces {
                    // A line keeps the order of its bytes.
                    let last = pipe.0.back().map_or(now, |(due, _)| *due);
                    pipe.0.push_back((last.max(now + late(rng)), piece));
                }
            }
            while let Some(mut bytes) = miner.up.due(now) {
                miner.garble(&mut bytes, 0, *fault, *is_calm, rng);
                hall.pool.handle_bytes(now, id, &bytes);
            }
            while let Some(mut bytes) = miner.down.due(now) {
                miner.garble(&mut bytes, 1, *fault, *is_calm, rng);
                miner.client.handle_bytes(now, &bytes);
            }
        }
        hall.hear();
        let mut is_over = miner.id.is_some_and(|id| hall.closing.contains(&id));
        while let Some(event) = miner.client.poll_event() {
            match event {
                Event::Job(job) => {
                    miner.jobs.insert(job.channel, job);
                }
                Event::Verdict(outcome) => {
                    // Stale is bad luck. Any other code would be a fault of ours.
                    let is_stale = outcome.reason.as_deref() == Some("stale-share");
                    assert!(outcome.verdict != Verdict::Rejected || is_stale, "{outcome:?}");
                    let before = verdicts.insert(outcome.share.hash, Some(outcome.verdict));
                    assert_eq!(before, Some(None), "one verdict for each share that was found");
                }
                Event::Close(reason) => {
                    assert!(fault.is_fatal(), "{fault:?}: {reason}");
                    is_over = true;
                }
                _ => {}
            }
        }
        if is_over {
            assert!(fault.is_fatal(), "{fault:?}: {:?}", hall.closed());
            miner.hang_up(hall);
        }
    }

    /// The fault strikes the line of a miner, if it is one of lines.
    fn strike(&mut self, number: usize) {
        let Self { hall, miners, rng, .. } = self;
        let miner = &mut miners[number];
        let Some(id) = miner.id else { return };
        // Messages that wait go on the line first.
        while let Some(bytes) = miner.client.poll_transmit() {
            miner.up.0.push_back((hall.now, bytes));
        }
        while let Some(bytes) = hall.pool.poll_transmit(id) {
            miner.down.0.push_back((hall.now, bytes));
        }
        match self.fault {
            Fault::Cut => {
                for (_, bytes) in std::mem::take(&mut miner.up.0) {
                    let arrived = rng.usize(..=bytes.len());
                    hall.pool.handle_bytes(hall.now, id, &bytes[..arrived]);
                    if arrived < bytes.len() {
                        break;
                    }
                }
                if rng.bool() {
                    let answers: Vec<u8> =
                        std::iter::from_fn(|| hall.pool.poll_transmit(id)).flatten().collect();
                    let arrived = rng.usize(..=answers.len());
                    miner.client.handle_bytes(hall.now, &answers[..arrived]);
                }
                miner.hang_up(hall);
            }
            Fault::Left => miner.hang_up(hall),
            Fault::Reordered => {
                let pipe = if rng.bool() { &mut miner.up.0 } else { &mut miner.down.0 };
                if pipe.len() > 1 {
                    let (from, to) = (rng.usize(..pipe.len()), rng.usize(..pipe.len()));
                    pipe.swap(from, to);
                }
            }
            Fault::Replayed => {
                let pipe = if rng.bool() { &mut miner.up.0 } else { &mut miner.down.0 };
                if let Some(piece) = pipe.back().cloned() {
                    pipe.push_back(piece);
                }
            }
            Fault::Lost => {
                let pipe = if rng.bool() { &mut miner.up.0 } else { &mut miner.down.0 };
                pipe.pop_back();
            }
            Fault::Flipped => {
                let pipe = if rng.bool() { &mut miner.up.0 } else { &mut miner.down.0 };
                if let Some((_, bytes)) = pipe.back_mut() {
                    let at = rng.usize(..bytes.len());
                    bytes[at] ^= 1 << rng.u32(..8);
                }
            }
            // A new line has a new handshake.
            Fault::Handshake => miner.hang_up(hall),
            _ => {}
        }
    }

    /// A stranger does its worst, if the fault is one of strangers.
    fn play_stranger(&mut self) {
        let Self { hall, strangers, rng, .. } = self;
        if self.fault == Fault::Garbage {
            let stranger = Miner::silent(hall);
            let garbage: Vec<u8> = (0..rng.usize(..500)).map(|_| rng.u8(..)).collect();
            hall.pool.handle_bytes(hall.now, stranger.id, &garbage);
            hall.pool.disconnect(stranger.id);
            return;
        }
        let is_of_strangers = matches!(
            self.fault,
            Fault::Oversized | Fault::Malformed | Fault::Nonsense | Fault::Channels
        );
        if !is_of_strangers {
            return;
        }
        if strangers.len() < 2 {
            let mut stranger = Miner::connect(hall).set_up(hall, 0);
            stranger.open(hall, "stranger");
            strangers.push(stranger);
        }
        let number = rng.usize(..strangers.len());
        let stranger = &mut strangers[number];
        match self.fault {
            Fault::Oversized => {
                let length = rng.usize(8193..100_000);
                let kind = rng.u8(..);
                let sealed = stranger.seal(kind, 0x8000, &vec![0; length]);
                hall.pool.handle_bytes(hall.now, stranger.id, &sealed);
            }
            Fault::Malformed => {
                let payload: Vec<u8> = (0..rng.usize(..60)).map(|_| rng.u8(..)).collect();
                let sealed = stranger.seal(
                    rng.u8(0x10..=mining::MESSAGE_TYPE_SET_GROUP_CHANNEL),
                    rng.u16(..),
                    &payload,
                );
                hall.pool.handle_bytes(hall.now, stranger.id, &sealed);
            }
            Fault::Nonsense => {
                stranger.listen(hall);
                let channel = *stranger.channels.keys().next().unwrap();
                let mut found = stranger.find(channel, 0);
                match rng.u32(..4) {
                    0 => found.job = rng.u32(..),
                    1 => found.nonce = rng.u32(..),
                    2 => found.version = rng.u32(..),
                    _ => {}
                }
                let (sealed, _) = stranger.seal_share(channel + rng.u32(..3), &found);
                hall.pool.handle_bytes(hall.now, stranger.id, &sealed);
            }
            _ => {
                let channel = *stranger.channels.keys().next().unwrap();
                stranger.open(hall, "more");
                stranger.close(hall, channel);
                stranger.channels.remove(&channel);
            }
        }
        hall.hear();
        if hall.closing.contains(&stranger.id) {
            hall.pool.disconnect(stranger.id);
            strangers.remove(number);
        } else if self.fault != Fault::Channels {
            stranger.listen(hall);
        }
    }

    /// No more is found: all answers come home, and what has none is unresolved.
    fn settle(&mut self) {
        for miner in &mut self.miners {
            miner.jobs.clear();
        }
        (0..50).for_each(|_| {
            self.hall.now += Duration::from_millis(400);
            (0..self.miners.len()).for_each(|number| self.carry(number));
        });
        let now = self.hall.now;
        for number in 0..self.miners.len() {
            let miner = &mut self.miners[number];
            assert_eq!(miner.client.pending(), 0, "the line is good, and the pool answers at once");
            miner.client.finish(now);
        }
    }

    fn judge(self, seed: u64) -> Sum {
        let Self { fault, hall, miners, verdicts, .. } = self;
        let what = format!("{fault:?}, seed {seed}");
        let mut sum = Sum { found: verdicts.len() as u64, ..Sum::default() };
        let mut taken: HashMap<Hash256, bool> = HashMap::new();
        let (mut accepted, mut refused) = (0, 0);
        for event in &hall.events {
            let EmbeddedPoolEvent::Share { hash, rejected, .. } = event else { continue };
            accepted += u64::from(rejected.is_none());
            refused += u64::from(rejected.is_some());
            if let (Some(hash), None) = (hash, rejected) {
                assert_eq!(taken.insert(*hash, true), None, "{what}: counted twice");
            }
        }
        for (hash, verdict) in &verdicts {
            let is_taken = taken.contains_key(hash);
            match verdict.unwrap_or_else(|| panic!("{what}: a share without a verdict")) {
                Verdict::Accepted => {
                    assert!(is_taken, "{what}: accepted by the client alone");
                    sum.accepted += 1;
                }
                Verdict::Unresolved => sum.unresolved += 1,
                verdict => {
                    assert!(!is_taken, "{what}: {verdict:?}, and the pool has accepted it");
                    *match verdict {
                        Verdict::Rejected => &mut sum.rejected,
                        _ => &mut sum.stale,
                    } += 1;
                }
            }
        }
        let ours = |hash: &&Hash256| verdicts.contains_key(hash);
        let taken_of_ours = taken.keys().filter(ours).count() as u64;
        assert!(taken_of_ours >= sum.accepted, "{what}");
        assert!(taken_of_ours <= sum.accepted + sum.unresolved, "{what}");
        if !fault.is_fatal() {
            assert_eq!(sum.unresolved, 0, "{what}: nothing is open on a line that stays");
        }
        let stats = hall.stats();
        assert_eq!(
            (stats.accepted, stats.rejected),
            (accepted, refused),
            "{what}: the pool's sums"
        );
        assert_eq!(stats.blocks, u64::from(hall.pool.chain().height()), "{what}");
        sum.blocks = stats.blocks;
        for miner in &miners {
            sum.connections += miner.connections;
            assert!(miner.id.is_some(), "{what}: it is back at work");
        }
        sum
    }
}

impl Honest {
    fn new(number: usize, rng: &mut Rng) -> Self {
        let kind = if rng.bool() { ChannelKind::Standard } else { ChannelKind::Extended };
        let mut config = ClientConfig::new(format!("rig{number}"));
        config.kind = kind;
        config.authority = Some(authority().key());
        Self {
            client: Client::new(config),
            id: None,
            up: Pipe::default(),
            down: Pipe::default(),
            dials: Duration::from_secs(UNIX),
            greeted: [false; 2],
            jobs: BTreeMap::new(),
            connections: 0,
        }
    }

    fn dial(&mut self, hall: &mut Hall, rng: &mut Rng) {
        let from = ([127, 0, 0, 1], 9).into();
        self.id = Some(hall.pool.connect_v2(from, authority(), [rng.u8(..); 32]));
        self.connections += 1;
        self.greeted = [false; 2];
        let unix = hall.now.as_secs() as u32;
        let entropy = std::array::from_fn(|_| rng.u8(..));
        let dialled = Dialled { host: "pool".to_owned(), port: 1, unix, entropy };
        self.client.handle_connected(hall.now, dialled);
    }

    fn hang_up(&mut self, hall: &mut Hall) {
        if let Some(id) = self.id.take() {
            hall.pool.disconnect(id);
        }
        self.client.handle_disconnected(hall.now);
        (self.up, self.down) = Default::default();
        self.jobs.clear();
        self.dials = hall.now + Duration::from_secs(1);
    }

    /// The first bytes of a line are garbage, one way, once in a while.
    fn garble(&mut self, bytes: &mut [u8], way: usize, fault: Fault, is_calm: bool, rng: &mut Rng) {
        let is_first = !std::mem::replace(&mut self.greeted[way], true);
        if fault == Fault::Handshake && !is_calm && is_first && rng.u32(..3) == 0 {
            bytes.iter_mut().for_each(|byte| *byte = rng.u8(..));
        }
    }
}

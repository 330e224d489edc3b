//! What the class saw happen, beyond the pool's books: rates, waits, retargets, the nearest miss.
//! Fed with the pool's events, in their order. Bounded, whatever comes.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use midstate_chain::{Hash256, Target, U256};
use midstate_pool::{EmbeddedPoolEvent, Label, Miner, Pool};

use crate::limits::ClassLimits;
use crate::rename::Named;
use crate::status::{ClassStatus, Kind, Last, Nearest, Row};

/// Seconds of shares that a rate is estimated from.
const WINDOW: u64 = 60;
/// With fewer shares a rate would mean little: one standard error of four is half of it.
const ENOUGH: u64 = 4;
/// The pool's code for a share of a job that is void.
pub(crate) const STALE: i64 = 21;

/// See the [module](self) page.
pub(crate) struct Record {
    started: Duration,
    limits: ClassLimits,
    /// How the teacher's machine is called.
    teacher: String,
    lines: BTreeMap<Label, Line>,
    next_number: u32,
    /// Names that are shown instead of a label's own, since the teacher wants it so.
    renamed: BTreeMap<Label, String>,
    all: Rate,
    /// Of a block, now.
    difficulty: f64,
    last_at: Duration,
    height: u32,
    found: u64,
    expected_blocks: f64,
    waits: VecDeque<(f64, Option<f64>)>,
    difficulties: VecDeque<(f64, f64)>,
    nearest: Option<Miss>,
    last: Option<Block>,
}

/// The best share that was no block.
struct Miss {
    finder: Label,
    /// The part of the difficulty that a block needs.
    fraction: f64,
}

/// The newest block.
struct Block {
    finder: Label,
    height: u32,
    seconds: f64,
    hash: Hash256,
}

/// What the pool's books do not have of a name.
#[derive(Default)]
struct Line {
    /// By which the teacher may call it.
    number: u32,
    /// Its sessions that are connected.
    sessions: u32,
    /// Whether it was here when the class ended; `None` before that.
    stayed: Option<bool>,
    stale: u64,
    best: Option<f64>,
    rate: Rate,
}

/// Shares of the last minute.
#[derive(Default)]
struct Rate {
    since: Option<Duration>,
    /// Oldest first.
    seconds: VecDeque<Second>,
}

struct Second {
    second: u64,
    shares: u64,
    work: f64,
}

impl Record {
    pub(crate) fn new(
        now: Duration,
        teacher: String,
        difficulty: f64,
        height: u32,
        limits: ClassLimits,
    ) -> Self {
        Self {
            started: now,
            limits,
            teacher,
            lines: BTreeMap::new(),
            next_number: 0,
            renamed: BTreeMap::new(),
            all: Rate::default(),
            difficulty,
            last_at: now,
            height,
            found: 0,
            expected_blocks: 0.0,
            waits: VecDeque::new(),
            difficulties: VecDeque::from([(0.0, difficulty)]),
            nearest: None,
            last: None,
        }
    }

    /// Something happened at the pool.
    pub(crate) fn handle_event(&mut self, now: Duration, pool: &Pool, event: &EmbeddedPoolEvent) {
        match event {
            EmbeddedPoolEvent::Joined { miner, .. } => {
                // Names that the pool has no place for have none here.
                self.lines.retain(|label, line| {
                    line.sessions > 0 || pool.standings().contains_key(label)
                });
                self.line(miner).sessions += 1;
            }
            EmbeddedPoolEvent::Left { miner, .. } => {
                let line = self.line(miner);
                line.sessions = line.sessions.saturating_sub(1);
            }
            EmbeddedPoolEvent::Share { miner, rejected: Some(reject), .. } => {
                self.line(miner).stale += u64::from(reject.code == STALE);
            }
            EmbeddedPoolEvent::Share { miner, hash, work, rejected: None } => {
                self.handle_share(now, miner, *hash, *work as f64);
            }
            EmbeddedPoolEvent::Block { miner, height, header, .. } => {
                let seconds = now.saturating_sub(self.last_at).as_secs_f64();
                let wait = (seconds, self.expected(now));
                push(&mut self.waits, self.limits.waits, wait);
                let (finder, height, hash) = (miner.label(), *height, header.hash());
                self.last = Some(Block { finder, height, seconds, hash });
                self.nearest = None;
                self.found += 1;
                self.height = height + 1;
                self.last_at = now;
            }
            EmbeddedPoolEvent::Retarget { difficulty, .. } => {
                self.difficulty = *difficulty;
                let seconds = now.saturating_sub(self.started).as_secs_f64();
                push(&mut self.difficulties, self.limits.retargets, (seconds, *difficulty));
            }
            // Its wait was one all the same.
            EmbeddedPoolEvent::Unchained { hash, has_counted: true, .. } => {
                self.found = self.found.saturating_sub(1);
                self.last.take_if(|last| last.hash == *hash);
            }
            EmbeddedPoolEvent::Unchained { has_counted: false, .. }
            | EmbeddedPoolEvent::Full { .. }
            | EmbeddedPoolEvent::Close { .. } => {}
        }
    }

    /// All who have a row, as the teacher may call them.
    pub(crate) fn named(&self, pool: &Pool) -> Vec<Named> {
        let named = pool.standings().keys().map(|label| {
            let line = self.lines.get(label);
            Named {
                number: line.map_or(0, |line| line.number),
                name: self.shown(label),
                kind: kind_of(label),
                here: line.is_some_and(|line| line.sessions > 0),
                label: label.clone(),
            }
        });
        named.collect()
    }

    /// Shows another name from now on.
    pub(crate) fn rename(&mut self, pool: &Pool, label: Label, name: String) {
        // As many as there are rows, however often the teacher does that.
        self.renamed.retain(|label, _| pool.standings().contains_key(label));
        self.renamed.insert(label, name);
    }

    pub(crate) fn is_renamed(&self, label: &Label) -> bool {
        self.renamed.contains_key(label)
    }

    /// Names that are shown and are no label's own.
    pub(crate) fn new_names(&self) -> impl Iterator<Item = &String> {
        self.renamed.values()
    }

    /// The class ends, and whoever is here leaves with it. The teacher's machine may have done so
    /// a moment before.
    pub(crate) fn end(&mut self) {
        for (label, line) in &mut self.lines {
            line.stayed.get_or_insert(line.sessions > 0 || label.is_host);
        }
    }

    fn handle_share(&mut self, now: Duration, miner: &Miner, hash: Option<Hash256>, work: f64) {
        self.expected_blocks += work / (self.difficulty * Target::HASHES_AT_DIFFICULTY_1);
        self.all.record(now, work);
        let reached = hash.map_or(0.0, difficulty_of);
        let fraction = reached / self.difficulty;
        let before = self.nearest.as_ref().map_or(0.0, |nearest| nearest.fraction);
        if fraction < 1.0 && fraction > before {
            self.nearest = Some(Miss { finder: miner.label(), fraction });
        }
        let line = self.line(miner);
        line.best = Some(line.best.unwrap_or(0.0).max(reached));
        line.rate.record(now, work);
    }

    fn line(&mut self, miner: &Miner) -> &mut Line {
        self.lines.entry(miner.label()).or_insert_with(|| {
            self.next_number += 1;
            Line { number: self.next_number, ..Line::default() }
        })
    }

    /// The name that is shown.
    pub(crate) fn shown(&self, label: &Label) -> String {
        match self.renamed.get(label) {
            _ if label.is_host => self.teacher.clone(),
            Some(name) => name.clone(),
            None => crate::name::clean(&label.worker, self.limits.name),
        }
    }

    /// Seconds that the class needs for a block, at its rate.
    fn expected(&self, now: Duration) -> Option<f64> {
        let (hps, _) = self.all.estimate(now)?;
        Some(self.difficulty * Target::HASHES_AT_DIFFICULTY_1 / hps)
    }

    /// All of it. `claimed` is what the device of that name says it has done.
    pub(crate) fn status(
        &self,
        now: Duration,
        pool: &Pool,
        over: bool,
        claimed: impl Fn(&str) -> Option<u64>,
    ) -> ClassStatus {
        let mut rows: Vec<_> = pool
            .standings()
            .iter()
            .map(|(label, stats)| self.row(now, label, stats, &claimed))
            .collect();
        rows.sort_by(|a, b| {
            let key = |row: &Row| (std::cmp::Reverse(row.blocks), std::cmp::Reverse(row.work));
            key(a).cmp(&key(b)).then_with(|| a.name.cmp(&b.name)).then_with(|| a.kind.cmp(&b.kind))
        });
        let others = (pool.others() != midstate_pool::WorkerStats::default()).then(|| {
            let stats = pool.others();
            Row { blocks: stats.blocks, shares: stats.accepted, work: stats.work, ..Row::nobody() }
        });
        let here = |kind| {
            let here = self.lines.iter().filter(|(label, _)| kind_of(label) == kind);
            here.map(|(_, line)| line.sessions as usize).sum()
        };
        let estimate = self.all.estimate(now);
        ClassStatus {
            seconds: now.saturating_sub(self.started).as_secs_f64(),
            over,
            rows,
            others,
            hps: estimate.map(|(hps, _)| hps),
            error: estimate.map(|(_, error)| error),
            devices: here(Kind::Device),
            miners: here(Kind::Miner),
            // A node's chain may grow without the class.
            height: pool.height().unwrap_or(self.height),
            difficulty: self.difficulty,
            expected: self.expected(now),
            since: now.saturating_sub(self.last_at).as_secs_f64(),
            found: self.found,
            expected_blocks: self.expected_blocks,
            waits: self.waits.iter().copied().collect(),
            difficulties: self.difficulties.iter().copied().collect(),
            nearest: self.nearest.as_ref().map(|nearest| Nearest {
                name: self.shown(&nearest.finder),
                fraction: nearest.fraction,
            }),
            last: self.last.as_ref().map(|last| Last {
                height: last.height,
                name: self.shown(&last.finder),
                kind: kind_of(&last.finder),
                seconds: last.seconds,
                hash: last.hash.to_string(),
                device: last.finder.is_device.then(|| last.finder.worker.clone()),
            }),
        }
    }

    fn row(
        &self,
        now: Duration,
        label: &Label,
        stats: &midstate_pool::WorkerStats,
        claimed: impl Fn(&str) -> Option<u64>,
    ) -> Row {
        let line = self.lines.get(label);
        let estimate = line.and_then(|line| line.rate.estimate(now));
        let stale = line.map_or(0, |line| line.stale);
        Row {
            name: Some(self.shown(label)),
            kind: Some(kind_of(label)),
            device: label.is_device.then(|| label.worker.clone()),
            here: line.is_some_and(|line| line.stayed.unwrap_or(line.sessions > 0)),
            blocks: stats.blocks,
            shares: stats.accepted,
            rejected: stats.rejected.saturating_sub(stale),
            stale,
            work: stats.work,
            claimed: label.is_device.then(|| claimed(&label.worker)).flatten(),
            hps: estimate.map(|(hps, _)| hps),
            error: estimate.map(|(_, error)| error),
            best: line.and_then(|line| line.best),
        }
    }
}

impl Row {
    fn nobody() -> Self {
        Self {
            name: None,
            kind: None,
            device: None,
            here: false,
            blocks: 0,
            shares: 0,
            rejected: 0,
            stale: 0,
            work: 0,
            claimed: None,
            hps: None,
            error: None,
            best: None,
        }
    }
}

impl Rate {
    fn record(&mut self, now: Duration, work: f64) {
        self.since.get_or_insert(now);
        let second = now.as_secs();
        match self.seconds.back_mut() {
            Some(last) if last.second == second => {
                last.shares += 1;
                last.work += work;
            }
            _ => push(&mut self.seconds, WINDOW as usize, Second { second, shares: 1, work }),
        }
    }

    /// Hashes a second, and one standard error of it as a fraction; `None` if there are too few
    /// shares to tell.
    fn estimate(&self, now: Duration) -> Option<(f64, f64)> {
        let start = (now.as_secs() + 1).saturating_sub(WINDOW);
        let recent = self.seconds.iter().filter(|second| second.second >= start);
        let (shares, work, squares) =
            recent.fold((0, 0.0, 0.0), |(shares, work, squares), second| {
                // The variance of a share is its work squared.
                let square = second.work * second.work / second.shares as f64;
                (shares + second.shares, work + second.work, squares + square)
            });
        let elapsed = now.saturating_sub(self.since?).as_secs_f64().clamp(1.0, WINDOW as f64);
        (shares >= ENOUGH).then(|| (work / elapsed, f64::sqrt(squares) / work))
    }
}

fn kind_of(label: &Label) -> Kind {
    match (label.is_host, label.is_device) {
        (true, _) => Kind::Teacher,
        (false, true) => Kind::Device,
        (false, false) => Kind::Miner,
    }
}

/// The difficulty that a hash would have met.
pub(crate) fn difficulty_of(hash: Hash256) -> f64 {
    Target::from_number(U256::from_le_bytes(*hash.as_bytes())).difficulty()
}

/// Appends; the oldest makes room.
fn push<T>(queue: &mut VecDeque<T>, most: usize, item: T) {
    if queue.len() >= most {
        queue.pop_front();
    }
    queue.push_back(item);
}

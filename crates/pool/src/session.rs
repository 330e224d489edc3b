//! A session of the pool: one that mines, by a Stratum connection or in another way, and the jobs
//! that it was given. The [pool](crate::Pool) owns them and judges their shares.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use midstate_chain::{BIP320_MASK, DifficultyError, Hash256, Job, Target};
use midstate_stratum::Server;

use crate::event::{Miner, SessionId, WorkerStats};
use crate::pool::{EXTRANONCE2_SIZE, PADDING, PoolTemplate};
use crate::vardiff::Vardiff;

pub(crate) struct Session {
    pub(crate) door: Door,
    pub(crate) from: SocketAddr,
    pub(crate) extranonce1: Vec<u8>,
    /// It gets jobs.
    pub(crate) is_subscribed: bool,
    /// The workers that were let in, with their shares.
    pub(crate) workers: BTreeMap<String, WorkerStats>,
    /// The workers that belong to the program that runs the pool.
    pub(crate) hosts: HashSet<String>,
    /// Its accepted shares on the present tip. No other session can have the same header, since
    /// extranonce1 differs; two jobs of this session on one tip can.
    pub(crate) seen: HashSet<Hash256>,
    /// What its difficulty follows, if it follows something.
    pub(crate) vardiff: Option<Vardiff>,
    /// No share may be easier, by the miner's own wish.
    pub(crate) max_target: Target,
    /// The jobs that it was given, newest last. A share is judged by its own job's difficulty.
    pub(crate) issued: VecDeque<Issued>,
    /// Counts its jobs of the newest template, from 0.
    number: u64,
    /// The difficulty that it was told last.
    told: Option<f64>,
}

/// How the work gets to a session and its shares come back.
pub(crate) enum Door {
    /// By lines of Stratum.
    Stratum(Box<Server>),
    /// By the program that runs the pool: see [`Pool::seat`](crate::Pool::seat). The newest job
    /// waits here until it is taken.
    Seat { job: Option<Arc<Job>> },
    /// By a channel of a Stratum V2 connection, which the pool keeps apart.
    Channel(Address),
}

/// Where a channel is found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    /// The connection.
    pub(crate) line: SessionId,
    /// The channel's number there.
    pub(crate) number: u32,
}

/// The bits of the version that BIP323 leaves to miners, as Stratum V2 has it; those of BIP320 are
/// among them.
const BIP323_MASK: u32 = 0x1fff_ffe0;

/// A job as a session was given it.
pub(crate) struct Issued {
    pub(crate) id: String,
    /// The template that it is of.
    pub(crate) template: String,
    pub(crate) terms: Terms,
}

/// The measure of a job's shares, as a difficulty and as a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) difficulty: f64,
    pub(crate) target: Target,
}

impl Session {
    pub(crate) fn new(door: Door, from: SocketAddr, extranonce1: Vec<u8>) -> Self {
        Self {
            door,
            from,
            extranonce1,
            is_subscribed: false,
            workers: BTreeMap::new(),
            hosts: HashSet::new(),
            seen: HashSet::new(),
            vardiff: None,
            max_target: Target::MAX,
            issued: VecDeque::new(),
            number: 0,
            told: None,
        }
    }

    /// The tip has moved: every job is void.
    pub(crate) fn void_jobs(&mut self) {
        self.seen.clear();
        self.issued.clear();
    }

    /// The terms of a job whose shares shall be so difficult.
    pub(crate) fn terms(&self, difficulty: f64) -> Result<Terms, DifficultyError> {
        let target = Target::from_difficulty(difficulty)?;
        Ok(match self.max_target {
            harder if harder < target => Terms { difficulty: harder.difficulty(), target: harder },
            _ => Terms { difficulty, target },
        })
    }

    /// Notes a job that it is given; of those given before, as many as `most` stay open. Whether
    /// its difficulty is another one than the session was told.
    pub(crate) fn record(
        &mut self,
        template: &PoolTemplate,
        id: String,
        terms: Terms,
        most: usize,
    ) -> bool {
        if self.issued.len() >= most {
            self.issued.pop_front();
        }
        self.issued.push_back(Issued { id, template: template.job.id.clone(), terms });
        self.told.replace(terms.difficulty) != Some(terms.difficulty)
    }

    /// Gives it a job of this template, with shares of this difficulty; of those given before, as
    /// many as `most` stay open. A channel gets its jobs by its connection.
    pub(crate) fn issue(
        &mut self,
        template: &PoolTemplate,
        clean: bool,
        difficulty: f64,
        most: usize,
    ) -> Result<(), DifficultyError> {
        let terms = self.terms(difficulty)?;
        let name = &template.job.id;
        // Difficulty belongs to a job, so that another one is another job.
        self.number = match self.issued.back() {
            Some(issued) if issued.template == *name => self.number + 1,
            _ => 0,
        };
        let id = if self.number == 0 { name.clone() } else { format!("{name}.{}", self.number) };
        let is_new = self.record(template, id.clone(), terms, most);
        let mut job = Job { id, clean, share_target: terms.target, ..template.job.clone() };
        job.extranonce2_size = EXTRANONCE2_SIZE;
        job.coinbase_suffix.splice(..0, [0; PADDING]);
        match &mut self.door {
            Door::Stratum(server) => {
                if is_new {
                    server.set_difficulty(terms.difficulty);
                }
                server.notify(&job);
            }
            Door::Seat { job: waiting } => {
                // The one that it replaces may have ended a tip.
                let clean = clean || waiting.as_ref().is_some_and(|job| job.clean);
                let extranonce1 = self.extranonce1.clone();
                *waiting = Some(Arc::new(Job { clean, extranonce1, ..job }));
            }
            Door::Channel(_) => {}
        }
        Ok(())
    }

    /// From now on it gets jobs. It is told its difficulty, whatever it was told before.
    pub(crate) fn subscribe(&mut self) {
        self.is_subscribed = true;
        self.told = None;
    }

    /// Says which difficulty its jobs have.
    pub(crate) fn tell_difficulty(&mut self, difficulty: f64) {
        self.told = Some(difficulty);
        if let Door::Stratum(server) = &mut self.door {
            server.set_difficulty(difficulty);
        }
    }

    /// The difficulty of its newest job.
    pub(crate) fn difficulty(&self) -> Option<f64> {
        self.told
    }

    pub(crate) fn version_mask(&self) -> u32 {
        match &self.door {
            Door::Stratum(server) => server.version_mask(),
            Door::Seat { .. } => BIP320_MASK,
            Door::Channel(_) => BIP323_MASK,
        }
    }

    pub(crate) fn miner(&self, session: SessionId, worker: String) -> Miner {
        Miner {
            session,
            is_host: self.hosts.contains(&worker),
            is_device: self.is_device(),
            worker,
        }
    }

    fn is_device(&self) -> bool {
        matches!(self.door, Door::Seat { .. })
    }
}

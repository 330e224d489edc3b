//! A session of the pool: one that mines, by a Stratum connection or in another way, and the jobs
//! that it was given. The [pool](crate::Pool) owns them and judges their shares.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use midstate_chain::{BIP320_MASK, DifficultyError, Hash256, Job, Target};
use midstate_stratum::Server;

use crate::event::{Miner, SessionId, WorkerStats};
use crate::pool::PoolTemplate;
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
    /// The jobs that it was given, newest last. A share is judged by its own job's difficulty.
    pub(crate) issued: VecDeque<Issued>,
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
}

/// A job as a session was given it.
pub(crate) struct Issued {
    pub(crate) id: String,
    /// The template that it is of.
    pub(crate) template: String,
    /// Counts the session's jobs of it, from 0.
    number: u64,
    /// Of its shares.
    pub(crate) target: Target,
    pub(crate) difficulty: f64,
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
            issued: VecDeque::new(),
            told: None,
        }
    }

    /// The tip has moved: every job is void.
    pub(crate) fn void_jobs(&mut self) {
        self.seen.clear();
        self.issued.clear();
    }

    /// Gives it a job of this template, with shares of this difficulty; of those given before, as
    /// many as `most` stay open.
    pub(crate) fn issue(
        &mut self,
        template: &PoolTemplate,
        clean: bool,
        difficulty: f64,
        most: usize,
    ) -> Result<(), DifficultyError> {
        let target = Target::from_difficulty(difficulty)?;
        let name = &template.job.id;
        // Difficulty belongs to a job, so that another one is another job.
        let before = self.issued.back().filter(|issued| issued.template == *name);
        let number = before.map_or(0, |issued| issued.number + 1);
        let id = if number == 0 { name.clone() } else { format!("{name}.{number}") };
        if self.issued.len() >= most {
            self.issued.pop_front();
        }
        let template_id = name.clone();
        let issued = Issued { id: id.clone(), template: template_id, number, target, difficulty };
        self.issued.push_back(issued);
        let is_new = self.told.replace(difficulty) != Some(difficulty);
        let job = Job { id, clean, share_target: target, ..template.job.clone() };
        match &mut self.door {
            Door::Stratum(server) => {
                if is_new {
                    server.set_difficulty(difficulty);
                }
                server.notify(&job);
            }
            Door::Seat { job: waiting } => {
                // The one that it replaces may have ended a tip.
                let clean = clean || waiting.as_ref().is_some_and(|job| job.clean);
                let extranonce1 = self.extranonce1.clone();
                *waiting = Some(Arc::new(Job { clean, extranonce1, ..job }));
            }
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

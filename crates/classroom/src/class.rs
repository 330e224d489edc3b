//! The class: who is in it, and what becomes of all that its devices send.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::time::Duration;

use midstate_pool::{EmbeddedPoolEvent, Front, Label, Miner, Pool};
use midstate_stratum::Reject;
use serde::Serialize;

use crate::admission::Admission;
use crate::device::{Device, Excess, Found, Work};
use crate::limits::ClassLimits;
use crate::name;
use crate::record::{Record, STALE, difficulty_of};
use crate::status::ClassStatus;

/// The pool's code for a share that misses the target.
const LOW_DIFFICULTY: i64 = 23;

/// A class. Devices are known by their tokens, which the caller draws at random.
pub struct Class {
    code: String,
    limits: ClassLimits,
    admission: Admission,
    /// By token.
    devices: HashMap<String, Device>,
    /// The name of the teacher's machine.
    teacher: String,
    record: Record,
    is_over: bool,
}

/// What a device brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The piece of work.
    pub piece: u64,
    /// Hashes of it that the device says it has done so far.
    pub done: u64,
    /// Index of the midstate and nonce of each hit.
    pub hits: Vec<(usize, u32)>,
}

/// What became of a hit.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// It counts.
    Accepted {
        /// Of the hash.
        difficulty: f64,
        /// Whether it was a block.
        block: bool,
        /// The height, if it was one.
        #[serde(skip_serializing_if = "Option::is_none")]
        height: Option<u32>,
    },
    /// A block was found before it came.
    Stale,
    /// It does not count.
    Rejected {
        /// Why.
        reason: String,
    },
}

/// Why a device cannot join.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The class has ended.
    #[error("the class has ended")]
    Over,
    /// Another code.
    #[error("this is not the code of the class; it has six digits")]
    WrongCode,
    /// Too many tries from the address.
    #[error("too many tries from this network; try again in {} s", .0.as_secs() + 1)]
    Wait(Duration),
    /// Every place is taken.
    #[error("the class is full: it has places for {0} devices")]
    Full(usize),
}

/// Why what a device sent is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HitsError {
    /// The class has ended.
    #[error("the class has ended")]
    Over,
    /// No device has this token.
    #[error("this device is not in the class, or was away for too long: join again")]
    Unknown,
    /// The device was dropped.
    #[error("this device was dropped: {0}")]
    Dropped(String),
    /// Too many requests.
    #[error("too many requests; wait")]
    Wait(Duration),
    /// It makes no sense.
    #[error("{0}")]
    Senseless(String),
}

impl Class {
    /// A class at a pool whose next block has this height and difficulty. Whoever knows `code` may
    /// join; `teacher` is the name of the machine that runs all this.
    pub fn new(
        now: Duration,
        code: String,
        teacher: &str,
        (height, difficulty): (u32, f64),
        limits: ClassLimits,
    ) -> Self {
        let teacher = teacher.to_owned();
        let record = Record::new(now, teacher.clone(), difficulty, height, limits.clone());
        Self {
            code,
            admission: Admission::default(),
            devices: HashMap::new(),
            teacher,
            record,
            is_over: false,
            limits,
        }
    }

    /// Its limits.
    pub fn limits(&self) -> &ClassLimits {
        &self.limits
    }

    /// The code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// A device wants to join. It is known by `token` from then on; the answer is its name.
    ///
    /// # Errors
    /// Says why it cannot.
    pub fn join(
        &mut self,
        now: Duration,
        pool: &mut impl Front,
        from: SocketAddr,
        (code, wish): (&str, &str),
        token: String,
    ) -> Result<String, JoinError> {
        if self.is_over {
            return Err(JoinError::Over);
        }
        let wait = self.admission.wait(now, from.ip(), &self.limits);
        if !wait.is_zero() {
            return Err(JoinError::Wait(wait));
        }
        let digits: String = code.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
        if digits != self.code {
            self.admission.record_wrong(now, from.ip(), &self.limits);
            return Err(JoinError::WrongCode);
        }
        if self.seated() >= self.limits.devices {
            return Err(JoinError::Full(self.limits.devices));
        }
        self.admission.record_joined(now, from.ip(), &self.limits);
        self.make_room();
        let name = self.new_name(pool.pool(), wish, None);
        let seat = pool.seat(now, &name, from);
        self.devices.insert(token, Device::new(now, name.clone(), seat, &self.limits));
        Ok(name)
    }

    /// The name that a new device wishes for, cleaned, or the next that is like it and free: that
    /// of no device, and of no row in the pool's books. Its own is free for `but`.
    pub(crate) fn new_name(&self, pool: &Pool, wish: &str, but: Option<&Label>) -> String {
        let labels = pool.standings().keys().filter(|label| label.is_device);
        let names = labels.map(|label| &label.worker);
        let names = names.chain(self.devices.values().map(|device| &device.name));
        let names = names.chain(self.record.new_names());
        let mut taken: HashSet<_> =
            names.chain([&self.teacher]).map(|name| name::key(name)).collect();
        if let Some(own) = but.filter(|label| label.is_device) {
            taken.remove(&name::key(&own.worker));
        }
        let most = self.limits.name;
        name::unique(&name::clean(wish, most), most, |key| taken.contains(key))
    }

    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    pub(crate) fn record_mut(&mut self) -> &mut Record {
        &mut self.record
    }

    /// Whether the teacher has another name shown for a miner.
    pub fn is_renamed(&self, miner: &Miner) -> bool {
        self.record.is_renamed(&miner.label())
    }

    /// The name that is shown for a miner.
    pub fn shown_name(&self, miner: &Miner) -> String {
        self.record.shown(&miner.label())
    }

    /// Devices with a seat at the pool.
    fn seated(&self) -> usize {
        self.devices.values().filter(|device| device.seat.is_some()).count()
    }

    /// Forgets the device that has been away longest, if there are too many.
    fn make_room(&mut self) {
        if self.devices.len() < self.limits.remembered {
            return;
        }
        let away = self.devices.iter().filter(|(_, device)| device.seat.is_none());
        let longest = away.min_by_key(|(_, device)| device.due).map(|(token, _)| token.clone());
        if let Some(longest) = longest {
            self.devices.remove(&longest);
        }
    }

    /// A device opens its stream: its name.
    ///
    /// # Errors
    /// When it has none to open.
    pub fn open(
        &mut self,
        now: Duration,
        pool: &mut impl Front,
        from: SocketAddr,
        token: &str,
    ) -> Result<String, HitsError> {
        self.hear(now, pool, from, token).map(|device| device.name.clone())
    }

    /// Something came from a device: it keeps its seat, or gets another one.
    fn hear(
        &mut self,
        now: Duration,
        pool: &mut impl Front,
        from: SocketAddr,
        token: &str,
    ) -> Result<&mut Device, HitsError> {
        let is_full = self.seated() >= self.limits.devices;
        let device = device_of(&mut self.devices, token)?;
        if self.is_over {
            return Err(HitsError::Over);
        }
        if device.seat.is_none() {
            if is_full {
                return Err(HitsError::Wait(self.limits.silent));
            }
            device.take_seat(pool.seat(now, &device.name, from));
        }
        device.due = now + self.limits.silent;
        Ok(device)
    }

    /// The stream of a device has ended, and it has no other.
    pub fn close(&mut self, now: Duration, token: &str) {
        if let Some(device) = self.devices.get_mut(token) {
            device.due = device.due.min(now + self.limits.closed);
        }
    }

    /// New work for a device, if there is any. To be asked after everything that happens.
    pub fn poll_work(&mut self, pool: &mut impl Front, token: &str) -> Option<Work> {
        let device = self.devices.get_mut(token)?;
        let job = pool.poll_job(device.seat?)?;
        device.take_job(job, &self.limits)
    }

    /// A device brings hits, or says how far it is. A verdict for each hit, in order, and the next
    /// piece of work if the device has done all of its own.
    ///
    /// # Errors
    /// Says why it is not looked at.
    pub fn handle_report(
        &mut self,
        now: Duration,
        pool: &mut impl Front,
        from: SocketAddr,
        token: &str,
        report: &Report,
    ) -> Result<(Vec<Verdict>, Option<Work>), HitsError> {
        self.admit(now, pool, token)?;
        self.hear(now, pool, from, token)?;
        let limits = &self.limits;
        let device = device_of(&mut self.devices, token)?;
        let most = limits.hits;
        let is_done = match report.hits.len() > most {
            true => Err(format!("{} hits at once, {most} at most", report.hits.len())),
            false => device.claim(report.piece, report.done),
        };
        let is_done = match is_done {
            Ok(is_done) => is_done,
            Err(words) => return Err(self.strike(pool, token, words)),
        };
        let mut verdicts = Vec::new();
        for &hit in &report.hits {
            let verdict = judge(now, pool, device, report.piece, hit, limits);
            let is_wrong = matches!(verdict, (_, true));
            verdicts.push(verdict.0);
            if is_wrong && device.conduct.strike(limits) {
                let words = "its hits are wrong: the page, or the device, computes wrongly";
                self.drop_device(pool, token, words);
                return Err(HitsError::Dropped(words.to_owned()));
            }
        }
        let next = if is_done { device.next_work(limits) } else { None };
        Ok((verdicts, next))
    }

    /// A device sent something that cannot be read.
    pub fn handle_junk(
        &mut self,
        now: Duration,
        pool: &mut impl Front,
        token: &str,
        words: String,
    ) -> HitsError {
        match self.admit(now, pool, token) {
            Ok(()) => self.strike(pool, token, words),
            Err(error) => error,
        }
    }

    /// Whether a device may ask anything now.
    fn admit(
        &mut self,
        now: Duration,
        pool: &mut impl Front,
        token: &str,
    ) -> Result<(), HitsError> {
        let device = device_of(&mut self.devices, token)?;
        match device.conduct.admit(now, &self.limits) {
            Ok(()) => Ok(()),
            Err(Excess::Wait(wait)) => Err(HitsError::Wait(wait)),
            Err(Excess::Drop) => {
                let words = "it sent far more requests than a device has reason to";
                self.drop_device(pool, token, words);
                Err(HitsError::Dropped(words.to_owned()))
            }
        }
    }

    fn strike(&mut self, pool: &mut impl Front, token: &str, words: String) -> HitsError {
        let limits = &self.limits;
        let device = self.devices.get_mut(token);
        if device.is_some_and(|device| device.conduct.strike(limits)) {
            let words = format!("it sent much that makes no sense, at last: {words}");
            self.drop_device(pool, token, &words);
            return HitsError::Dropped(words);
        }
        HitsError::Senseless(words)
    }

    fn drop_device(&mut self, pool: &mut impl Front, token: &str, words: &str) {
        let Some(device) = self.devices.get_mut(token) else { return };
        device.dropped = Some(words.to_owned());
        if let Some(seat) = device.seat.take() {
            pool.disconnect(seat);
        }
    }

    /// Something happened at the pool; to be told of every event, in order.
    pub fn handle_event(&mut self, now: Duration, pool: &Pool, event: &EmbeddedPoolEvent) {
        self.record.handle_event(now, pool, event);
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called, if ever.
    pub fn poll_timeout(&self) -> Option<Duration> {
        let seated = self.devices.values().filter(|device| device.seat.is_some());
        seated.map(|device| device.due).min()
    }

    /// Time has passed: devices that are silent for long lose their seats.
    pub fn handle_timeout(&mut self, now: Duration, pool: &mut impl Front) {
        for device in self.devices.values_mut() {
            let is_due = now >= device.due;
            if let Some(seat) = device.seat.take_if(|_| is_due) {
                pool.disconnect(seat);
            }
        }
    }

    /// The class has ended: everybody leaves, nobody joins, nothing counts any more.
    pub fn end(&mut self, pool: &mut impl Front) {
        self.is_over = true;
        self.record.end();
        let seats = self.devices.values_mut().filter_map(|device| device.seat.take());
        let mut seats: Vec<_> = seats.collect();
        seats.sort_unstable();
        seats.into_iter().for_each(|seat| pool.disconnect(seat));
    }

    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// All of it at this instant.
    pub fn status(&self, now: Duration, pool: &Pool) -> ClassStatus {
        let claims: HashMap<_, _> =
            self.devices.values().map(|device| (&*device.name, device.claimed)).collect();
        self.record.status(now, pool, self.is_over, |name| claims.get(name).copied())
    }
}

fn device_of<'a>(
    devices: &'a mut HashMap<String, Device>,
    token: &str,
) -> Result<&'a mut Device, HitsError> {
    let device = devices.get_mut(token).ok_or(HitsError::Unknown)?;
    match &device.dropped {
        Some(words) => Err(HitsError::Dropped(words.clone())),
        None => Ok(device),
    }
}

/// What becomes of a hit, and whether it is one that no device in order would send.
fn judge(
    now: Duration,
    pool: &mut impl Front,
    device: &mut Device,
    piece: u64,
    hit: (usize, u32),
    limits: &ClassLimits,
) -> (Verdict, bool) {
    let rejected = |reason: &str| Verdict::Rejected { reason: reason.to_owned() };
    let submission = match device.find(piece, hit, limits) {
        Found::New(submission) => submission,
        Found::Known(verdict) => return (verdict, false),
        Found::Forgotten => return (Verdict::Stale, false),
        Found::TooMany => return (rejected("this piece of work has had too many hits"), false),
        Found::Outside => return (rejected("not in the piece of work that was handed out"), true),
    };
    // Without a seat there is no job that it could belong to.
    let Some(seat) = device.seat else { return (Verdict::Stale, false) };
    let (verdict, is_wrong) = match pool.submit(now, seat, submission) {
        Ok(accepted) => {
            device.conduct.forgive();
            let difficulty = difficulty_of(accepted.hash);
            let (block, height) = (accepted.block.is_some(), accepted.block);
            (Verdict::Accepted { difficulty, block, height }, false)
        }
        Err(Reject { code: STALE, .. }) => (Verdict::Stale, false),
        Err(Reject { code: LOW_DIFFICULTY, .. }) => {
            (rejected("its hash is above the target"), true)
        }
        Err(Reject { text, .. }) => (rejected(&text), false),
    };
    device.remember(piece, hit, verdict.clone());
    (verdict, is_wrong)
}

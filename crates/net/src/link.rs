//! The link to a list of pools: a seat at each, one of them the one to work for.
//!
//! It gives the seats their orders as [`Failover`] decides, passes the jobs of the active pool on,
//! and brings each share to the pool it was found for. It ends when it is told to, when every pool
//! has refused to let us in, or when none gave work for long enough.

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::sync::{Arc, Weak};
use std::time::Duration;

use midstate_chain::{Hash256, Job, Share, Verdict};
use midstate_failover::{Failover, Failure, Patience};
use midstate_stratum::ShareOutcome;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::LinkLimits;
use crate::dial::{Dial, Dialler};
use crate::event::{EventSender, Happened, LinkEnd, LinkEvent, LinkState, Protocol};
use crate::frames::Frames;
use crate::hash_rate::HashRate;
use crate::seat::{Account, Channels, Order, Report, Seat, SeatId, SeatNews};
use crate::trouble::Trouble;

/// Reports under way before the seats wait.
const REPORTS: usize = 64;
/// Jobs handed out whose pool is remembered; nobody hashes an older one.
const ISSUED: usize = 256;
/// The same of each channel, where there are many.
const ISSUED_A_CHANNEL: usize = 8;

/// Which pools, in which order, and how patient.
#[derive(Debug, Clone)]
pub struct LinkConfig {
    /// In order of preference; at least one.
    pub accounts: Vec<Account>,
    /// Without work from any pool for this long, give up. `None`: never.
    pub give_up: Option<Duration>,
    /// Everything else about patience.
    pub limits: LinkLimits,
    /// Where every line of every connection is told, if anywhere.
    pub frames: Option<Frames>,
    /// The rate that pools of Stratum V2 are told.
    pub hash_rate: HashRate,
}

/// The link; [`run`](Self::run) it.
pub struct Link {
    limits: LinkLimits,
    patience: Patience,
    dial: Arc<dyn Dial>,
    frames: Option<Frames>,
    hash_rate: HashRate,
    started: Instant,
    shares: mpsc::UnboundedReceiver<Share>,
    events: EventSender,
    stop: oneshot::Receiver<()>,
    reloads: Option<mpsc::UnboundedReceiver<Vec<Account>>>,
    failover: Failover,
    /// In order of preference.
    seats: Vec<SeatHandle>,
    /// No longer on the list; their last reports may be under way.
    leaving: Vec<SeatHandle>,
    tasks: JoinSet<()>,
    next_seat: SeatId,
    reports: mpsc::Receiver<Report>,
    reporter: mpsc::Sender<Report>,
    /// Which seat a job came from.
    issued: VecDeque<(Weak<Job>, SeatId)>,
    /// The seat whose jobs are hashed.
    active: Option<SeatId>,
}

/// A seat as the link sees it.
struct SeatHandle {
    id: SeatId,
    account: Account,
    /// The URL on the list, as people see it.
    listed: Arc<str>,
    /// The URL of the server that the seat is connected to: another one after a redirect.
    name: Arc<str>,
    trouble: Trouble,
    /// Shares at the seat, by their hashes. A seat that panics takes none of them along.
    under_way: HashMap<Hash256, Vec<Share>>,
    orders: watch::Sender<Order>,
    shares: mpsc::UnboundedSender<Share>,
    /// The newest job of its present connection, or of each channel of it.
    jobs: Vec<Arc<Job>>,
}

impl Link {
    /// A link over real sockets that sends `shares`, tells `events`, and ends after `stop`.
    ///
    /// Shares wait in queues without a bound of their own: the caller bounds how many are under way
    /// before their verdict. Events need no bound (see [`events`](crate::events)).
    pub fn new(
        config: LinkConfig,
        shares: mpsc::UnboundedReceiver<Share>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        let dial = Arc::new(Dialler { limits: config.limits.clone(), ..Dialler::default() });
        Self::with_dial(config, dial, shares, events, stop)
    }

    /// The same over any connections.
    pub fn with_dial(
        config: LinkConfig,
        dial: Arc<dyn Dial>,
        shares: mpsc::UnboundedReceiver<Share>,
        events: EventSender,
        stop: oneshot::Receiver<()>,
    ) -> Self {
        let LinkConfig { accounts, give_up, limits, frames, hash_rate } = config;
        let (reporter, reports) = mpsc::channel(REPORTS);
        let mut link = Self {
            failover: Failover::new(&limits.failover),
            limits,
            patience: Patience::new(give_up, Duration::ZERO),
            dial,
            frames,
            hash_rate,
            started: Instant::now(),
            shares,
            events,
            stop,
            reloads: None,
            seats: Vec::new(),
            leaving: Vec::new(),
            tasks: JoinSet::new(),
            next_seat: 0,
            reports,
            reporter,
            issued: VecDeque::new(),
            active: None,
        };
        link.set_accounts(accounts);
        link
    }

    /// Takes new lists of pools from `reloads` while it runs. Pools on both lists notice nothing.
    #[must_use]
    pub fn with_reloads(mut self, reloads: mpsc::UnboundedReceiver<Vec<Account>>) -> Self {
        self.reloads = Some(reloads);
        self
    }

    /// Runs until there is a reason to end. Every share it was given has its verdict by then.
    pub async fn run(mut self) -> LinkEnd {
        let end = loop {
            self.decide();
            if let Some(end) = self.reason_to_end() {
                break end;
            }
            let wait = self.deadline().map(|due| due.saturating_sub(self.now()));
            tokio::select! {
                Some(report) = self.reports.recv() => self.handle_report(report),
                Some(share) = self.shares.recv() => self.route(share),
                Some(accounts) = next_reload(&mut self.reloads) => self.set_accounts(accounts),
                Some(Err(panic)) = self.tasks.join_next() => self.restart_panicked(&panic),
                () = sleep(wait.unwrap_or(Duration::MAX)) => {}
                _ = &mut self.stop => break LinkEnd::Stopped,
            }
        };
        self.finish().await;
        end
    }

    /// Everybody leaves; the last verdicts come in.
    async fn finish(mut self) {
        self.shares.close();
        while let Ok(share) = self.shares.try_recv() {
            self.route(share);
        }
        for seat in self.seats.iter().chain(&self.leaving) {
            seat.orders.send_replace(Order::End);
        }
        // Reports end when the last seat is gone.
        let (closed, _) = mpsc::channel(1);
        drop(std::mem::replace(&mut self.reporter, closed));
        while let Some(report) = self.reports.recv().await {
            self.handle_report(report);
        }
        self.settle_of_panicked();
    }

    fn handle_report(&mut self, Report { seat: id, what }: Report) {
        let now = self.now();
        let rank = self.seats.iter().position(|seat| seat.id == id);
        if let Some(seat) = self.seat_mut(id) {
            seat.note(now, &what);
        }
        match what {
            SeatNews::Happened(what) => self.tell(id, what),
            SeatNews::Target(_) => {}
            SeatNews::Accepted => {
                if let Some(rank) = rank {
                    self.failover.accepted(rank);
                }
            }
            SeatNews::Job(job) => {
                let Some(rank) = rank else { return };
                self.failover.job(rank);
                let beside = self.seats[rank].take_job(&job);
                if self.active == Some(id) {
                    self.issue(id, job, beside);
                }
            }
            SeatNews::ChannelEnded(channel) => {
                let Some(rank) = rank else { return };
                self.seats[rank].jobs.retain(|job| job.channel != Some(channel));
                if self.active == Some(id) {
                    self.tell(id, Happened::ChannelEnded { channel });
                }
            }
            SeatNews::Healthy => {
                if let Some(rank) = rank {
                    self.failover.healthy(now, rank);
                }
            }
            SeatNews::Failed(how, reason) => {
                if let Some(rank) = rank {
                    self.seats[rank].jobs.clear();
                    self.failover.failed(now, rank, how);
                    if how == Failure::Worthless {
                        let then = match self.seats.len() {
                            1 => {
                                "no other pool is on the list; the pauses between connections to \
                                 it grow"
                            }
                            _ => "it counts as a pool that fails",
                        };
                        self.tell(id, Happened::warning(format!("{reason}; {then}")));
                    }
                }
            }
            // A list that is read again and again leaves nothing behind.
            SeatNews::Left => self.leaving.retain(|seat| seat.id != id),
        }
    }

    /// Acts on what the failover decides.
    fn decide(&mut self) {
        let now = self.now();
        // A decision forgets what a pool did that is no longer wanted.
        let has_failed =
            self.active_rank().is_some_and(|active| self.failover.has_failed(now, active));
        self.failover.decide(now);
        self.patience.note(now, self.failover.service(now));
        let active = self.failover.active();
        self.activate(active, has_failed);
        for (rank, seat) in self.seats.iter_mut().enumerate() {
            let order = if self.failover.is_wanted(rank) { Order::Run } else { Order::Rest };
            let changed = seat.orders.send_if_modified(|present| {
                let changed = *present != order;
                *present = order;
                changed
            });
            if changed && order == Order::Run {
                seat.trouble = Trouble::new(now);
            }
            if changed && order == Order::Rest {
                seat.jobs.clear();
            }
        }
    }

    /// The rank of the pool whose jobs are hashed, if it is still on the list.
    fn active_rank(&self) -> Option<usize> {
        self.active.and_then(|id| self.seats.iter().position(|seat| seat.id == id))
    }

    /// Moves the work to the pool of this rank, or to none. `has_failed`: the pool that has the
    /// work cannot be worked for.
    fn activate(&mut self, rank: Option<usize>, has_failed: bool) {
        let Some(seat) = rank.map(|rank| &self.seats[rank]) else {
            if let Some(lost) = self.active.take() {
                self.tell(lost, Happened::Pause);
            }
            return;
        };
        if self.active == Some(seat.id) {
            return;
        }
        let moved = self.active.is_some() || rank != Some(0);
        let (id, jobs) = (seat.id, seat.jobs.clone());
        let reason = self.why_moving_to(rank.expect("there is a seat"), has_failed);
        self.active = Some(id);
        if moved {
            let state = LinkState::Failover;
            self.tell(id, Happened::State { state, reason: Some(reason) });
        }
        for (place, job) in jobs.into_iter().enumerate() {
            self.issue(id, job, place > 0);
        }
    }

    /// Why work moves to the pool of this rank: the present trouble of the pools above it, or of
    /// the pool below that had the work; else its own recovery.
    fn why_moving_to(&self, rank: usize, has_failed: bool) -> String {
        match self.active_rank() {
            Some(left) if left > rank && has_failed => {
                format!("{}: {}", self.seats[left].name, self.troubles(&self.seats[left..=left]))
            }
            Some(left) if left > rank && self.failover.owes(rank) => {
                "it has sent work without trouble, so that our shares are tried there again"
                    .to_owned()
            }
            Some(left) if left > rank => "it is healthy again".to_owned(),
            _ if rank == 0 => "it is the first pool of the list that works".to_owned(),
            _ => self.troubles(&self.seats[..rank]),
        }
    }

    /// The troubles at these pools at present.
    fn troubles(&self, seats: &[SeatHandle]) -> String {
        let now = self.now();
        let one = |seat: &SeatHandle| seat.trouble.words(now, self.limits.failover.workless);
        let named = |seat: &SeatHandle| format!("{}: {}", seat.name, one(seat));
        match seats {
            [seat] => one(seat),
            seats => seats.iter().map(named).collect::<Vec<_>>().join("; "),
        }
    }

    /// Hands a job of the active pool out. Only these have shares: a pool that is not worked for
    /// could otherwise crowd out the jobs that are being hashed, with as many of its own.
    fn issue(&mut self, id: SeatId, job: Arc<Job>, beside: bool) {
        let channels = self.seats.iter().map(|seat| seat.account.v2.channels).max();
        let limit = ISSUED.max(ISSUED_A_CHANNEL * channels.unwrap_or_default());
        while self.issued.len() >= limit {
            self.issued.pop_front();
        }
        self.issued.push_back((Arc::downgrade(&job), id));
        self.tell(id, if beside { Happened::job_beside(job) } else { Happened::job(job) });
    }

    /// Brings a share to the pool that its job came from.
    fn route(&mut self, share: Share) {
        let of_job = |(job, _): &&(Weak<Job>, SeatId)| job.as_ptr() == Arc::as_ptr(&share.job);
        let id = self.issued.iter().rev().find(of_job).map(|&(_, id)| id);
        // A share without a pool can only be one of a list that was replaced meanwhile; any seat
        // gives it its verdict.
        let id = id.filter(|&id| self.seat_mut(id).is_some());
        let Some(id) = id.or(self.seats.first().map(|seat| seat.id)) else { return };
        let Some(seat) = self.seat_mut(id) else { return };
        let copy = share.clone();
        if seat.shares.send(share).is_ok() {
            seat.under_way.entry(copy.hash).or_default().push(copy);
        } else {
            let share = copy;
            // The seat has left or fallen, and its job with it.
            let reason = Some("not sent: its pool was left".to_owned());
            let outcome = ShareOutcome::new(share, Verdict::Stale, reason);
            self.tell(id, Happened::Verdict(outcome));
        }
    }

    /// Replaces the list. Seats whose account stays the same stay as they are.
    fn set_accounts(&mut self, accounts: Vec<Account>) {
        let mut old: Vec<_> = std::mem::take(&mut self.seats).into_iter().map(Some).collect();
        let mut kept = Vec::new();
        for account in accounts {
            let is_same = |seat: &Option<SeatHandle>| {
                seat.as_ref().is_some_and(|seat| seat.account == account)
            };
            let at = old.iter().position(is_same);
            let seat = match at.and_then(|at| old[at].take()) {
                Some(seat) => seat,
                None => self.occupy(account, Duration::ZERO),
            };
            kept.push(at);
            self.seats.push(seat);
        }
        for seat in old.into_iter().flatten() {
            seat.orders.send_replace(Order::Remove);
            self.leaving.push(seat);
        }
        let now = self.now();
        self.failover.set_servers(now, &kept);
    }

    fn occupy(&mut self, account: Account, wait: Duration) -> SeatHandle {
        let id = self.next_seat;
        self.next_seat += 1;
        let (orders, ordered) = watch::channel(Order::Rest);
        let (shares, given) = mpsc::unbounded_channel();
        let reports = self.reporter.clone();
        let channels = Channels { shares: given, orders: ordered, reports };
        let (limits, dial) = (self.limits.clone(), Arc::clone(&self.dial));
        let seat = Seat::new(id, account.clone(), limits, dial, channels)
            .after(wait)
            .tapped(self.frames.clone())
            .with_hash_rate(self.hash_rate.clone());
        self.tasks.spawn(seat.run());
        let listed: Arc<str> = account.url.to_string().into();
        let (name, trouble) = (Arc::clone(&listed), Trouble::new(self.now()));
        let under_way = HashMap::new();
        let jobs = Vec::new();
        SeatHandle { id, listed, name, trouble, under_way, account, orders, shares, jobs }
    }

    /// A seat panicked: a bug, which must not end the mining (S14). Its pool gets a new seat, and
    /// the shares that it had are unresolved.
    fn restart_panicked(&mut self, panic: &tokio::task::JoinError) {
        // Its reports before that count.
        while let Ok(report) = self.reports.try_recv() {
            self.handle_report(report);
        }
        let gone = |seat: &SeatHandle| seat.shares.is_closed();
        while let Some(rank) = self.seats.iter().position(gone) {
            let account = self.seats[rank].account.clone();
            let text = format!("a bug, please report it: {panic}; connecting anew");
            self.tell(self.seats[rank].id, Happened::warning(text));
            // A bug that struck once may strike again at once.
            let seat = self.occupy(account, self.limits.backoff_cap);
            self.leaving.push(std::mem::replace(&mut self.seats[rank], seat));
            let kept: Vec<_> = (0..self.seats.len()).map(|at| (at != rank).then_some(at)).collect();
            let now = self.now();
            self.failover.set_servers(now, &kept);
        }
        self.settle_of_panicked();
    }

    /// Gives the shares of seats that have fallen their verdict: no share stays under way for ever.
    fn settle_of_panicked(&mut self) {
        let gone =
            self.leaving.iter_mut().chain(&mut self.seats).filter(|seat| seat.shares.is_closed());
        let lost: Vec<_> = gone
            .flat_map(|seat| {
                let shares = std::mem::take(&mut seat.under_way).into_values().flatten();
                shares.map(|share| (seat.id, share)).collect::<Vec<_>>()
            })
            .collect();
        for (id, share) in lost {
            let reason = Some("lost by a bug in this program, with its connection".to_owned());
            let outcome = ShareOutcome::new(share, Verdict::Unresolved, reason);
            self.tell(id, Happened::Verdict(outcome));
        }
    }

    fn seat_mut(&mut self, id: SeatId) -> Option<&mut SeatHandle> {
        self.seats.iter_mut().chain(&mut self.leaving).find(|seat| seat.id == id)
    }

    fn reason_to_end(&self) -> Option<LinkEnd> {
        if self.failover.all_out() {
            return Some(LinkEnd::Refused(self.troubles(&self.seats)));
        }
        let workless = self.patience.over(self.now())?;
        let troubles = self.troubles(&self.seats);
        Some(LinkEnd::Unreachable(format!("no pool let us work for {workless}: {troubles}")))
    }

    fn deadline(&self) -> Option<Duration> {
        [self.failover.deadline(self.now()), self.patience.ends()].into_iter().flatten().min()
    }

    fn tell(&self, seat: SeatId, what: Happened) {
        let mut seats = self.seats.iter().chain(&self.leaving);
        if let Some(seat) = seats.find(|known| known.id == seat) {
            let url = Arc::clone(&seat.name);
            let listed = (seat.name != seat.listed).then(|| Arc::clone(&seat.listed));
            let protocol = match seat.account.url.v2 {
                None => Protocol::Stratum1,
                Some(_) => Protocol::Stratum2,
            };
            self.events.send(LinkEvent { url, listed, protocol, what });
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}

impl SeatHandle {
    /// Keeps the newest job of a channel; whether those of other channels go on beside it.
    fn take_job(&mut self, job: &Arc<Job>) -> bool {
        match self.jobs.iter_mut().find(|of| of.channel == job.channel) {
            Some(of) => *of = Arc::clone(job),
            None => self.jobs.push(Arc::clone(job)),
        }
        self.jobs.len() > 1
    }

    /// Keeps the books of what the seat tells.
    fn note(&mut self, now: Duration, what: &SeatNews) {
        match what {
            SeatNews::Target(url) => self.name = url.to_string().into(),
            SeatNews::Happened(Happened::Verdict(ShareOutcome { share, .. })) => {
                if let Some(shares) = self.under_way.get_mut(&share.hash) {
                    shares.pop();
                    if shares.is_empty() {
                        self.under_way.remove(&share.hash);
                    }
                }
            }
            what => self.trouble.note(now, what),
        }
    }
}

/// The next list of pools; forever if there will be none.
async fn next_reload(
    reloads: &mut Option<mpsc::UnboundedReceiver<Vec<Account>>>,
) -> Option<Vec<Account>> {
    match reloads {
        Some(reloads) => match reloads.recv().await {
            Some(accounts) => Some(accounts),
            None => pending().await,
        },
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use midstate_stratum::ClientConfig;
    use tokio::time::timeout;

    use super::*;
    use crate::Route;

    #[tokio::test]
    async fn lists_that_come_and_go_leave_no_seats_behind() {
        let account = |url: &str| Account {
            url: url.parse().unwrap(),
            client: ClientConfig::new("me"),
            route: Route::default(),
            redirects: crate::Redirects::default(),
            v2: crate::V2Wishes::default(),
        };
        let config = LinkConfig {
            accounts: vec![account("one:1")],
            give_up: None,
            limits: LinkLimits::default(),
            frames: None,
            hash_rate: HashRate::default(),
        };
        let (_shares, given) = mpsc::unbounded_channel();
        let (told, _events) = crate::events();
        let (_stop, stopped) = oneshot::channel();
        let mut link = Link::new(config, given, told, stopped);
        for url in ["two:1", "one:1", "two:1"] {
            link.set_accounts(vec![account(url)]);
        }
        assert_eq!((link.seats.len(), link.leaving.len()), (1, 3));
        while !link.leaving.is_empty() {
            let report = timeout(Duration::from_secs(200), link.reports.recv()).await;
            link.handle_report(report.expect("they leave").expect("the link holds a sender"));
        }
        assert_eq!(link.seats.len(), 1);
    }
}

//! Which pool or node to work for, and which to be connected to: a decision without sockets or
//! clocks. One book of rules for both; here a *server* is either.
//!
//! The rule: the best server that works. The list is walked from its top; a server further down is
//! tried only when all above it were passed over (nobody listens there, several failures in a row,
//! or no work for some seconds), and those above stay tried all the while. One of them that is
//! healthy again gets the work back only after it has been so for a time, so that a server which
//! comes and goes costs nothing.
//!
//! A server earns trust by work, not by a handshake. "It let us in", "it sends jobs" and "it is
//! proven" are separate facts, and only the last one makes us forget failures: a minute of jobs
//! without a hang-up, or an accepted share in a session that is not very short. A session that ends
//! before that is a failure, whatever was said in it. After three such sessions the server is
//! distrusted: the next one is tried and keeps the work until this one is proven.
//!
//! Called by `net` for pools, whose sessions are connections, and by `gbt` for nodes, whose
//! sessions are runs of templates.
#![forbid(unsafe_code)]

mod patience;

use std::time::Duration;

pub use patience::{Patience, Service};

use midstate_limits::{LimitRow, row};

/// How patient we are before work goes to another server, and back.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Failures in a row after which the next server of the list is tried.
    pub failures: u32,
    /// Time without work after which the next server of the list is tried.
    pub workless: Duration,
    /// How long a better server must have been healthy before work returns to it. A server that
    /// comes back and breaks again within it costs no work at all.
    pub return_after: Duration,
    /// How long a server must send jobs without a hang-up before its failures are forgotten.
    pub proven: Duration,
    /// The same for a server that accepted a share in this session. A shorter session is a failure,
    /// whatever was said in it.
    pub brief: Duration,
    /// Refusals of user or password by one server, which never let us in, before they count as
    /// final.
    pub refusals: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            failures: 3,
            workless: seconds(10),
            return_after: seconds(60),
            proven: seconds(60),
            brief: seconds(10),
            refusals: 2,
        }
    }
}

impl Limits {
    /// Each limit as a row.
    pub fn rows(&self) -> Vec<LimitRow> {
        // Taken apart by name, so that a limit without a row does not compile.
        let Self { failures, workless, return_after, proven, brief, refusals } = self;
        vec![
            row("failures in a row", failures, "the next one is tried"),
            row("time without work", workless, "the next one is tried"),
            row("health of a better one", return_after, "work returns to it"),
            row("jobs without a hang-up", proven, "earlier failures are forgotten"),
            row("session with an accepted share", brief, "the same; a shorter one is a failure"),
            row("refusals of user or password", refusals, "that one is out; exit 3"),
        ]
    }
}

/// The state of every server of the list, in order of preference.
#[derive(Debug)]
pub struct Failover {
    limits: Limits,
    servers: Vec<Server>,
    /// The server whose jobs are hashed.
    active: Option<usize>,
}

#[derive(Debug, Clone)]
struct Server {
    standing: Standing,
    /// Connecting or connected. A server that is not wanted is not timed out for sending no work.
    wanted: bool,
    /// Since the server was last proven.
    failures: u32,
    /// Sessions with work since then. Every one of them ended too early.
    short: u32,
    /// A failure after which it makes no sense to hope.
    hopeless: bool,
    /// It had been proven when the present troubles began.
    was_proven: bool,
    /// It accepted a share in this session.
    accepted: bool,
    /// It was left because it took none of our shares, and has accepted none since.
    owes: bool,
    /// How often work was returned to it for nothing, since it last accepted a share.
    relapses: u32,
    refusals: u32,
    /// It let us in at some time: a refusal is the server's trouble, not ours.
    let_in: bool,
    /// It must not be worked for, whatever it does.
    ruled_out: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// No work since then.
    Workless(Duration),
    /// It sent a job and has not yet let us in.
    Working,
    /// It let us in and sent a job.
    Healthy(Duration),
}

/// How an attempt at a server failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It may go better the next time.
    Passing,
    /// The session ended with shares that the server did not take, and none that it took.
    Unpaid,
    /// It refuses all shares, or answers none.
    Worthless,
    /// The next time will be the same: nobody listens there.
    Hopeless,
    /// It has not answered for some seconds, however well it worked before.
    Silent,
    /// It said that it will be away for longer than we wait for work.
    Away,
    /// It does not take user or password.
    Refused,
}

impl Failure {
    /// Whether the server had our work and gave nothing for it.
    pub fn is_unpaid(self) -> bool {
        matches!(self, Self::Unpaid | Self::Worthless)
    }
}

/// Whether a session that had let us in and sent work `since` then has proven the server by now.
pub fn is_proof(limits: &Limits, since: Duration, accepted: bool, now: Duration) -> bool {
    let least = if accepted { limits.brief } else { limits.proven };
    now >= since.saturating_add(least)
}

impl Failover {
    /// An empty list.
    pub fn new(limits: &Limits) -> Self {
        Self { limits: limits.clone(), servers: Vec::new(), active: None }
    }

    /// Replaces the list. `kept[i]` is where the `i`th server of the new list stood in the old one.
    pub fn set_servers(&mut self, now: Duration, kept: &[Option<usize>]) {
        let old = std::mem::take(&mut self.servers);
        self.active = self.active.and_then(|active| kept.iter().position(|&at| at == Some(active)));
        self.servers = kept
            .iter()
            .map(|at| at.map_or_else(|| Server::new(now), |at| old[at].clone()))
            .collect();
    }

    /// A job came from this server, which may not yet have let us in.
    pub fn job(&mut self, server: usize) {
        let server = &mut self.servers[server];
        if server.wanted && matches!(server.standing, Standing::Workless(_)) {
            server.standing = Standing::Working;
        }
    }

    /// This server let us in and has sent a job. That proves nothing yet. To say it again changes
    /// nothing.
    pub fn healthy(&mut self, now: Duration, server: usize) {
        let server = &mut self.servers[server];
        // A server that is being left may still say so.
        if server.wanted && !matches!(server.standing, Standing::Healthy(_)) {
            (server.standing, server.let_in) = (Standing::Healthy(now), true);
            (server.refusals, server.hopeless) = (0, false);
        }
    }

    /// This server accepted a share.
    pub fn accepted(&mut self, server: usize) {
        let server = &mut self.servers[server];
        (server.accepted, server.owes, server.relapses) = (true, false, 0);
    }

    /// An attempt at this server, or its connection, ended.
    pub fn failed(&mut self, now: Duration, server: usize, how: Failure) {
        let is_proven = self.is_proven(now, &self.servers[server]) && !how.is_unpaid();
        let most = self.limits.failures;
        let server = &mut self.servers[server];
        let had_work = !matches!(server.standing, Standing::Workless(_));
        if is_proven {
            (server.failures, server.short, server.hopeless, server.was_proven) =
                (0, 0, false, true);
        } else {
            let is_final = !matches!(how, Failure::Passing | Failure::Unpaid);
            server.relapses += u32::from(how.is_unpaid() && server.short >= most);
            server.failures += 1;
            server.short += u32::from(had_work);
            server.hopeless |= is_final || std::mem::take(&mut server.was_proven);
        }
        server.hopeless |= matches!(how, Failure::Silent | Failure::Away);
        if how == Failure::Worthless {
            server.short = server.short.max(most);
        }
        server.owes |= how.is_unpaid();
        server.accepted = false;
        server.refusals += u32::from(how == Failure::Refused);
        if had_work {
            server.standing = Standing::Workless(now);
        }
    }

    /// This server is of no use, however long we wait: it is on another chain, for one.
    pub fn rule_out(&mut self, now: Duration, server: usize) {
        let server = &mut self.servers[server];
        (server.ruled_out, server.standing) = (true, Standing::Workless(now));
    }

    /// Decides which server is active now, and which are wanted.
    pub fn decide(&mut self, now: Duration) {
        self.active = self.choose(now);
        let mut reached = true;
        for index in 0..self.servers.len() {
            let wanted = (reached || self.active == Some(index)) && !self.is_out(index);
            let server = &mut self.servers[index];
            if wanted != server.wanted {
                // Its time begins or ends. What it did before is forgotten, except for its debts.
                let &mut Server { refusals, let_in, ruled_out, owes, relapses, .. } = server;
                let fresh = Server::new(now);
                *server = Server { refusals, let_in, ruled_out, owes, relapses, ..fresh };
            }
            server.wanted = wanted;
            reached &= self.is_passed(now, index);
        }
    }

    /// The server whose jobs are to be hashed.
    pub fn active(&self) -> Option<usize> {
        self.active
    }

    /// Whether this server is to be connected to.
    pub fn is_wanted(&self, server: usize) -> bool {
        self.servers[server].wanted
    }

    /// Whether this server refused us for good.
    pub fn is_out(&self, server: usize) -> bool {
        let server = &self.servers[server];
        server.ruled_out || !server.let_in && server.refusals >= self.limits.refusals
    }

    /// Whether this server cannot be worked for, so that work leaves it for its own trouble.
    pub fn has_failed(&self, now: Duration, server: usize) -> bool {
        let server = &self.servers[server];
        matches!(server.standing, Standing::Workless(_)) || self.is_distrusted(now, server)
    }

    /// Whether this server took none of our shares when it last had them.
    pub fn owes(&self, server: usize) -> bool {
        self.servers[server].owes
    }

    /// Whether no server is left that might let us in.
    pub fn all_out(&self) -> bool {
        (0..self.servers.len()).all(|server| self.is_out(server))
    }

    /// Whether some server of the list gives work at present, and whether we trust it.
    pub fn service(&self, now: Duration) -> Service {
        let any = |which: &dyn Fn(&Server) -> bool| self.servers.iter().any(which);
        if any(&|server| self.is_trusted(now, server) && !server.owes) {
            Service::Trusted
        } else if any(&|server| matches!(server.standing, Standing::Healthy(_))) {
            Service::OnTrial
        } else {
            Service::None
        }
    }

    /// When time alone changes the decision.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        let Limits { workless, proven, brief, .. } = self.limits;
        let wanted = self.servers.iter().filter(|server| server.wanted);
        let due = wanted.flat_map(|server| match server.standing {
            Standing::Workless(since) => vec![since + workless],
            Standing::Working => Vec::new(),
            Standing::Healthy(since) => {
                // Others need no proof.
                let is_on_trial = server.short >= self.limits.failures;
                let proofs = [proven, brief].into_iter().filter(|_| is_on_trial);
                let waits = proofs.chain([self.return_after(server)]);
                waits.map(|wait| since.saturating_add(wait)).collect()
            }
        });
        due.filter(|&due| due > now).min()
    }

    fn choose(&self, now: Duration) -> Option<usize> {
        let is_healthy = |server: &Server| matches!(server.standing, Standing::Healthy(_));
        let has_work = |server: &Server| !matches!(server.standing, Standing::Workless(_));
        let is_trusted = |server: &Server| self.is_trusted(now, server);
        let first = |which: &dyn Fn(&Server) -> bool| self.servers.iter().position(which);
        let Some(active) = self.active.filter(|&active| has_work(&self.servers[active])) else {
            return first(&is_trusted).or_else(|| first(&is_healthy)).or_else(|| first(&has_work));
        };
        if self.is_distrusted(now, &self.servers[active]) {
            return first(&is_trusted).or(Some(active));
        }
        let has_returned = |server: &Server| {
            let long_enough = matches!(server.standing,
                Standing::Healthy(since) if now >= since.saturating_add(self.return_after(server)));
            long_enough && is_trusted(server)
        };
        first(&has_returned).filter(|&better| better < active).or(Some(active))
    }

    /// How long this server must be healthy before work returns to it. Longer each time that it was
    /// returned to and took no share.
    fn return_after(&self, server: &Server) -> Duration {
        self.limits.return_after.saturating_mul(1 << server.relapses.min(6))
    }

    fn is_proven(&self, now: Duration, server: &Server) -> bool {
        matches!(server.standing,
            Standing::Healthy(since) if is_proof(&self.limits, since, server.accepted, now))
    }

    fn is_distrusted(&self, now: Duration, server: &Server) -> bool {
        server.short >= self.limits.failures && !self.is_proven(now, server)
    }

    fn is_trusted(&self, now: Duration, server: &Server) -> bool {
        matches!(server.standing, Standing::Healthy(_)) && !self.is_distrusted(now, server)
    }

    /// Whether the next server is to be tried as well.
    fn is_passed(&self, now: Duration, index: usize) -> bool {
        let server = &self.servers[index];
        let workless = match server.standing {
            Standing::Workless(since) => since,
            Standing::Working => return server.hopeless || self.is_distrusted(now, server),
            Standing::Healthy(_) => return self.is_distrusted(now, server),
        };
        self.is_out(index)
            || server.hopeless
            || server.failures >= self.limits.failures
            || now >= workless + self.limits.workless
    }
}

impl Server {
    fn new(now: Duration) -> Self {
        Self {
            standing: Standing::Workless(now),
            wanted: false,
            failures: 0,
            short: 0,
            hopeless: false,
            was_proven: false,
            accepted: false,
            owes: false,
            relapses: 0,
            refusals: 0,
            let_in: false,
            ruled_out: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failover(servers: usize) -> Failover {
        let mut failover = Failover::new(&Limits::default());
        failover.set_servers(seconds(0), &vec![None; servers]);
        failover.decide(seconds(0));
        failover
    }

    impl Failover {
        /// The active server, and those that are wanted, after a decision.
        fn at(&mut self, now: Duration) -> (Option<usize>, Vec<usize>) {
            self.decide(now);
            (
                self.active,
                (0..self.servers.len()).filter(|&server| self.is_wanted(server)).collect(),
            )
        }
    }

    #[test]
    fn s9_only_the_first_is_tried_while_there_is_hope() {
        let mut failover = failover(3);
        assert_eq!(failover.at(seconds(0)), (None, vec![0]));
        failover.failed(seconds(1), 0, Failure::Passing);
        failover.failed(seconds(2), 0, Failure::Passing);
        assert_eq!(failover.at(seconds(2)), (None, vec![0]));
        failover.failed(seconds(3), 0, Failure::Passing);
        assert_eq!(failover.at(seconds(3)), (None, vec![0, 1]), "three in a row");
        failover.failed(seconds(4), 1, Failure::Hopeless);
        assert_eq!(failover.at(seconds(4)), (None, vec![0, 1, 2]), "refused: at once");
    }

    #[test]
    fn s9_a_pool_that_gives_no_work_is_passed_over_in_time() {
        let mut failover = failover(2);
        assert_eq!(failover.deadline(seconds(1)), Some(seconds(10)));
        assert_eq!(failover.at(seconds(9)), (None, vec![0]));
        assert_eq!(failover.at(seconds(10)), (None, vec![0, 1]));
        failover.healthy(seconds(11), 1);
        assert_eq!(failover.at(seconds(11)), (Some(1), vec![0, 1]), "the first stays tried");
    }

    #[test]
    fn s9_work_returns_to_a_better_pool_that_has_been_healthy_for_a_time() {
        let mut failover = failover(2);
        failover.failed(seconds(0), 0, Failure::Hopeless);
        failover.decide(seconds(0));
        failover.healthy(seconds(1), 1);
        assert_eq!(failover.at(seconds(1)), (Some(1), vec![0, 1]));
        failover.job(0);
        failover.healthy(seconds(100), 0);
        assert_eq!(failover.at(seconds(100)), (Some(1), vec![0, 1]));
        assert_eq!(failover.deadline(seconds(100)), Some(seconds(160)));
        failover.failed(seconds(130), 0, Failure::Passing);
        assert_eq!(failover.at(seconds(160)), (Some(1), vec![0, 1]), "it broke again");
        failover.healthy(seconds(200), 0);
        assert_eq!(failover.at(seconds(259)), (Some(1), vec![0, 1]));
        assert_eq!(failover.at(seconds(260)), (Some(0), vec![0]), "and the backup rests");
    }

    #[test]
    fn s9_who_never_wants_to_return_does_not() {
        let mut failover =
            Failover::new(&Limits { return_after: Duration::MAX, ..Limits::default() });
        failover.set_servers(seconds(0), &[None, None]);
        failover.decide(seconds(0));
        failover.failed(seconds(0), 0, Failure::Hopeless);
        failover.decide(seconds(0));
        failover.healthy(seconds(1), 1);
        assert_eq!(failover.at(seconds(1)), (Some(1), vec![0, 1]));
        failover.healthy(seconds(2), 0);
        assert_eq!(failover.at(seconds(1_000_000)), (Some(1), vec![0, 1]));
        assert_eq!(failover.deadline(seconds(1_000_000)), Some(Duration::MAX));
    }

    #[test]
    fn s9_a_lost_pool_gets_one_attempt_before_the_next_is_tried() {
        let mut failover = failover(2);
        failover.healthy(seconds(1), 0);
        assert_eq!(failover.at(seconds(1)), (Some(0), vec![0]));
        failover.accepted(0);
        failover.failed(seconds(50), 0, Failure::Passing);
        assert_eq!(failover.at(seconds(50)), (None, vec![0]));
        failover.failed(seconds(51), 0, Failure::Passing);
        assert_eq!(failover.at(seconds(51)), (None, vec![0, 1]));
    }

    #[test]
    fn s9_a_lost_pool_that_comes_back_at_once_keeps_the_work() {
        let mut failover = failover(2);
        failover.healthy(seconds(1), 0);
        failover.decide(seconds(1));
        failover.failed(seconds(50), 0, Failure::Passing);
        failover.decide(seconds(50));
        failover.healthy(seconds(51), 0);
        assert_eq!(failover.at(seconds(51)), (Some(0), vec![0]));
    }

    #[test]
    fn s9_work_begins_at_the_first_job_and_the_next_pool_waits_for_it() {
        let mut failover = failover(2);
        failover.job(0);
        assert_eq!(failover.at(seconds(1)), (Some(0), vec![0]));
        assert_eq!(failover.service(seconds(1)), Service::None);
    }

    #[test]
    fn s9_refused_twice_is_final_unless_it_let_us_in_before() {
        let mut failover = failover(2);
        failover.failed(seconds(1), 0, Failure::Refused);
        assert_eq!(failover.at(seconds(1)), (None, vec![0, 1]));
        failover.failed(seconds(2), 0, Failure::Refused);
        assert_eq!(failover.at(seconds(2)), (None, vec![1]));
        assert!(failover.is_out(0) && !failover.all_out());
        failover.healthy(seconds(3), 1);
        for second in 4..9 {
            failover.failed(seconds(second), 1, Failure::Refused);
        }
        assert_eq!(failover.at(seconds(9)), (None, vec![1]), "its own trouble");
    }

    #[test]
    fn a_server_that_is_ruled_out_is_never_wanted_again() {
        let mut failover = failover(2);
        failover.healthy(seconds(1), 0);
        assert_eq!(failover.at(seconds(1)), (Some(0), vec![0]));
        failover.rule_out(seconds(2), 0);
        assert_eq!(failover.at(seconds(2)), (None, vec![1]));
        failover.healthy(seconds(3), 1);
        failover.healthy(seconds(3), 0);
        assert_eq!(failover.at(seconds(500)), (Some(1), vec![1]));
        failover.rule_out(seconds(501), 1);
        assert!(failover.all_out());
    }

    #[test]
    fn to_say_again_that_a_server_is_healthy_changes_nothing() {
        let mut failover = failover(2);
        failover.failed(seconds(0), 0, Failure::Hopeless);
        failover.decide(seconds(0));
        failover.healthy(seconds(1), 1);
        failover.decide(seconds(1));
        for second in (2..62).step_by(5) {
            failover.healthy(seconds(second), 0);
            assert_eq!(failover.at(seconds(second)).0, Some(1));
        }
        assert_eq!(failover.at(seconds(62)).0, Some(0));
    }

    #[test]
    fn a_new_list_keeps_what_is_known_of_the_pools_that_stay() {
        let mut failover = failover(2);
        failover.failed(seconds(1), 0, Failure::Hopeless);
        failover.decide(seconds(1));
        failover.healthy(seconds(2), 1);
        assert_eq!(failover.at(seconds(2)), (Some(1), vec![0, 1]));
        failover.set_servers(seconds(3), &[Some(1), None]);
        assert_eq!(failover.at(seconds(3)), (Some(0), vec![0]));
        failover.set_servers(seconds(4), &[None]);
        assert_eq!(failover.at(seconds(4)), (None, vec![0]));
    }

    #[test]
    fn a_pool_earns_trust_by_work_not_by_a_handshake() {
        let mut failover = failover(2);
        for second in 0..3 {
            failover.healthy(seconds(second), 0);
            assert_eq!(failover.at(seconds(second)), (Some(0), vec![0]));
            failover.failed(seconds(second), 0, Failure::Passing);
        }
        assert_eq!(failover.at(seconds(3)), (None, vec![0, 1]), "three short sessions");
        failover.healthy(seconds(4), 0);
        assert_eq!(failover.at(seconds(4)), (Some(0), vec![0, 1]), "better than nothing");
        failover.healthy(seconds(5), 1);
        assert_eq!(failover.at(seconds(5)), (Some(1), vec![0, 1]), "the next pool works");
        assert_eq!(failover.at(seconds(63)), (Some(1), vec![0, 1]));
        assert_eq!(failover.at(seconds(64)), (Some(0), vec![0]), "a minute of jobs");
    }

    #[test]
    fn an_accepted_share_proves_a_pool_unless_the_session_is_very_short() {
        for (lasts, wanted) in [(9, vec![0, 1]), (10, vec![0])] {
            let mut failover = failover(2);
            for session in 1..=3 {
                let begun = seconds(100 * session);
                failover.healthy(begun, 0);
                failover.decide(begun);
                failover.accepted(0);
                failover.failed(begun + seconds(lasts), 0, Failure::Passing);
                failover.decide(begun + seconds(lasts));
            }
            failover.healthy(seconds(300 + lasts), 0);
            assert_eq!(failover.at(seconds(311)).1, wanted, "{lasts} s");
        }
    }

    #[test]
    fn a_pool_that_takes_no_share_is_returned_to_ever_later() {
        let mut failover = failover(2);
        failover.healthy(seconds(0), 0);
        failover.failed(seconds(40), 0, Failure::Worthless);
        failover.decide(seconds(40));
        failover.healthy(seconds(41), 1);
        assert_eq!(failover.at(seconds(41)), (Some(1), vec![0, 1]));
        assert_eq!(failover.service(seconds(41)), Service::Trusted);
        let mut now = 100;
        for wait in [60, 120, 240] {
            failover.healthy(seconds(now), 0);
            assert_eq!(failover.at(seconds(now + wait - 1)).0, Some(1));
            assert_eq!(failover.at(seconds(now + wait)).0, Some(0));
            now += wait + 40;
            failover.failed(seconds(now), 0, Failure::Worthless);
            failover.decide(seconds(now));
            failover.healthy(seconds(now), 1);
            assert_eq!(failover.at(seconds(now)).0, Some(1));
        }
        failover.failed(seconds(now), 1, Failure::Passing);
        failover.healthy(seconds(now), 0);
        let service = |failover: &Failover| failover.service(seconds(now + 1000));
        assert_eq!(service(&failover), Service::OnTrial, "it still owes a share");
        failover.accepted(0);
        assert_eq!(service(&failover), Service::Trusted);
    }
}

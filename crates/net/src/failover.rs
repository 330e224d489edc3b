//! Which pool to work for, and which to be connected to: a decision without sockets or clocks.
//!
//! The rule: the best pool that works. The list is walked from its top; a pool further down is
//! tried only when all above it were passed over (nobody listens there, several failures in a row,
//! or no work for some seconds), and those above stay tried all the while. One of them that is
//! healthy again gets the work back only after it has been so for a time, so that a pool which
//! comes and goes costs nothing.
//!
//! A pool earns trust by work, not by a handshake. "It let us in", "it sends jobs" and "it is
//! proven" are separate facts, and only the last one makes us forget failures: a minute of jobs
//! without a hang-up, or an accepted share in a session that is not very short. A session that ends
//! before that is a failure, whatever was said in it. After three such sessions the pool is
//! distrusted: the next pool is tried and keeps the work until this one is proven.

use std::time::Duration;

use crate::LinkLimits;

/// The state of every pool of the list, in order of preference.
#[derive(Debug)]
pub(crate) struct Failover {
    limits: LinkLimits,
    pools: Vec<Pool>,
    /// The pool whose jobs are hashed.
    active: Option<usize>,
}

#[derive(Debug, Clone)]
struct Pool {
    standing: Standing,
    /// Connecting or connected. A pool that is not wanted is not timed out for sending no work.
    wanted: bool,
    /// Since the pool was last proven.
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
    /// It let us in at some time: a refusal is the pool's trouble, not ours.
    let_in: bool,
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

/// How an attempt at a pool failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may go better the next time.
    Passing,
    /// The session ended with shares that the pool did not take, and none that it took.
    Unpaid,
    /// It refuses all shares, or answers none.
    Worthless,
    /// The next time will be the same: nobody listens there.
    Hopeless,
    /// It does not take user or password.
    Refused,
}

impl Failure {
    /// Whether the pool had our work and gave nothing for it.
    pub(crate) fn is_unpaid(self) -> bool {
        matches!(self, Self::Unpaid | Self::Worthless)
    }
}

/// Whether a session that had let us in and sent work `since` then has proven the pool by now.
pub(crate) fn is_proof(
    limits: &LinkLimits,
    since: Duration,
    accepted: bool,
    now: Duration,
) -> bool {
    let least = if accepted { limits.brief } else { limits.proven };
    now >= since.saturating_add(least)
}

impl Failover {
    pub(crate) fn new(limits: &LinkLimits) -> Self {
        Self { limits: limits.clone(), pools: Vec::new(), active: None }
    }

    /// Replaces the list. `kept[i]` is where the `i`th pool of the new list stood in the old one.
    pub(crate) fn set_pools(&mut self, now: Duration, kept: &[Option<usize>]) {
        let old = std::mem::take(&mut self.pools);
        self.active = self.active.and_then(|active| kept.iter().position(|&at| at == Some(active)));
        self.pools =
            kept.iter().map(|at| at.map_or_else(|| Pool::new(now), |at| old[at].clone())).collect();
    }

    /// A job came from this pool, which may not yet have let us in.
    pub(crate) fn job(&mut self, pool: usize) {
        let pool = &mut self.pools[pool];
        if pool.wanted && matches!(pool.standing, Standing::Workless(_)) {
            pool.standing = Standing::Working;
        }
    }

    /// This pool let us in and has sent a job. That proves nothing yet.
    pub(crate) fn healthy(&mut self, now: Duration, pool: usize) {
        let pool = &mut self.pools[pool];
        // A pool that is being left may still say so.
        if pool.wanted {
            (pool.standing, pool.let_in) = (Standing::Healthy(now), true);
            (pool.refusals, pool.hopeless) = (0, false);
        }
    }

    /// This pool accepted a share.
    pub(crate) fn accepted(&mut self, pool: usize) {
        let pool = &mut self.pools[pool];
        (pool.accepted, pool.owes, pool.relapses) = (true, false, 0);
    }

    /// An attempt at this pool, or its connection, ended.
    pub(crate) fn failed(&mut self, now: Duration, pool: usize, how: Failure) {
        let is_proven = self.is_proven(now, &self.pools[pool]) && !how.is_unpaid();
        let most = self.limits.failures;
        let pool = &mut self.pools[pool];
        let had_work = !matches!(pool.standing, Standing::Workless(_));
        if is_proven {
            (pool.failures, pool.short, pool.hopeless, pool.was_proven) = (0, 0, false, true);
        } else {
            let is_final = !matches!(how, Failure::Passing | Failure::Unpaid);
            pool.relapses += u32::from(how.is_unpaid() && pool.short >= most);
            pool.failures += 1;
            pool.short += u32::from(had_work);
            pool.hopeless |= is_final || std::mem::take(&mut pool.was_proven);
        }
        if how == Failure::Worthless {
            pool.short = pool.short.max(most);
        }
        pool.owes |= how.is_unpaid();
        pool.accepted = false;
        pool.refusals += u32::from(how == Failure::Refused);
        if had_work {
            pool.standing = Standing::Workless(now);
        }
    }

    /// Decides who is active now, and who is wanted.
    pub(crate) fn decide(&mut self, now: Duration) {
        self.active = self.choose(now);
        let mut reached = true;
        for index in 0..self.pools.len() {
            let wanted = (reached || self.active == Some(index)) && !self.is_out(index);
            let pool = &mut self.pools[index];
            if wanted != pool.wanted {
                // Its time begins or ends. What it did before is forgotten, except for its debts.
                let &mut Pool { refusals, let_in, owes, relapses, .. } = pool;
                *pool = Pool { refusals, let_in, owes, relapses, ..Pool::new(now) };
            }
            pool.wanted = wanted;
            reached &= self.is_passed(now, index);
        }
    }

    /// The pool whose jobs are to be hashed.
    pub(crate) fn active(&self) -> Option<usize> {
        self.active
    }

    /// Whether this pool is to be connected to.
    pub(crate) fn is_wanted(&self, pool: usize) -> bool {
        self.pools[pool].wanted
    }

    /// Whether this pool refused us for good.
    pub(crate) fn is_out(&self, pool: usize) -> bool {
        let pool = &self.pools[pool];
        !pool.let_in && pool.refusals >= self.limits.refusals
    }

    /// Whether this pool cannot be worked for, so that work leaves it for its own trouble.
    pub(crate) fn has_failed(&self, now: Duration, pool: usize) -> bool {
        let pool = &self.pools[pool];
        matches!(pool.standing, Standing::Workless(_)) || self.is_distrusted(now, pool)
    }

    /// Whether this pool took none of our shares when it last had them.
    pub(crate) fn owes(&self, pool: usize) -> bool {
        self.pools[pool].owes
    }

    /// Whether no pool is left that might let us in.
    pub(crate) fn all_out(&self) -> bool {
        (0..self.pools.len()).all(|pool| self.is_out(pool))
    }

    /// Whether some pool lets us work, as far as can be seen: a pool that we distrust does not.
    pub(crate) fn any_healthy(&self, now: Duration) -> bool {
        self.pools.iter().any(|pool| self.is_trusted(now, pool) && !pool.owes)
    }

    /// When time alone changes the decision.
    pub(crate) fn deadline(&self, now: Duration) -> Option<Duration> {
        let LinkLimits { workless, proven, brief, .. } = self.limits;
        let wanted = self.pools.iter().filter(|pool| pool.wanted);
        let due = wanted.flat_map(|pool| match pool.standing {
            Standing::Workless(since) => vec![since + workless],
            Standing::Working => Vec::new(),
            Standing::Healthy(since) => {
                // Others need no proof.
                let is_on_trial = pool.short >= self.limits.failures;
                let proofs = [proven, brief].into_iter().filter(|_| is_on_trial);
                let waits = proofs.chain([self.return_after(pool)]);
                waits.map(|wait| since.saturating_add(wait)).collect()
            }
        });
        due.filter(|&due| due > now).min()
    }

    fn choose(&self, now: Duration) -> Option<usize> {
        let is_healthy = |pool: &Pool| matches!(pool.standing, Standing::Healthy(_));
        let has_work = |pool: &Pool| !matches!(pool.standing, Standing::Workless(_));
        let is_trusted = |pool: &Pool| self.is_trusted(now, pool);
        let first = |which: &dyn Fn(&Pool) -> bool| self.pools.iter().position(which);
        let Some(active) = self.active.filter(|&active| has_work(&self.pools[active])) else {
            return first(&is_trusted).or_else(|| first(&is_healthy)).or_else(|| first(&has_work));
        };
        if self.is_distrusted(now, &self.pools[active]) {
            return first(&is_trusted).or(Some(active));
        }
        let has_returned = |pool: &Pool| {
            let long_enough = matches!(pool.standing,
                Standing::Healthy(since) if now >= since.saturating_add(self.return_after(pool)));
            long_enough && is_trusted(pool)
        };
        first(&has_returned).filter(|&better| better < active).or(Some(active))
    }

    /// How long this pool must be healthy before work returns to it. Longer each time that it was
    /// returned to and took no share.
    fn return_after(&self, pool: &Pool) -> Duration {
        self.limits.return_after.saturating_mul(1 << pool.relapses.min(6))
    }

    fn is_proven(&self, now: Duration, pool: &Pool) -> bool {
        matches!(pool.standing,
            Standing::Healthy(since) if is_proof(&self.limits, since, pool.accepted, now))
    }

    fn is_distrusted(&self, now: Duration, pool: &Pool) -> bool {
        pool.short >= self.limits.failures && !self.is_proven(now, pool)
    }

    fn is_trusted(&self, now: Duration, pool: &Pool) -> bool {
        matches!(pool.standing, Standing::Healthy(_)) && !self.is_distrusted(now, pool)
    }

    /// Whether the next pool is to be tried as well.
    fn is_passed(&self, now: Duration, index: usize) -> bool {
        let pool = &self.pools[index];
        let workless = match pool.standing {
            Standing::Workless(since) => since,
            Standing::Working => return pool.hopeless || self.is_distrusted(now, pool),
            Standing::Healthy(_) => return self.is_distrusted(now, pool),
        };
        self.is_out(index)
            || pool.hopeless
            || pool.failures >= self.limits.failures
            || now >= workless + self.limits.workless
    }
}

impl Pool {
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn failover(pools: usize) -> Failover {
        let mut failover = Failover::new(&LinkLimits::default());
        failover.set_pools(seconds(0), &vec![None; pools]);
        failover.decide(seconds(0));
        failover
    }

    impl Failover {
        /// The active pool, and those that are wanted, after a decision.
        fn at(&mut self, now: Duration) -> (Option<usize>, Vec<usize>) {
            self.decide(now);
            (self.active, (0..self.pools.len()).filter(|&pool| self.is_wanted(pool)).collect())
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
            Failover::new(&LinkLimits { return_after: Duration::MAX, ..LinkLimits::default() });
        failover.set_pools(seconds(0), &[None, None]);
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
        assert!(!failover.any_healthy(seconds(1)));
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
    fn a_new_list_keeps_what_is_known_of_the_pools_that_stay() {
        let mut failover = failover(2);
        failover.failed(seconds(1), 0, Failure::Hopeless);
        failover.decide(seconds(1));
        failover.healthy(seconds(2), 1);
        assert_eq!(failover.at(seconds(2)), (Some(1), vec![0, 1]));
        failover.set_pools(seconds(3), &[Some(1), None]);
        assert_eq!(failover.at(seconds(3)), (Some(0), vec![0]));
        failover.set_pools(seconds(4), &[None]);
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
                failover.healthy(begun + seconds(lasts), 0);
            }
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
        assert!(failover.any_healthy(seconds(41)));
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
        assert!(!failover.any_healthy(seconds(now + 1000)), "it still owes a share");
        failover.accepted(0);
        assert!(failover.any_healthy(seconds(now + 1000)));
    }
}

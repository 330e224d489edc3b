//! Which pool to work for, and which to be connected to: a decision without sockets or clocks.
//!
//! The rule: the best pool that works. The list is walked from its top; a pool further down is
//! tried only when all above it were passed over (nobody listens there, several failures in a row,
//! or no work for some seconds), and those above stay tried all the while. One of them that is
//! healthy again gets the work back only after it has been so for a time, so that a pool which
//! comes and goes costs nothing.

use std::time::Duration;

use crate::LinkLimits;

/// The state of every pool of the list, in order of preference.
#[derive(Debug)]
pub(crate) struct Failover {
    workless: Duration,
    return_after: Duration,
    failures: u32,
    refusals: u32,
    pools: Vec<Pool>,
    /// The pool whose jobs are hashed.
    active: Option<usize>,
}

#[derive(Debug, Clone)]
struct Pool {
    standing: Standing,
    /// Tried at present. What is not cannot fail for want of work.
    wanted: bool,
    failures: u32,
    /// A failure after which it makes no sense to hope.
    hopeless: bool,
    /// It had been healthy when the present troubles began.
    was_healthy: bool,
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
    /// The next time will be the same: nobody listens there.
    Hopeless,
    /// It does not take user or password.
    Refused,
}

impl Failover {
    pub(crate) fn new(limits: &LinkLimits) -> Self {
        let &LinkLimits { workless, return_after, failures, refusals, .. } = limits;
        Self { workless, return_after, failures, refusals, pools: Vec::new(), active: None }
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

    /// This pool let us in and has sent a job.
    pub(crate) fn healthy(&mut self, now: Duration, pool: usize) {
        let pool = &mut self.pools[pool];
        // One that is being left may still say so.
        if pool.wanted {
            let standing = Standing::Healthy(now);
            *pool = Pool { standing, wanted: true, let_in: true, ..Pool::new(now) };
        }
    }

    /// An attempt at this pool, or its connection, ended.
    pub(crate) fn failed(&mut self, now: Duration, pool: usize, how: Failure) {
        let pool = &mut self.pools[pool];
        if matches!(pool.standing, Standing::Healthy(_)) {
            pool.was_healthy = true;
        } else {
            pool.failures += 1;
            pool.hopeless |= how != Failure::Passing || pool.was_healthy;
        }
        pool.refusals += u32::from(how == Failure::Refused);
        if !matches!(pool.standing, Standing::Workless(_)) {
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
                // Its time begins or ends; what it did before is forgotten.
                *pool = Pool { refusals: pool.refusals, let_in: pool.let_in, ..Pool::new(now) };
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
        !pool.let_in && pool.refusals >= self.refusals
    }

    /// Whether no pool is left that might let us in.
    pub(crate) fn all_out(&self) -> bool {
        (0..self.pools.len()).all(|pool| self.is_out(pool))
    }

    /// Whether some pool lets us work.
    pub(crate) fn any_healthy(&self) -> bool {
        self.pools.iter().any(|pool| matches!(pool.standing, Standing::Healthy(_)))
    }

    /// When time alone changes the decision.
    pub(crate) fn deadline(&self, now: Duration) -> Option<Duration> {
        let due =
            self.pools.iter().filter(|pool| pool.wanted).filter_map(|pool| match pool.standing {
                Standing::Workless(since) => Some(since + self.workless),
                Standing::Working => None,
                Standing::Healthy(since) => Some(since.saturating_add(self.return_after)),
            });
        due.filter(|&due| due > now).min()
    }

    fn choose(&self, now: Duration) -> Option<usize> {
        let is_healthy = |pool: &Pool| matches!(pool.standing, Standing::Healthy(_));
        let has_work = |pool: &Pool| !matches!(pool.standing, Standing::Workless(_));
        let first = |which: &dyn Fn(&Pool) -> bool| self.pools.iter().position(which);
        match self.active.filter(|&active| has_work(&self.pools[active])) {
            Some(active) => {
                let proven = |pool: &Pool| {
                    matches!(pool.standing,
                        Standing::Healthy(since) if now >= since.saturating_add(self.return_after))
                };
                first(&proven).filter(|&better| better < active).or(Some(active))
            }
            None => first(&is_healthy).or_else(|| first(&has_work)),
        }
    }

    /// Whether the next pool is to be tried as well.
    fn is_passed(&self, now: Duration, index: usize) -> bool {
        let pool = &self.pools[index];
        let workless = match pool.standing {
            Standing::Workless(since) => since,
            Standing::Working => return pool.hopeless,
            Standing::Healthy(_) => return false,
        };
        self.is_out(index)
            || pool.hopeless
            || pool.failures >= self.failures
            || now >= workless + self.workless
    }
}

impl Pool {
    fn new(now: Duration) -> Self {
        Self {
            standing: Standing::Workless(now),
            wanted: false,
            failures: 0,
            hopeless: false,
            was_healthy: false,
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
        assert!(!failover.any_healthy());
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
}

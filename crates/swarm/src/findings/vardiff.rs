//! How a pool's difficulty follows a miner's rate: a pure function of the script's changes and the
//! difficulties that the pool has set.
//!
//! A rate asks for the difficulty at which the miner finds as many shares a minute as the pool aims
//! at. That goal is the user's to say, or the median of what the pool comes to.

use std::time::Duration;

use crate::Script;

/// The average hashes of a share of difficulty 1.
pub(crate) const HASHES: f64 = 4_294_967_296.0;
/// A difficulty fits within this factor of the one that the rate asks for: one that goes by counted
/// shares is a matter of luck, and most pools leave it alone within this factor.
const FITS: f64 = 2.0;
/// Looks at the rate between two changes of the script.
const LOOKS: u32 = 16;

/// A time in which the script asks for the same rate, from one change to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    /// Hashes a second.
    pub(crate) rate: f64,
}

/// How the difficulty followed in one stretch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Following {
    /// From the change of the rate until the difficulty fitted, and did so to the end of the
    /// stretch. `None` where it did not.
    pub settled: Option<Duration>,
    /// How far it went beyond the one that the rate asks for, as a part of that one.
    pub overshoot: f64,
}

/// The stretches of a worker's script up to `end`, those without hashes left out, and those with a
/// rate that never rests.
pub(crate) fn stretches(script: &Script, worker: u32, end: Duration) -> Vec<Stretch> {
    let mut ends = script.bends(worker);
    let starts = ends.clone();
    ends.push(end);
    ends.retain(|at| *at <= end);
    let left = |at: &Duration| !script.is_present(worker, *at);
    let of_start = |from: Duration| {
        // The time of leaving is no bend.
        let to = ends.iter().copied().find(|to| *to > from)?;
        let looks = (0..LOOKS).map(|look| from + (to - from) * look / LOOKS);
        let to = looks.clone().find(left).unwrap_or(to);
        let rate = script.rate(worker, from);
        let rests = looks.take_while(|at| *at < to).all(|at| script.rate(worker, at) == rate);
        (rests && rate > 0.0).then_some(Stretch { from, to, rate })
    };
    starts.into_iter().filter(|from| *from < end).filter_map(of_start).collect()
}

/// The difficulty at a time, of changes in order.
pub(crate) fn at(changes: &[(Duration, f64)], time: Duration) -> Option<f64> {
    let next = changes.partition_point(|&(at, _)| at <= time);
    next.checked_sub(1).map(|last| changes[last].1)
}

/// Shares a minute of a miner with this rate at this difficulty.
pub(crate) fn shares_a_minute(rate: f64, difficulty: f64) -> f64 {
    60.0 * rate / (difficulty * HASHES)
}

/// How the difficulty followed in a stretch, where the pool aims at so many shares a minute. `None`
/// where no difficulty is known.
pub(crate) fn following(
    stretch: Stretch,
    changes: &[(Duration, f64)],
    goal: f64,
) -> Option<Following> {
    let asked = shares_a_minute(stretch.rate, goal);
    let first = at(changes, stretch.from).or_else(|| changes.first().map(|&(_, first)| first))?;
    let within = changes.iter().filter(|(at, _)| (stretch.from..stretch.to).contains(at));
    let mut settled = fits(first, asked).then_some(Duration::ZERO);
    // Towards the difficulty that is asked for, and then beyond it.
    let rises = first < asked;
    let mut furthest = 0.0_f64;
    for &(at, difficulty) in within {
        settled = match fits(difficulty, asked) {
            true => settled.or(Some(at - stretch.from)),
            false => None,
        };
        let beyond = if rises { difficulty / asked } else { asked / difficulty };
        furthest = furthest.max(beyond - 1.0);
    }
    Some(Following { settled, overshoot: furthest })
}

fn fits(difficulty: f64, asked: f64) -> bool {
    (1.0 / FITS..=FITS).contains(&(difficulty / asked))
}

/// The one in the middle; of two, the lower one.
pub(crate) fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn of(profile: &str) -> Vec<(u64, u64, f64)> {
        let script = Script::parse(profile, 1, 0).unwrap();
        let stretches = stretches(&script, 0, seconds(100));
        stretches.iter().map(|one| (one.from.as_secs(), one.to.as_secs(), one.rate)).collect()
    }

    #[test]
    fn a_stretch_is_a_time_with_one_rate() {
        assert_eq!(of("steady:5"), [(0, 100, 5.0)]);
        assert_eq!(of("step:1,2@20s,0@50s,3@60s"), [(0, 20, 1.0), (20, 50, 2.0), (60, 100, 3.0)]);
        assert_eq!(of("ramp:1..5/30s"), [(30, 100, 5.0)]);
        assert_eq!(of("steady:5 stall:@10s for 20s"), [(0, 10, 5.0), (30, 100, 5.0)]);
        assert_eq!(of("oscillate:1..5/20s"), []);
        assert_eq!(of("burst:5/1s every 10s"), []);
        assert_eq!(of("steady:5 leave:1@50s"), [(0, 50, 5.0)]);
        assert_eq!(of("steady:5 stall:@200s for 5s"), [(0, 100, 5.0)]);
    }

    /// A stretch of 100 s from second 10 that asks for a difficulty of 8, at one share a minute.
    fn followed(changes: &[(u64, f64)]) -> Option<Following> {
        let stretch = Stretch { from: seconds(10), to: seconds(110), rate: 8.0 * HASHES / 60.0 };
        let changes: Vec<_> = changes.iter().map(|&(at, value)| (seconds(at), value)).collect();
        following(stretch, &changes, 1.0)
    }

    #[test]
    fn settled_is_from_when_on_it_fits_to_the_end() {
        let settled = |changes: &[(u64, f64)]| {
            followed(changes).unwrap().settled.map(|settled| settled.as_secs())
        };
        assert_eq!(settled(&[(0, 8.0)]), Some(0));
        assert_eq!(settled(&[(12, 8.0)]), Some(0), "the first difficulty came late");
        assert_eq!(settled(&[(0, 1.0), (30, 4.0), (50, 8.0)]), Some(20));
        assert_eq!(settled(&[(0, 1.0), (30, 8.0), (50, 32.0), (70, 16.0)]), Some(60));
        assert_eq!(settled(&[(0, 1.0), (30, 3.9)]), None);
        assert_eq!(settled(&[(0, 1.0)]), None);
        assert_eq!(settled(&[(0, 8.0), (120, 99.0)]), Some(0), "what comes later does not count");
        assert_eq!(followed(&[]), None);
    }

    #[test]
    fn overshoot_is_beyond_the_aim_on_the_side_that_it_goes_to() {
        let overshoot = |changes: &[(u64, f64)]| followed(changes).unwrap().overshoot;
        assert_eq!(overshoot(&[(0, 1.0), (30, 8.0)]), 0.0);
        assert_eq!(overshoot(&[(0, 1.0), (30, 32.0), (50, 8.0)]), 3.0);
        assert_eq!(overshoot(&[(0, 64.0), (30, 2.0), (50, 8.0)]), 3.0);
        assert_eq!(overshoot(&[(0, 64.0), (30, 16.0)]), 0.0);
    }

    #[test]
    fn shares_a_minute_and_difficulty_are_each_other_turned_round() {
        let rate = 50e3;
        let difficulty = shares_a_minute(rate, 20.0);
        assert!((shares_a_minute(rate, difficulty) - 20.0).abs() < 1e-9);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0]), Some(1.0));
        assert_eq!(median(vec![]), None);
    }
}

//! Hashing threads that stand still in the middle of a unit are told of. They cannot be helped from
//! here, and the others go on without them.

use midstate_engine::WorkerCount;

use super::TICK;
use super::notice::Notice;

/// Looks at a thread, one a tick, that find it at the same unit before anybody is told: 10 s, and a
/// unit takes half a millisecond. Not counted as time: a machine that was suspended has not looked.
const PATIENCE: u32 = 40;

/// The work that each thread was seen with, by the thread's number.
#[derive(Debug, Default)]
pub(super) struct Stalls(Vec<Seen>);

#[derive(Debug)]
struct Seen {
    count: WorkerCount,
    /// How often in a row.
    times: u32,
}

impl Stalls {
    /// A look at all threads. A notice for each one that has stalled, or goes on after that.
    pub(super) fn look(&mut self, counts: impl Iterator<Item = WorkerCount>) -> Vec<Notice> {
        let mut news = Vec::new();
        for (index, count) in counts.enumerate() {
            match self.0.get_mut(index) {
                None => self.0.push(Seen { count, times: 0 }),
                Some(seen) if seen.count == count && count.in_hand > 0 => {
                    seen.times = seen.times.saturating_add(1);
                    if seen.times == PATIENCE {
                        let seconds = (TICK * PATIENCE).as_secs();
                        let in_hand = count.in_hand;
                        news.push(Notice::ThreadStands { index, in_hand, seconds });
                    }
                }
                Some(seen) => {
                    if seen.times >= PATIENCE {
                        news.push(Notice::ThreadGoesOn { index });
                    }
                    *seen = Seen { count, times: 0 };
                }
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_stays_at_one_unit_is_told_once_and_again_when_it_goes_on() {
        let mut stalls = Stalls::default();
        let mut news = Vec::new();
        let unit = |hashes, in_hand| WorkerCount { hashes, in_hand };
        for look in 0..3 * u64::from(PATIENCE) {
            // One hashes, one rests, one is stuck after its second unit.
            let counts = [unit(100 * look, 100), unit(700, 0), unit(100 * look.min(1), 100)];
            news.extend(stalls.look(counts.into_iter()));
        }
        assert_eq!(news, [Notice::ThreadStands { index: 2, in_hand: 100, seconds: 10 }]);
        assert_eq!(
            stalls.look([unit(0, 0), unit(700, 0), unit(200, 0)].into_iter()),
            [Notice::ThreadGoesOn { index: 2 }]
        );
        assert!(stalls.look([unit(0, 0), unit(700, 0), unit(200, 100)].into_iter()).is_empty());
    }
}

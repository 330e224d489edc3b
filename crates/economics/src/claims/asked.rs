//! Questions that follow from the claims and that no article answers.

use super::{TIP, hashprice_then};
use crate::hashprice::{after_exit, interval_before_change};
use crate::supply;
use crate::units::DAY;

/// A question, with its answer and the command that shows more.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    /// The question.
    pub asks: &'static str,
    /// The command that shows the same numbers.
    pub command: &'static str,
    answer: fn() -> String,
}

impl Question {
    /// The answer, computed now.
    pub fn answer(&self) -> String {
        (self.answer)()
    }
}

/// Blocks from one retarget to the next.
const PERIOD: f64 = midstate_chain::RETARGET_INTERVAL as f64;

/// The questions.
pub const ASKED: [Question; 2] = [
    Question {
        asks: "What happens if half of the miners leave?",
        command: "midstate econ retarget --exit 0.5",
        answer: || {
            let left = 0.5;
            let interval = interval_before_change(left);
            let (before, after) = (hashprice_then(), after_exit(hashprice_then(), 1.0 - left));
            format!(
                "Until the next retarget, at most {:.0} days: a block takes {:.0} minutes, {:.0} \
                 BTC a day are made in place of {:.0}, and those who stay earn what they did. \
                 Then the difficulty falls to half, a block takes ten minutes again, and those who \
                 stay earn {:.0} times as much",
                interval * PERIOD / DAY,
                interval / 60.0,
                supply::per_day(TIP).btc().0 * left,
                supply::per_day(TIP).btc().0,
                after / before
            )
        },
    },
    Question {
        asks: "Does a halving raise the price?",
        command: "midstate econ halving",
        answer: || {
            let halving = supply::next_halving(TIP).expect("the schedule is known");
            let per_day = |height| supply::per_day(height).btc().0;
            format!(
                "No rule of bitcoin does that, and no formula here says so: buyers and sellers \
                 make the price. A halving cuts the new coins from {:.0} to {:.0} a day. For a \
                 miner to earn the same after it, the price would have to double, or half of the \
                 miners to leave",
                per_day(halving.height - 1),
                per_day(halving.height)
            )
        },
    },
];

//! Claims of five news articles about mining, sentence by sentence, each with the answer of
//! arithmetic.
//!
//! A claim is a paraphrase; the figures in it are the article's. The published figures that an
//! answer uses are in [`crate::figures`], with dates and sources; each claim names those it uses.

mod asked;
mod coins;
mod machines;
mod money;
mod network;

use std::fmt;

pub use asked::{ASKED, Question};
use midstate_chain::Target;

use crate::figures::figure;
use crate::hashprice::implied_price;
use crate::host::Contract;
use crate::odds::network_rate;
use crate::units::{
    Btc, Dollars, DollarsPerKwh, DollarsPerTerahashDay, HashesPerSecond, JoulesPerTerahash,
};

/// One claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Counts from 1.
    pub number: u8,
    /// Which articles make it, by their numbers; none where the notes do not say.
    pub articles: &'static [u8],
    /// The claim in our words, with the article's figures.
    pub says: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The command that shows the same number.
    pub command: &'static str,
    /// A part of its output, with a single space wherever that has more.
    pub shows: &'static str,
    /// Names of the published figures that the answer uses.
    pub figures: &'static [&'static str],
    compute: fn() -> String,
}

/// The price of a bitcoin in dollars that the articles' figures of December 2025 stand for.
pub fn price_of_the_articles() -> Dollars {
    price_then()
}

/// The verdict on a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The arithmetic gives what is claimed.
    Holds,
    /// An estimate by somebody; the arithmetic around it fits.
    Estimate,
    /// A forecast or a judgement: it can be computed around, not decided.
    Opinion,
    /// The arithmetic, or the source, says otherwise.
    Wrong,
    /// No matter of computing: nothing that could be computed would decide it.
    Beyond,
}

impl Verdict {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Holds, Self::Wrong, Self::Estimate, Self::Opinion, Self::Beyond];

    /// Its meaning, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Holds => "the arithmetic gives what is claimed",
            Self::Wrong => "the arithmetic, or the source, says otherwise",
            Self::Estimate => {
                "a figure that somebody estimated; it cannot be computed, and what can be computed \
                 fits it"
            }
            Self::Opinion => "a forecast or a judgement, which numbers do not decide",
            Self::Beyond => "no number would decide it",
        }
    }
}

/// An article that makes claims.
#[derive(Debug, Clone, Copy)]
pub struct Article {
    /// Counts from 0.
    pub number: u8,
    /// Our title for it: its headline is not recorded.
    pub title: &'static str,
    /// The report that it retells, where that is known.
    pub retells: Option<&'static str>,
}

/// The five articles.
pub const ARTICLES: [Article; 5] = [
    Article {
        number: 0,
        title: "Pools and hashprice in the United States",
        retells: Some("Decrypt, January 2026, decrypt.co/354627"),
    },
    Article { number: 1, title: "Miners before the halving of 2028", retells: None },
    Article { number: 2, title: "Mining and hosting AI", retells: None },
    Article { number: 3, title: "The fall of difficulty", retells: None },
    Article { number: 4, title: "Miners that move power to AI", retells: None },
];

impl Claim {
    /// The number that belongs to the claim, computed now, in a sentence.
    pub fn computed(&self) -> String {
        (self.compute)()
    }
}

/// All of them, in the order of their numbers.
pub fn claims() -> Vec<&'static Claim> {
    let rooms = [network::CLAIMS, coins::CLAIMS, money::CLAIMS, machines::CLAIMS];
    let mut all: Vec<_> = rooms.into_iter().flatten().collect();
    all.sort_by_key(|claim| claim.number);
    all
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Estimate => "estimate",
            Self::Opinion => "opinion",
            Self::Wrong => "wrong",
            Self::Beyond => "not computable",
        })
    }
}

/// Difficulty before and after the retarget of February 2026, as the articles round it.
const BEFORE: f64 = 141.67e12;
const AFTER: f64 = 125.86e12;
/// The first block after it.
const TIP: u32 = 935_424;
const S21: JoulesPerTerahash = JoulesPerTerahash(17.5);
/// The price of power for a miner in the examples.
const POWER: DollarsPerKwh = DollarsPerKwh(0.05);
/// From the best machine of 2026 to what a fleet of many years has.
const FLEET: (JoulesPerTerahash, JoulesPerTerahash) =
    (JoulesPerTerahash(9.5), JoulesPerTerahash(20.0));

fn rate_at(difficulty: f64) -> HashesPerSecond {
    network_rate(Target::from_difficulty(difficulty).expect("a difficulty above zero"))
}

/// JPMorgan's mean of December 2025.
fn hashprice_then() -> DollarsPerTerahashDay {
    DollarsPerTerahashDay::per_petahash(figure("hashprice_2025_12").value)
}

/// The same month's network.
fn network_then() -> HashesPerSecond {
    HashesPerSecond::from_exa(figure("network_2025_12").value)
}

/// The price of a bitcoin that the two stand for.
fn price_then() -> Dollars {
    implied_price(hashprice_then(), network_then(), Btc(3.125)).expect("a block brings coins")
}

/// The lease of `econ host`, for 1 MW at the meter.
fn contract(margin: f64, default_risk: f64) -> Contract {
    Contract {
        per_mw_year: Contract::rent_per_mw_year(Dollars(figure("lease_total").value), 15.0, 330.0),
        margin,
        term: 15,
        capex: Dollars(5e6),
        default_risk,
    }
}

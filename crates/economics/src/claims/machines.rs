//! Claims about machines and what they compute.

use midstate_chain::Target;

use super::Verdict::{Beyond, Wrong};
use super::{AFTER, Claim, FLEET, hashprice_then};
use crate::figures::figure;
use crate::hashprice::revenue_per_mwh;
use crate::physics::OPERATIONS;
use crate::units::{JoulesPerTerahash, grouped};

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        number: 28,
        articles: &[0],
        says: "special machines solve complex calculations to validate transactions",
        verdict: Wrong,
        command: "midstate asic --full",
        shows: "3,757 operations of 32 bits",
        figures: &[],
        compute: || {
            format!(
                "the calculation is simple and validates nothing: {} operations of 32 bits a try, \
                 with a chance of {:.0e} to make a block. It makes that block costly to replace; \
                 transactions are checked by every node, without it",
                grouped(OPERATIONS as f64, 0),
                1.0 / (AFTER * Target::HASHES_AT_DIFFICULTY_1)
            )
        },
    },
    Claim {
        number: 29,
        articles: &[3],
        says: "the high-performance computers of miners can be turned to AI",
        verdict: Wrong,
        command: "midstate econ host",
        shows: "90 % of a mining site's equipment",
        figures: &["replaced"],
        compute: || {
            format!(
                "land, grid connection and substation can; an ASIC computes SHA-256 and nothing \
                 else, and {:.0} % of the equipment is replaced",
                figure("replaced").value * 100.0
            )
        },
    },
    Claim {
        number: 42,
        articles: &[0],
        says: "makers of mining machines may lose their share of TSMC's chips to AI",
        verdict: Beyond,
        command: "midstate econ breakeven --hashprice 38.7",
        shows: "9.5 169.7 17.0",
        figures: &["hashprice_2025_12"],
        compute: || {
            let per_mwh = |efficiency| revenue_per_mwh(hashprice_then(), efficiency).0;
            format!(
                "contracts, not arithmetic, decide who gets wafers. The worth of new chips can be \
                 computed: a MWh takes in ${:.1} at {} J/TH, and ${:.1} at 98",
                per_mwh(FLEET.0),
                FLEET.0.0,
                per_mwh(JoulesPerTerahash(98.0))
            )
        },
    },
    Claim {
        number: 43,
        articles: &[],
        says: "a miner works through arrays of data",
        verdict: Wrong,
        command: "midstate explain genesis",
        shows: "80 bytes, all that is hashed",
        figures: &[],
        compute: || {
            "a try reads 80 bytes, of which 4 change from one try to the next; there are no \
             arrays, and no memory is needed for them"
                .to_owned()
        },
    },
];

//! Claims about coins: how many there are, and who gets them.

use midstate_chain::Target;

use super::Verdict::{Estimate, Holds, Opinion, Wrong};
use super::{AFTER, Claim, TIP, network_then, price_then};
use crate::figures::figure;
use crate::hashprice::hashprice;
use crate::odds::expected_blocks;
use crate::pools::{Share, change, solo};
use crate::supply;
use crate::units::{Btc, DAY, HashesPerSecond, Seconds, grouped};

const MONTH: u64 = 31 * supply::BLOCKS_PER_DAY as u64;

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        number: 6,
        articles: &[1],
        says: "the halving of 2028 takes the reward from 450 to 225 BTC a day",
        verdict: Holds,
        command: "midstate econ halving --height 935424",
        shows: "= 225 BTC",
        figures: &[],
        compute: || {
            let halving = supply::next_halving(TIP).expect("the schedule is known");
            format!(
                "block {}: {} to {} BTC a day",
                grouped(f64::from(halving.height), 0),
                supply::per_day(halving.height - 1).btc().0,
                supply::per_day(halving.height).btc().0
            )
        },
    },
    Claim {
        number: 7,
        articles: &[1],
        says: "2028 to 2032 is hard for miners unless bitcoin grows by more than 50 % a year",
        verdict: Opinion,
        command: "midstate econ halving --price-growth 0.5",
        shows: "= 18.92 % a year",
        figures: &[],
        compute: || {
            format!(
                "a price that grows by {:.1} % a year makes up for one halving in four years, if \
                 the network does not grow. With a price that grows by 50 % a year the network may \
                 grow by {:.0} % a year",
                supply::break_even_price_growth(0.0, 4.0) * 100.0,
                supply::implied_hash_growth(0.5, 4.0) * 100.0
            )
        },
    },
    Claim {
        number: 8,
        articles: &[1],
        says: "the subsidy was meant to replace the fees, and has not",
        verdict: Wrong,
        command: "midstate econ halving --height 935424 --fees 0.01872",
        shows: "= 0.5955 %",
        figures: &["fees_were_to_replace", "fees_2026_01"],
        compute: || {
            let halving = supply::next_halving(TIP).expect("the schedule is known");
            let (before, after) = (halving.before.btc().0, halving.after.btc().0);
            let fees = figure("fees_2026_01").value;
            format!(
                "it is the other way round: fees are to replace the subsidy, the new coins of a \
                 block. That they have not is true: fees are {fees} BTC a block, {:.1} % of its \
                 reward, and the next halving takes {} BTC",
                fees / (before + fees) * 100.0,
                before - after
            )
        },
    },
    Claim {
        number: 10,
        articles: &[0],
        says: "three pools of the United States fell from more than 40 % of all blocks in January \
               to 35 % in December",
        verdict: Estimate,
        command: "midstate econ pools --before 0.40 --after 0.35",
        shows: "= -4.90 sigma",
        figures: &["pools_2025"],
        compute: || {
            let share = figure("pools_2025").value;
            let change = change(Share::of(0.40, MONTH), Share::of(share, MONTH));
            let sigmas = change.expect("shares with a spread").sigmas.abs();
            let day = Share::of(share, u64::from(supply::BLOCKS_PER_DAY)).deviation() * 100.0;
            format!(
                "no luck makes such a change: over two months it is {sigmas:.1} sigma, standard \
                 deviations. The share of one day varies by ± {day:.1} points"
            )
        },
    },
    Claim {
        number: 12,
        articles: &[0],
        says: "American Bitcoin makes about 2 % of the world's supply of bitcoin",
        verdict: Wrong,
        command: "midstate econ site --rigs 35000 --rig-rate 473e12 --network 1045",
        shows: "= 16.55 EH/s, 1.58 % of the network",
        figures: &["american_bitcoin"],
        compute: || {
            let best = HashesPerSecond::from_tera(473.0) * figure("american_bitcoin").value;
            format!(
                "2 % of the supply would be {} BTC. The firm speaks of mining: 2 % of new coins is \
                 {:.0} BTC a day, and its 35,000 machines make at best {:.1} EH/s, {:.1} %",
                grouped(supply::issued_before(TIP).btc().0 * 0.02, 0),
                supply::per_day(TIP).btc().0 * 0.02,
                best.exa(),
                best / network_then() * 100.0
            )
        },
    },
    Claim {
        number: 13,
        articles: &[0, 2],
        says: "all remaining bitcoin is to be mined in the United States",
        verdict: Opinion,
        command: "midstate econ halving --height 935424",
        shows: "1,014,299.97690000 to come",
        figures: &[],
        compute: || {
            format!(
                "{} BTC remain of {}; no rule of the protocol gives a block to a country",
                supply::remaining_at(TIP),
                supply::TOTAL
            )
        },
    },
    Claim {
        number: 26,
        articles: &[4, 2],
        says: "miners want predictable cash; rewards are a lottery, and pools smooth it",
        verdict: Holds,
        command: "midstate econ pools --rate 200e12 --difficulty 125.86e12",
        shows: "99.9041 % of months bring nothing",
        figures: &[],
        compute: || {
            let target = Target::from_difficulty(AFTER).expect("a difficulty above zero");
            let rate = HashesPerSecond::from_tera(200.0);
            let month = solo(expected_blocks(target, rate, Seconds(30.0 * DAY)));
            format!("a 200 TH/s machine alone: {:.4} % of months are dry", month.dry * 100.0)
        },
    },
    Claim {
        number: 31,
        articles: &[1, 2, 3],
        says: "derivatives with about $50 billion open, funds and the rivalry of states move the \
               price",
        verdict: Opinion,
        command: "midstate econ hashprice --price 80883 --network 1045 --height 935424 \
                  --fees 0",
        shows: "= 34.83 $ per PH/s and day",
        figures: &["hashprice_2025_12", "network_2025_12"],
        compute: || {
            let price = price_then();
            format!(
                "not modelled: price and fees stay inputs; a 10 % fall from ${} takes 10 % of \
                 hashprice and leaves ${:.2}",
                grouped(price.0, 0),
                hashprice(Btc(3.125), price * 0.9, network_then()).petahash()
            )
        },
    },
    Claim {
        number: 34,
        articles: &[],
        says: "with fewer miners fewer of the 21 million coins are made",
        verdict: Wrong,
        command: "midstate econ halving --height 935424",
        shows: "20,999,999.97690000 in all",
        figures: &[],
        compute: || {
            format!(
                "the subsidy depends on the height alone: {} BTC in all, by any number of \
                 miners. Fewer miners make the same coins later, until the next retarget",
                supply::TOTAL
            )
        },
    },
];

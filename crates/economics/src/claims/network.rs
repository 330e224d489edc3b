//! Claims about the network: difficulty, hash rate, countries, power.

use super::Verdict::{Estimate, Holds, Opinion, Wrong};
use super::{AFTER, BEFORE, Claim, FLEET, POWER, S21, TIP, hashprice_then, network_then, rate_at};
use crate::figures::figure;
use crate::hashprice::{after_exit, break_even, interval_before_change, revenue_per_mwh};
use crate::history::{changes, power_by_year, retargets};
use crate::odds::mean_wait;
use crate::site::network_power;
use crate::supply;
use crate::units::{HashesPerSecond, Watts, grouped};

/// The share that left before block 935,424, by its retarget.
const EXIT: f64 = 1.0 - AFTER / BEFORE;
/// Hours of a month of 30 days.
const MONTH_HOURS: f64 = 30.0 * 24.0;

/// Watts of all machines, from the best to a fleet of many years.
fn bounds() -> (Watts, Watts) {
    network_power(network_then(), FLEET.0, FLEET.1)
}

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        number: 1,
        articles: &[3, 1, 4],
        says: "every 2016 blocks the difficulty is set so that a block takes ten minutes",
        verdict: Holds,
        command: "midstate econ retarget --replay calm",
        shows: "600.3 s a block",
        figures: &[],
        compute: || {
            let steady = interval_before_change(2015.0 / 2016.0);
            format!(
                "almost: {steady:.1} s a block. Between 2016 blocks lie 2015 waits. The rule takes \
                 the time of these, and divides it by 2016"
            )
        },
    },
    Claim {
        number: 2,
        articles: &[1, 4],
        says: "difficulty fell by about 11 % as hash rate left, the most since 2021",
        verdict: Holds,
        command: "midstate econ retarget --history",
        shows: "2026-02-07 -11.16 %",
        figures: &[],
        compute: || {
            let all = changes();
            let (last, earlier) = all.split_last().expect("the history has retargets");
            let falls = earlier.iter().filter(|change| change.factor < last.factor);
            let larger = falls.max_by_key(|change| change.at.height).expect("2021 is there");
            format!(
                "{:.2} % at block 935,424: blocks took {:.2} minutes, {} EH/s became {}. The last \
                 larger fall is of {}: {:.2} %",
                (last.factor - 1.0) * 100.0,
                interval_before_change(last.factor) / 60.0,
                grouped(rate_at(BEFORE).exa(), 0),
                grouped(rate_at(AFTER).exa(), 0),
                larger.at.date(),
                (larger.factor - 1.0) * 100.0
            )
        },
    },
    Claim {
        number: 3,
        articles: &[3],
        says: "lower difficulty makes more bitcoin and so inflation",
        verdict: Wrong,
        command: "midstate econ retarget --replay feb2026",
        shows: "400 BTC a day until the retarget",
        figures: &[],
        compute: || {
            format!(
                "fewer for a while, not more: when {:.0} % left, {:.0} BTC a day were made until \
                 the retarget, and then 450 again. More are made only while miners return and the \
                 difficulty is still low",
                EXIT * 100.0,
                supply::per_day(TIP).btc().0 * (1.0 - EXIT)
            )
        },
    },
    Claim {
        number: 4,
        articles: &[3, 2],
        says: "exits raise the margin of those who stay, and draw miners back",
        verdict: Holds,
        command: "midstate econ hashprice --hashprice 38.7 --exit 0.1116",
        shows: "= 43.56 $ per PH/s and day",
        figures: &["hashprice_2025_12"],
        compute: || {
            let (before, risen) = (hashprice_then(), after_exit(hashprice_then(), EXIT));
            format!(
                "the hashprice, the income of 1 PH/s in a day, rises from ${:.2} to ${:.2} when \
                 {:.2} % leave, because fewer share the same coins",
                before.petahash(),
                risen.petahash(),
                EXIT * 100.0
            )
        },
    },
    Claim {
        number: 14,
        articles: &[1],
        says: "hash rate is 37.5 % in the US, 16.4 % in Russia, 11.7 % in China",
        verdict: Estimate,
        command: "midstate econ site --share 0.375 --network 1045",
        shows: "= 391.9 EH/s, 37.50 % of the network",
        figures: &["shares_of_countries", "network_2025_12"],
        compute: || {
            let exahash = |share: f64| (network_then() * share).exa();
            format!(
                "{:.0}, {:.0} and {:.0} EH/s of 1,045",
                exahash(figure("shares_of_countries").value),
                exahash(0.164),
                exahash(0.117)
            )
        },
    },
    Claim {
        number: 15,
        articles: &[0, 2, 4],
        says: "hash rate moves to cheap power and away from bans",
        verdict: Opinion,
        command: "midstate econ breakeven --hashprice 38.7 --efficiency 17.5",
        shows: "= 9.21 c/kWh",
        figures: &["hashprice_2025_12"],
        compute: || {
            let takes_in = break_even(hashprice_then(), S21, 1.0).cents();
            format!(
                "a 17.5 J/TH machine takes in {takes_in:.2} c for a kWh: it keeps {:.1} where that \
                 costs 3 c and {:.1} where it costs 8 c",
                takes_in - 3.0,
                takes_in - 8.0
            )
        },
    },
    Claim {
        number: 24,
        articles: &[4],
        says: "lower difficulty is slightly better odds: easier, not more profitable",
        verdict: Holds,
        command: "midstate econ odds --difficulty 125.86e12 --before 141.67e12",
        shows: "= 11.16 %",
        figures: &[],
        compute: || {
            format!(
                "odds times {:.3}; the same again is lost when the price falls by {:.1} %",
                BEFORE / AFTER,
                EXIT * 100.0
            )
        },
    },
    Claim {
        number: 30,
        articles: &[3],
        says: "less hash rate means less security",
        verdict: Holds,
        command: "midstate econ site --share 1 --network 1045 --efficiency 9.5,20",
        shows: "20 1,045 20.900",
        figures: &["network_2025_12"],
        compute: || {
            format!(
                "to match 1,045 EH/s takes {:.1} to {:.1} GW; 10 % less network, 10 % less power",
                bounds().0.giga(),
                bounds().1.giga()
            )
        },
    },
    Claim {
        number: 32,
        articles: &[],
        says: "miners who leave a country ease competition for those who stay in it",
        verdict: Wrong,
        command: "midstate econ hashprice --hashprice 38.7 --exit 0.1116",
        shows: "= 43.56 $ per PH/s and day",
        figures: &["hashprice_2025_12"],
        compute: || {
            format!(
                "the network has no borders: machines that go on elsewhere leave hashprice at \
                 ${:.2}. Only {:.2} % that leave the network make it ${:.2}, for all who stay",
                hashprice_then().petahash(),
                EXIT * 100.0,
                after_exit(hashprice_then(), EXIT).petahash()
            )
        },
    },
    Claim {
        number: 33,
        articles: &[],
        says: "lower difficulty lowers the work that a machine does",
        verdict: Wrong,
        command: "midstate econ odds --rate 200e12 --difficulty 125.86e12 --before 141.67e12",
        shows: "= 1.13 times",
        figures: &[],
        compute: || {
            let rate = HashesPerSecond::from_tera(200.0);
            let target = |difficulty| {
                midstate_chain::Target::from_difficulty(difficulty).expect("it is above zero")
            };
            let years = |difficulty| mean_wait(target(difficulty), rate).years();
            format!(
                "200 TH/s stay 200 TH/s and {} kW at any difficulty. A block takes fewer tries, so \
                 it comes {:.2} times as often: every {:.1} years in place of {:.1}",
                rate.power(S21).0 / 1e3,
                BEFORE / AFTER,
                years(AFTER),
                years(BEFORE)
            )
        },
    },
    Claim {
        number: 35,
        articles: &[],
        says: "the energy that mining takes is ever-increasing",
        verdict: Wrong,
        command: "midstate econ retarget --history",
        shows: "2021-07-03 -27.94 %",
        figures: &[],
        compute: || {
            let years = power_by_year();
            let gigawatts = |year: i32| {
                let found = years.iter().find(|row| row.year == year);
                found.map_or(f64::NAN, |row| row.least.giga())
            };
            let fall = changes().into_iter().map(|change| change.factor).fold(1.0, f64::min);
            format!(
                "it falls, too: within one period of 2021 the hash rate changed by {:.2} %, and \
                 the energy with it. Over the years it rose. Had all machines been the best of \
                 their time, the network would have drawn {:.1} GW at the start of 2020, {:.1} of \
                 2024, {:.1} of 2025 and {:.1} of 2026",
                (fall - 1.0) * 100.0,
                gigawatts(2020),
                gigawatts(2024),
                gigawatts(2025),
                gigawatts(2026)
            )
        },
    },
    Claim {
        number: 36,
        articles: &[1],
        says: "data centres in the US need 74 GW more from 2025 to 2028, and 49 GW of it are \
               missing",
        verdict: Estimate,
        command: "midstate econ site --share 1 --network 1045 --efficiency 9.5,20",
        shows: "9.5 1,045 9.928",
        figures: &["new_demand", "shortfall", "network_2025_12"],
        compute: || {
            let (best, worst) = bounds();
            let (new, short) = (figure("new_demand").value, figure("shortfall").value);
            format!(
                "all of mining, everywhere, draws {:.1} to {:.1} GW: {new} GW is {:.1} to {:.1} \
                 times that, {short} GW {:.1} to {:.1} times. The same bank had 45 and 44 GW \
                 missing months before",
                best.giga(),
                worst.giga(),
                new / worst.giga(),
                new / best.giga(),
                short / worst.giga(),
                short / best.giga()
            )
        },
    },
    Claim {
        number: 39,
        articles: &[1, 4],
        says: "hash rate fell sharply within a month",
        verdict: Holds,
        command: "midstate econ retarget --from 146.4726e12 --to 125.8646e12",
        shows: "= -14.07 %",
        figures: &["network_2025_12"],
        compute: || {
            let all: Vec<_> = retargets().collect();
            let [.., january, _, february] = &all[..] else { return String::new() };
            let fall = february.target.difficulty() / january.target.difficulty() - 1.0;
            format!(
                "{:.2} % by the difficulty from {} to {}, which lags behind by up to two weeks; in \
                 December 2025 it had been 3 %",
                fall * 100.0,
                january.date(),
                february.date()
            )
        },
    },
    Claim {
        number: 40,
        articles: &[],
        says: "the growth of the network is slowing",
        verdict: Holds,
        command: "midstate econ retarget --history",
        shows: "2026 146 T +33 %",
        figures: &["network_2024_12", "network_2025_12"],
        compute: || {
            let growth = |year: i32| {
                let years = power_by_year();
                let of = |year| years.iter().find(|row| row.year == year).map(|row| row.rate);
                of(year + 1).zip(of(year)).map_or(f64::NAN, |(to, from)| (to / from - 1.0) * 100.0)
            };
            let means = network_then().exa() / figure("network_2024_12").value - 1.0;
            format!(
                "by the difficulty {:.0} % in 2023, {:.0} % in 2024 and {:.0} % in 2025; by \
                 JPMorgan's means of December 103, 54 and {:.0} %",
                growth(2023),
                growth(2024),
                growth(2025),
                means * 100.0
            )
        },
    },
    Claim {
        number: 41,
        articles: &[0, 2, 4],
        says: "a ban drives miners out of a country, and they return",
        verdict: Holds,
        command: "midstate econ breakeven --hashprice 38.7 --efficiency 17.5",
        shows: "17.5 92.1 9.2 0.81",
        figures: &["hashprice_2025_12", "shares_of_countries"],
        compute: || {
            let per_mwh = revenue_per_mwh(hashprice_then(), S21).0;
            let lost = per_mwh * MONTH_HOURS;
            let profit = lost - POWER.per_mwh().0 * MONTH_HOURS;
            format!(
                "China banned mining in 2021 and counts for 11.7 % again. A move has its price: at \
                 17.5 J/TH a MWh takes in ${per_mwh:.1}, so 1 MW that stands still for 30 days \
                 forgoes ${:.0},000, of which ${:.0},000 would be profit at 5 c/kWh",
                lost / 1e3,
                profit / 1e3
            )
        },
    },
];

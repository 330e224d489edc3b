//! What five news articles about mining say, sentence by sentence, and what arithmetic answers.
//!
//! The articles are numbered 0 to 4: pools and hashprice; miners and the 2028 halving; mining and
//! hosting; the fall of difficulty; miners that move power to AI. Claims are in our words.

use std::fmt;

use midstate_chain::Target;

use crate::hashprice::{
    Operation, after_exit, break_even, equilibrium_rate, hashprice, implied_power_price,
    implied_price, interval_before_change, revenue_per_mwh,
};
use crate::host::Contract;
use crate::odds::{expected_blocks, network_rate};
use crate::pools::{Share, change, solo};
use crate::site::{Site, network_power};
use crate::supply;
use crate::units::{
    Btc, DAY, Dollars, DollarsPerKwh, DollarsPerTerahashDay, HOURS_PER_YEAR, HashesPerSecond,
    JoulesPerTerahash, Seconds, Watts, grouped,
};

/// One claim.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// Counts from 1.
    pub number: u8,
    /// Which articles make it.
    pub articles: &'static [u8],
    /// The claim in our words.
    pub says: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// The command that shows the same number.
    pub command: &'static str,
    /// What stands in its output, with a single space wherever that has more.
    pub shows: &'static str,
    compute: fn() -> String,
}

/// What came of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The arithmetic gives what is claimed.
    Holds,
    /// Somebody's estimate; the arithmetic around it fits.
    Estimate,
    /// A forecast or a judgement: it can be computed around, not decided.
    Opinion,
    /// The arithmetic, or the source, says otherwise.
    Wrong,
}

impl Claim {
    /// The number that belongs to the claim, computed now, in a sentence.
    pub fn computed(&self) -> String {
        (self.compute)()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Holds => "holds",
            Self::Estimate => "estimate",
            Self::Opinion => "opinion",
            Self::Wrong => "wrong",
        })
    }
}

const BEFORE: f64 = 141.67e12;
const AFTER: f64 = 125.86e12;
const HASHPRICE: DollarsPerTerahashDay = DollarsPerTerahashDay::per_petahash(38.7);
const NETWORK: HashesPerSecond = HashesPerSecond::from_exa(1045.0);
const TIP: u32 = 935_424;
const S21: JoulesPerTerahash = JoulesPerTerahash(17.5);
const MONTH: u64 = 31 * supply::BLOCKS_PER_DAY as u64;

fn rate_at(difficulty: f64) -> HashesPerSecond {
    network_rate(Target::from_difficulty(difficulty).expect("a difficulty above zero"))
}

/// What a later dollar loses a year, as `econ host` has it.
const DISCOUNT: f64 = 0.10;
/// What hall and miners cost for 1 MW at the meter, as `econ host` has it.
const MINING_CAPEX: Dollars = Dollars(0.325e6);

/// The contract of `econ host`, for 1 MW at the meter.
fn contract(margin: f64, default_risk: f64) -> Contract {
    Contract {
        per_mw_year: Contract::rent_per_mw_year(Dollars(7e9), 15.0, 330.0),
        margin,
        term: 15,
        capex: Dollars(5e6),
        default_risk,
    }
}

/// The price of a bitcoin that the hashprice of December 2025 stands for.
fn price_then() -> Dollars {
    implied_price(HASHPRICE, NETWORK, Btc(3.125)).expect("a block brings coins")
}

fn power_of_share(share: f64, efficiency: f64) -> f64 {
    let efficiency = JoulesPerTerahash(efficiency);
    Site { rate: NETWORK * share, efficiency, pue: 1.0 }.power().giga()
}

use Verdict::{Estimate, Holds, Opinion, Wrong};

/// All of them.
pub const CLAIMS: &[Claim] = &[
    Claim {
        number: 1,
        articles: &[3, 1, 4],
        says: "every 2016 blocks the difficulty is set so that a block takes ten minutes",
        verdict: Holds,
        command: "midstate econ retarget --replay calm",
        shows: "600.3 s a block",
        compute: || {
            let steady = interval_before_change(2015.0 / 2016.0);
            format!("it measures 2015 intervals and divides by 2016: {steady:.1} s a block")
        },
    },
    Claim {
        number: 2,
        articles: &[1, 4],
        says: "difficulty fell by about 11 % as hash rate left, the most since 2021",
        verdict: Holds,
        command: "midstate econ retarget --from 141.67e12 --to 125.86e12",
        shows: "= -11.16 %",
        compute: || {
            let factor = AFTER / BEFORE;
            format!(
                "{:.2} % at block 935,424: blocks took {:.2} minutes, {:.0} EH/s became {:.0}",
                (factor - 1.0) * 100.0,
                interval_before_change(factor) / 60.0,
                rate_at(BEFORE).exa(),
                rate_at(AFTER).exa()
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
        compute: || {
            let factor = AFTER / BEFORE;
            format!(
                "the exit made {:.0} BTC a day until the retarget, then 450 again; more only while \
                 miners return into an easy period",
                supply::per_day(TIP).btc().0 * factor
            )
        },
    },
    Claim {
        number: 4,
        articles: &[3, 2],
        says: "exits raise the margin of those who stay, and draw miners back",
        verdict: Holds,
        command: "midstate econ hashprice --exit 0.1116",
        shows: "= 43.56 $ per PH/s and day",
        compute: || {
            let exit = 1.0 - AFTER / BEFORE;
            let risen = after_exit(HASHPRICE, exit).petahash();
            format!("hashprice / (1 - exit): $38.70 becomes ${risen:.2} per PH/s and day")
        },
    },
    Claim {
        number: 5,
        articles: &[1],
        says: "more machines share the same reward until only power is paid",
        verdict: Holds,
        command: "midstate econ hashprice --equilibrium 0.05",
        shows: "= 1925.8 EH/s",
        compute: || {
            let price = price_then();
            let income = Dollars(450.0 * price.0);
            let limit = equilibrium_rate(income, S21, DollarsPerKwh(0.05));
            format!(
                "at 17.5 J/TH and 5 c/kWh that is {:.1} EH/s, for the same 450 BTC",
                limit.exa()
            )
        },
    },
    Claim {
        number: 6,
        articles: &[1],
        says: "the halving of 2028 takes the reward from 450 to 225 BTC a day",
        verdict: Holds,
        command: "midstate econ halving",
        shows: "= 225 BTC",
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
        compute: || {
            format!(
                "flat revenue needs {:.1} % a year on a network that stands still; 50 % allows for \
                 one that grows by {:.0} % a year",
                supply::break_even_price_growth(0.0, 4.0) * 100.0,
                supply::implied_hash_growth(0.5, 4.0) * 100.0
            )
        },
    },
    Claim {
        number: 8,
        articles: &[1],
        says: "fees were to replace the subsidy and have not",
        verdict: Opinion,
        command: "midstate econ halving",
        shows: "= 3.12500000 - 1.56250000",
        compute: || {
            let halving = supply::next_halving(TIP).expect("the schedule is known");
            let gap = halving.before.btc().0 - halving.after.btc().0;
            format!("to make up for the next halving a block needs {gap} BTC more in fees")
        },
    },
    Claim {
        number: 9,
        articles: &[0],
        says: "revenue was $38,700 per EH/s and day in December 2025, a third less in a year",
        verdict: Estimate,
        command: "midstate econ hashprice --before 57.1 --cost 21.6 --efficiency 20",
        shows: "= -32.22 %",
        compute: || {
            let price = price_then();
            let power = implied_power_price(Dollars(21_600.0), JoulesPerTerahash(20.0));
            format!(
                "{:.1} % from $57,100; stands for ${} a bitcoin, fees inside, and power at \
                 ${:.0}/MWh",
                (38.7 / 57.1 - 1.0) * 100.0,
                grouped(price.0, 0),
                power.0
            )
        },
    },
    Claim {
        number: 10,
        articles: &[0],
        says: "three listed pools fell from 40 % of blocks in January to 35 % in December",
        verdict: Estimate,
        command: "midstate econ pools --before 0.40 --after 0.35",
        shows: "= -4.90 sigma",
        compute: || {
            let change = change(Share::of(0.40, MONTH), Share::of(0.35, MONTH));
            let sigmas = change.expect("shares with a spread").sigmas.abs();
            let day = Share::of(0.35, u64::from(supply::BLOCKS_PER_DAY)).deviation() * 100.0;
            format!(
                "{sigmas:.1} sigma over two months: not luck; one day alone is ± {day:.1} points"
            )
        },
    },
    Claim {
        number: 11,
        articles: &[1, 0],
        says: "blocks of unknown miners show makers of machines mining with their own stock",
        verdict: Estimate,
        command: "midstate econ payback --rig S21 --pool-fee 0 --uptime 1",
        shows: "= 3.54 $",
        compute: || {
            let rate = HashesPerSecond::from_tera(200.0);
            let operation = Operation {
                rate,
                power: rate.power(S21),
                electricity: DollarsPerKwh(0.05),
                pue: 1.0,
                pool_fee: 0.0,
                uptime: 1.0,
            };
            format!(
                "at $50/MWh an S21 of 200 TH/s and 17.5 J/TH leaves {} a day: what no buyer pays \
                 for still earns",
                operation.profit_per_day(HASHPRICE)
            )
        },
    },
    Claim {
        number: 12,
        articles: &[0],
        says: "one miner holds about 2 % of the world's supply of bitcoin",
        verdict: Wrong,
        command: "midstate econ site --rigs 35000 --rig-rate 473e12",
        shows: "= 16.55 EH/s, 1.58 % of the network",
        compute: || {
            let best = HashesPerSecond::from_tera(473.0) * 35_000.0;
            format!(
                "the source says it mines 2 %: {:.0} BTC a day. Its 35,000 rigs make at best {:.1} \
                 EH/s, {:.1} %",
                supply::per_day(TIP).btc().0 * 0.02,
                best.exa(),
                best / NETWORK * 100.0
            )
        },
    },
    Claim {
        number: 13,
        articles: &[0, 2],
        says: "all remaining bitcoin will be mined in the United States",
        verdict: Opinion,
        command: "midstate econ halving",
        shows: "1,014,299.97690000 to come",
        compute: || {
            format!(
                "{} BTC remain of {}; no rule of the protocol gives a block to a country",
                supply::remaining_at(TIP),
                supply::TOTAL
            )
        },
    },
    Claim {
        number: 14,
        articles: &[1],
        says: "hash rate is 37.5 % in the US, 16.4 % in Russia, 11.7 % in China",
        verdict: Estimate,
        command: "midstate econ site --share 0.375",
        shows: "= 391.9 EH/s, 37.50 % of the network",
        compute: || {
            let exahash = |share: f64| (NETWORK * share).exa();
            format!(
                "{:.0}, {:.0} and {:.0} EH/s of 1,045",
                exahash(0.375),
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
        command: "midstate econ breakeven --efficiency 17.5",
        shows: "= 9.21 c/kWh",
        compute: || {
            let takes_in = break_even(HASHPRICE, S21, 1.0).cents();
            format!(
                "a 17.5 J/TH machine takes in {takes_in:.2} c for a kWh: it keeps {:.1} where that \
                 costs 3 c and {:.1} where it costs 8 c",
                takes_in - 3.0,
                takes_in - 8.0
            )
        },
    },
    Claim {
        number: 16,
        articles: &[1],
        says: "data centres get 10 to 15 GW out of mining sites in the US",
        verdict: Opinion,
        command: "midstate econ site --share 0.375 --efficiency 20,25",
        shows: "25 391.9 9.797",
        compute: || {
            let site = Site::for_power(Watts(10e9), JoulesPerTerahash(20.0), 1.0);
            format!(
                "37.5 % of the network runs on {:.1} to {:.1} GW: more than hashes there today. \
                 10 GW would be {:.0} EH/s",
                power_of_share(0.375, 20.0),
                power_of_share(0.375, 25.0),
                site.rate.exa()
            )
        },
    },
    Claim {
        number: 17,
        articles: &[4, 0, 1, 2, 3],
        says: "AI brings in more for a megawatt than mining",
        verdict: Holds,
        command: "midstate econ host",
        shows: "= 161.4 $/MWh",
        compute: || {
            let rent = Contract::rent_per_mw_year(Dollars(7e9), 15.0, 330.0).0 / HOURS_PER_YEAR;
            format!(
                "${:.0} for a utility MWh by contract, power paid by the tenant; mining at 17.5 \
                 J/TH ${:.0} before power. Gross: hosting ties up {:.0} times the capital",
                rent,
                revenue_per_mwh(HASHPRICE, S21).0,
                contract(1.0, 0.0).capex / MINING_CAPEX
            )
        },
    },
    Claim {
        number: 18,
        articles: &[1, 0],
        says: "a 245 MW contract for AI was signed in Los Angeles",
        verdict: Wrong,
        command: "midstate econ host --contract 7e9 --years 15 --megawatts 245",
        shows: "= 1.90 million $ a year",
        compute: || {
            let rent = Contract::rent_per_mw_year(Dollars(7e9), 15.0, 245.0).0 / 1e6;
            format!("the contract is real, ${rent:.2} million per MW and year; LA is Louisiana")
        },
    },
    Claim {
        number: 19,
        articles: &[2],
        says: "hosting runs 10 to 15 years at margins of 75 to 90 %",
        verdict: Opinion,
        command: "midstate econ host --margin 0.75",
        shows: "= 3.07 million $",
        compute: || {
            format!(
                "one contract plans {:.1} %, since the tenant pays the power; at 75 % a MW at the \
                 meter would be worth ${:.2} million",
                6.9 / 7.0 * 100.0,
                contract(0.75, 0.0).present_value(DISCOUNT).0 / 1e6
            )
        },
    },
    Claim {
        number: 20,
        articles: &[2],
        says: "tenants may default, and there is no way back to mining",
        verdict: Opinion,
        command: "midstate econ host --default-risk 0.05",
        shows: "= 2.84 million $",
        compute: || {
            let paid = |risk| contract(0.985, risk).cash().map(|cash| cash.0).sum::<f64>();
            let worth = |risk| contract(0.985, risk).present_value(DISCOUNT).0 / 1e6;
            format!(
                "a chance of 5 % a year leaves {:.0} % of 15 years' rent: a MW at the meter is \
                 worth ${:.2} million, not ${:.2}",
                paid(0.05) / paid(0.0) * 100.0,
                worth(0.05),
                worth(0.0)
            )
        },
    },
    Claim {
        number: 21,
        articles: &[4],
        says: "one site can do both: power is moved between AI and mining, not switched off",
        verdict: Holds,
        command: "midstate econ dispatch",
        shows: "hours with a price at or below it",
        compute: || {
            "hour by hour: the tenant first, mining with the rest, neither above break-even"
                .to_owned()
        },
    },
    Claim {
        number: 22,
        articles: &[4],
        says: "who manages energy best wins: selling power back can beat mining",
        verdict: Holds,
        command: "midstate econ dispatch --credits 9.5e6 --curtailed-mwh 11717",
        shows: "= 810.8 $/MWh",
        compute: || {
            format!(
                "July 2022: ${:.0} for each MWh left; August 2023: $31.7 million of credits \
                 against $8.9 million of coins, {:.1} times",
                9.5e6 / 11_717.0,
                31.7 / 8.9
            )
        },
    },
    Claim {
        number: 23,
        articles: &[4],
        says: "efficiency and cheap power decide, old machines only survive",
        verdict: Holds,
        command: "midstate econ breakeven",
        shows: "9.5 169.7 17.0",
        compute: || {
            let cents =
                |efficiency| break_even(HASHPRICE, JoulesPerTerahash(efficiency), 1.0).cents();
            format!(
                "break-even: {:.1} c/kWh at 9.5 J/TH, {:.1} at 29.5, {:.1} at 98",
                cents(9.5),
                cents(29.5),
                cents(98.0)
            )
        },
    },
    Claim {
        number: 24,
        articles: &[4],
        says: "lower difficulty is slightly better odds: easier, not more profitable",
        verdict: Holds,
        command: "midstate econ odds --before 141.67e12",
        shows: "= 11.16 %",
        compute: || {
            format!(
                "odds times {:.3}; the same again is lost when the price falls by {:.1} %",
                BEFORE / AFTER,
                (1.0 - AFTER / BEFORE) * 100.0
            )
        },
    },
    Claim {
        number: 25,
        articles: &[4],
        says: "cooling and buildings cost too",
        verdict: Holds,
        command: "midstate econ breakeven --pue 1.15",
        shows: "= 8.01 c/kWh",
        compute: || {
            format!(
                "a PUE of 1.15 lowers the break-even of 17.5 J/TH from {:.1} to {:.1} c/kWh",
                break_even(HASHPRICE, S21, 1.0).cents(),
                break_even(HASHPRICE, S21, 1.15).cents()
            )
        },
    },
    Claim {
        number: 26,
        articles: &[4, 2],
        says: "miners want predictable cash; rewards are a lottery, pools smooth it",
        verdict: Holds,
        command: "midstate econ pools --rate 200e12",
        shows: "99.9041 % of months bring nothing",
        compute: || {
            let target = Target::from_difficulty(AFTER).expect("a difficulty above zero");
            let rate = HashesPerSecond::from_tera(200.0);
            let month = solo(expected_blocks(target, rate, Seconds(30.0 * DAY)));
            format!("a 200 TH/s machine alone: {:.4} % of months are dry", month.dry * 100.0)
        },
    },
    Claim {
        number: 27,
        articles: &[4],
        says: "the days of plugging in an ASIC and printing money are over",
        verdict: Opinion,
        command: "midstate econ hashprice --before 57.1",
        shows: "= -32.22 %",
        compute: || {
            let ratio = 1.0 - 38.7 / 57.1;
            format!("a TH/s takes in {:.0} % less than a year before", ratio * 100.0)
        },
    },
    Claim {
        number: 28,
        articles: &[0],
        says: "special machines solve complex calculations",
        verdict: Holds,
        command: "midstate asic --full",
        shows: "3,757 operations of 32 bits",
        compute: || {
            format!(
                "simple ones, often: {} operations of 32 bits a try, and a {:.0e} chance that it \
                 helps",
                grouped(crate::physics::OPERATIONS as f64, 0),
                1.0 / (AFTER * Target::HASHES_AT_DIFFICULTY_1)
            )
        },
    },
    Claim {
        number: 29,
        articles: &[3],
        says: "miners' computers can be turned to AI",
        verdict: Wrong,
        command: "midstate asic --full",
        shows: "An ASIC has no instructions",
        compute: || {
            "land, grid connection and substation can; a SHA-256 ASIC computes nothing else, \
             and 90 % of the equipment is replaced"
                .to_owned()
        },
    },
    Claim {
        number: 30,
        articles: &[3],
        says: "less hash rate means less security",
        verdict: Holds,
        command: "midstate econ site --share 1 --efficiency 9.5,20",
        shows: "20 1,045 20.900",
        compute: || {
            let (best, worst) =
                network_power(NETWORK, JoulesPerTerahash(9.5), JoulesPerTerahash(20.0));
            format!(
                "to match 1,045 EH/s takes {:.1} to {:.1} GW; 10 % less network, 10 % less power",
                best.giga(),
                worst.giga()
            )
        },
    },
    Claim {
        number: 31,
        articles: &[1, 2, 3],
        says: "derivatives, funds and rivalry of states move the price",
        verdict: Opinion,
        command: "midstate econ hashprice --price 80883",
        shows: "= 34.83 $ per PH/s and day",
        compute: || {
            let price = price_then();
            format!(
                "not modelled: price and fees stay inputs; a 10 % fall from ${} takes 10 % of \
                 hashprice and leaves ${:.2}",
                grouped(price.0, 0),
                hashprice(Btc(3.125), price * 0.9, NETWORK).petahash()
            )
        },
    },
];

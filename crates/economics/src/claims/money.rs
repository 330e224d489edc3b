//! Claims about money: what a hash, a megawatt and a machine bring.

use super::Verdict::{Estimate, Holds, Opinion, Wrong};
use super::{Claim, POWER, S21, contract, hashprice_then, network_then, price_then};
use crate::dispatch::Plan;
use crate::figures::figure;
use crate::hashprice::{
    Operation, break_even, equilibrium_rate, implied_power_price, revenue_per_mwh,
};
use crate::host::Contract;
use crate::site::Site;
use crate::units::{
    Dollars, DollarsPerKwh, DollarsPerMwh, HOURS_PER_YEAR, HashesPerSecond, JoulesPerTerahash,
    Watts, grouped,
};

/// The yearly discount of a later dollar, as `econ host` has it.
const DISCOUNT: f64 = 0.10;
/// The price of hall and miners for 1 MW at the meter, as `econ host` has it.
const MINING_CAPEX: Dollars = Dollars(0.325e6);
/// The margin after costs that Hut 8 expects, as `econ host` has it.
const MARGIN: f64 = 0.985;

fn power_of_share(share: f64, efficiency: f64) -> f64 {
    let efficiency = JoulesPerTerahash(efficiency);
    Site { rate: network_then() * share, efficiency, pue: 1.0 }.power().giga()
}

/// Rent of the lease for a megawatt of computers over a year, in million dollars.
fn rent() -> f64 {
    let total = Dollars(figure("lease_total").value);
    Contract::rent_per_mw_year(total, 15.0, 245.0).0 / 1e6
}

pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        number: 5,
        articles: &[1],
        says: "more machines share the same reward until only power is paid",
        verdict: Holds,
        command: "midstate econ hashprice --equilibrium 0.05 --price 89870 --network 1045 \
                  --height 935424",
        shows: "= 1925.8 EH/s",
        figures: &["hashprice_2025_12", "network_2025_12"],
        compute: || {
            let income = Dollars(450.0 * price_then().0);
            format!(
                "with machines of 17.5 J/TH (joules for 10^12 hashes) and power at 5 c/kWh that is \
                 at {:.1} EH/s, for the same 450 BTC a day",
                equilibrium_rate(income, S21, POWER).exa()
            )
        },
    },
    Claim {
        number: 9,
        articles: &[0],
        says: "revenue was $38,700 per EH/s and day in December 2025, 32 % less than a year before",
        verdict: Estimate,
        command: "midstate econ hashprice --hashprice 38.7 --network 1045 --before 57.1 --cost \
                  21.6 --efficiency 20",
        shows: "= -32.22 %",
        figures: &[
            "hashprice_2025_12",
            "network_2025_12",
            "gross_profit_2025_12",
            "hashprice_2024_12",
        ],
        compute: || {
            let (now, before) = (hashprice_then().petahash(), figure("hashprice_2024_12").value);
            let cost = Dollars((now - figure("gross_profit_2025_12").value) * 1e3);
            let power = implied_power_price(cost, JoulesPerTerahash(20.0));
            format!(
                "{:.1} % from ${}; stands for ${} a bitcoin, fees inside. The cost that the bank \
                 reckons, ${}, is power at ${:.0}/MWh for machines of 20 J/TH",
                (now / before - 1.0) * 100.0,
                grouped(before * 1e3, 0),
                grouped(price_then().0, 0),
                grouped(cost.0, 0),
                power.0
            )
        },
    },
    Claim {
        number: 11,
        articles: &[1, 0],
        says: "blocks of unknown miners show makers of machines mining with their own stock",
        verdict: Estimate,
        command: "midstate econ payback --hashprice 38.7 --electricity 0.05 --rig S21 --pool-fee 0 \
                  --uptime 1",
        shows: "= 3.54 $",
        figures: &["hashprice_2025_12"],
        compute: || {
            let rate = HashesPerSecond::from_tera(200.0);
            let operation = Operation {
                rate,
                power: rate.power(S21),
                electricity: POWER,
                pue: 1.0,
                pool_fee: 0.0,
                uptime: 1.0,
            };
            format!(
                "the finder of a block need not give a name. At $50/MWh an S21 of 200 TH/s and \
                 17.5 J/TH leaves {} a day: a machine that finds no buyer still earns",
                operation.profit_per_day(hashprice_then())
            )
        },
    },
    Claim {
        number: 16,
        articles: &[1],
        says: "data centres get 10 to 15 GW out of mining sites in the US",
        verdict: Wrong,
        command: "midstate econ site --share 0.375 --network 1045 --efficiency 20,25",
        shows: "25 391.9 9.797",
        figures: &["shares_of_countries", "network_2025_12", "mining_sites"],
        compute: || {
            let share = figure("shares_of_countries").value;
            let site = Site::for_power(Watts(10e9), JoulesPerTerahash(20.0), 1.0);
            format!(
                "37.5 % of the network runs on {:.1} to {:.1} GW, and the bank itself counts {} GW \
                 of sites, built and under construction: less than 10. 10 GW would be {:.0} EH/s, \
                 half of all mining",
                power_of_share(share, 20.0),
                power_of_share(share, 25.0),
                figure("mining_sites").value,
                site.rate.exa()
            )
        },
    },
    Claim {
        number: 17,
        articles: &[4, 0, 1, 2, 3],
        says: "AI brings in more for a megawatt than mining",
        verdict: Holds,
        command: "midstate econ host --hashprice 38.7",
        shows: "= 161.4 $/MWh",
        figures: &["lease_total", "hashprice_2025_12"],
        compute: || {
            let total = Dollars(figure("lease_total").value);
            let rent = Contract::rent_per_mw_year(total, 15.0, 330.0).0 / HOURS_PER_YEAR;
            format!(
                "${rent:.0} for a utility MWh by contract, power paid by the tenant; mining at \
                 17.5 J/TH ${:.0} before power. Gross: hosting ties up {:.0} times the capital",
                revenue_per_mwh(hashprice_then(), S21).0,
                contract(1.0, 0.0).capex / MINING_CAPEX
            )
        },
    },
    Claim {
        number: 18,
        articles: &[1, 0],
        says: "Hut 8 leases 245 MW for AI to Fluidstack and Anthropic, in Los Angeles",
        verdict: Wrong,
        command: "midstate econ host --contract 7e9 --years 15 --megawatts 245",
        shows: "= 1.90 million $ a year",
        figures: &["lease_total"],
        compute: || {
            format!(
                "the lease is real, ${:.2} million per MW and year; LA stands for Louisiana",
                rent()
            )
        },
    },
    Claim {
        number: 19,
        articles: &[2],
        says: "hosting runs 10 to 15 years at margins of 75 to 90 %",
        verdict: Opinion,
        command: "midstate econ host --margin 0.75",
        shows: "= 3.07 million $",
        figures: &["lease_total", "lease_net"],
        compute: || {
            format!(
                "a forecast, which only those years can confirm. One contract plans {:.1} %, \
                 because the tenant pays the power; with 75 % a MW at the meter would be worth \
                 ${:.2} million",
                figure("lease_net").value / figure("lease_total").value * 100.0,
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
        figures: &["lease_total"],
        compute: || {
            let paid = |risk| contract(MARGIN, risk).cash().map(|cash| cash.0).sum::<f64>();
            let worth = |risk| contract(MARGIN, risk).present_value(DISCOUNT).0 / 1e6;
            format!(
                "if 5 in 100 such tenants default each year, {:.0} % of the rent of 15 years is \
                 paid. Less the price of the building, and with interest of 10 %, a MW at the \
                 meter is then worth ${:.2} million; without defaults it is ${:.2} million",
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
        figures: &["hashprice_2025_12"],
        compute: || {
            let plan = Plan {
                megawatts: 100.0,
                hosted: 40.0,
                rent: DollarsPerMwh(161.0),
                efficiency: S21,
                hashprice: hashprice_then(),
                pue: 1.0,
                bought_ahead: None,
            };
            let hours = plan.run(&[10.0, 50.0, 90.0, 500.0].map(DollarsPerMwh));
            format!(
                "hour by hour the tenant comes first. At $10, 50, 90 and 500 a MWh, 100 MW with 40 \
                 let give the tenant {} MWh and mining {}; {} are not bought, above ${:.1}",
                hours.hosted_mwh,
                hours.mined_mwh,
                hours.curtailed_mwh,
                plan.break_even().per_mwh().0
            )
        },
    },
    Claim {
        number: 22,
        articles: &[4],
        says: "who manages energy best wins: selling power back can beat mining",
        verdict: Holds,
        command: "midstate econ dispatch --credits 9.5e6 --curtailed-mwh 11717",
        shows: "= 810.8 $/MWh",
        figures: &["credits_2022_07", "curtailed_2022_07", "credits_2023_08", "coins_2023_08"],
        compute: || {
            let value = |name| figure(name).value;
            format!(
                "Riot, July 2022: ${:.0} for each MWh left; August 2023: ${:.1} million of credits \
                 against ${:.1} million of coins, {:.1} times",
                value("credits_2022_07") / value("curtailed_2022_07"),
                value("credits_2023_08") / 1e6,
                value("coins_2023_08") / 1e6,
                value("credits_2023_08") / value("coins_2023_08")
            )
        },
    },
    Claim {
        number: 23,
        articles: &[4],
        says: "efficiency and cheap power decide, old machines only survive",
        verdict: Holds,
        command: "midstate econ breakeven --hashprice 38.7",
        shows: "9.5 169.7 17.0",
        figures: &["hashprice_2025_12"],
        compute: || {
            let cents = |efficiency| {
                break_even(hashprice_then(), JoulesPerTerahash(efficiency), 1.0).cents()
            };
            format!(
                "break-even: {:.1} c/kWh at 9.5 J/TH, {:.1} at 29.5, {:.1} at 98",
                cents(9.5),
                cents(29.5),
                cents(98.0)
            )
        },
    },
    Claim {
        number: 25,
        articles: &[4],
        says: "cooling and buildings cost too",
        verdict: Holds,
        command: "midstate econ breakeven --hashprice 38.7 --pue 1.15",
        shows: "= 8.01 c/kWh",
        figures: &["hashprice_2025_12"],
        compute: || {
            format!(
                "with 1.15 W at the meter for 1 W of the machines (a PUE of 1.15) the break-even \
                 of 17.5 J/TH falls from {:.1} to {:.1} c/kWh",
                break_even(hashprice_then(), S21, 1.0).cents(),
                break_even(hashprice_then(), S21, 1.15).cents()
            )
        },
    },
    Claim {
        number: 27,
        articles: &[4],
        says: "the days of plugging in an ASIC and printing money are over",
        verdict: Opinion,
        command: "midstate econ hashprice --hashprice 38.7 --before 57.1",
        shows: "= -32.22 %",
        figures: &["hashprice_2025_12", "hashprice_2024_12"],
        compute: || {
            let ratio = 1.0 - hashprice_then().petahash() / figure("hashprice_2024_12").value;
            format!("a TH/s takes in {:.0} % less than a year before", ratio * 100.0)
        },
    },
    Claim {
        number: 37,
        articles: &[2],
        says: "miners that host are valued at 15 to 20 times their earnings",
        verdict: Opinion,
        command: "midstate econ host",
        shows: "= 1.90 million $ a year",
        figures: &["multiple", "lease_total"],
        compute: || {
            let least = figure("multiple").value;
            let worth: f64 = (1..=15).map(|year| (1.0 + DISCOUNT).powi(-year)).sum();
            format!(
                "a price, not a law: at ${:.2} million a year a MW of computers would be worth \
                 ${:.0} to {:.0} million. The 15 years of that lease are worth {worth:.1} years' \
                 rent at 10 % interest: {least} and more count on what comes after",
                rent(),
                rent() * MARGIN * least,
                rent() * MARGIN * 20.0
            )
        },
    },
    Claim {
        number: 38,
        articles: &[2],
        says: "mining leaves far less of what it takes in than the 75 to 90 % of hosting",
        verdict: Holds,
        command: "midstate econ hashprice --hashprice 38.7 --network 1045 --cost 21.6 \
               --efficiency 20",
        shows: "= 17.10 $ per PH/s and day",
        figures: &["hashprice_2025_12", "gross_profit_2025_12"],
        compute: || {
            let (revenue, left) =
                (hashprice_then().petahash(), figure("gross_profit_2025_12").value);
            let power = DollarsPerKwh(POWER.0);
            let s21 = 1.0 - power.cents() / break_even(hashprice_then(), S21, 1.0).cents();
            format!(
                "mining left {:.0} % in December 2025, ${left:.2} of ${revenue:.2}; a machine of \
                 17.5 J/TH at 5 c/kWh {:.0} %. The 75 to 90 % are a forecast (claim 19). None of \
                 these counts the price of machines and halls",
                left / revenue * 100.0,
                s21 * 100.0
            )
        },
    },
    Claim {
        number: 44,
        articles: &[4],
        says: "cooling and infrastructure cost more and more",
        verdict: Opinion,
        command: "midstate econ breakeven --hashprice 38.7 --efficiency 17.5 --pue 1.4",
        shows: "= 6.58 c/kWh",
        figures: &["pue_good", "pue_poor", "hashprice_2025_12"],
        compute: || {
            let (good, poor) = (figure("pue_good").value, figure("pue_poor").value);
            let cents = |pue| break_even(hashprice_then(), S21, pue).cents();
            format!(
                "no figures say that they rise. What they cost: at 17.5 J/TH the break-even is \
                 {:.2} c/kWh with a PUE of {good}, and {:.2} with {poor}",
                cents(good),
                cents(poor)
            )
        },
    },
];

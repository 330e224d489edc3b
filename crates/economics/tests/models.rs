//! The models around the formulas: the table's checks, statistics, calendar, dispatch, hosting, the
//! simulator.

use midstate_chain::{Bits, Network};
use midstate_economics::calendar::Date;
use midstate_economics::dispatch::{Plan, PricesError, parse_prices};
use midstate_economics::hardware::{self, Basis, Class, HardwareError};
use midstate_economics::host::{Contract, Mine};
use midstate_economics::inputs::Inputs;
use midstate_economics::random::Random;
use midstate_economics::simulate::{self, Event, Scenario};
use midstate_economics::statistics::{exponential_fit, poisson_at_most, wilson_interval};
use midstate_economics::units::{
    Btc, Dollars, DollarsPerKwh, DollarsPerMwh, DollarsPerTerahashDay, HashesPerSecond,
    JoulesPerTerahash, Satoshi, Seconds, Watts, grouped, si, significant,
};
use midstate_economics::{hashprice, odds, pools, supply};
use proptest::prelude::*;

#[test]
fn the_table_is_long_sourced_and_agrees_with_itself() {
    let devices = hardware::parse(hardware::TABLE).unwrap();
    assert!(devices.len() >= 45, "{} devices", devices.len());
    for class in [Class::Hand, Class::Cpu, Class::Gpu, Class::Fpga, Class::Asic] {
        assert!(devices.iter().any(|device| device.class == class), "no {class}");
    }
    let mut names: Vec<_> = devices.iter().map(|device| &device.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), devices.len(), "two rows of one name");
    for device in &devices {
        assert!((2009.0..2027.0).contains(&device.year), "{}", device.name);
        // No CPU or GPU was measured at the wall: their watts are a band or absent.
        if let (Class::Cpu | Class::Gpu, Some(power)) = (device.class, device.power) {
            assert!(matches!(power.basis, Basis::Tdp | Basis::Guess), "{}", device.name);
            assert!(power.band().low < power.band().high, "{}", device.name);
        }
    }
}

const ROW: &str = r#"
    [[device]]
    name = "Thing"
    class = "asic"
    year = 2020
    hashrate = 100e12
    watts = 3000
    basis = "rated"
    j_per_th = 30
    confidence = "A"
    source = "its maker"
"#;

#[test]
fn a_row_without_a_source_or_against_its_own_numbers_is_refused() {
    assert_eq!(hardware::parse(ROW).unwrap()[0].rate, HashesPerSecond::from_tera(100.0));
    let refused = |from: &str, to: &str| hardware::parse(&ROW.replace(from, to)).unwrap_err();

    let missing = refused("source = \"its maker\"", "");
    assert!(missing.to_string().contains("source"), "{missing}");
    assert_eq!(refused("its maker", "  "), HardwareError::NoSource("Thing".into()));
    assert!(matches!(
        refused("j_per_th = 30", "j_per_th = 31"),
        HardwareError::Contradiction { published: 31.0, computed: 30.0, .. }
    ));
    assert_eq!(refused("basis = \"rated\"", ""), HardwareError::HalfPower("Thing".into()));
    assert!(matches!(refused("100e12", "0"), HardwareError::NotPositive { .. }));
    assert!(matches!(refused("3000", "-3000"), HardwareError::NotPositive { .. }));
    assert!(matches!(refused("year = 2020", "year = nan"), HardwareError::NotPositive { .. }));
    assert!(matches!(refused("asic", "toaster"), HardwareError::Syntax(_)));
    assert!(matches!(refused("year", "yaer"), HardwareError::Syntax(_)));
}

#[test]
fn the_inputs_are_dated_sourced_and_fit_together() {
    let inputs = Inputs::shipped();
    assert_eq!(inputs.date.to_string(), "2026-02-07");
    let mut all = inputs.all().into_iter();
    assert!(all.all(|input| input.date == inputs.date && !input.source.is_empty()));
    assert_eq!(inputs.reward(), Btc(3.125 + 0.01872));
    // The difficulty is that of the last real retarget, and the rest follows from it.
    let last = midstate_economics::history::retargets().last().unwrap();
    assert_eq!(inputs.height(), last.height);
    let difficulty = inputs.target().unwrap().difficulty();
    assert!((difficulty / last.target.difficulty() - 1.0).abs() < 5e-5, "{difficulty}");
    assert_eq!(inputs.network(), odds::network_rate(inputs.target().unwrap()));
    assert!((inputs.network.value - 900.95).abs() < 0.01, "{}", inputs.network.value);
    let hashprice = hashprice::hashprice(inputs.reward(), inputs.price(), inputs.network());
    assert_eq!(inputs.hashprice().petahash(), hashprice.petahash());
    // Luxor had 33.31 as the record low of 2 February, before the difficulty fell by 11 %.
    assert!((inputs.hashprice.value - 34.57).abs() < 0.01, "{}", inputs.hashprice.value);
    let mut other = inputs.clone();
    other.derive_difficulty();
    assert!((other.difficulty.value / inputs.difficulty.value - 1.0).abs() < 1e-9);

    let mut price = inputs.price.clone();
    price.overridden(None);
    assert_eq!(price, inputs.price);
    price.overridden(Some(100_000.0));
    assert_eq!((price.value, price.source.contains("command line")), (100_000.0, true));
}

#[test]
fn dates_go_both_ways() {
    for (text, unix) in
        [("1970-01-01", 0), ("2009-01-03", 1_230_940_800), ("2000-02-29", 951_782_400)]
    {
        let date: Date = text.parse().unwrap();
        assert_eq!((date.to_unix(), date.to_string().as_str()), (unix, text));
    }
    for bad in ["2025-02-29", "2025-13-01", "2025-00-10", "2025-1", "2025-01-01-01", "yesterday"] {
        assert!(bad.parse::<Date>().is_err(), "{bad}");
    }
    assert_eq!("2020-01-01".parse::<Date>().unwrap().fractional_year(), 2020.0);
}

proptest! {
    #[test]
    fn every_second_has_its_day(unix in -60_000_000_000i64..60_000_000_000) {
        let midnight = Date::from_unix(unix).to_unix();
        prop_assert!((0..86_400).contains(&(unix - midnight)));
    }

    #[test]
    fn a_share_lies_in_its_own_interval(trials in 1u64..100_000, part in 0.0f64..=1.0) {
        let found = (trials as f64 * part) as u64;
        let (low, high) = wilson_interval(found, trials, 1.96);
        let share = found as f64 / trials as f64;
        prop_assert!(0.0 <= low && low <= share + 1e-12 && share <= high + 1e-12 && high <= 1.0);
    }

    #[test]
    fn coins_add_up_at_any_height(height in 0u32..8_000_000) {
        let sum = supply::issued_before(height).0 + supply::remaining_at(height).0;
        prop_assert_eq!(Satoshi(sum), supply::TOTAL);
        let step = supply::issued_before(height + 1).0 - supply::issued_before(height).0;
        prop_assert_eq!(step, Network::Mainnet.subsidy(height));
    }

    #[test]
    fn numbers_keep_three_digits(value in 1e-9f64..1e24) {
        let text = significant(value);
        let shown: f64 = text.replace(',', "").parse().unwrap();
        prop_assert!((shown / value - 1.0).abs() <= 0.005_001, "{text} for {value}");
    }
}

#[test]
fn numbers_as_people_read_them() {
    assert_eq!(si(1.36e9), "1.36 G");
    assert_eq!(si(999.9), "1.00 k");
    assert_eq!(si(580e12), "580 T");
    assert_eq!([si(0.0), si(2e-12), si(5.41e-25)], ["0 ", "2.00 p", "5.41e-25 "]);
    assert_eq!(significant(36_800.4), "36,800");
    assert_eq!(significant(9.42e18), "9.42e18");
    assert_eq!(significant(999.6), "1,000");
    assert_eq!(grouped(-1_234_567.891, 2), "-1,234,567.89");
    assert_eq!(grouped(-0.001, 2), "0.00");
    assert_eq!(HashesPerSecond(950e6).to_string(), "950 MH/s");
    assert_eq!(Watts(5510.0).to_string(), "5.51 kW");
    assert_eq!(Seconds(67.1 * 86_400.0).to_string(), "67.1 days");
    assert_eq!(Seconds(1.71e8 * 31_557_600.0).to_string(), "171 million years");
    assert_eq!(Seconds(0.0025).to_string(), "2.50 ms");
    assert_eq!(Dollars(-89_870.0).to_string(), "-$89,870");
    assert_eq!(Dollars(3e-12).to_string(), "$3.00e-12");
    assert_eq!(Satoshi(2_099_999_997_690_000).to_string(), "20,999,999.97690000");
}

#[test]
fn poisson_and_exponential_know_each_other() {
    assert!((poisson_at_most(0, 2.5) - (-2.5f64).exp()).abs() < 1e-12);
    assert!((poisson_at_most(2, 2.0) - 5.0 * (-2.0f64).exp()).abs() < 1e-12);
    assert!((poisson_at_most(10_000, 10_001.0) - 0.5).abs() < 0.01);
    assert!((poisson_at_most(9_999, 9_999.0) - 0.5).abs() < 0.01);
    assert_eq!(poisson_at_most(3, 0.0), 1.0);
    assert!(poisson_at_most(u64::MAX, 3.0) > 1.0 - 1e-9);

    // A single hit after exactly the median number of tries is no luck at all.
    let chance = 1.0 / 65_536.0;
    let median = (65_536.0 * 2f64.ln()) as u64;
    assert!(odds::luck_p_value(1, median, chance) > 0.99);
    assert!(odds::luck_p_value(1, 10 * 65_536, chance) < 1e-3);
    assert!(odds::luck_p_value(1, 10, chance) < 1e-3);
    assert!(odds::luck_p_value(100, 100 * 65_536, chance) > 0.9);
}

#[test]
fn the_test_of_fit_accepts_waits_and_refuses_what_has_a_memory() {
    let mut random = Random::from_seed(1);
    let mut rejected = 0;
    for _ in 0..400 {
        let waits: Vec<f64> = (0..200).map(|_| random.exponential(3.0)).collect();
        rejected += u32::from(exponential_fit(&waits, 3.0).unwrap().p_value < 0.05);
    }
    // 20 expected, deviation 4.4.
    assert!((5..=38).contains(&rejected), "{rejected} of 400 at 5 %");

    let uniform: Vec<f64> = (0..200).map(|_| random.unit() * 6.0).collect();
    assert!(exponential_fit(&uniform, 3.0).unwrap().p_value < 0.01);
    assert_eq!(exponential_fit(&[], 1.0), None);
}

#[test]
fn random_numbers_are_the_published_sequence() {
    // First outputs for seed 1234567, as in the reference of SplitMix64.
    let mut random = Random::from_seed(1_234_567);
    assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
    assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
    let mean = (0..100_000).map(|_| random.normal()).sum::<f64>() / 1e5;
    assert!(mean.abs() < 0.02, "{mean}");
}

fn plan() -> Plan {
    Plan {
        megawatts: 100.0,
        hosted: 40.0,
        rent: DollarsPerMwh(160.0),
        efficiency: JoulesPerTerahash(17.5),
        hashprice: DollarsPerTerahashDay::per_petahash(38.7),
        pue: 1.0,
        bought_ahead: None,
    }
}

#[test]
fn dispatch_hosts_first_mines_below_break_even_and_sells_back_above() {
    let prices = parse_prices("hour,price\n0,20\n1,-5\n\n2, 92.1\n3,92.2\n4,4000\n").unwrap();
    let bought = plan().run(&prices);
    assert_eq!((bought.hours, bought.mined_hours), (5, 3));
    assert_eq!((bought.hosted_mwh, bought.mined_mwh, bought.curtailed_mwh), (200.0, 180.0, 120.0));
    assert_eq!(bought.rent, Dollars(32_000.0));
    let hourly = 20.0 - 5.0 + 92.1;
    assert!((bought.power.0 - (40.0 * (hourly + 4_092.2) + 60.0 * hourly)).abs() < 1e-6);
    assert!(bought.profit() > bought.profit_always_on);
    assert_eq!(bought.credits, Dollars(0.0));
    assert_eq!(bought.bought_mwh, 380.0, "nothing is bought for an hour without use");

    let ahead = Plan { bought_ahead: Some(DollarsPerMwh(40.0)), ..plan() }.run(&prices);
    assert!((ahead.credits.0 - 60.0 * 4_092.2).abs() < 1e-6);
    assert!((ahead.credit_per_mwh().0 - 4_092.2 / 2.0).abs() < 1e-6);
    assert!((ahead.power.0 - 20_000.0).abs() < 1e-9);
    assert_eq!(ahead.bought_mwh, 500.0);
    assert!(ahead.profit() > ahead.profit_always_on);
}

#[test]
fn prices_that_cannot_be_read_say_where() {
    let line = |line, text: &str| PricesError::NotANumber { line, text: text.into() };
    assert_eq!(parse_prices("1\nx\n"), Err(line(2, "x")));
    assert_eq!(parse_prices("1\n2,NaN\n"), Err(line(2, "NaN")));
    assert_eq!(parse_prices("price\n"), Err(PricesError::Empty));
    assert_eq!(parse_prices(""), Err(PricesError::Empty));
}

#[test]
fn present_values_are_the_sums_that_they_claim() {
    let contract = Contract {
        per_mw_year: Dollars(1.9e6),
        margin: 0.5,
        term: 2,
        capex: Dollars(1e6),
        default_risk: 0.1,
    };
    let expected = 0.95e6 * 0.9 / 1.1 + 0.95e6 * 0.81 / 1.21 - 1e6;
    assert!((contract.present_value(0.1).0 - expected).abs() < 1e-6);

    let mine = Mine {
        efficiency: JoulesPerTerahash(17.5),
        electricity: DollarsPerKwh(0.05),
        hashprice: DollarsPerTerahashDay::per_petahash(38.7),
        decline: 0.5,
        capex: Dollars(0.0),
    };
    // The second year would lose money: it is not mined.
    let cash: Vec<_> = mine.cash(2).collect();
    assert!((cash[0].0 - (92.142_857 - 50.0) * 8_760.0).abs() < 1.0);
    assert_eq!(cash[1], Dollars(0.0));
    assert_eq!(mine.present_value(2, 0.0), cash[0]);
}

#[test]
fn the_supply_clock_knows_the_day_of_the_shipped_height() {
    let date = |height| Date::from_unix(Inputs::time_of(height)).to_string();
    assert_eq!(date(935_424), "2026-02-07");
    // 114,576 blocks later, 795 days and 16 hours.
    assert_eq!(date(1_050_000), "2028-04-12");
}

#[test]
fn pools_sell_a_smaller_spread_not_a_larger_mean() {
    let alone = pools::solo(0.01);
    assert!((alone.dry - 0.990_05).abs() < 1e-5);
    let pooled = pools::pooled(0.01, 1_000.0, 0.02);
    assert!(pooled.expected < alone.expected);
    assert!(pooled.spread.unwrap() < alone.spread.unwrap() / 100.0);
    // Where nothing is expected there is no mean to measure a spread by.
    assert_eq!(pools::pooled(0.01, 0.0, 0.02).spread, None);
    assert_eq!(pools::pooled(0.01, 1_000.0, 1.0).spread, None);
    // Nor a spread to measure a change by, where both shares are none or all.
    let share = |fraction| pools::Share::of(fraction, 4_464);
    assert_eq!(pools::change(share(0.0), share(0.0)), None);
    assert_eq!(pools::change(share(0.0), share(1.0)), None);
    assert!(pools::change(share(0.0), share(0.5)).unwrap().sigmas > 0.0);
    assert!(pooled.dry < 1e-300);
}

fn scenario(seed: u64) -> Scenario {
    let total = HashesPerSecond::from_exa(1_000.0);
    Scenario {
        fleets: simulate::example_fleets(total),
        height: 935_424 / 2016 * 2016,
        time: 1_770_422_400,
        bits: simulate::bits_for(total),
        fees: Btc(0.0),
        price: Dollars(89_870.0),
        price_growth: 0.0,
        price_volatility: 0.0,
        periods: 12,
        events: vec![],
        seed,
    }
}

#[test]
fn a_run_can_be_repeated_and_another_seed_is_another_run() {
    let run = |seed| simulate::run(&scenario(seed)).unwrap();
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn a_calm_network_keeps_ten_minutes_and_its_difficulty() {
    let periods = simulate::run(&scenario(3)).unwrap();
    for period in &periods {
        assert!(period.on.iter().all(|on| *on));
        // 2016 waits: a deviation of 2.2 %, of the estimate and of the difficulty it follows.
        assert!((period.interval / 600.0 - 1.0).abs() < 0.15, "{period:?}");
        assert!(period.change.abs() < 0.1);
    }
    let mean = periods.iter().map(|period| period.interval).sum::<f64>() / 12.0;
    assert!((mean / 600.0 - 1.0).abs() < 0.02, "{mean}");
}

#[test]
fn an_exit_slows_blocks_until_the_retarget_and_a_return_hastens_them() {
    let events = vec![
        Event { period: 2, capacity: 0.625, price: 1.0 },
        Event { period: 6, capacity: 1.0, price: 1.0 },
    ];
    let periods = simulate::run(&Scenario { events, ..scenario(5) }).unwrap();
    let issued = |index: usize| periods[index].issued_per_day().0;
    // Fewer miners: first fewer coins a day, then as many as ever. Never more.
    assert!((issued(2) / 450.0 - 0.625).abs() < 0.05, "{}", issued(2));
    assert!(periods[2].change < -0.3);
    assert!((issued(4) / 450.0 - 1.0).abs() < 0.1);
    // They come back into an easy period: now coins run ahead, for one period.
    assert!((issued(6) / 450.0 - 1.6).abs() < 0.15, "{}", issued(6));
    assert!((issued(8) / 450.0 - 1.0).abs() < 0.1);
    // The survivors' hashprice rose with the retarget, not with the exit.
    assert!((periods[2].hashprice / periods[1].hashprice - 1.0).abs() < 0.1);
    assert!(periods[4].hashprice / periods[1].hashprice > 1.4);
}

#[test]
fn a_fall_of_the_price_switches_off_the_weakest_and_the_retarget_brings_some_back() {
    let events = vec![Event { period: 1, capacity: 1.0, price: 0.7 }];
    let periods = simulate::run(&Scenario { events, ..scenario(9) }).unwrap();
    let running = |index: usize| periods[index].on.iter().filter(|on| **on).count();
    assert_eq!(running(0), 7);
    assert!(running(1) < 7);
    assert!(!periods[1].on[6] || !periods[1].on[5], "old machines go first");
    assert!(periods[1].rate < periods[0].rate);
    assert!(running(11) >= running(1));
}

#[test]
fn somebody_always_mines_and_a_bad_target_is_an_error() {
    let hopeless = Scenario { price: Dollars(1.0), periods: 2, ..scenario(1) };
    let periods = simulate::run(&hopeless).unwrap();
    assert!(periods.iter().all(|period| period.on.iter().filter(|on| **on).count() == 1));
    let zero = Scenario { bits: Bits::from_consensus(0), ..scenario(1) };
    assert!(simulate::run(&zero).is_err());
}

#[test]
fn the_halving_halves_in_the_middle_of_a_period() {
    // 1,050,000 lies 1,680 blocks into its period.
    let start = 1_050_000 / 2016 * 2016;
    let halving = Scenario { height: start, periods: 2, ..scenario(2) };
    let periods = simulate::run(&halving).unwrap();
    let before = u64::from(1_050_000 - start);
    let expected = before * 312_500_000 + (2016 - before) * 156_250_000;
    assert_eq!(periods[0].issued, Satoshi(expected));
    assert_eq!(periods[1].issued, Satoshi(2016 * 156_250_000));
}

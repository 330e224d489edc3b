//! Fleets that switch off when power costs more than hashing brings, under the real retarget rule.
//!
//! Blocks come at random with the rate that is switched on; every day's worth of blocks each fleet
//! looks at its books; every 2016 blocks the difficulty follows, by the same code that nodes use.

use midstate_chain::{Bits, BitsError, Network, RETARGET_INTERVAL, Target, retarget};

use crate::hashprice::{break_even, hashprice_at};
use crate::random::Random;
use crate::supply::BLOCKS_PER_DAY;
use crate::units::{
    Btc, Dollars, DollarsPerKwh, DollarsPerTerahashDay, HashesPerSecond, JoulesPerTerahash,
    Satoshi, YEAR,
};

/// Machines of one kind at one price of power.
#[derive(Debug, Clone, PartialEq)]
pub struct Fleet {
    /// For people.
    pub name: String,
    /// All of it, switched on or not.
    pub rate: HashesPerSecond,
    /// At the meter.
    pub efficiency: JoulesPerTerahash,
    /// At the meter.
    pub electricity: DollarsPerKwh,
}

/// The scenario to simulate.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// The fleets of the network. The fleet with the most room under its break-even never stops,
    /// even at a loss: a chain without miners would stand still.
    pub fleets: Vec<Fleet>,
    /// Height of the first block, a multiple of 2016.
    pub height: u32,
    /// Its time, Unix seconds.
    pub time: u32,
    /// Its target.
    pub bits: Bits,
    /// Fees of a block.
    pub fees: Btc,
    /// Price of a bitcoin at the start.
    pub price: Dollars,
    /// Yearly growth of the price: 0.5 for 50 %.
    pub price_growth: f64,
    /// Yearly deviation of the logarithm of the price; 0 for a price without weather.
    pub price_volatility: f64,
    /// How many periods of 2016 blocks.
    pub periods: u32,
    /// The events, each with its time.
    pub events: Vec<Event>,
    /// The same seed gives the same run.
    pub seed: u64,
}

/// Something that happens at the start of a period and stays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Event {
    /// Which period, from 0.
    pub period: u32,
    /// Share of every fleet's machines that exist from now on (a ban, a move to other work).
    pub capacity: f64,
    /// Factor on the price.
    pub price: f64,
}

/// The course of a period of 2016 blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// First height.
    pub height: u32,
    /// Time of its first block.
    pub time: u32,
    /// Its target.
    pub bits: Bits,
    /// Its difficulty.
    pub difficulty: f64,
    /// Mean seconds between blocks.
    pub interval: f64,
    /// Mean rate switched on.
    pub rate: HashesPerSecond,
    /// Price at its end.
    pub price: Dollars,
    /// Hashprice at its end.
    pub hashprice: DollarsPerTerahashDay,
    /// Coins made, fees not counted.
    pub issued: Satoshi,
    /// Which fleets ran at its end.
    pub on: Vec<bool>,
    /// Difficulty of the next period by that of this one, less 1.
    pub change: f64,
}

impl Period {
    /// Coins made for each day that it took.
    pub fn issued_per_day(&self) -> Btc {
        let days = self.interval * f64::from(RETARGET_INTERVAL) / crate::units::DAY;
        Btc(self.issued.btc().0 / days)
    }

    /// Coins that a day would make if blocks came as the rule wants them.
    pub fn planned_per_day(&self) -> Btc {
        Btc(self.issued.btc().0 / f64::from(RETARGET_INTERVAL) * f64::from(BLOCKS_PER_DAY))
    }
}

/// Runs the scenario, period by period.
///
/// # Errors
/// When the first target bounds nothing.
pub fn run(scenario: &Scenario) -> Result<Vec<Period>, BitsError> {
    let mut random = Random::from_seed(scenario.seed);
    let mut clock = f64::from(scenario.time);
    let mut bits = scenario.bits;
    let mut price = scenario.price;
    let mut capacity = 1.0;
    let mut periods = Vec::new();
    for index in 0..scenario.periods {
        for event in scenario.events.iter().filter(|event| event.period == index) {
            capacity = event.capacity;
            price = price * event.price;
        }
        let height = scenario.height + index * RETARGET_INTERVAL;
        let (target, first_time) = (bits.to_target()?, clock.round() as u32);
        let mut last_time = first_time;
        let (mut hashes, mut issued) = (0.0, 0);
        let mut books = Books::default();
        for block in 0..RETARGET_INTERVAL {
            let subsidy = Satoshi(Network::Mainnet.subsidy(height + block));
            if block % BLOCKS_PER_DAY == 0 {
                let reward = Btc(subsidy.btc().0 + scenario.fees.0);
                books = Books::of(&scenario.fleets, hashprice_at(reward, price, target), capacity);
            }
            // The block of this height is found at `clock`; then the search for the next begins.
            last_time = clock.round() as u32;
            issued += subsidy.0;
            let wait = random.exponential(target.expected_hashes_f64() / books.rate.0);
            hashes += wait * books.rate.0;
            clock += wait;
            price = price * drift(scenario, wait, &mut random);
        }
        let next = retarget(bits, first_time, last_time, Network::Mainnet.limit())?;
        let seconds = clock - f64::from(first_time);
        periods.push(Period {
            height,
            time: first_time,
            bits,
            difficulty: target.difficulty(),
            interval: seconds / f64::from(RETARGET_INTERVAL),
            rate: HashesPerSecond(hashes / seconds),
            price,
            hashprice: books.hashprice,
            issued: Satoshi(issued),
            on: books.on,
            change: next.to_target()?.difficulty() / target.difficulty() - 1.0,
        });
        bits = next;
    }
    Ok(periods)
}

/// A mixed world: seven kinds of machine at seven prices of power, made up so that the weakest
/// break even near today's hashprice. Together they have the rate `total`.
pub fn example_fleets(total: HashesPerSecond) -> Vec<Fleet> {
    // Name, share of the rate, J/TH, $/kWh.
    const MIX: [(&str, f64, f64, f64); 7] = [
        ("S23 Hyd class", 0.06, 9.5, 0.054),
        ("S21 XP class", 0.16, 13.5, 0.058),
        ("S21 Pro class", 0.22, 15.0, 0.054),
        ("S21 class", 0.22, 17.5, 0.058),
        ("S19 XP class", 0.16, 21.5, 0.054),
        ("M50S class", 0.10, 26.0, 0.048),
        ("S19 Pro class", 0.08, 29.5, 0.042),
    ];
    let fleet = |&(name, share, efficiency, electricity): &(&str, f64, f64, f64)| Fleet {
        name: name.to_owned(),
        rate: total * share,
        efficiency: JoulesPerTerahash(efficiency),
        electricity: DollarsPerKwh(electricity),
    };
    MIX.iter().map(fleet).collect()
}

/// The compact target of a network that finds a block every ten minutes at `rate`.
pub fn bits_for(rate: HashesPerSecond) -> Bits {
    let hashes = rate.0 * f64::from(midstate_chain::TARGET_SPACING);
    let difficulty = hashes / Target::HASHES_AT_DIFFICULTY_1;
    Target::from_difficulty(difficulty).unwrap_or(Target::DIFFICULTY_1).to_bits()
}

/// The fleets that run at a hashprice.
#[derive(Default)]
struct Books {
    hashprice: DollarsPerTerahashDay,
    on: Vec<bool>,
    rate: HashesPerSecond,
}

impl Books {
    fn of(fleets: &[Fleet], hashprice: DollarsPerTerahashDay, capacity: f64) -> Self {
        let room =
            |fleet: &Fleet| break_even(hashprice, fleet.efficiency, 1.0).0 - fleet.electricity.0;
        let most = fleets.iter().map(room).fold(f64::NEG_INFINITY, f64::max);
        let on: Vec<bool> =
            fleets.iter().map(|fleet| room(fleet) > 0.0 || room(fleet) == most).collect();
        let running = fleets.iter().zip(&on).filter(|(_, on)| **on);
        let rate = running.map(|(fleet, _)| fleet.rate.0).sum::<f64>() * capacity;
        Self { hashprice, on, rate: HashesPerSecond(rate) }
    }
}

/// Factor on the price over `seconds`: growth, and weather when there is any.
fn drift(scenario: &Scenario, seconds: f64, random: &mut Random) -> f64 {
    let years = seconds / YEAR;
    let mut log = (1.0 + scenario.price_growth).ln() * years;
    if scenario.price_volatility > 0.0 {
        log += scenario.price_volatility * years.sqrt() * random.normal();
    }
    log.exp()
}

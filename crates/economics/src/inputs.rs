//! The inputs of the formulas: one snapshot, of one day, `data/inputs.toml`, each value with its
//! source. Values that follow from others are computed here, so that all topics tell the same of
//! one machine. Callers override fields; nothing here is ever fetched.

use midstate_chain::{DifficultyError, Target};
use serde::Deserialize;

use crate::calendar::Date;
use crate::hashprice::hashprice;
use crate::odds::network_rate;
use crate::supply;
use crate::units::{Btc, Dollars, DollarsPerKwh, DollarsPerTerahashDay, HashesPerSecond, Satoshi};

/// The source of a value that was replaced.
const GIVEN: &str = "given on the command line";

/// The snapshot, and what follows from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// The day of all of it.
    pub date: Date,
    /// Difficulty of mainnet.
    pub difficulty: Input,
    /// A height of mainnet with that difficulty.
    pub height: Input,
    /// $/PH/day.
    pub hashprice: Input,
    /// Rate of mainnet, EH/s.
    pub network: Input,
    /// $/BTC.
    pub price: Input,
    /// BTC a block.
    pub fees: Input,
    /// $/kWh of a miner.
    pub electricity: Input,
    /// $/kWh of a home.
    pub household: Input,
    /// $ for 1 TH/s of new machine.
    pub rig_price: Input,
    /// Difficulty that a CPU meets on testnet4.
    pub testnet4_difficulty: Input,
}

/// The file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Snapshot {
    #[serde(deserialize_with = "date")]
    date: Date,
    difficulty: Undated,
    height: Undated,
    price: Undated,
    fees: Undated,
    electricity: Undated,
    household: Undated,
    rig_price: Undated,
    testnet4_difficulty: Undated,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Undated {
    value: f64,
    unit: String,
    source: String,
}

/// One value.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The number.
    pub value: f64,
    /// The quantity that it counts.
    pub unit: String,
    /// The day it was true.
    #[serde(deserialize_with = "date")]
    pub date: Date,
    /// The source.
    pub source: String,
}

impl Inputs {
    /// Every value, in the order of the fields.
    pub fn all(&self) -> [&Input; 10] {
        // Taken apart by name, so that a value that is left out does not compile.
        let Self {
            date: _,
            difficulty,
            height,
            hashprice,
            network,
            price,
            fees,
            electricity,
            household,
            rig_price,
            testnet4_difficulty,
        } = self;
        [
            difficulty,
            height,
            hashprice,
            network,
            price,
            fees,
            electricity,
            household,
            rig_price,
            testnet4_difficulty,
        ]
    }

    /// The snapshot that ships.
    pub fn shipped() -> Self {
        let snapshot: Snapshot = toml::from_str(include_str!("../data/inputs.toml"))
            .expect("the shipped file is tested");
        let date = snapshot.date;
        let of = |Undated { value, unit, source }| Input { value, unit, date, source };
        let follows = |unit: &str, source: &str| Input {
            value: 0.0,
            unit: unit.to_owned(),
            date,
            source: source.to_owned(),
        };
        let mut inputs = Self {
            date,
            difficulty: of(snapshot.difficulty),
            height: of(snapshot.height),
            hashprice: follows("$/PH/day", "reward x 144 blocks x price / network"),
            network: follows("EH/s", "difficulty x 2^32 / 600 s"),
            price: of(snapshot.price),
            fees: of(snapshot.fees),
            electricity: of(snapshot.electricity),
            household: of(snapshot.household),
            rig_price: of(snapshot.rig_price),
            testnet4_difficulty: of(snapshot.testnet4_difficulty),
        };
        inputs.derive_network().expect("the shipped difficulty is tested");
        inputs.derive_hashprice();
        inputs
    }

    /// The network's rate, by the difficulty.
    ///
    /// # Errors
    /// When the difficulty is none.
    pub fn derive_network(&mut self) -> Result<(), DifficultyError> {
        self.network.value = network_rate(self.target()?).exa();
        Ok(())
    }

    /// The hashprice, by reward, price and network.
    pub fn derive_hashprice(&mut self) {
        self.hashprice.value = hashprice(self.reward(), self.price(), self.network()).petahash();
    }

    /// The difficulty at which the network finds a block every ten minutes.
    pub fn derive_difficulty(&mut self) {
        let one = network_rate(Target::DIFFICULTY_1).exa();
        self.difficulty.value = self.network.value / one;
    }

    /// Mainnet's target.
    pub fn target(&self) -> Result<Target, DifficultyError> {
        Target::from_difficulty(self.difficulty.value)
    }

    /// Revenue of a TH/s.
    pub fn hashprice(&self) -> DollarsPerTerahashDay {
        DollarsPerTerahashDay::per_petahash(self.hashprice.value)
    }

    /// Rate of mainnet.
    pub fn network(&self) -> HashesPerSecond {
        HashesPerSecond::from_exa(self.network.value)
    }

    /// Price of a bitcoin.
    pub fn price(&self) -> Dollars {
        Dollars(self.price.value)
    }

    /// A miner's price of power.
    pub fn electricity(&self) -> DollarsPerKwh {
        DollarsPerKwh(self.electricity.value)
    }

    /// A home's price of power.
    pub fn household(&self) -> DollarsPerKwh {
        DollarsPerKwh(self.household.value)
    }

    /// Height of mainnet.
    pub fn height(&self) -> u32 {
        self.height.value as u32
    }

    /// Estimate of the Unix time of block `height`, ten minutes a block from the shipped height,
    /// whatever height was given: a date is known for the shipped one alone.
    pub fn time_of(height: u32) -> i64 {
        let known = Self::shipped().height;
        supply::time_of(height, known.value as u32, known.date.to_unix())
    }

    /// The reward of a block at this height, fees included.
    pub fn reward(&self) -> Btc {
        let subsidy = midstate_chain::Network::Mainnet.subsidy(self.height());
        Btc(Satoshi(subsidy).btc().0 + self.fees.value)
    }
}

impl Input {
    /// Replaces the value, if there is another, and says where that came from.
    pub fn overridden(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.value = value;
            GIVEN.clone_into(&mut self.source);
        }
    }

    /// Whether the value was replaced.
    pub fn is_given(&self) -> bool {
        self.source == GIVEN
    }
}

pub(crate) fn date<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

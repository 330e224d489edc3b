//! The answer in numbers: what a block costs here, how many of this machine equal one of those, and
//! how far each is from the floor.

use midstate_chain::{Network, Target};
use midstate_economics::hardware::{Class, Device};
use midstate_economics::inputs::Inputs;
use midstate_economics::joule::{ADDITION, Gap, operation};
use midstate_economics::odds::mean_wait;
use midstate_economics::physics::{Erased, ROOM};
use midstate_economics::units::{
    Dollars, HashesPerSecond, Joules, JoulesPerTerahash, Seconds, Watts, significant,
};
use serde_json::{Value, json};

use super::here::Here;
use crate::lab::inputs;
use crate::shell::exit::Failure;
use crate::shell::prose::band;

/// The numbers of the answer.
pub(super) struct Verdict {
    /// The best machine of the table.
    pub(super) best: Best,
    /// How many of this machine hash as fast as one of it.
    pub(super) rate_ratio: f64,
    /// How much more energy this machine takes for a hash: lowest and highest.
    pub(super) energy_ratio: (f64, f64),
    /// The same gap as two factors: at the lowest and at the highest power.
    pub(super) gap: (Gap, Gap),
    /// How long this machine hashes for one second of it.
    pub(super) one_second: Seconds,
    /// A block here, by network.
    pub(super) blocks: [Block; 3],
    /// How long the best machine waits for a block of mainnet.
    pub(super) best_wait: Seconds,
    /// The reward of a mainnet block.
    pub(super) reward: Dollars,
    /// By what factor this machine and the best one are above each floor.
    pub(super) floors: [Floor; 3],
}

/// The machine to compare with.
pub(super) struct Best {
    pub(super) name: String,
    pub(super) rate: HashesPerSecond,
    pub(super) power: Watts,
    pub(super) efficiency: JoulesPerTerahash,
}

/// A block on one network.
pub(super) struct Block {
    pub(super) network: &'static str,
    pub(super) difficulty: f64,
    pub(super) hashes: f64,
    pub(super) wait: Seconds,
    pub(super) energy: (Joules, Joules),
    pub(super) cost: (Dollars, Dollars),
}

/// A floor of physics.
pub(super) struct Floor {
    pub(super) model: Erased,
    pub(super) efficiency: JoulesPerTerahash,
    /// This machine, at the middle of its band.
    pub(super) here: f64,
    pub(super) best: f64,
}

impl Verdict {
    pub(super) fn of(here: &Here, devices: &[Device], inputs: &Inputs) -> Result<Self, Failure> {
        let best = best(devices)?;
        let (low, high) = here.efficiency();
        let mainnet = inputs::target(inputs)?;
        let testnet4 = Target::from_difficulty(inputs.testnet4_difficulty.value)?;
        let regtest = Network::Regtest.limit().to_target()?;
        let price = inputs.household();
        let block = |network, target: Target| {
            let hashes = target.expected_hashes_f64();
            let energy = (low.energy(hashes), high.energy(hashes));
            Block {
                network,
                difficulty: target.difficulty(),
                hashes,
                wait: mean_wait(target, here.rate),
                energy,
                cost: (energy.0.cost(price), energy.1.cost(price)),
            }
        };
        let floor = |model: Erased| {
            let efficiency = model.floor(ROOM);
            let here = here.typical_efficiency() / efficiency;
            Floor { model, efficiency, here, best: best.efficiency / efficiency }
        };
        Ok(Self {
            rate_ratio: best.rate / here.rate,
            energy_ratio: (low / best.efficiency, high / best.efficiency),
            gap: (Gap::between(low, best.efficiency), Gap::between(high, best.efficiency)),
            one_second: Seconds(best.rate / here.rate),
            best_wait: mean_wait(mainnet, best.rate),
            blocks: [
                block("mainnet", mainnet),
                block("testnet4", testnet4),
                block("regtest", regtest),
            ],
            reward: Dollars(inputs.reward().0 * inputs.price().0),
            floors: Erased::ALL.map(floor),
            best,
        })
    }

    /// The reward of a mainnet block against the price of its power here, in a sentence.
    pub(super) fn what_mining_leaves(&self) -> String {
        let (low, high) = self.blocks[0].cost;
        let bill = band(low.to_string(), high.to_string());
        if low > self.reward {
            format!(
                "Mining bitcoin with this machine earns nothing: a block's power costs {bill}, and \
                 the block brings {}.",
                self.reward
            )
        } else if high < self.reward {
            format!(
                "A block's power costs {bill} with this machine, and the block brings {}: mining \
                 bitcoin pays for its power; machine, room and the wait for a block are not \
                 counted.",
                self.reward
            )
        } else {
            format!(
                "A block's power costs {bill} with this machine, and the block brings {}: whether \
                 mining bitcoin pays depends on the watts that it really draws.",
                self.reward
            )
        }
    }

    /// The gap as two factors, in sentences.
    pub(super) fn two_factors(&self, here: &Here) -> String {
        let pico = |efficiency| significant(operation(efficiency).0 * 1e12);
        let (low, high) = here.efficiency();
        format!(
            "As two factors, an estimate: an adder by itself takes {:.1} pJ for a sum (Horowitz \
             2014, at 45 nm), and this machine spends {} pJ on each operation of a hash, {} times \
             as much, for all that it does besides. The {} spends {} pJ: {} times less than that \
             adder, by smaller transistors and less voltage.",
            ADDITION.0 * 1e12,
            band(pico(low), pico(high)),
            band(significant(self.gap.0.besides), significant(self.gap.1.besides)),
            self.best.name,
            pico(self.best.efficiency),
            significant(self.gap.0.transistors),
        )
    }

    pub(super) fn to_json(&self) -> Value {
        let block = |block: &Block| {
            json!({
                "network": block.network, "difficulty": block.difficulty, "hashes": block.hashes,
                "seconds": block.wait.0, "joules": [block.energy.0.0, block.energy.1.0],
                "dollars": [block.cost.0.0, block.cost.1.0],
            })
        };
        let floor = |floor: &Floor| {
            json!({
                "model": floor.model.name(), "j_per_th": floor.efficiency.0,
                "this_times_above": floor.here, "best_times_above": floor.best,
            })
        };
        json!({
            "event": "verdict", "best": self.best.name, "best_hps": self.best.rate.0,
            "best_watts": self.best.power.0, "best_j_per_th": self.best.efficiency.0,
            "machines_for_one_best": self.rate_ratio,
            "energy_ratio": [self.energy_ratio.0, self.energy_ratio.1],
            "energy_besides": [self.gap.0.besides, self.gap.1.besides],
            "energy_of_transistors": self.gap.0.transistors,
            "seconds_for_one_second_of_best": self.one_second.0,
            "blocks": self.blocks.iter().map(block).collect::<Vec<_>>(),
            "block_reward_dollars": self.reward.0,
            "floors": self.floors.iter().map(floor).collect::<Vec<_>>(),
            "answer": ANSWER,
        })
    }
}

/// Why, in a sentence.
pub(super) const WHY: &str = "Why: a CPU spends nearly all its energy on fetching and steering \
    instructions. An ASIC, a chip for this hash alone, has none: its wires are the rounds.";

/// Why, in a paragraph.
pub(super) const ANSWER: &str = "A CPU spends its energy on deciding what to do: it fetches, \
    decodes and schedules instructions, keeps caches and registers, and then now and then adds \
    two numbers. An ASIC has no instructions. The rounds of a try are laid out as wires, one after \
    the other, with several tries under way in them, and nearly all of the chip does rounds: in \
    Intel's BZM1 258 engines fill 90 % of the area, and from each comes a hash every three ticks \
    or so. With so many at work the chip gets by on 0.355 V, little more than its transistors need \
    to switch at all, and the energy of a switch goes with the square of the voltage. No fetch and \
    decode, rounds laid out as wires, near-threshold voltage: a CPU can have none of the three, \
    and software cannot add them.";

fn best(devices: &[Device]) -> Result<Best, Failure> {
    let efficiency = |device: &&Device| {
        device.typical_efficiency().map_or(f64::INFINITY, |efficiency| efficiency.0)
    };
    let best = devices
        .iter()
        .filter(|device| device.class == Class::Asic)
        .min_by(|a, b| efficiency(a).total_cmp(&efficiency(b)))
        .and_then(|device| {
            let (power, efficiency) = (device.power?.high, device.typical_efficiency()?);
            Some(Best { name: device.name.clone(), rate: device.rate, power, efficiency })
        });
    best.ok_or_else(|| anyhow::anyhow!("the hardware table has no ASIC with watts").into())
}

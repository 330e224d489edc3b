//! All that the class is at one instant: for the class's page, and for each device.

use serde::Serialize;

/// How somebody mines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The machine of the teacher.
    Teacher,
    /// By Stratum.
    Miner,
    /// In a browser.
    Device,
}

/// A row of the standings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The name; null in the sum of those that the standings have no place for.
    pub name: Option<String>,
    /// How it mines; null likewise.
    pub kind: Option<Kind>,
    /// The name by which a device has joined; the teacher may have it shown under another one.
    #[serde(skip)]
    pub(crate) device: Option<String>,
    /// Whether it is connected; when the class is over, whether it was until then.
    pub here: bool,
    /// Shares that were blocks.
    pub blocks: u64,
    /// Shares that were accepted, blocks included.
    pub shares: u64,
    /// Shares that were refused, those that came too late left out.
    pub rejected: u64,
    /// Shares that came too late.
    pub stale: u64,
    /// Hashes that the shares stand for.
    pub work: u64,
    /// Hashes that the device says it has done; null for others.
    pub claimed: Option<u64>,
    /// Counted hashes a second, of the last minute; null if there are too few shares to tell.
    pub hps: Option<f64>,
    /// One standard error of it, as a fraction.
    pub error: Option<f64>,
    /// Difficulty of the best hash; null before there is one.
    pub best: Option<f64>,
}

/// The newest block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Last {
    /// Its height.
    pub height: u32,
    /// The finder.
    pub name: String,
    /// How that one mines.
    pub kind: Kind,
    /// Seconds since the block before.
    pub seconds: f64,
    /// Its hash.
    pub hash: String,
    /// As in [`Row`].
    #[serde(skip)]
    pub(crate) device: Option<String>,
}

/// The best share that was no block.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Nearest {
    /// The finder.
    pub name: String,
    /// The part of the difficulty that a block needs.
    pub fraction: f64,
}

/// The class, for the class's page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassStatus {
    /// Since the start.
    pub seconds: f64,
    /// Whether it has ended.
    pub over: bool,
    /// The standings: by blocks, then by counted work, then by name.
    pub rows: Vec<Row>,
    /// The sum of those that have no row.
    pub others: Option<Row>,
    /// Counted hashes of all a second, of the last minute.
    pub hps: Option<f64>,
    /// One standard error of it, as a fraction.
    pub error: Option<f64>,
    /// Devices that are connected.
    pub devices: usize,
    /// Stratum connections of others than the teacher's machine.
    pub miners: usize,
    /// Of the block that is searched.
    pub height: u32,
    /// Of the block that is searched.
    pub difficulty: f64,
    /// Seconds that the class needs for it, at its rate.
    pub expected: Option<f64>,
    /// Seconds since the last block, or since the start.
    pub since: f64,
    /// Blocks so far.
    pub found: u64,
    /// Blocks that the counted work made expect.
    pub expected_blocks: f64,
    /// Of each block: the seconds since the one before, and those that were expected then.
    pub waits: Vec<(f64, Option<f64>)>,
    /// Seconds since the start, and the block difficulty from then on.
    pub difficulties: Vec<(f64, f64)>,
    /// Since the last block.
    pub nearest: Option<Nearest>,
    /// The newest block.
    pub last: Option<Last>,
}

/// The newest block, for a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastForDevice {
    /// Its height.
    pub height: u32,
    /// The finder.
    pub name: String,
    /// Whether the device has found it.
    pub you: bool,
    /// Seconds since the block before.
    pub seconds: f64,
}

/// The class, for a device.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Surroundings {
    /// As in [`ClassStatus`].
    pub hps: Option<f64>,
    /// As in [`ClassStatus`].
    pub devices: usize,
    /// As in [`ClassStatus`].
    pub height: u32,
    /// As in [`ClassStatus`].
    pub difficulty: f64,
    /// As in [`ClassStatus`].
    pub expected: Option<f64>,
    /// As in [`ClassStatus`].
    pub since: f64,
    /// The newest block.
    pub last: Option<LastForDevice>,
}

/// How a device stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct You {
    /// Its row of the standings.
    #[serde(flatten)]
    pub row: Row,
    /// Its place in them, from 1.
    pub place: usize,
    /// How many rows there are.
    pub of: usize,
    /// The others.
    pub class: Surroundings,
    /// Whether the class has ended.
    pub over: bool,
}

impl ClassStatus {
    /// How each device stands, by the name by which it has joined.
    pub fn devices(&self) -> impl Iterator<Item = (&str, You)> {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(|(index, row)| {
            let name = row.device.as_deref()?;
            Some((name, self.of_row(index, row, name)))
        })
    }

    fn of_row(&self, index: usize, row: &Row, name: &str) -> You {
        let last = self.last.as_ref().map(|last| LastForDevice {
            height: last.height,
            name: last.name.clone(),
            you: last.device.as_deref() == Some(name),
            seconds: last.seconds,
        });
        let class = Surroundings {
            hps: self.hps,
            devices: self.devices,
            height: self.height,
            difficulty: self.difficulty,
            expected: self.expected,
            since: self.since,
            last,
        };
        You { row: row.clone(), place: index + 1, of: self.rows.len(), class, over: self.over }
    }
}

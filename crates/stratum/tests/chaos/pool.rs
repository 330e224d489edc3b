//! A pool of its own making: it judges with the `sha2` crate, by the text of the protocol.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// One hash in four is a share: what misses the target is noticed.
pub(crate) const QUARTER: f64 = 1.0 / (1u64 << 30) as f64;
const MASK: u32 = 0x1fff_e000;

/// A pool's memory.
pub(crate) struct Pool {
    pub(crate) extranonce1: String,
    pub(crate) extranonce2_size: usize,
    pub(crate) difficulty: f64,
    pub(crate) mask: u32,
    pub(crate) prev: u8,
    pub(crate) time: u32,
    /// Whether shares are judged by the difficulty of now instead of their job's.
    pub(crate) judges_by_newest: bool,
    next_job: u64,
    /// By its id, all contents that it had; the last one counts.
    jobs: HashMap<String, Vec<Job>>,
    /// The hashes that were counted as accepted shares.
    accepted: HashSet<[u8; 32]>,
    /// Shares that missed the target of their job: the client should not have sent them.
    pub(crate) below_target: u64,
}

#[derive(Clone)]
struct Job {
    params: Value,
    extranonce1: String,
    difficulty: f64,
    mask: u32,
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self {
            extranonce1: "a1b2c3d4".into(),
            extranonce2_size: 4,
            difficulty: QUARTER,
            mask: MASK,
            prev: 1,
            time: 0x6500_0000,
            judges_by_newest: false,
            next_job: 0,
            jobs: HashMap::new(),
            accepted: HashSet::new(),
            below_target: 0,
        }
    }

    pub(crate) fn has(&self, hash: &[u8; 32]) -> bool {
        self.accepted.contains(hash)
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.len() as u64
    }

    /// A new job on the present block.
    pub(crate) fn job(&mut self, clean: bool) -> Value {
        self.next_job += 1;
        self.time += 1;
        let id = format!("{:x}", self.next_job);
        self.job_named(&id, clean)
    }

    /// A job of that name, with a content of its own.
    pub(crate) fn job_named(&mut self, id: &str, clean: bool) -> Value {
        if clean {
            self.jobs.clear();
        }
        self.next_job += 1;
        let prefix = format!("01000000{}ffffffff{:016x}", "00".repeat(36), self.next_job);
        let prev = format!("{:02x}", self.prev).repeat(32);
        let time = format!("{:08x}", self.time);
        let params = json!([id, prev, prefix, "00000000", [], "20000000", "1d00ffff", time, clean]);
        let call = json!({"id": null, "method": "mining.notify", "params": params});
        let extranonce1 = self.extranonce1.clone();
        let (difficulty, mask) = (self.difficulty, self.mask);
        let job = Job { params, extranonce1, difficulty, mask };
        self.jobs.entry(id.to_owned()).or_default().push(job);
        call
    }

    /// The newest job once more, word for word.
    pub(crate) fn same_job(&mut self) -> Value {
        let newest = self.jobs.values().flatten().max_by_key(|job| job.params[2].to_string());
        match newest {
            Some(job) => {
                let mut params = job.params.clone();
                params[8] = json!(false);
                json!({"id": null, "method": "mining.notify", "params": params})
            }
            None => self.job(true),
        }
    }

    pub(crate) fn set_difficulty(&self) -> Value {
        json!({"id": null, "method": "mining.set_difficulty", "params": [self.difficulty]})
    }

    /// Another session: what was found in the old one is worth nothing.
    pub(crate) fn renew(&mut self, extranonce1: u64) {
        self.extranonce1 = format!("{extranonce1:08x}");
        self.jobs.clear();
    }

    /// The verdict on `[worker, job, extranonce2, time, nonce, version]`.
    pub(crate) fn judge(&mut self, params: &Value) -> Result<(), (i64, &'static str)> {
        let text = |at: usize| params[at].as_str().unwrap_or_default();
        for (at, width) in [(2, self.extranonce2_size * 2), (3, 8), (4, 8)] {
            let digits = text(at).bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            assert!(digits, "{params}");
            // Another size may have been in force when it was found.
            assert!(text(at).len() == width || at == 2, "{params}");
        }
        let Some((job, older)) = self.jobs.get(text(1)).and_then(|jobs| jobs.split_last()) else {
            return Err((21, "job not found"));
        };
        let rolled = u32::from_str_radix(text(5), 16).unwrap_or(0);
        // A mask that changes takes effect at once, and the share may have been on its way.
        let masks = [job.mask, self.mask, 0, MASK, 0x00ff_e000];
        let good = |job: &Job| {
            let hashes = masks.iter().map(|&mask| job.hash(params, rolled, mask));
            hashes.into_iter().find(|hash| meets(hash, job.difficulty))
        };
        let Some(hash) = good(job) else {
            // So may one of a job whose id was given away.
            if older.iter().any(|job| good(job).is_some()) {
                return Err((21, "job not found"));
            }
            self.below_target += 1;
            return Err((23, "low difficulty"));
        };
        if self.judges_by_newest && !meets(&hash, self.difficulty) {
            return Err((23, "low difficulty"));
        }
        if self.accepted.insert(hash) { Ok(()) } else { Err((22, "duplicate")) }
    }
}

impl Job {
    fn hash(&self, params: &Value, rolled: u32, mask: u32) -> [u8; 32] {
        let number = |text: &Value| u32::from_str_radix(text.as_str().unwrap(), 16).unwrap();
        let coinbase = [&self.params[2], &json!(self.extranonce1), &params[2], &self.params[3]]
            .map(|part| part.as_str().unwrap())
            .concat();
        let root = sha256d(&hex::decode(coinbase).unwrap());
        let version = number(&self.params[5]) & !mask | rolled & mask;
        let prev = hex::decode(self.params[1].as_str().unwrap()).unwrap();
        let mut header = version.to_le_bytes().to_vec();
        // Every word is swapped on the line.
        header.extend(prev.chunks(4).flat_map(|word| word.iter().rev()));
        header.extend(root);
        for field in [&params[3], &self.params[6], &params[4]] {
            header.extend(number(field).to_le_bytes());
        }
        sha256d(&header)
    }
}

fn sha256d(data: &[u8]) -> [u8; 32] {
    Sha256::digest(Sha256::digest(data)).into()
}

/// By the leading 64 bits, which decide at such difficulties.
fn meets(hash: &[u8; 32], difficulty: f64) -> bool {
    let top = hash.iter().rev().take(8).fold(0u64, |top, &byte| top << 8 | u64::from(byte));
    // Difficulty 1 is 2^224 of 2^256, a little less.
    let bound = 65535.0 / 65536.0 * 2f64.powi(32) / difficulty;
    (top as f64) <= bound
}

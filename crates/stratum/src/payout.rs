//! Whether a job pays whom it should (S13): a look into the coinbase that the pool had us hash. A
//! pool that promises to pay an address in the block itself can be held to it, and whoever sits
//! between us and an unencrypted pool cannot quietly put another address there.

use midstate_chain::{Job, coinbase_outputs, coinbase_script};

/// The address to be paid in every job's coinbase.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedPayout {
    /// As people write it, for what is said.
    pub address: String,
    /// The address's locking script.
    pub script: Vec<u8>,
    /// The part of all that the coinbase pays that has to go there, in percent. `None`: anything.
    pub least_percent: Option<f64>,
    /// Whether to leave a pool whose job does not pay; otherwise it is said, and work goes on.
    pub strict: bool,
}

/// How a job fails to pay.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PayoutError {
    /// It cannot be told.
    #[error("its coinbase cannot be read, so it is unknown whether it pays {0}")]
    Unreadable(String),
    /// It depends on the extranonce: what is hashed may pay another than what was looked at.
    #[error(
        "its extranonce lies outside the coinbase's input script, so it is unknown whether it pays \
         {0}"
    )]
    Misplaced(String),
    /// No output, or one of nothing.
    #[error("its coinbase pays {address} nothing; it pays {total} satoshi to others")]
    Absent {
        /// The address that was to be paid.
        address: String,
        /// The sum that the coinbase pays, in satoshi.
        total: u64,
    },
    /// Less than was asked for.
    #[error("its coinbase pays {address} {percent:.2} %, expected at least {least} %")]
    TooLittle {
        /// The address that was to be paid.
        address: String,
        /// The part that goes there.
        percent: f64,
        /// The part that should.
        least: f64,
    },
}

impl ExpectedPayout {
    /// Looks into the coinbase of `job`: one look for every extranonce2 there is, which therefore
    /// must have no part in the outputs.
    ///
    /// # Errors
    /// When it does not pay what is expected, or cannot be read.
    pub fn check(&self, job: &Job) -> Result<(), PayoutError> {
        let address = || self.address.clone();
        let unreadable = || PayoutError::Unreadable(address());
        let coinbase = job.coinbase(&vec![0; job.extranonce2_size]);
        let script = coinbase_script(&coinbase).ok_or_else(unreadable)?;
        let outputs = coinbase_outputs(&coinbase).ok_or_else(unreadable)?;
        let extranonce = job.coinbase_prefix.len()..coinbase.len() - job.coinbase_suffix.len();
        if extranonce.start < script.start || extranonce.end > script.end {
            return Err(PayoutError::Misplaced(address()));
        }
        // Values are the pool's to choose, so that sums may be beyond all reason.
        let sum = |values: &mut dyn Iterator<Item = u64>| values.fold(0, u64::saturating_add);
        let total = sum(&mut outputs.iter().map(|output| output.value));
        let ours = outputs.iter().filter(|output| output.script == self.script);
        let paid = sum(&mut ours.map(|output| output.value));
        if paid == 0 {
            return Err(PayoutError::Absent { address: address(), total });
        }
        let Some(least) = self.least_percent else { return Ok(()) };
        // Pools round to whole satoshi, to their side.
        if paid.saturating_add(1) as f64 >= total as f64 * least / 100.0 {
            return Ok(());
        }
        let percent = 100.0 * paid as f64 / total as f64;
        Err(PayoutError::TooLittle { address: address(), percent, least })
    }
}

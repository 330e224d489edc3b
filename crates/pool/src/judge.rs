//! The judge: from the fields of a submission to a header and its hash, with nobody's help but the
//! `sha2` crate's. Called for every share; shares no code with the miner's side on purpose.

use midstate_chain::{Hash256, Header, Job};
use midstate_stratum::{Reject, Submission};
use sha2::{Digest, Sha256};

/// A submission, recomputed.
pub(crate) struct Judged {
    pub(crate) header: Header,
    pub(crate) hash: Hash256,
    /// The coinbase without witness.
    pub(crate) coinbase: Vec<u8>,
}

/// Rebuilds the header that `submission` claims to have solved in `job`. `version_mask` is what was
/// negotiated with the session (0: nothing), `min_time..=max_time` what the header may say.
pub(crate) fn recompute(
    job: &Job,
    extranonce1: &[u8],
    version_mask: u32,
    times: std::ops::RangeInclusive<u32>,
    submission: &Submission,
) -> Result<Judged, Reject> {
    if submission.extranonce2.len() != job.extranonce2_size {
        let (came, expected) = (submission.extranonce2.len(), job.extranonce2_size);
        return Err(Reject::other(format!("extranonce2 has {came} bytes, expected {expected}")));
    }
    if !times.contains(&submission.time) {
        let (low, high) = times.into_inner();
        let came = submission.time;
        return Err(Reject::other(format!("ntime {came:08x} is not in {low:08x}..={high:08x}")));
    }
    let version = match submission.version_bits {
        Some(bits) if bits & !version_mask != 0 => {
            return Err(Reject::other(format!(
                "version bits {bits:08x} outside the mask {version_mask:08x}"
            )));
        }
        Some(bits) => job.version & !version_mask | bits,
        None => job.version,
    };

    let coinbase =
        [&job.coinbase_prefix, extranonce1, &submission.extranonce2, &job.coinbase_suffix].concat();
    let mut root = sha256d(&[&coinbase]);
    for sibling in &job.branch {
        root = sha256d(&[&root, sibling.as_bytes()]);
    }
    let bytes = [
        &version.to_le_bytes(),
        job.prev_hash.as_bytes().as_slice(),
        &root,
        &submission.time.to_le_bytes(),
        &job.bits.to_consensus().to_le_bytes(),
        &submission.nonce.to_le_bytes(),
    ]
    .concat();
    let bytes: [u8; Header::LEN] = bytes.try_into().expect("the fields of a header make 80 bytes");
    let hash = Hash256::from_bytes(sha256d(&[&bytes]));
    Ok(Judged { header: Header::from_bytes(&bytes), hash, coinbase })
}

fn sha256d(parts: &[&[u8]]) -> [u8; 32] {
    let first = parts.iter().fold(Sha256::new(), |hasher, part| hasher.chain_update(part));
    Sha256::digest(first.finalize()).into()
}

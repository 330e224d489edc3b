//! The judge: from the fields of a submission to a header and its hash, with nobody's help but the
//! `sha2` crate's. Called for every share; shares no code with the miner's side on purpose.

use midstate_chain::{Hash256, Header, Job};
use midstate_stratum::Submission;
use sha2::{Digest, Sha256};

use crate::pool::PADDING;
use crate::refusal::Refusal;

/// A share as a miner claims it, by whatever protocol.
pub(crate) struct Claim {
    /// The job that it claims to belong to.
    pub(crate) job: String,
    pub(crate) extranonce2: Vec<u8>,
    /// Zeros behind it, which are not the miner's.
    pub(crate) padding: usize,
    pub(crate) time: u32,
    pub(crate) nonce: u32,
    pub(crate) version: Version,
}

/// The header's version, as a protocol tells it.
pub(crate) enum Version {
    /// By the bits that were rolled, if any.
    Rolled(Option<u32>),
    Whole(u32),
}

impl From<&Submission> for Claim {
    fn from(of: &Submission) -> Self {
        Self {
            job: of.job_id.clone(),
            extranonce2: of.extranonce2.clone(),
            padding: PADDING,
            time: of.time,
            nonce: of.nonce,
            version: Version::Rolled(of.version_bits),
        }
    }
}

/// A submission, recomputed.
pub(crate) struct Judged {
    pub(crate) header: Header,
    pub(crate) hash: Hash256,
    /// The coinbase without witness.
    pub(crate) coinbase: Vec<u8>,
}

/// Rebuilds the header that `claim` says to have solved in `job`. `version_mask` is what was
/// negotiated with the session (0: nothing), `times` what the header may say.
pub(crate) fn recompute(
    job: &Job,
    extranonce1: &[u8],
    version_mask: u32,
    times: std::ops::RangeInclusive<u32>,
    claim: &Claim,
) -> Result<Judged, Refusal> {
    let (came, expected) = (claim.extranonce2.len(), job.extranonce2_size - claim.padding);
    if came != expected {
        return Err(Refusal::ExtranonceSize { came, expected });
    }
    if !times.contains(&claim.time) {
        return Err(Refusal::Time { came: claim.time, allowed: times });
    }
    let mask = version_mask;
    let version = match claim.version {
        Version::Rolled(None) => job.version,
        Version::Rolled(Some(bits)) if bits & !mask == 0 => job.version & !mask | bits,
        Version::Rolled(Some(bits)) => return Err(Refusal::VersionBits { bits, mask }),
        Version::Whole(version) => match (version ^ job.version) & !mask {
            0 => version,
            bits => return Err(Refusal::VersionBits { bits, mask }),
        },
    };

    let padding = vec![0; claim.padding];
    let extranonce = [extranonce1, &claim.extranonce2, &padding].concat();
    let coinbase = [&job.coinbase_prefix[..], &extranonce, &job.coinbase_suffix].concat();
    let mut root = sha256d(&[&coinbase]);
    for sibling in &job.branch {
        root = sha256d(&[&root, sibling.as_bytes()]);
    }
    let bytes = [
        &version.to_le_bytes(),
        job.prev_hash.as_bytes().as_slice(),
        &root,
        &claim.time.to_le_bytes(),
        &job.bits.to_consensus().to_le_bytes(),
        &claim.nonce.to_le_bytes(),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::RegtestChain;

    const TIME: u32 = 1_700_000_000;

    /// The version of the header that these bits make under this mask.
    fn version(bits: Option<u32>, mask: u32) -> Result<u32, String> {
        let chain = RegtestChain::new(Vec::new()).expect("no tag");
        let mut job = chain.template(Duration::from_secs(TIME.into())).job;
        // All bits are set, so that those that must be cleared are seen.
        job.version = u32::MAX;
        let submission = Submission {
            worker: "me".into(),
            job_id: String::new(),
            extranonce2: vec![0; 4],
            time: TIME,
            nonce: 0,
            version_bits: bits,
        };
        let judged = recompute(&job, &[0; 4], mask, TIME..=TIME, &(&submission).into());
        judged.map(|judged| judged.header.version).map_err(|refusal| refusal.reject().text)
    }

    #[test]
    fn rolled_version_bits_replace_those_of_the_mask_and_no_others() {
        assert_eq!(version(None, 0x1fff_e000), Ok(u32::MAX));
        assert_eq!(version(Some(0), 0x1fff_e000), Ok(0xe000_1fff));
        assert_eq!(version(Some(0x0000_2000), 0x1fff_e000), Ok(0xe000_3fff));
        assert_eq!(version(Some(0x1fff_e000), 0x1fff_e000), Ok(u32::MAX));
        assert_eq!(version(Some(0), 0), Ok(u32::MAX));
        for (bits, mask) in [(0x2000_0000, 0x1fff_e000), (0x3fff_e000, 0x1fff_e000), (1, 0)] {
            let words = format!("version bits {bits:08x} outside the mask {mask:08x}");
            assert_eq!(version(Some(bits), mask), Err(words));
        }
    }
}

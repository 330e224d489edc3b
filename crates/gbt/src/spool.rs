//! The form of a solved block on disk: one file per block, named by its hash, holding its hex.
//!
//! Plain enough to be submitted by hand: `bitcoin-cli submitblock $(cat <hash>.block)`. Reading and
//! writing files (`net`) keeps the order that makes it safe: write a temporary file, sync it,
//! rename it, sync the directory; only then is the block sent.

use std::io::{Error, ErrorKind};

use midstate_chain::{Hash256, Header, coinbase_height};

/// Ending of the files to replay.
pub const EXTENSION: &str = "block";
/// Ending of a block that every node refused: kept as evidence, never sent again.
pub const REFUSED_EXTENSION: &str = "refused";

/// A solved block as the spool keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledBlock {
    /// Its hash.
    pub hash: Hash256,
    /// The height that its coinbase states.
    pub height: u32,
    /// The block it builds on.
    pub prev_hash: Hash256,
    /// The whole block in hex.
    pub hex: String,
}

/// Why a file is no spooled block. It is left where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// The file's name.
    #[error("a spooled block is called <64 hex digits>.{EXTENSION}")]
    Name,
    /// The file's content.
    #[error("its content is no block in hex")]
    Content,
    /// Name and content disagree: the file was cut or changed.
    #[error("its content is block {0}")]
    OtherBlock(Hash256),
}

/// The first half of the cure for a spool that cannot be used, before "name another directory".
pub fn cure(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room on the disk, or ",
        ErrorKind::PermissionDenied => "let this user read and write there, or ",
        _ => "",
    }
}

impl SpooledBlock {
    /// From a raw block. `None` when it is none.
    pub fn from_block(block: &[u8]) -> Option<Self> {
        let (header, rest) = block.split_first_chunk::<{ Header::LEN }>()?;
        let header = Header::from_bytes(header);
        let height = coinbase_height(&first_transaction(rest)?)?;
        let (hash, prev_hash) = (header.hash(), header.prev_hash);
        Some(Self { hash, height, prev_hash, hex: hex::encode(block) })
    }

    /// From a file's name and content.
    pub fn from_file(name: &str, content: &str) -> Result<Self, SpoolError> {
        let named: Hash256 = name
            .strip_suffix(EXTENSION)
            .and_then(|name| name.strip_suffix('.'))
            .and_then(|name| name.parse().ok())
            .ok_or(SpoolError::Name)?;
        let block = hex::decode(content.trim_ascii()).map_err(|_| SpoolError::Content)?;
        let found = Self::from_block(&block).ok_or(SpoolError::Content)?;
        if found.hash != named {
            return Err(SpoolError::OtherBlock(found.hash));
        }
        Ok(found)
    }

    /// Whether its hash meets the target that its header states.
    pub(crate) fn is_solved(&self) -> bool {
        let header = self.hex.get(..2 * Header::LEN).and_then(|hex| hex.parse::<Header>().ok());
        let target = header.and_then(|header| header.bits.to_target().ok());
        target.is_some_and(|target| target.is_met_by(&self.hash))
    }

    /// The file's name.
    pub fn file_name(&self) -> String {
        format!("{}.{EXTENSION}", self.hash)
    }

    /// The file's content.
    pub fn file_content(&self) -> String {
        format!("{}\n", self.hex)
    }
}

/// The start of the coinbase in its form without witness: enough to read the height from.
fn first_transaction(after_header: &[u8]) -> Option<Vec<u8>> {
    // The count takes 1, 3 or 5 bytes; a block cannot hold 2^32 transactions.
    let count_len = match after_header.first()? {
        0..=0xfc => 1,
        0xfd => 3,
        _ => 5,
    };
    let coinbase = after_header.get(count_len..)?;
    let (version, rest) = coinbase.split_at_checked(4)?;
    let inputs = rest.strip_prefix(&[0x00, 0x01]).unwrap_or(rest);
    Some([version, inputs.get(..inputs.len().min(256))?].concat())
}

//! Causes and cures for Core's words about a block (`validation.cpp`, `consensus/tx_check.cpp`,
//! `signet.cpp`, `rpc/mining.cpp`), as answers to `submitblock` and to a proposal, or inside the
//! message of an error.
//!
//! Rule: a user reads no word of a node's without its cause and a cure. The word itself stays in
//! front, for searches and for programs. Words of BIP22 that Core has not are known, too; any other
//! word is told as one that is not known here.

use crate::NOT_BEST;
use crate::lateness::CONTRADICTION;

/// A node's answer to a block whose parent it lacks.
pub(crate) const NO_PARENT: &str = "prev-blk-not-found";

const MIXED: &str = "the template was changed on its way, or something between us asks several \
                     nodes in turn; mine at Bitcoin Core itself";
const OURS: &str = "midstate made the block wrong, or it was changed on its way; if nothing is \
                    between us and the node, please report it";
const NO_ROOM: &str = "the template leaves no room for the coinbase: give the node \
                       -blockreservedweight=8000, which is its default, and no -blockmaxweight";
const TRANSACTION: &str = "a transaction of the template is not valid: a proxy changed the \
                           template, or the node's mempool is damaged; restart the node, then \
                           look into its debug.log";
const INVALID: &str = "the node holds this block, or one before it, for invalid; its debug.log \
                       says why, and bitcoin-cli reconsiderblock HASH has it look once more";
const SILENT: &str = "the node gives no reason; its debug.log may";
const STALE: &str = "the server builds on another block by now, and takes this one no more";
const NO_CORE: &str = "what answers is no Bitcoin Core, and takes no block whose coinbase is ours; \
                       mine at Bitcoin Core itself";
const UNKNOWN: &str = "midstate does not know this reason; the node's debug.log may say more";

/// Core's words, the cause and the cure of each.
const CAUSES: [(&str, &str); 40] = [
    (NO_PARENT, "it does not have the block before it"),
    (NOT_BEST, CONTRADICTION),
    // The header.
    ("time-too-new", "its time is too far ahead of the node's clock; check both clocks"),
    (
        "time-too-old",
        "its time is not after the middle one of the eleven blocks before it; check both clocks",
    ),
    (
        "time-timewarp-attack",
        "it begins a difficulty period more than ten minutes before the block before it (BIP94); \
         check both clocks",
    ),
    (
        "high-hash",
        "its hash is above the node's target: the template names another difficulty than the node \
         judges by; mine at Bitcoin Core itself",
    ),
    (
        "bad-diffbits",
        "its difficulty is not the next one of the node's chain: the template is of another chain, \
         or something between us asks several nodes in turn",
    ),
    (
        "bad-version",
        "the chain's rules allow its version no more: try --version-mask off, and if that does not \
         help, update the node",
    ),
    (
        "too-little-chainwork",
        "its chain has less work than the node asks for: the node is still catching up, or on a \
         chain of its own (-minimumchainwork)",
    ),
    (
        "bad-fork-prior-to-checkpoint",
        "it builds on a block from before a checkpoint: another chain",
    ),
    ("bad-prevblk", INVALID),
    ("duplicate-invalid", INVALID),
    // The coinbase.
    (
        "bad-cb-height",
        "the height in its coinbase is not the next one of the node's chain: the template names \
         another height, or something between us asks several nodes in turn",
    ),
    (
        "bad-cb-amount",
        "its coinbase takes more than reward and fees: the template names a wrong coinbasevalue, \
         as at a node of another coin",
    ),
    ("bad-cb-length", "the script of its coinbase is too long: make --coinbase-tag shorter"),
    ("bad-cb-missing", OURS),
    ("bad-cb-multiple", OURS),
    ("bad-txnmrklroot", OURS),
    ("bad-txns-duplicate", OURS),
    // Its size.
    ("bad-blk-weight", NO_ROOM),
    ("bad-blk-length", NO_ROOM),
    ("bad-blk-sigops", MIXED),
    // SegWit and signet.
    ("bad-witness-nonce-size", OURS),
    (
        "unexpected-witness",
        "it has witnesses without a commitment to them, or SegWit is not active on the node's \
         chain; mine at Bitcoin Core itself",
    ),
    (
        "bad-signet-blksig",
        "this signet wants blocks that its owner has signed, which midstate cannot do; mine on a \
         signet whose challenge is OP_TRUE (51), or on another chain",
    ),
    // Its transactions.
    (
        "bad-txns-nonfinal",
        "one of its transactions may be mined later only: check the node's clock; or the template \
         names too great a height, and the transaction is our coinbase",
    ),
    ("block-script-verify-flag-failed", TRANSACTION),
    // Of nodes before 29.0.
    ("mandatory-script-verify-flag-failed", TRANSACTION),
    ("non-mandatory-script-verify-flag", TRANSACTION),
    // Of BIP22, for servers of other kinds.
    ("stale-prevblk", STALE),
    ("stale-work", STALE),
    ("time-invalid", "its time is not one that the node allows; check both clocks"),
    ("bad-cb-flag", NO_CORE),
    ("bad-cb-prefix", NO_CORE),
    ("unknown-user", NO_CORE),
    ("unknown-work", NO_CORE),
    // Core without a word of its own.
    ("rejected", SILENT),
    ("valid?", SILENT),
    (
        "Block decode failed",
        "the node cannot read the block: it is a node of another coin, or the block was changed on \
         its way",
    ),
    // Of nodes before 27.0.
    ("Block does not start with a coinbase", OURS),
];

/// Words that begin so, with a hyphen and more behind it, as far as they are not above.
const FAMILIES: [(&str, &str); 2] = [("bad-txns", TRANSACTION), ("bad-witness", MIXED)];

/// The cause of a node's word about a block, and the cure, where they are known. The word may have
/// details behind it: `bad-version(0x00000001)`.
pub fn cause(reason: &str) -> Option<&'static str> {
    let word = reason.split([' ', '(', ',', ':']).next()?;
    let is_it = |&&(known, _): &&(&str, &str)| word == known || reason == known;
    let is_of = |&&(family, _): &&(&str, &str)| {
        word.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let found = CAUSES.iter().find(is_it).or_else(|| FAMILIES.iter().find(is_of));
    found.map(|(_, cause)| *cause)
}

/// The same for any reason with which a node refuses a block.
pub fn likely_cause(reason: &str) -> &'static str {
    cause(reason).unwrap_or(UNKNOWN)
}

/// The same for an error of the node, whose message may have the word in it: "CreateNewBlock:
/// TestBlockValidity failed: bad-cb-height, block height mismatch in coinbase".
pub(crate) fn cause_within(message: &str) -> Option<&'static str> {
    // A word of Core's about a block is no word of English.
    message.split(' ').filter(|word| word.contains('-')).find_map(cause)
}

/// The node's reason to refuse a block, with its cause and cure.
pub fn refusal_in_words(reason: &str) -> String {
    format!("{reason}: {}", likely_cause(reason))
}

/// Whether a refusal stands only as long as the node holds the block, or the one before it, for
/// invalid: `reconsiderblock` lifts it.
pub(crate) fn holds_invalid(reason: &str) -> bool {
    matches!(reason, "bad-prevblk" | "duplicate-invalid")
}

/// Whether time may lift a refusal.
pub(crate) fn may_pass(reason: &str) -> bool {
    matches!(reason, NO_PARENT | "time-too-new")
}

//! Every limit on what a node may do to the solo client, and every wait, in one place. A limit is
//! written together with the row that `--print-limits` shows, so that none is without one.

use std::time::Duration;

use midstate_limits::{LimitRow, row};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Each limit is a constant and its row.
macro_rules! limits {
    ($($vis:vis $name:ident: $type:ty = $value:expr, $title:literal, $over:literal;)*) => {
        $(#[doc = concat!(" ", $title, ": ", $over, ".")] $vis const $name: $type = $value;)*

        /// Each limit as a row.
        pub fn rows() -> Vec<LimitRow> {
            vec![$(row($title, $name, $over),)*]
        }
    };
}

limits! {
    // The node's answers.
    pub MAX_BODY: usize = 64 << 20, "bytes of an answer", "nothing of it is used";
    pub MAX_DEPTH: usize = 16, "levels of JSON", "nothing of it is used";
    pub(crate) MAX_WORDS: usize = 256, "letters of a node's words", "cut";
    pub(crate) CALL_TIMEOUT: Duration = s(30), "a call without an answer", "it has failed";
    // Work.
    pub(crate) POLL: Duration = s(5), "between two templates", "the next is asked for";
    pub(crate) REFRESH: Duration = s(30), "the same beside a call that waits", "likewise";
    pub(crate) HURRY: Duration = s(1), "the same while our block is no tip", "likewise";
    pub(crate) MAX_JOB_AGE: u32 = 30, "seconds a job is old", "its time is renewed";
    pub(crate) MAX_LATE: u32 = 3, "proposals too late in a row", "the next is hashed unchecked";
    // A tip that does not move to our block, each time twice as long, up to four times this.
    pub(crate) STANDSTILL: Duration = s(2), "a tip that ignores our block", "it is mined on again";
    pub(crate) SLOW: Duration = s(5), "an ordinary call has no answer", "the next node is tried";
    pub(crate) SHRUNK: Duration = s(30), "a chain shorter than it was", "told";
    // Trouble, and the way back.
    pub(crate) NODE_RETRIES: [u64; 4] = [1, 2, 5, 10], "waits after failures", "asked again";
    pub(crate) RECHECK: Duration = s(10), "a healthy node not mined at", "asked again";
    pub(crate) REFUSED: u32 = 3, "our blocks in a row it does not take", "it has failed";
    pub(crate) REFUSED_PAUSES: [u64; 4] = [5, 10, 20, 30], "pauses after those", "mined at again";
    // Which chain it is on.
    pub(crate) SURE_FOR: Duration = ms(100), "its word on its chain", "asked for before a block";
    pub(crate) PATIENCE: Duration = s(1), "the wait for that word", "the block is sent anyhow";
    // A new block would have it asked at once, and on a fast chain all the time.
    pub(crate) ASK_AGAIN: Duration = s(2), "since it was asked in vain", "asked again for a block";
    // Blocks.
    pub(crate) MAX_BLOCKS: usize = 64, "blocks of ours in memory", "the oldest with a verdict goes";
    pub(crate) BLOCK_RETRIES: [u64; 5] = [0, 1, 2, 5, 10], "pauses before a block", "sent again";
    pub(crate) VAIN_RETRIES: [u64; 5] = [2, 5, 15, 60, 120], "pauses without a verdict", "likewise";
    pub(crate) INVALID_RETRIES: [u64; 5] = [2, 5, 15, 60, 120],
        "pauses, its parent being invalid", "sent again; no more after them";
    pub(crate) STRANDED: usize = 4, "times a block lacked its parent", "it fills no room";
    pub(crate) MATTERS: Duration = s(6 * 3600), "a block without a verdict", "not sent any more";
    pub(crate) TELL_AGAIN: Duration = s(60), "between other words that are none", "not told";
    pub(crate) BURIED: u32 = 6, "depth of a block", "its file is deleted, if it is old enough";
    // Core writes its chain to disk every 50 to 70 minutes, and forgets the rest in a crash.
    pub(crate) KEPT: Duration = s(70 * 60), "age of such a block", "likewise";
    pub(crate) MAX_ASKED: usize = 4, "questions about blocks at a time", "further ones wait";
    pub(crate) LOST_AGAIN: Duration = s(10), "since it was asked about all blocks", "asked again";
    pub(crate) MAX_GONE: usize = 64, "blocks let go of and remembered", "the oldest is forgotten";
    // Calls that wait at the node for the next tip.
    pub(crate) FIRST_SECONDS: Duration = s(5), "a run without waits", "room is looked for";
    pub(crate) SPREAD: Duration = s(4), "by chance up to this longer", "likewise";
    pub(crate) QUIET: Duration = ms(500), "a tip must stand for room", "room is not looked for";
    pub(crate) PROBES: usize = 3, "threads a node must spare", "asked every 5 s, nothing waits";
    pub(crate) PROBE_TIME: Duration = ms(250), "a thread is taken to see that", "given back";
    pub(crate) IN_TURNS: Duration = ms(480), "those threads together", "they took turns: no room";
    pub(crate) PROOFS: u32 = 2, "times in a row there must be room", "looked for again";
    pub(crate) ROOM_FOR: Duration = s(60), "room that was seen", "looked for again";
    pub(crate) SHORTAGES: u32 = 2, "times in a row without room", "nothing waits for a while";
    pub(crate) WAIT: Duration = s(20), "a call that waits", "it ends and is made again";
    pub(crate) UNPROVEN: Duration = s(2), "the same, room not proven", "likewise";
    pub(crate) HELD_UP: Duration = s(1), "a block behind it", "told; nothing waits for a while";
    pub(crate) LONGPOLL_TIMEOUT: Duration = s(600), "a long poll of BIP22", "likewise";
    pub(crate) HANG: Duration = s(3), "an ordinary call beside it", "the one that waits is ended";
    pub(crate) SHORT: Duration = s(10), "life of a wait that broke", "it did not do its work";
    pub(crate) LEFT_BEHIND: Duration = s(1), "after a tip no template has", "the next wait comes";
    pub(crate) MAX_BREAKS: u32 = 3, "short waits in a row", "nothing waits for a while";
    pub(crate) LONGPOLL_REST: Duration = s(600), "that while", "waits are tried again";
}

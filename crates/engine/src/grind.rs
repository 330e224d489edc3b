//! One header, all nonces: for those who bring their own header and want it solved.

use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use midstate_chain::{Header, Target};
use midstate_sha256d::{Kernel, Work};

/// Nonces that a thread takes at a time.
const UNIT: u64 = 1 << 14;

/// Finds the lowest nonce in `nonces` with which `header` meets `target`, on `threads` threads.
pub fn grind(
    kernel: Kernel,
    threads: usize,
    header: &Header,
    target: Target,
    nonces: Range<u64>,
) -> Option<Header> {
    let work = Work::new(&[header.midstate()], header.tail(), &target.to_le_bytes())
        .expect("one midstate is within the limit");
    let next = AtomicU64::new(nonces.start);
    let found = AtomicBool::new(false);
    // Units are taken in order, so the lowest hit lies in a unit that was taken before the first
    // hit was seen; its thread finishes it.
    let search = || {
        let mut lowest: Option<u32> = None;
        while !found.load(Ordering::Relaxed) {
            let start = next.fetch_add(UNIT, Ordering::Relaxed);
            if start >= nonces.end {
                break;
            }
            kernel.scan(&work, start..(start + UNIT).min(nonces.end), &mut |hit| {
                found.store(true, Ordering::Relaxed);
                lowest = Some(lowest.map_or(hit.nonce, |nonce| nonce.min(hit.nonce)));
            });
        }
        lowest
    };
    let lowest = thread::scope(|scope| {
        // This thread searches, too, beside as many others as the system lets us start.
        let others = (1..threads.max(1))
            .map_while(|_| thread::Builder::new().spawn_scoped(scope, search).ok());
        let searches: Vec<_> = others.collect();
        let own = search();
        // Without a thread's answer nobody knows the lowest.
        let answer = |search: thread::ScopedJoinHandle<'_, _>| match search.join() {
            Ok(lowest) => lowest,
            Err(panic) => resume_unwind(panic),
        };
        searches.into_iter().map(answer).chain([own]).flatten().min()
    });
    lowest.map(|nonce| Header { nonce, ..*header })
}

//! The functions that the module exports to a page (`crates/cli/class/kernel.js` calls them): no
//! binding generator, numbers and one buffer. The buffer is [`Buffer`], words little-endian, as
//! WebAssembly has them.
//!
//! With `--no-default-features --features module` and as a `cdylib`, this is the whole of the
//! module; `cargo xtask wasm` builds it.

use core::cell::UnsafeCell;

use crate::{Hit, Kernel, Midstate, Tail, Work};

/// So many hits fit; as many as a batch of every kernel here can have.
const MOST_HITS: usize = 4 * Work::MAX_MIDSTATES;

/// What the page writes and what it reads, at the address that [`buffer`] returns.
#[repr(C)]
struct Buffer {
    /// In: the words `a` to `h` of each midstate.
    midstates: [[u32; 8]; Work::MAX_MIDSTATES],
    /// In: the header's bytes 64 to 75.
    tail: [u8; 12],
    /// In: the target as a little-endian number.
    target: [u8; 32],
    /// Out: hits of the last scan. If they are more than fit, the rest is not written.
    found: u32,
    /// Out.
    hits: [Found; MOST_HITS],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Found {
    midstate: u32,
    nonce: u32,
    /// In internal byte order.
    hash: [u8; 32],
}

const NOT_FOUND: Found = Found { midstate: 0, nonce: 0, hash: [0; 32] };

/// All that a module instance remembers.
struct Memory {
    buffer: UnsafeCell<Buffer>,
    work: UnsafeCell<Option<Work>>,
}

// SAFETY: the module imports no memory, so an instance's memory is its own, and one thread runs it.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory {
    buffer: UnsafeCell::new(Buffer {
        midstates: [[0; 8]; Work::MAX_MIDSTATES],
        tail: [0; 12],
        target: [0; 32],
        found: 0,
        hits: [NOT_FOUND; MOST_HITS],
    }),
    work: UnsafeCell::new(None),
};

/// The address of the [`Buffer`].
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
extern "C" fn buffer() -> *mut u8 {
    MEMORY.buffer.get().cast()
}

/// Folds the first `midstates` midstates of the buffer, its tail and its target. Returns 1, or 0
/// if that is no number of midstates; then there is nothing to scan.
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
extern "C" fn prepare(midstates: u32) -> u32 {
    // SAFETY: one thread, and no function of the module calls into the page or another export, so
    // that this is the only reference.
    let (buffer, work) = unsafe { (&*MEMORY.buffer.get(), &mut *MEMORY.work.get()) };
    let all = buffer.midstates.map(Midstate::from_words);
    let given = all.get(..midstates as usize);
    *work = given.and_then(|given| Work::new(given, Tail::from_bytes(buffer.tail), &buffer.target));
    u32::from(work.is_some())
}

/// Hashes the nonces from `start` up to `end`, `end` excluded, as [`Kernel::scan`] does; numbers of
/// JavaScript, so that 2^32 is one. Returns the hashes: nonces times midstates. If `found` in the
/// buffer is more than there is room for, the page asks again for a shorter range: four nonces
/// always fit.
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
extern "C" fn scan(start: f64, end: f64) -> f64 {
    // SAFETY: as in `prepare`.
    let (buffer, work) = unsafe { (&mut *MEMORY.buffer.get(), &*MEMORY.work.get()) };
    buffer.found = 0;
    let Some(work) = work else { return 0.0 };
    let (found, hits) = (&mut buffer.found, &mut buffer.hits);
    let hashes = Kernel::MODULE.scan(work, start as u64..end as u64, &mut |hit: Hit| {
        if let Some(place) = hits.get_mut(*found as usize) {
            let Hit { midstate, nonce, hash } = hit;
            *place = Found { midstate: midstate as u32, nonce, hash };
        }
        *found = found.saturating_add(1);
    });
    hashes as f64
}

/// [`Kernel::self_test`]: 1 if the answers are right.
// SAFETY: no other function of the module has the name.
#[unsafe(no_mangle)]
extern "C" fn self_test() -> u32 {
    u32::from(Kernel::MODULE.self_test())
}

/// Nothing here panics; should it do so after all, the page gets an exception.
#[cfg(not(feature = "std"))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

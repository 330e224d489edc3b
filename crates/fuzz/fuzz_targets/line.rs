//! Any bytes from a pool, cut anyhow: the client hears the same, whatever the cuts (S1, S2).
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstate_fuzz::{NOW, events, working};

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let ((mut whole, _), (mut cut, _)) = (working(), working());
    whole.handle_bytes(NOW, bytes);
    for piece in bytes.chunks(usize::from(piece) + 1) {
        cut.handle_bytes(NOW, piece);
    }
    assert_eq!(events(&mut whole), events(&mut cut));
    let lines = |client: &mut midstate_stratum::Client| -> Vec<Vec<u8>> {
        std::iter::from_fn(|| client.poll_transmit()).collect()
    };
    assert_eq!(lines(&mut whole), lines(&mut cut));
});

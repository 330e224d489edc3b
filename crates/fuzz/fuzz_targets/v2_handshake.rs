//! Any bytes as a pool's answer to the handshake of Stratum V2, whole and in pieces: the client
//! says the same, hears no more after it has closed, and time does not spin.
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_fuzz::v2::{Side, dialled};
use midstate_sv2::Event;

midstate_fuzz::target!(|bytes| {
    let mut sides = [usize::MAX, bytes.len() % 17 + 1].map(Side::new);
    for side in &mut sides {
        side.client.handle_connected(side.now, dialled());
        // To nobody: the pool of the tests would answer.
        while side.client.poll_transmit().is_some() {}
        for piece in bytes.chunks(side.piece) {
            side.client.handle_bytes(side.now, piece);
        }
        while side.client.poll_transmit().is_some() {}
        side.happened.extend(std::iter::from_fn(|| side.client.poll_event()));
        let due = side.client.poll_timeout();
        if let Some(due) = due {
            side.client.handle_timeout(due);
            assert_ne!(side.client.poll_timeout(), Some(due), "a timer that was handled returns");
        }
    }
    let [whole, cut] = &sides;
    assert_eq!(whole.happened, cut.happened);
    let closes = whole.happened.iter().filter(|event| matches!(event, Event::Close(_))).count();
    assert!(closes <= 1, "{:?}", whole.happened);
});

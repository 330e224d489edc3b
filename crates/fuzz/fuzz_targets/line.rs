//! Any bytes from a pool, cut anyhow: the client reads the same lines out of them, whatever the
//! cuts (S1, S2). Two clients are used again and again, since making and subscribing one takes
//! longer than reading; `play` has whole sessions.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::cell::RefCell;
use std::time::Duration;

use midstate_fuzz::{events, idle};
use midstate_stratum::Client;

/// Longer than every pace and every window of the client, so that no input meets what is left of
/// the one before.
const BETWEEN: Duration = Duration::from_secs(24 * 3600);

thread_local! {
    static CLIENTS: RefCell<(Client, Client, Duration)> =
        RefCell::new((idle(), idle(), Duration::ZERO));
}

midstate_fuzz::target!(|bytes| {
    CLIENTS.with_borrow_mut(|(whole, cut, now)| {
        *now += BETWEEN;
        for client in [&mut *whole, &mut *cut] {
            client.handle_connected(*now);
        }
        whole.handle_bytes(*now, bytes);
        for piece in bytes.chunks(bytes.len() % 17 + 1) {
            cut.handle_bytes(*now, piece);
        }
        let lines = |client: &mut Client| -> Vec<Vec<u8>> {
            std::iter::from_fn(|| client.poll_transmit()).collect()
        };
        assert_eq!(lines(whole), lines(cut));
        for client in [&mut *whole, &mut *cut] {
            client.handle_disconnected(*now);
        }
        assert_eq!(events(whole), events(cut));
    });
});

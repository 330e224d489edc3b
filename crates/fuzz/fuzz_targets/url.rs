//! Any text as the address of a pool: it is refused, or it is read and keeps its meaning when it is
//! printed and read again.
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_net::{PoolAddress, PoolUrl};

midstate_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    // With a login before the host, or without one.
    let address = text.parse::<PoolAddress>().map(|address| address.url);
    for url in [text.parse::<PoolUrl>(), address].into_iter().flatten() {
        assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "{text}");
    }
});

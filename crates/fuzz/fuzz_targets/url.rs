//! Any text as the address of a pool: it is refused, or it is read and keeps its meaning when it is
//! printed and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstate_net::PoolUrl;

fuzz_target!(|text: &str| {
    if let Ok(url) = text.parse::<PoolUrl>() {
        assert_eq!(url.to_string().parse().as_ref(), Ok(&url), "{text}");
    }
});

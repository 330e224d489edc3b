//! Any text as the configuration file: it is refused with a sentence that fits a terminal, or what
//! it names can be named again.
#![no_main]

#[path = "../../cli/servers/config.rs"]
#[allow(dead_code, reason = "the program reads more of it than this target does")]
mod config;
#[path = "../../cli/servers/payout.rs"]
#[allow(dead_code, reason = "the same")]
mod payout;

use libfuzzer_sys::fuzz_target;
use midstate_net::PoolUrl;

fuzz_target!(|text: &str| {
    match config::Config::parse(text) {
        Ok(config) => {
            for pool in config.pool {
                assert_eq!(pool.url.url.to_string().parse::<PoolUrl>().as_ref(), Ok(&pool.url.url));
            }
        }
        Err((error, suggestion)) => {
            assert!(!error.message().is_empty());
            assert!(suggestion.is_none_or(|text| text.starts_with("\ndid you mean `")));
        }
    }
});

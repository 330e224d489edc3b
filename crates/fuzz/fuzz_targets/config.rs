//! Any text as the configuration file: it is refused with a sentence, or the pools that it names
//! can be named again.
#![cfg_attr(feature = "libfuzzer", no_main)]

/// The reader of the configuration under its names in the program, which is no library.
#[path = "../../cli/servers"]
#[allow(dead_code, reason = "the program uses more of it than this target does")]
mod servers {
    pub(crate) mod config;
    pub(crate) mod payout;
}

/// The numbers that the file may hold are those of the flags.
#[path = "../../cli/shell"]
#[allow(dead_code, reason = "the program uses more of it than this target does")]
mod shell {
    pub(crate) mod values;
}

use midstate_net::PoolUrl;
use servers::config::Config;

midstate_fuzz::target!(|bytes| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match Config::parse(text) {
        Ok(config) => {
            for pool in config.pool {
                let url = pool.url.url;
                assert_eq!(url.to_string().parse::<PoolUrl>().as_ref(), Ok(&url));
            }
        }
        Err(mistake) => {
            let mistake = mistake.to_string();
            assert!(!mistake.is_empty());
            assert!(mistake.matches("\ndid you mean `").count() <= 1, "{mistake}");
        }
    }
});

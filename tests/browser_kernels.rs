//! The kernels of the class's pages in a real browser: the WebAssembly module and the script.
//! (Their whole suite runs in Node: `crates/sha256d/tests`.) `cargo xtask wasm` runs this, too.

use std::path::{Path, PathBuf};

use base64::Engine;
use serde_json::{Value, json};

use crate::browser::Browser;

/// The nonce that everybody knows.
const GENESIS: u64 = 2_083_236_893;

#[test]
#[ignore = "needs chromium"]
fn kernels_in_chromium_find_genesis_and_pass_their_self_tests() {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/cli/class");
    let committed = pages.join("kernel.wasm");
    let module = std::env::var_os("MIDSTATE_MODULE").map_or(committed, PathBuf::from);
    let module = base64::engine::general_purpose::STANDARD.encode(std::fs::read(module).unwrap());

    let mut browser = Browser::start("kernels");
    for script in ["rounds.js", "kernel.js"] {
        browser.evaluate(&std::fs::read_to_string(pages.join(script)).unwrap());
    }
    let bytes = format!("Uint8Array.from(atob('{module}'), letter => letter.charCodeAt(0))");
    for kernel in [format!("openModule({bytes})"), "openScript()".to_owned()] {
        let found = browser.evaluate(&format!(
            "(() => {{
                const kernel = {kernel};
                const passed = kernel.selfTest();
                kernel.prepare(GENESIS);
                return {{ passed, ...kernel.scan(GENESIS.nonce - 50000, GENESIS.nonce + 50000) }};
            }})()"
        ));
        let hash = "6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000";
        let hit = json!({ "midstate": 0, "nonce": GENESIS, "hash": hash });
        assert_eq!(found["passed"], true);
        assert_eq!(found["hits"], Value::from(vec![hit]));
        assert_eq!(found["hashes"], 100_000);
    }
    assert_eq!(browser.complaints, [""; 0]);
}

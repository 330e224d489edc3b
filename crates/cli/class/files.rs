//! The files of both pages. `kernel.wasm` and `rounds.js` are made by `cargo xtask wasm`; look,
//! words and ladder are those of the page of `--web`, too.

use crate::web;

/// A file: its path, its media type, its bytes.
type File = (&'static str, &'static str, &'static [u8]);

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const MODULE: &str = "application/wasm";

/// What a device may load, beside `/machines.json`: that is [`web::machines_json`].
pub(super) const OF_DEVICES: &[File] = &[
    ("/", HTML, include_bytes!("device.html")),
    ("/look.css", STYLE, web::LOOK.as_bytes()),
    ("/device.css", STYLE, include_bytes!("device.css")),
    ("/words.js", SCRIPT, web::WORDS.as_bytes()),
    ("/ladder.js", SCRIPT, web::LADDER.as_bytes()),
    ("/desk.js", SCRIPT, include_bytes!("desk.js")),
    ("/device.js", SCRIPT, include_bytes!("device.js")),
    ("/worker.js", SCRIPT, include_bytes!("worker.js")),
    ("/kernel.js", SCRIPT, include_bytes!("kernel.js")),
    ("/rounds.js", SCRIPT, include_bytes!("rounds.js")),
    ("/kernel.wasm", MODULE, include_bytes!("kernel.wasm")),
];

/// What this machine alone may load. The page uses look and words of the devices' files, too.
pub(super) const OF_THE_CLASS: &[File] = &[
    ("/class", HTML, include_bytes!("class.html")),
    ("/class/class.css", STYLE, include_bytes!("class.css")),
    ("/class/class.js", SCRIPT, include_bytes!("class.js")),
];

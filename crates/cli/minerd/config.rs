//! minerd's configuration file: a JSON object whose keys are long flags, each with the flag's value
//! as a text, or `true` for a flag without one.

use std::io::Write;
use std::path::Path;

use clap::Command;
use serde_json::{Map, Value};

use crate::servers::secrets::others_can_read;
use crate::shell::exit::Failure;

const EXAMPLE: &str = r#"{"url": "stratum+tcp://HOST:PORT", "user": "USER", "threads": 2}"#;

/// The file as arguments of `command`. What it says and the command does not know is told on stderr
/// and left out, as in minerd; keys that begin with an underscore are comments.
pub(super) fn arguments(path: &Path, command: &Command) -> Result<Vec<String>, Failure> {
    let shown = path.display();
    let failure = |problem: &str| Failure::usage(format!("{shown}: {problem}"));
    let text = midstate_net::read_text_file(path)
        .map_err(|error| failure(&format!("cannot be read: {error}")))?;
    let object: Map<String, Value> = serde_json::from_str(&text).map_err(|error| {
        failure(&format!(
            "line {}, column {}: expected a JSON object such as {EXAMPLE}",
            error.line(),
            error.column()
        ))
    })?;
    if ["pass", "userpass"].iter().any(|key| object.contains_key(*key)) && others_can_read(path) {
        let words = format!("warning: others can read the password in {shown}: chmod 600 {shown}");
        let _ = writeln!(std::io::stderr(), "{words}");
    }
    let mut arguments = Vec::new();
    for (key, value) in &object {
        let known = command.get_arguments().find(|flag| flag.get_long() == Some(key));
        let Some(flag) = known else {
            if !key.starts_with('_') {
                let words = format!("{shown}: unknown option {key:?}, ignored");
                let _ = writeln!(std::io::stderr(), "{words}");
            }
            continue;
        };
        if key == "config" {
            return Err(failure("the option \"config\" is not allowed here"));
        }
        match (flag.get_action().takes_values(), value) {
            (true, Value::String(value)) => arguments.push(format!("--{key}={value}")),
            (true, Value::Number(value)) => arguments.push(format!("--{key}={value}")),
            (false, Value::Bool(true)) => arguments.push(format!("--{key}")),
            (false, Value::Bool(false)) => {}
            (takes_value, _) => {
                let expected = if takes_value { "a text" } else { "true" };
                return Err(failure(&format!(
                    "the option {key:?} is {value}, expected {expected}"
                )));
            }
        }
    }
    Ok(arguments)
}

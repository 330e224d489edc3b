//! The file of a script: TOML with a table for each group of workers.

use serde::Deserialize;

use super::{Group, ScriptError};

/// A file is no longer, in bytes.
pub(super) const LONGEST_FILE: usize = 256 * 1024;
/// A file has no more groups.
pub(super) const MOST_GROUPS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    group: Vec<Table>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    name: Option<String>,
    workers: u32,
    profile: String,
}

const EXPECTED: &str = "expected a table [[group]] for each group of workers, with workers = 100 \
                        and profile = \"steady:50k\"";

/// The groups, in the order of the file. One without a name is called by its number.
pub(super) fn groups(text: &str) -> Result<Vec<Group>, ScriptError> {
    if text.len() > LONGEST_FILE {
        return Err(ScriptError::TooLong { got: text.len(), limit: LONGEST_FILE });
    }
    let file: File = toml::from_str(text)
        .map_err(|error| ScriptError::File(format!("{}; {EXPECTED}", error.to_string().trim())))?;
    let count = file.group.len();
    if count == 0 || count > MOST_GROUPS {
        return Err(ScriptError::File(format!(
            "{count} groups: expected 1 to {MOST_GROUPS}; {EXPECTED}"
        )));
    }
    let named = |(index, Table { name, workers, profile }): (usize, Table)| Group {
        name: name.unwrap_or_else(|| (index + 1).to_string()),
        workers,
        profile,
    };
    Ok(file.group.into_iter().enumerate().map(named).collect())
}

//! The plan of the house as data: which room uses which, and which room may do what.
//!
//! A room is a directory below `crates/`, or a folder of the program in `crates/cli`. Room `cli` is
//! the rest of the root package: its other modules, the integration tests and the benches. The
//! picture behind these tables is in `docs/architecture.md`; change both together.

/// The arrows of the picture: a room, and the rooms that its manifest may name, as dependencies of
/// any kind. They point down only, and rooms on one floor do not know each other. The order here is
/// from the ground up.
pub(super) const ARROWS: &[(&str, &[&str])] = &[
    ("sha256d", &[]),
    ("limits", &[]),
    ("chain", &["sha256d"]),
    ("work", &["chain"]),
    ("stratum", &["chain", "limits"]),
    // The exception to "rooms on one floor": both clients keep to the same rules about shares.
    ("sv2", &["chain", "limits", "stratum"]),
    ("failover", &["limits"]),
    ("gbt", &["chain", "failover", "limits"]),
    // The exception to "rooms on one floor": the embedded pool speaks the server's side of Stratum.
    ("pool", &["chain", "limits", "stratum", "sv2"]),
    ("engine", &["chain", "work", "sha256d"]),
    // A class sits at the embedded pool, whose standings are its books.
    ("classroom", &["chain", "limits", "pool", "stratum", "work"]),
    // Its tests play against the embedded pool, without sockets.
    ("swarm", &["chain", "limits", "stratum", "sv2", "work", "pool"]),
    ("net", &["chain", "failover", "limits", "stratum", "sv2", "gbt", "pool", "swarm"]),
    ("economics", &["chain"]),
    ("report", &[]),
    (
        "cli",
        &[
            "sha256d",
            "limits",
            "chain",
            "work",
            "stratum",
            "sv2",
            "failover",
            "gbt",
            "pool",
            "engine",
            "classroom",
            "swarm",
            "net",
            "economics",
            "report",
        ],
    ),
    // The tools must run when a room does not compile.
    ("xtask", &[]),
];

/// The folders of the program, and the folders that each may use by `crate::`. The program itself
/// may use them all; they know nothing else of it. The order here is from the ground up.
pub(super) const FOLDERS: &[(&str, &[&str])] = &[
    ("shell", &[]),
    ("machine", &["shell"]),
    ("lab", &["machine", "shell"]),
    ("servers", &["shell"]),
    ("mining", &["machine", "shell"]),
    ("console", &["mining", "shell"]),
    ("web", &["mining", "shell"]),
    ("tester", &["console", "machine", "servers", "shell"]),
    ("class", &["web"]),
    ("commands", &["class", "console", "machine", "mining", "servers", "shell", "web"]),
    ("minerd", &["commands", "machine", "mining", "servers", "shell"]),
];

/// The room that joins all others.
pub(super) const PROGRAM: &str = "cli";

/// Where this plan is.
pub(super) const PATH: &str = "crates/xtask/src/tidy/house.rs";

/// The one room whose code may be `unsafe`, which has no dependency and needs no `std`.
pub(super) const HASHER: &str = "sha256d";

/// Rooms that may have an async runtime, or a crate built on one, among their dependencies.
pub(super) const ASYNC: &[&str] = &["net", "cli"];

/// Rooms below those that speak JSON or read data files.
pub(super) const WITHOUT_SERDE: &[&str] = &["sha256d", "chain", "work", "engine"];

/// Rooms that may read the clock, the environment and random sources. Everywhere else `now` is an
/// argument: the engine too counts hashes, and leaves the dividing by seconds to its caller.
pub(super) const IMPURE: &[&str] = &["net", "cli", "xtask", "fuzz"];

/// The room of a file, by its path relative to the root of the working tree.
pub(super) fn room_of_path(path: &str) -> &str {
    let Some((room, rest)) = path.strip_prefix("crates/").and_then(|rest| rest.split_once('/'))
    else {
        return PROGRAM;
    };
    if room != PROGRAM {
        return room;
    }
    let folder = rest.split_once('/').map_or(rest.trim_end_matches(".rs"), |(folder, _)| folder);
    FOLDERS.iter().map(|&(name, _)| name).find(|&name| name == folder).unwrap_or(PROGRAM)
}

/// Whether a file belongs to the binary.
pub(super) fn is_in_program(path: &str) -> bool {
    path.starts_with("crates/cli/")
}

/// Every room with the rooms that it may use, from the ground up.
pub(super) fn rooms() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    let (upper, lower): (Vec<_>, Vec<_>) =
        ARROWS.iter().copied().partition(|&(room, _)| room == PROGRAM || room == "xtask");
    lower.into_iter().chain(FOLDERS.iter().copied()).chain(upper)
}

/// The room of a package of the workspace; `None` where the plan knows no such room.
pub(super) fn room_of_package(name: &str) -> Option<&'static str> {
    let room = match name {
        "midstate" => "cli",
        "xtask" => "xtask",
        _ => name.strip_prefix("midstate-")?,
    };
    ARROWS.iter().map(|&(name, _)| name).find(|&name| name == room)
}

/// The rooms that `room` may depend on.
pub(super) fn below(room: &str) -> &'static [&'static str] {
    rooms().find(|&(name, _)| name == room).map_or(&[], |(_, below)| below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_packages_have_rooms() {
        assert_eq!(room_of_path("crates/chain/src/header.rs"), "chain");
        assert_eq!(room_of_path("crates/cli/main.rs"), "cli");
        assert_eq!(room_of_path("tests/tests.rs"), "cli");
        assert_eq!(room_of_path("crates/cli/shell.rs"), "shell");
        assert_eq!(room_of_path("crates/cli/lab/asic/page.rs"), "lab");
        assert_eq!(room_of_package("midstate"), Some("cli"));
        assert_eq!(room_of_package("midstate-chain"), Some("chain"));
        assert_eq!(room_of_package("midstate-ducks"), None);
        assert_eq!(room_of_package("ducks"), None);
    }
}

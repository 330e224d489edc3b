//! Rules about packages: what `cargo metadata` says they depend on, and what their manifests say.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::house::{self, ASYNC, HASHER, WITHOUT_SERDE};
use super::{Rule, Violation};

const PLANNED: Rule = Rule {
    law: "every package of the workspace is a room of the plan",
    cure: "draw it in docs/architecture.md and give it a row in crates/xtask/src/tidy/house.rs",
};
const ARROW: Rule = Rule {
    law: "arrows between rooms point down only, as docs/architecture.md draws them",
    cure: "move what is shared into a lower room, or join the two rooms in crates/cli",
};
const NO_DEPENDENCIES: Rule = Rule {
    law: "the hasher has no dependency outside its tests",
    cure: "write the few lines in crates/sha256d, or do the work in a room above",
};
const NO_RUNTIME: Rule = Rule {
    law: "only net and the binary know an async runtime",
    cure: "keep the protocol a state machine and move the socket to crates/net",
};
const NO_SERDE: Rule = Rule {
    law: "no serde below stratum, gbt and economics",
    cure: "turn text into types in the room that reads the text",
};
const LINTS: Rule = Rule {
    law: "every package inherits the lints of the workspace",
    cure: "add the two lines `[lints]` and `workspace = true` to the manifest",
};

/// A package of the workspace. Paths are relative to the root of the working tree.
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest: String,
    pub(super) dependencies: Vec<Dependency>,
    /// The root files of its libraries and binaries.
    pub(super) crate_roots: Vec<String>,
}

/// A dependency as the manifest asks for it.
#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// `dev`, `build`, or nothing for an ordinary one.
    pub(super) kind: Option<String>,
}

/// The packages of the workspace at `root`, from `cargo metadata`.
pub(super) fn workspace(root: &Path) -> anyhow::Result<Vec<Package>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("running cargo metadata")?;
    ensure!(
        output.status.success(),
        "cargo metadata failed ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let metadata: Metadata =
        serde_json::from_slice(&output.stdout).context("reading the JSON of cargo metadata")?;
    // Cargo resolves links in paths, so `root` may be spelled otherwise than in its answer.
    let root = metadata.workspace_root.clone();
    metadata.packages.into_iter().map(|package| package.relative_to(&root)).collect()
}

/// Every violation of a package's manifest, whose text is `manifest_text`.
pub(super) fn check(package: &Package, manifest_text: &str) -> Vec<Violation> {
    let Package { name, manifest, dependencies, .. } = package;
    let mut violations = Vec::new();
    if !inherits_lints(manifest_text) {
        violations.push(LINTS.broken(manifest, 1, format!("{name} with lints of its own")));
    }
    let Some(room) = house::room_of_package(name) else {
        violations.push(PLANNED.broken(manifest, 1, format!("the unknown package {name}")));
        return violations;
    };
    for Dependency { name: used, kind } in dependencies {
        let line = line_of_dependency(manifest_text, used);
        let mut broken = |rule: &Rule| {
            violations.push(rule.broken(manifest, line, format!("{room} depending on {used}")));
        };
        let below = house::below(room);
        if is_room(used) && !house::room_of_package(used).is_some_and(|used| below.contains(&used))
        {
            broken(&ARROW);
        }
        if kind.as_deref() == Some("dev") {
            continue;
        }
        if room == HASHER {
            broken(&NO_DEPENDENCIES);
        }
        if is_async(used) && !ASYNC.contains(&room) {
            broken(&NO_RUNTIME);
        }
        if used.starts_with("serde") && WITHOUT_SERDE.contains(&room) {
            broken(&NO_SERDE);
        }
    }
    violations
}

/// The rooms that a package's room uses, outside its tests.
pub(super) fn arrows(package: &Package) -> Vec<(&'static str, &'static str)> {
    let Some(room) = house::room_of_package(&package.name) else { return Vec::new() };
    let used = package.dependencies.iter().filter(|used| used.kind.as_deref() != Some("dev"));
    used.filter_map(|used| Some((room, house::room_of_package(&used.name)?))).collect()
}

fn is_room(package: &str) -> bool {
    package == "midstate" || package == "xtask" || package.starts_with("midstate-")
}

/// Whether a crate is an async runtime or drags one in.
fn is_async(package: &str) -> bool {
    ["tokio", "hyper", "async-std", "smol", "reqwest"].contains(&package)
        || ["tokio-", "hyper-", "rustls"].iter().any(|family| package.starts_with(family))
}

fn inherits_lints(manifest_text: &str) -> bool {
    toml::from_str::<toml::Table>(manifest_text)
        .ok()
        .and_then(|manifest| manifest.get("lints")?.get("workspace")?.as_bool())
        .unwrap_or(false)
}

/// The line that names a dependency, or the first where none does (a renamed one).
fn line_of_dependency(manifest_text: &str, dependency: &str) -> usize {
    let names_it = |line: &str| {
        line.trim_start()
            .trim_start_matches('"')
            .strip_prefix(dependency)
            .is_some_and(|rest| rest.starts_with(['.', ' ', '=', '"']))
    };
    manifest_text.lines().position(names_it).map_or(1, |index| index + 1)
}

/// The part of `cargo metadata` that the rules need.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    workspace_root: String,
}

#[derive(Deserialize)]
struct MetadataPackage {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
    src_path: String,
}

impl MetadataPackage {
    fn relative_to(self, root: &str) -> anyhow::Result<Package> {
        let relative = |path: &str| {
            path.strip_prefix(root)
                .and_then(|rest| rest.strip_prefix(['/', '\\']))
                .map(|rest| rest.replace('\\', "/"))
                .with_context(|| format!("{path} lies outside the working tree {root}"))
        };
        let is_crate =
            |target: &&Target| target.kind.iter().any(|kind| kind == "lib" || kind == "bin");
        Ok(Package {
            manifest: relative(&self.manifest_path)?,
            crate_roots: self
                .targets
                .iter()
                .filter(is_crate)
                .map(|target| relative(&target.src_path))
                .collect::<anyhow::Result<_>>()?,
            name: self.name,
            dependencies: self.dependencies,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIDY_MANIFEST: &str = "[package]\n\n[lints]\nworkspace = true\n";

    /// The laws that a package breaks which asks for these dependencies.
    fn laws(package: &str, dependencies: &[(&str, Option<&str>)]) -> Vec<&'static str> {
        let dependencies = dependencies
            .iter()
            .map(|&(name, kind)| Dependency { name: name.into(), kind: kind.map(str::to_owned) })
            .collect();
        let package = Package {
            name: package.into(),
            manifest: "Cargo.toml".into(),
            dependencies,
            crate_roots: Vec::new(),
        };
        check(&package, TIDY_MANIFEST).iter().map(|violation| violation.law).collect()
    }

    #[test]
    fn a_tidy_package_breaks_nothing() {
        assert!(laws("midstate-chain", &[("midstate-sha256d", None), ("ruint", None)]).is_empty());
        assert!(laws("midstate-pool", &[("midstate-stratum", None)]).is_empty());
        assert!(laws("midstate-net", &[("tokio", None), ("tokio-rustls", None)]).is_empty());
        assert!(
            laws("midstate-stratum", &[("serde_json", None), ("tokio", Some("dev"))]).is_empty()
        );
        assert!(laws("midstate", &[("midstate-net", None), ("tokio", None)]).is_empty());
        assert!(laws("midstate-sha256d", &[("sha2", Some("dev"))]).is_empty());
    }

    #[test]
    fn arrows_up_and_sideways_are_violations_in_tests_too() {
        assert_eq!(laws("midstate-chain", &[("midstate-work", None)]), [ARROW.law]);
        assert_eq!(laws("midstate-work", &[("midstate-stratum", Some("dev"))]), [ARROW.law]);
        assert_eq!(laws("midstate-work", &[("midstate-sha256d", None)]), [ARROW.law]);
        assert_eq!(laws("midstate-net", &[("midstate-engine", None)]), [ARROW.law]);
        assert_eq!(laws("midstate-chain", &[("midstate", None)]), [ARROW.law]);
        assert_eq!(laws("midstate-chain", &[("midstate-ducks", None)]), [ARROW.law]);
        assert_eq!(laws("xtask", &[("midstate-chain", None)]), [ARROW.law]);
    }

    #[test]
    fn the_hasher_stands_alone() {
        assert_eq!(laws("midstate-sha256d", &[("cfg-if", None)]), [NO_DEPENDENCIES.law]);
        assert_eq!(laws("midstate-sha256d", &[("cc", Some("build"))]), [NO_DEPENDENCIES.law]);
    }

    #[test]
    fn runtimes_and_serde_stay_upstairs() {
        for runtime in ["tokio", "tokio-util", "hyper", "hyper-util", "rustls", "rustls-pki-types"]
        {
            assert_eq!(laws("midstate-stratum", &[(runtime, None)]), [NO_RUNTIME.law], "{runtime}");
        }
        for room in ["chain", "work", "engine"] {
            assert_eq!(laws(&format!("midstate-{room}"), &[("serde", None)]), [NO_SERDE.law]);
        }
        let both = [NO_DEPENDENCIES.law, NO_SERDE.law];
        assert_eq!(laws("midstate-sha256d", &[("serde_json", None)]), both);
    }

    #[test]
    fn a_room_that_nobody_drew_is_a_violation() {
        assert_eq!(laws("midstate-ducks", &[]), [PLANNED.law]);
    }

    #[test]
    fn lints_are_inherited() {
        for manifest in ["[package]\n", "[lints]\nworkspace = false\n", "[lints.rust]\n", "[lints"]
        {
            assert!(!inherits_lints(manifest), "{manifest}");
        }
        assert!(inherits_lints(TIDY_MANIFEST));
        assert!(inherits_lints("lints.workspace = true\n"));
    }

    #[test]
    fn a_dependency_is_found_on_its_line() {
        let manifest =
            "[dependencies]\nserde_json = \"1\"\nserde.workspace = true\n\"toml\" = \"1\"\n";
        assert_eq!(line_of_dependency(manifest, "serde"), 3);
        assert_eq!(line_of_dependency(manifest, "serde_json"), 2);
        assert_eq!(line_of_dependency(manifest, "toml"), 4);
        assert_eq!(line_of_dependency(manifest, "absent"), 1);
    }

    #[test]
    fn cargo_knows_this_crate_and_its_root() {
        let packages = workspace(&crate::repository().unwrap()).unwrap();
        let this = packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(this.manifest, "crates/xtask/Cargo.toml");
        assert_eq!(this.crate_roots, ["crates/xtask/src/main.rs"]);
        assert!(this.dependencies.iter().any(|dependency| dependency.name == "proc-macro2"));
    }
}

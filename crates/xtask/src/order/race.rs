//! Two orders of the `sha-ni` kernel in one process: the hasher is compiled twice under two names,
//! without the kernels that do not run, and a small program lets both hash in turns.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// The program that runs both; it is compiled beside the two hashers, and never in this crate.
const PROGRAM: &str = include_str!("race/program.rs");

/// A folder for the builds.
pub(super) struct Race {
    folder: PathBuf,
}

/// Cycles a hash in the best window, and the gain of the candidate: in the best windows, and the
/// median of the gains of the windows next to each other.
#[derive(Clone, Copy)]
pub(super) struct Outcome {
    present: f64,
    candidate: f64,
    median_gain: f64,
}

impl Outcome {
    pub(super) fn gains(self, least: f64) -> bool {
        self.present / self.candidate >= least && self.median_gain >= least
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { present, candidate, median_gain } = self;
        let best = present / candidate;
        write!(f, "{present:6.2} {candidate:6.2}  best {best:.3}, median {median_gain:.3}")
    }
}

impl Race {
    /// Copies the hasher's source and compiles the order at hand.
    pub(super) fn prepare(root: &Path, present: &str) -> anyhow::Result<Self> {
        let folder = root.join("target").join("order");
        copy(&root.join("crates/sha256d/src"), &folder.join("src"))?;
        let kernels = folder.join("src/kernel.rs");
        let text = fs::read_to_string(&kernels)?;
        let needless = ["\"sse41\" Sse41", "\"avx2\" Avx2", "\"avx512\" Avx512", "\"avx512-two\""];
        let kept = text.lines().filter(|line| !needless.iter().any(|name| line.contains(name)));
        fs::write(&kernels, kept.collect::<Vec<_>>().join("\n"))?;
        fs::write(folder.join("program.rs"), PROGRAM)?;
        let race = Self { folder };
        race.hold_against(present)?;
        Ok(race)
    }

    /// Compiles the order that the next candidates are held against.
    pub(super) fn hold_against(&self, order: &str) -> anyhow::Result<()> {
        self.compile(order, "present")
    }

    /// Lets a candidate run beside the present order.
    pub(super) fn run(&mut self, order: &str, midstates: usize) -> anyhow::Result<Outcome> {
        self.compile(order, "candidate")?;
        let program = self.folder.join("race");
        let mut rustc = rustc();
        for name in ["present", "candidate"] {
            let library = self.folder.join(format!("lib{name}.rlib"));
            rustc.arg("--extern").arg(format!("{name}={}", library.display()));
        }
        rustc.arg(self.folder.join("program.rs")).arg("-o").arg(&program);
        ensure!(rustc.status()?.success(), "the race does not compile");
        let output = Command::new(&program).arg(midstates.to_string()).output();
        let output = output.context("running the race")?;
        ensure!(output.status.success(), "the race failed: {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        let numbers: Vec<f64> = text.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        let &[present, candidate, median_gain] = &numbers[..] else {
            anyhow::bail!("the race printed no three numbers: {text}");
        };
        Ok(Outcome { present, candidate, median_gain })
    }

    fn compile(&self, order: &str, name: &str) -> anyhow::Result<()> {
        fs::write(self.folder.join("src/x86/sha_ni/order.rs"), order)?;
        let mut rustc = rustc();
        rustc.args(["--crate-type=rlib", "--cfg=feature=\"std\"", "--crate-name", name]);
        rustc.arg(self.folder.join("src/lib.rs"));
        rustc.arg("-o").arg(self.folder.join(format!("lib{name}.rlib")));
        ensure!(rustc.status()?.success(), "the order does not compile");
        Ok(())
    }
}

/// As the release build has it.
fn rustc() -> Command {
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--cap-lints=allow", "-Copt-level=3", "-Ccodegen-units=1"]);
    rustc
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

//! The program itself for the commands that try it as a whole: its release build, and one run of
//! `midstate --json` with its events, what it uses, and its end. Needs `/proc`, so Linux.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Longer than it takes to flush what was found.
const STOPPING: Duration = Duration::from_secs(30);

/// The release build of the program. Cargo says where it lies.
pub(crate) fn build(root: &Path) -> anyhow::Result<PathBuf> {
    let output = Command::new("cargo")
        .args(["build", "--locked", "--release", "--package", "midstate"])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo")?;
    ensure!(output.status.success(), "cargo build failed ({})", output.status);
    let messages = String::from_utf8(output.stdout).context("cargo speaks UTF-8")?;
    let mut executables = messages.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executables.next_back().context("cargo named no executable")
}

/// A running program; killed when dropped.
pub(crate) struct Program {
    child: Child,
    name: String,
    lines: Receiver<String>,
}

/// The memory and time that a process uses.
#[derive(Clone, Copy)]
pub(crate) struct Use {
    /// VmRSS.
    pub(crate) resident_kib: u64,
    /// Open files and sockets.
    pub(crate) descriptors: usize,
}

impl Program {
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            // Not at the lowest priority: the figures are not to tell how busy the machine was.
            .args(["--json", "--quiet", "--priority", "normal"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let (told, lines) = mpsc::channel();
        thread::spawn(move || {
            // Ends with the pipe, or when nobody listens any more.
            let read = BufReader::new(stdout).lines().map_while(Result::ok);
            read.map_while(|line| told.send(line).ok()).for_each(drop);
        });
        let name = arguments.first().copied().unwrap_or("midstate").to_owned();
        Ok(Self { child, name, lines })
    }

    /// Where the pool of a `demo` listens.
    pub(crate) fn address(&mut self) -> anyhow::Result<std::net::SocketAddr> {
        loop {
            let line = self.lines.recv_timeout(STOPPING).context("the demo names no pool")?;
            let event = self.event(&line)?;
            let url = event["url"].as_str().filter(|_| event["event"] == "pool");
            if let Some(address) = url.and_then(|url| url.strip_prefix("stratum+tcp://")) {
                return address.parse().with_context(|| format!("{address} is no address"));
            }
        }
    }

    /// Its lines since the last time.
    pub(crate) fn events(&mut self) -> anyhow::Result<Vec<Value>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("midstate {} ended early ({status})", self.name);
        }
        self.lines.try_iter().map(|line| self.event(&line)).collect()
    }

    pub(crate) fn usage(&self) -> anyhow::Result<Use> {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let status = fs::read_to_string(process.join("status")).context("reading /proc")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        Ok(Use {
            resident_kib: resident.context("the status has no VmRSS")?,
            descriptors: fs::read_dir(process.join("fd")).context("reading /proc")?.count(),
        })
    }

    /// Processor time that its threads have had: those that hash, and all others.
    pub(crate) fn processor_time(&self) -> anyhow::Result<[Duration; 2]> {
        let mut times = [Duration::ZERO; 2];
        let process = Path::new("/proc").join(self.child.id().to_string());
        for thread in fs::read_dir(process.join("task")).context("reading /proc")? {
            let thread = thread?.path();
            // A thread may end meanwhile.
            let Ok(name) = fs::read_to_string(thread.join("comm")) else { continue };
            times[usize::from(!name.starts_with("hash-"))] += scheduled(&thread)?;
        }
        Ok(times)
    }

    /// Stops it as Ctrl-C does. The rest of its events.
    pub(crate) fn stop(mut self) -> anyhow::Result<Vec<Value>> {
        let kill = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status()?;
        ensure!(kill.success(), "kill failed ({kill})");
        let mut events = Vec::new();
        // The channel closes with the pipe.
        loop {
            match self.lines.recv_timeout(STOPPING) {
                Ok(line) => events.push(self.event(&line)?),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    bail!("midstate {} does not stop on SIGINT", self.name)
                }
            }
        }
        let status = self.child.wait()?;
        ensure!(status.success(), "midstate {} exits with {status} on SIGINT", self.name);
        Ok(events)
    }

    fn event(&self, line: &str) -> anyhow::Result<Value> {
        serde_json::from_str(line)
            .with_context(|| format!("midstate {} prints no JSON: {line}", self.name))
    }
}

/// Processor time of a thread, by its directory in `/proc`.
pub(crate) fn scheduled(thread: &Path) -> anyhow::Result<Duration> {
    let text = fs::read_to_string(thread.join("schedstat")).context("reading /proc")?;
    let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
    nanoseconds.map(Duration::from_nanos).with_context(|| format!("no time in {text:?}"))
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

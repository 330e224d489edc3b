//! One run of `midstate --json`: its events, what it uses, and its end.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;

/// Longer than it takes to flush what was found.
const STOPPING: Duration = Duration::from_secs(30);

/// A running program; killed when dropped.
pub(super) struct Program {
    child: Child,
    name: String,
    lines: Receiver<String>,
}

/// What a process uses.
#[derive(Clone, Copy)]
pub(super) struct Use {
    /// VmRSS.
    pub(super) resident_kib: u64,
    /// Open files and sockets.
    pub(super) descriptors: usize,
}

impl Program {
    pub(super) fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
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
    pub(super) fn address(&mut self) -> anyhow::Result<std::net::SocketAddr> {
        loop {
            let line = self.lines.recv_timeout(STOPPING).context("the demo names no pool")?;
            let event = self.event(&line)?;
            let url = event["url"].as_str().filter(|_| event["event"] == "pool");
            if let Some(address) = url.and_then(|url| url.strip_prefix("stratum+tcp://")) {
                return address.parse().with_context(|| format!("{address} is no address"));
            }
        }
    }

    /// What it said since the last time.
    pub(super) fn events(&mut self) -> anyhow::Result<Vec<Value>> {
        if let Some(status) = self.child.try_wait()? {
            bail!("midstate {} ended early ({status})", self.name);
        }
        self.lines.try_iter().map(|line| self.event(&line)).collect()
    }

    pub(super) fn usage(&self) -> anyhow::Result<Use> {
        let process = Path::new("/proc").join(self.child.id().to_string());
        let status = fs::read_to_string(process.join("status")).context("reading /proc")?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let resident = resident.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        Ok(Use {
            resident_kib: resident.context("the status has no VmRSS")?,
            descriptors: fs::read_dir(process.join("fd")).context("reading /proc")?.count(),
        })
    }

    /// Stops it as Ctrl-C does. The rest of its events.
    pub(super) fn stop(mut self) -> anyhow::Result<Vec<Value>> {
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

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

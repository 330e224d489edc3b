//! One connection to a pool, step by step, each with its time: what `midstate doctor URL` shows.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::{Client, Event};
use tokio::time::{Instant, sleep};

use crate::dial::{Network, Transport};
use crate::wire::{Exchanged, Wire};
use crate::{Account, DialError};

/// A pool that has let us in and has no work for so long is of no use.
const FIRST_JOB: Duration = Duration::from_secs(30);

/// One step of an examination.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// How long it took.
    pub took: Duration,
    /// What was found, or why it failed, in a sentence.
    pub outcome: Result<String, String>,
}

/// The steps, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The name's addresses.
    Name,
    /// A TCP connection, by the proxy if there is one.
    Connect,
    /// The TLS handshake.
    Tls,
    /// `mining.subscribe`.
    Subscribe,
    /// `mining.authorize`.
    Authorize,
    /// The first `mining.notify`.
    Job,
}

/// Connects to a pool, tells every step, and returns the first job. Ends at the first step that
/// fails.
pub async fn examine(
    account: &Account,
    network: &Network,
    mut told: impl FnMut(Step),
) -> Option<Arc<Job>> {
    let mut examination =
        Examination { told: &mut told, since: Instant::now(), stage: Stage::Name };
    match examination.run(account, network).await {
        Ok(job) => Some(job),
        Err(problem) => {
            examination.tell(Err(problem));
            None
        }
    }
}

struct Examination<'a> {
    told: &'a mut dyn FnMut(Step),
    /// The present step began.
    since: Instant,
    stage: Stage,
}

impl Examination<'_> {
    async fn run(&mut self, account: &Account, network: &Network) -> Result<Arc<Job>, String> {
        let url = &account.url;
        let said = |error: DialError| error.to_string();
        match &account.route.proxy {
            Some(proxy) => self.done(format!("left to {proxy}"), Stage::Connect),
            None => {
                let addresses = Network::resolve(&url.host, url.port).await.map_err(said)?;
                let addresses: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
                self.done(addresses.join(", "), Stage::Connect);
            }
        }
        let stream = network.connect(url, &account.route).await.map_err(said)?;
        let peer = stream.peer_addr().map_or_else(|_| url.to_string(), |peer| peer.to_string());
        let after = if url.tls { Stage::Tls } else { Stage::Subscribe };
        self.done(format!("connected to {peer}"), after);
        let transport: Box<dyn Transport> = match url.tls {
            true => {
                let stream =
                    network.secure(stream, url, &account.route.trust).await.map_err(said)?;
                self.done("the certificate is good".to_owned(), Stage::Subscribe);
                stream
            }
            false => Box::new(stream),
        };
        self.speak(account, Wire::new(transport)).await
    }

    /// The handshake, up to the first job and our admission, whichever comes first.
    async fn speak(&mut self, account: &Account, mut wire: Wire) -> Result<Arc<Job>, String> {
        let started = Instant::now();
        let mut client = Client::new(account.client.clone());
        client.handle_connected(Duration::ZERO);
        let (mut let_in, mut job) = (false, None);
        loop {
            while let Some(line) = client.poll_transmit() {
                wire.send(&line);
            }
            while let Some(event) = client.poll_event() {
                match event {
                    Event::Subscribed { extranonce1, extranonce2_size, .. } => {
                        let found = format!(
                            "{} bytes of extranonce are the pool's, {extranonce2_size} ours",
                            extranonce1.len()
                        );
                        self.done(found, Stage::Authorize);
                    }
                    Event::Authorized => {
                        let_in = true;
                        self.done(format!("{} is let in", account.client.user), Stage::Job);
                    }
                    Event::Job(first) => job = Some(first),
                    Event::Close(reason) => return Err(reason.to_string()),
                    _ => {}
                }
            }
            if let Some(job) = job.take_if(|_| let_in) {
                let difficulty = job.share_target.difficulty();
                let height =
                    job.height().map_or_else(String::new, |height| format!("for block {height}, "));
                self.done(format!("{height}difficulty {difficulty}"), Stage::Job);
                return Ok(job);
            }
            let now = started.elapsed();
            let job_by = if let_in { self.since - started + FIRST_JOB } else { Duration::MAX };
            if now >= job_by {
                return Err(format!("no job within {} s", FIRST_JOB.as_secs()));
            }
            let due = client.poll_timeout().unwrap_or(Duration::MAX).min(job_by);
            tokio::select! {
                exchanged = wire.exchange() => match exchanged {
                    Ok(Exchanged::Received(bytes)) => {
                        client.handle_bytes(started.elapsed(), &bytes);
                    }
                    Ok(Exchanged::Sent) => {}
                    Err(error) => return Err(format!("the pool ended the connection: {error}")),
                },
                () = sleep(due.saturating_sub(now)) => client.handle_timeout(started.elapsed()),
            }
        }
    }

    /// The present step is done, the next one begins.
    fn done(&mut self, found: String, next: Stage) {
        self.tell(Ok(found));
        (self.stage, self.since) = (next, Instant::now());
    }

    fn tell(&mut self, outcome: Result<String, String>) {
        (self.told)(Step { stage: self.stage, took: self.since.elapsed(), outcome });
    }
}

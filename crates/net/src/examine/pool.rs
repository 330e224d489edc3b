//! A pool: from its name to its first job.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::{Client, ClientEvent, Remark, redirect};
use tokio::time::{Instant, sleep};

use super::{Examination, Outcome, Problem, Stage, Step};
use crate::dial::{Dialler, Transport};
use crate::foreign::{self, Spoken};
use crate::wire::{Exchanged, Wire};
use crate::{Account, PoolUrl};

/// A pool that has let us in and has no work for so long is of no use.
const FIRST_JOB: Duration = Duration::from_secs(30);

/// Connects to a pool, tells every step, and returns the first job. Ends at the first step that
/// fails.
pub async fn examine_pool(
    account: &Account,
    dialler: &Dialler,
    mut told: impl FnMut(Step),
) -> Option<Arc<Job>> {
    let mut examination = Examination::new(&mut told);
    match examination.pool(account, dialler).await {
        Ok(job) => Some(job),
        Err(problem) => {
            examination.end(&problem);
            None
        }
    }
}

impl Examination<'_> {
    async fn pool(&mut self, account: &Account, dialler: &Dialler) -> Result<Arc<Job>, Problem> {
        let (url, route) = (&account.url, &account.route);
        let next = if url.tls { Stage::Tls } else { Stage::Subscribe };
        let stream = self.reach(url.endpoint(), route, dialler, next).await?;
        let transport: Box<dyn Transport> = match url.tls {
            true => self.secure(stream, url.endpoint(), route, dialler, Stage::Subscribe).await?,
            false => Box::new(stream),
        };
        let mut wire = Wire::new(transport);
        let job = self.speak(account, &mut wire).await;
        job.map_err(|problem| {
            let first = wire.first();
            if let Some(words) = foreign::sentence(&first, url.endpoint().asked(false)) {
                return Problem::OtherProtocol(account.client.hide_password(&words));
            }
            if !first.is_empty() || !problem.may_be_guessed_at() {
                return problem;
            }
            let guess = foreign::guess(url.endpoint().asked(url.tls));
            Problem::OtherProtocol(format!("{problem}, without a word; {guess}"))
        })
    }

    /// The handshake, up to the first job and our admission, whichever comes first.
    async fn speak(&mut self, account: &Account, wire: &mut Wire) -> Result<Arc<Job>, Problem> {
        let started = Instant::now();
        let mut client = Client::new(account.client.clone());
        client.handle_connected(Duration::ZERO);
        let (mut let_in, mut job, mut last) = (false, None, None);
        loop {
            while let Some(line) = client.poll_transmit() {
                wire.send(&line);
            }
            while let Some(event) = client.poll_event() {
                match event {
                    ClientEvent::Subscribed { extranonce1, extranonce2_size, .. } => {
                        let found = format!(
                            "{} bytes of extranonce are the pool's, {extranonce2_size} ours",
                            extranonce1.len()
                        );
                        self.good(found, Stage::Authorize);
                    }
                    ClientEvent::Authorized => {
                        let_in = true;
                        self.good(format!("{} is let in", account.client.user), Stage::Job);
                    }
                    ClientEvent::Job(first) => job = Some(first),
                    ClientEvent::Close(reason) => return Err(Problem::Closed(reason)),
                    ClientEvent::Redirect { host, port, .. } => {
                        let to = account.url.redirected(host, port);
                        match may_follow(account, &to) {
                            Ok(()) => return Err(Problem::Redirected(to)),
                            Err(why) => self.tell(Outcome::Doubtful(why)),
                        }
                    }
                    ClientEvent::Remark(Remark::Warning { text }) => {
                        self.tell(Outcome::Doubtful(text.clone()));
                        last = Some(text);
                    }
                    ClientEvent::Remark(remark) => {
                        self.tell(Outcome::Doubtful(remark.sentence("the pool")));
                    }
                    _ => {}
                }
            }
            if let Some(job) = job.take_if(|_| let_in) {
                let difficulty = job.share_target.difficulty();
                let height =
                    job.height().map_or_else(String::new, |height| format!("for block {height}, "));
                self.good(format!("{height}difficulty {difficulty}"), Stage::Job);
                return Ok(job);
            }
            let now = started.elapsed();
            let job_by = if let_in { self.since - started + FIRST_JOB } else { Duration::MAX };
            if now >= job_by {
                return Err(match last {
                    Some(last) => Problem::NothingToWorkOn { within: FIRST_JOB, last },
                    None => Problem::NoJob(FIRST_JOB),
                });
            }
            let due = client.poll_timeout().unwrap_or(Duration::MAX).min(job_by);
            tokio::select! {
                exchanged = wire.exchange() => match exchanged {
                    Ok(Exchanged::Received(bytes)) => {
                        client.handle_bytes(started.elapsed(), &bytes);
                        if foreign::spoken(&wire.first()).is_some_and(Spoken::is_certain) {
                            return Err(Problem::OtherProtocol("another protocol".to_owned()));
                        }
                    }
                    Ok(Exchanged::Sent) => {}
                    Err(error) => return Err(Problem::Broken(error)),
                },
                () = sleep(due.saturating_sub(now)) => client.handle_timeout(started.elapsed()),
            }
        }
    }
}

/// Whether `mine` would follow a redirect by its default: if not, it works on where it is.
fn may_follow(account: &Account, to: &PoolUrl) -> Result<(), String> {
    let verified = account.url.tls && account.route.trust.is_verified();
    redirect::allowed(&account.url.host, verified, &to.host).map_err(|error| error.to_string())
}

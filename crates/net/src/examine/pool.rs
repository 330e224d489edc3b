//! A pool: from its name to its first job.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_stratum::{Client, ClientEvent, Remark, redirect};
use tokio::time::{Instant, sleep};

use super::{Examination, Outcome, Problem, Stage, Step};
use crate::dial::{Dial, Dialler, Transport};
use crate::foreign::{self, Layer, Spoken};
use crate::tls_words::broken_by_tls;
use crate::trouble::with_words;
use crate::wire::{Exchanged, Wire};
use crate::{Account, PoolUrl};

/// A pool that has let us in and has no work for so long is of no use.
pub(super) const FIRST_JOB: Duration = Duration::from_secs(30);

/// Connects to a pool, tells every step, and returns the first job. Ends at the first step that
/// fails.
pub async fn examine_pool(
    account: &Account,
    dialler: &Dialler,
    mut told: impl FnMut(Step),
) -> Option<Arc<Job>> {
    let mut examination = Examination::new(&mut told);
    let job = match account.url.v2 {
        None => examination.pool(account, dialler).await,
        Some(_) => examination.pool_v2(account, dialler).await,
    };
    match job {
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
        let (mut client, started) = (Client::new(account.client.clone()), Instant::now());
        loop {
            let job = self.speak(account, &mut client, started, &mut wire).await;
            let Err(problem) = job else { return job };
            client.handle_disconnected(started.elapsed());
            self.pass_on(&mut client);
            // A server that answered to `mining.subscribe` speaks Stratum, whatever came before.
            let first = (self.stage == Stage::Subscribe).then(|| wire.first());
            let problem = explained(problem, account, first.as_deref(), self.said.clone());
            // As `mine` does, without its pauses: perhaps the pool hangs up at a request that is no
            // necessity.
            let is_hang_up = match &problem {
                Problem::Broken(error) => broken_by_tls(error).is_none(),
                problem => matches!(problem, Problem::HungUp(_)),
            };
            if !is_hang_up || !client.tries_another_handshake() {
                return Err(problem);
            }
            wire = Wire::new(dialler.dial(url, route).await?.transport);
        }
    }

    /// Tells what the client has to say about a connection that has ended.
    fn pass_on(&mut self, client: &mut Client) {
        while let Some(event) = client.poll_event() {
            if let ClientEvent::Remark(remark) = event {
                self.remark(remark, true);
            }
        }
    }

    /// Tells a remark once, however often the pool hangs up. Returns it in words.
    fn remark(&mut self, remark: Remark, is_before_admission: bool) -> String {
        match &remark {
            Remark::Message { text } if is_before_admission => self.said = Some(text.clone()),
            _ => {}
        }
        let words = words(remark);
        if self.told_last.as_ref() != Some(&words) {
            self.tell(Outcome::Doubtful(words.clone()));
            self.told_last = Some(words.clone());
        }
        words
    }

    /// The handshake, up to the first job and our admission, whichever comes first.
    async fn speak(
        &mut self,
        account: &Account,
        client: &mut Client,
        started: Instant,
        wire: &mut Wire,
    ) -> Result<Arc<Job>, Problem> {
        client.handle_connected(started.elapsed());
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
                        // Told once, however often the pool hangs up.
                        if self.stage == Stage::Subscribe {
                            self.good(found, Stage::Authorize);
                        }
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
                    ClientEvent::Remark(remark) => {
                        let is_ours = matches!(remark, Remark::Warning { .. });
                        let words = self.remark(remark, !let_in);
                        last = is_ours.then_some(words).or(last);
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

/// The problem, judged by all that came over the connection. `first` is `None` where the server has
/// shown that it speaks the protocol.
pub(super) fn explained(
    problem: Problem,
    account: &Account,
    first: Option<&[u8]>,
    said: Option<String>,
) -> Problem {
    let url = &account.url;
    let asked = url.endpoint().asked(Layer::inside(url.tls));
    if let Some(words) = first.and_then(|first| foreign::sentence(first, asked)) {
        return Problem::OtherProtocol(account.client.hide_password(&words));
    }
    if let (Problem::Broken(_), Some(said)) = (&problem, said) {
        return Problem::HungUp(with_words(&problem.to_string(), &said));
    }
    if first.is_none_or(|first| !first.is_empty()) || !problem.may_be_guessed_at() {
        return problem;
    }
    let words = format!("{problem}, without a word; {}", foreign::guess(asked));
    match problem {
        Problem::Broken(_) => Problem::HungUp(words),
        _ => Problem::OtherProtocol(words),
    }
}

pub(super) fn words(remark: Remark) -> String {
    match remark {
        Remark::Warning { text } => text,
        remark => remark.sentence("the pool"),
    }
}

/// Whether `mine` would follow a redirect by its default: if not, it works on where it is.
pub(super) fn may_follow(account: &Account, to: &PoolUrl) -> Result<(), String> {
    let verified = account.is_verified();
    redirect::allowed(&account.url.host, verified, &to.host).map_err(|error| error.to_string())
}

//! A pool of Stratum V2: from its name to its first job.

use std::sync::Arc;
use std::time::Duration;

use midstate_chain::Job;
use midstate_sv2::{Client, ClientConfig, CloseReason, Event, Progress};
use tokio::time::{Instant, sleep};

use super::pool::{FIRST_JOB, explained, may_follow, words};
use super::{Examination, Outcome, Problem, Stage};
use crate::Account;
use crate::dial::Dialler;
use crate::foreign;
use crate::protocol::dialled;
use crate::wire::{Exchanged, Wire};

impl Examination<'_> {
    /// Each answer of the pool is a step of its own.
    pub(super) async fn pool_v2(
        &mut self,
        account: &Account,
        dialler: &Dialler,
    ) -> Result<Arc<Job>, Problem> {
        let (url, route) = (&account.url, &account.route);
        let stream = self.reach(url.endpoint(), route, dialler, Stage::Noise).await?;
        let mut wire = Wire::new(Box::new(stream));
        let mut client = Client::new(account.v2_config());
        let spoken = self.speak_v2(account, &mut client, &mut wire).await;
        spoken.map_err(|problem| match client.progress() {
            Progress::Handshake => explained(problem, account, Some(&wire.first()), None),
            _ => problem,
        })
    }

    async fn speak_v2(
        &mut self,
        account: &Account,
        client: &mut Client,
        wire: &mut Wire,
    ) -> Result<Arc<Job>, Problem> {
        let (url, started) = (&account.url, Instant::now());
        let ClientConfig { authority, user, .. } = account.v2_config();
        let is_verified = authority.is_some();
        client.handle_connected(started.elapsed(), dialled(url));
        let mut seen = Progress::Handshake;
        loop {
            while let Some(bytes) = client.poll_transmit() {
                wire.send(&bytes);
            }
            let progress = client.progress();
            if seen == Progress::Handshake && progress > seen {
                self.done(
                    match is_verified {
                        true => Outcome::Good("the authority key signed the certificate".into()),
                        false => Outcome::Doubtful(
                            "encrypted, but the URL has no authority key, so the server proves \
                             nothing"
                                .into(),
                        ),
                    },
                    Stage::Setup,
                );
            }
            if seen <= Progress::Setup && progress > Progress::Setup {
                self.good("version 2 of the mining protocol".to_owned(), Stage::Channel);
            }
            seen = progress;
            while let Some(event) = client.poll_event() {
                match event {
                    Event::Opened { channel, kind } => {
                        let kind = format!("{kind:?}").to_lowercase();
                        let found = format!("{user} has {kind} channel {channel}");
                        self.good(found, Stage::Job);
                    }
                    Event::Job(job) => {
                        let difficulty = job.share_target.difficulty();
                        let height = job.height();
                        let height = height
                            .map_or_else(String::new, |height| format!("for block {height}, "));
                        self.good(format!("{height}difficulty {difficulty}"), Stage::Job);
                        return Ok(job);
                    }
                    Event::Redirect { host, port, .. } => {
                        let to = url.redirected(host, port);
                        match may_follow(account, &to) {
                            Ok(()) => return Err(Problem::Redirected(to)),
                            Err(why) => self.tell(Outcome::Doubtful(why)),
                        }
                    }
                    Event::Remark(remark) => self.tell(Outcome::Doubtful(words(remark))),
                    Event::Close(reason) => return Err(Problem::ClosedV2(reason)),
                    _ => {}
                }
            }
            let now = started.elapsed();
            let is_open = progress == Progress::Open;
            let job_by = if is_open { self.since - started + FIRST_JOB } else { Duration::MAX };
            if now >= job_by {
                return Err(Problem::NoJob(FIRST_JOB));
            }
            let due = client.poll_timeout().unwrap_or(Duration::MAX).min(job_by);
            tokio::select! {
                exchanged = wire.exchange() => match exchanged {
                    Ok(Exchanged::Received(bytes)) => {
                        client.handle_bytes(started.elapsed(), &bytes);
                        let is_awaited = client.progress() == Progress::Handshake;
                        if is_awaited && foreign::is_no_noise(&wire.first()) {
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

/// Whether the reason says all that is known of the cause.
pub(super) fn is_explained(reason: &CloseReason) -> bool {
    !matches!(reason, CloseReason::Late { .. } | CloseReason::Silent(_) | CloseReason::NoJob(_))
}

//! The pool's side of Stratum V2: connections with channels. Each channel is a
//! [session](crate::session) of its own: it has an extranonce, a difficulty and books, as a
//! connection of V1 has.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use midstate_chain::Target;
use midstate_sv2::{
    Authority, Grant, Opening, Refusal, Server, ServerConfig, ServerEvent, ShareTicket, Submission,
};

use crate::event::{EmbeddedPoolEvent, SessionId};
use crate::judge::{Claim, Version};
use crate::pool::{CHANNEL_EXTRANONCE_SIZE, Pool};
use crate::session::{Address, Door, Session};
use crate::vardiff::{Vardiff, VardiffConfig};

/// A connection of Stratum V2.
pub(crate) struct Line {
    pub(crate) server: Server,
    from: SocketAddr,
    /// By their numbers.
    pub(crate) channels: BTreeMap<u32, SessionId>,
}

impl Pool {
    /// A miner connected from there, at the port of Stratum V2. `entropy` are random bytes, never
    /// used twice.
    pub fn connect_v2(
        &mut self,
        from: SocketAddr,
        authority: Authority,
        entropy: [u8; 32],
    ) -> SessionId {
        let (id, _) = self.next_session();
        let limits = self.config.v2_limits.clone();
        let server = Server::new(ServerConfig { authority, entropy, limits });
        self.lines.insert(id, Line { server, from, channels: BTreeMap::new() });
        id
    }

    /// The number of the frame that has come in part by this connection of Stratum V2, if one has.
    pub fn unfinished_frame(&self, id: SessionId) -> Option<u64> {
        self.lines.get(&id)?.server.unfinished()
    }

    pub(crate) fn handle_line_bytes(&mut self, now: Duration, id: SessionId, bytes: &[u8]) {
        if let Some(line) = self.lines.get_mut(&id) {
            line.server.handle_bytes(now, bytes);
        }
        while let Some(event) = self.lines.get_mut(&id).and_then(|line| line.server.poll_event()) {
            self.handle_request(now, id, event);
        }
    }

    fn handle_request(&mut self, now: Duration, id: SessionId, event: ServerEvent) {
        match event {
            ServerEvent::Open(opening) => {
                if let Err(why) = self.open_channel(now, id, &opening)
                    && let Some(line) = self.lines.get_mut(&id)
                {
                    line.server.refuse_channel(&opening, why);
                }
            }
            ServerEvent::Update { channel, hash_rate, max_target } => {
                if let Err(why) = self.update_channel(now, id, channel, hash_rate, max_target)
                    && let Some(line) = self.lines.get_mut(&id)
                {
                    line.server.refuse_update(channel, why);
                }
            }
            ServerEvent::Submit { ticket, submission } => {
                self.handle_submission(now, id, ticket, submission);
            }
            ServerEvent::Closed { channel } => {
                let line = self.lines.get_mut(&id);
                if let Some(channel) = line.and_then(|line| line.channels.remove(&channel)) {
                    self.disconnect(channel);
                }
            }
            ServerEvent::Close(breach) => {
                let reason = breach.to_string();
                self.events.push_back(EmbeddedPoolEvent::Close { session: id, reason });
            }
            // An event of a later server that this pool does not know needs no answer.
            _ => {}
        }
    }

    fn open_channel(
        &mut self,
        now: Duration,
        id: SessionId,
        opening: &Opening,
    ) -> Result<(), Refusal> {
        if opening.min_extranonce_size > CHANNEL_EXTRANONCE_SIZE {
            return Err(Refusal::ExtranonceSize);
        }
        let open: usize = self.lines.values().map(|line| line.channels.len()).sum();
        if open >= self.config.bounds.channels {
            return Err(Refusal::Full);
        }
        self.check_target(opening.max_target)?;
        let (channel, extranonce1) = self.next_session();
        let Some(line) = self.lines.get_mut(&id) else { return Ok(()) };
        // The number is known when the channel is open, and it is opened with its target.
        let address = Address { line: id, number: 0 };
        let mut session = Session::new(Door::Channel(address), line.from, extranonce1.clone());
        session.subscribe();
        session.max_target = opening.max_target;
        session.vardiff = self.config.vardiff.clone().map(|config| {
            let wish = wished_difficulty(&config, opening.hash_rate);
            let mut vardiff = Vardiff::new(config, now);
            wish.into_iter().for_each(|wish| vardiff.suggest(now, wish));
            vardiff
        });
        let first = match (self.jobs.back(), &session.vardiff) {
            (Some(template), _) => self.difficulty(&session, template),
            (None, Some(vardiff)) => vardiff.difficulty(),
            (None, None) => self.config.share_difficulty,
        };
        let terms = session.terms(first).map_err(|_| Refusal::MaxTarget)?;
        let extranonce2_size = CHANNEL_EXTRANONCE_SIZE;
        let grant = Grant { extranonce1, extranonce2_size, target: terms.target };
        let Some(line) = self.lines.get_mut(&id) else { return Ok(()) };
        let number = line.server.open(opening, &grant);
        line.channels.insert(number, channel);
        session.door = Door::Channel(Address { line: id, number });
        session.tell_difficulty(terms.difficulty);
        self.join(channel, session, &opening.user);
        self.issue(channel, true);
        Ok(())
    }

    fn update_channel(
        &mut self,
        now: Duration,
        id: SessionId,
        channel: u32,
        hash_rate: f32,
        max_target: Target,
    ) -> Result<(), Refusal> {
        self.check_target(max_target)?;
        let channel = self.lines.get(&id).and_then(|line| line.channels.get(&channel)).copied();
        let Some((channel, session)) =
            channel.and_then(|id| Some((id, self.sessions.get_mut(&id)?)))
        else {
            return Ok(());
        };
        session.max_target = max_target;
        if let Some(vardiff) = &mut session.vardiff
            && let Some(config) = &self.config.vardiff
            && let Some(wish) = wished_difficulty(config, hash_rate)
        {
            vardiff.suggest(now, wish);
        }
        self.follow(channel);
        Ok(())
    }

    /// No share is harder than a block.
    fn check_target(&self, max_target: Target) -> Result<(), Refusal> {
        let block = self.jobs.back().map(|open| self.block_target(&open.job));
        match block {
            Some(block) if max_target < block => Err(Refusal::MaxTarget),
            _ if max_target == Target::from_number(midstate_chain::U256::ZERO) => {
                Err(Refusal::MaxTarget)
            }
            _ => Ok(()),
        }
    }

    fn handle_submission(
        &mut self,
        now: Duration,
        id: SessionId,
        ticket: ShareTicket,
        submission: Submission,
    ) {
        let channel = self.lines.get(&id).and_then(|line| line.channels.get(&ticket.channel));
        let Some(&channel) = channel else { return };
        let Submission { job, time, nonce, version, extranonce } = submission;
        // All of a standard channel's extranonce is the pool's.
        let padding = if extranonce.is_none() { CHANNEL_EXTRANONCE_SIZE } else { 0 };
        let claim = Claim {
            job: job.to_string(),
            extranonce2: extranonce.unwrap_or_default(),
            padding,
            time,
            nonce,
            version: Version::Whole(version),
        };
        let judged = self.judge(now, channel, &claim);
        // The answer goes before the next job.
        if let Some(line) = self.lines.get_mut(&id) {
            match &judged {
                Ok(judgement) => line.server.accept(ticket, judgement.difficulty),
                Err(refused) => line.server.refuse(ticket, refused.why.code()),
            }
        }
        let worker = self.sessions.get(&channel).and_then(|it| it.workers.keys().next().cloned());
        let _ = self.book(now, channel, worker.unwrap_or_default(), judged);
    }

    /// Whether a session gets its jobs together with the other channels of its connection.
    pub(crate) fn has_group(&self, session: &Session) -> bool {
        match session.door {
            Door::Channel(Address { line, .. }) => {
                self.lines.get(&line).is_some_and(|line| line.server.has_group())
            }
            Door::Stratum(_) | Door::Seat { .. } => false,
        }
    }

    /// Gives a channel a job of the newest template.
    pub(crate) fn issue_to_channel(&mut self, id: SessionId, address: Address, clean: bool) {
        let Address { line: line_id, number } = address;
        let most = self.most_issued();
        let (Some(template), Some(session)) = (self.jobs.back(), self.sessions.get(&id)) else {
            return;
        };
        let Ok(terms) = session.terms(self.difficulty(session, template)) else { return };
        let Some(line) = self.lines.get_mut(&line_id) else { return };
        if line.server.is_group_waiting() {
            return self.issue_to_group(line_id, clean);
        }
        let job = midstate_chain::Job { clean, ..template.job.clone() };
        let job = line.server.issue(number, &job, terms.target);
        if let Some(session) = self.sessions.get_mut(&id) {
            session.record(template, job.to_string(), terms, most);
        }
    }

    /// Gives the channels of all connections that take them together a job of the newest template.
    pub(crate) fn issue_to_groups(&mut self, clean: bool) {
        let with_group = self.lines.iter().filter(|(_, line)| line.server.has_group());
        let ids: Vec<_> = with_group.map(|(&id, _)| id).collect();
        ids.into_iter().for_each(|id| self.issue_to_group(id, clean));
    }

    fn issue_to_group(&mut self, id: SessionId, clean: bool) {
        let most = self.most_issued();
        let (Some(template), Some(line)) = (self.jobs.back(), self.lines.get(&id)) else { return };
        let terms: Vec<_> = line
            .channels
            .iter()
            .filter_map(|(&number, id)| {
                let session = self.sessions.get(id)?;
                let terms = session.terms(self.difficulty(session, template)).ok()?;
                Some((number, *id, terms))
            })
            .collect();
        let job = midstate_chain::Job { clean, ..template.job.clone() };
        let Some(line) = self.lines.get_mut(&id) else { return };
        let targets = terms.iter().map(|(number, _, terms)| (*number, terms.target));
        let job = line.server.issue_to_group(&job, targets).to_string();
        for (_, id, terms) in terms {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.record(template, job.clone(), terms, most);
            }
        }
    }
}

/// The difficulty at which a miner of that rate has a share as often as it should.
fn wished_difficulty(config: &VardiffConfig, hash_rate: f32) -> Option<f64> {
    let difficulty = f64::from(hash_rate) * config.seconds / Target::HASHES_AT_DIFFICULTY_1;
    (difficulty > 0.0).then_some(difficulty)
}

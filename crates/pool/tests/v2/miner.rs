//! A miner of Stratum V2 and the pool that it is connected to, in virtual time.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use common_messages_sv2 as common;
use midstate_pool::{EmbeddedPoolEvent, Front, PoolConfig, RegtestPool, SessionId, WorkerStats};
use midstate_sv2::Authority;
use mining_sv2 as mining;

use crate::wire::open_standard;
pub(crate) use crate::wire::{EASIEST, Found, Wire, bytes, setup};

/// The date of the tests.
pub(crate) const UNIX: u64 = 1_796_000_000;
pub(crate) const STANDARD_JOBS: u32 = 1;

pub(crate) fn authority() -> Authority {
    Authority::from_secret([7; 32]).unwrap()
}

/// The pool, its date, and all that it told.
pub(crate) struct Hall {
    pub(crate) pool: RegtestPool,
    pub(crate) now: Duration,
    pub(crate) events: Vec<EmbeddedPoolEvent>,
    /// The sessions that it wants to be closed.
    pub(crate) closing: Vec<SessionId>,
}

impl Hall {
    pub(crate) fn new(config: PoolConfig) -> Self {
        let now = Duration::from_secs(UNIX);
        let pool = RegtestPool::new(config, Vec::new(), now).unwrap();
        Self { pool, now, events: Vec::new(), closing: Vec::new() }
    }

    /// Shares of four hashes on average, blocks of a million.
    pub(crate) fn easy() -> Self {
        Self::new(PoolConfig { block_difficulty: 2.5e-4, ..PoolConfig::new(1e-9, 1) })
    }

    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.pool.handle_timeout(self.now);
        self.hear();
    }

    pub(crate) fn hear(&mut self) {
        while let Some(event) = self.pool.poll_event() {
            if let EmbeddedPoolEvent::Close { session, .. } = event {
                self.closing.push(session);
            }
            self.events.push(event);
        }
    }

    pub(crate) fn stats(&self) -> WorkerStats {
        let mut sum = WorkerStats::default();
        for stats in self.pool.pool().standings().values() {
            sum.accepted += stats.accepted;
            sum.rejected += stats.rejected;
            sum.blocks += stats.blocks;
            sum.work += stats.work;
        }
        sum
    }

    pub(crate) fn closed(&self) -> Option<String> {
        let reason = |event: &EmbeddedPoolEvent| match event {
            EmbeddedPoolEvent::Close { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.events.iter().find_map(reason)
    }
}

/// A miner, and the session that it has.
pub(crate) struct Miner {
    pub(crate) id: SessionId,
    pub(crate) wire: Wire,
}

impl Deref for Miner {
    type Target = Wire;

    fn deref(&self) -> &Wire {
        &self.wire
    }
}

impl DerefMut for Miner {
    fn deref_mut(&mut self) -> &mut Wire {
        &mut self.wire
    }
}

impl Miner {
    /// Connects, and has its handshake behind it.
    pub(crate) fn connect(hall: &mut Hall) -> Self {
        let mut miner = Self::silent(hall);
        let hello = miner.hello();
        miner.send(hall, &hello);
        miner
    }

    /// Connects, and says nothing yet.
    pub(crate) fn silent(hall: &mut Hall) -> Self {
        let from = ([127, 0, 0, 1], 4).into();
        let id = hall.pool.connect_v2(from, authority(), [hall.events.len() as u8; 32]);
        let key = *authority().key().as_bytes();
        Self { id, wire: Wire::new(key, [3; 32]) }
    }

    pub(crate) fn set_up(mut self, hall: &mut Hall, flags: u32) -> Self {
        self.say(hall, common::MESSAGE_TYPE_SETUP_CONNECTION, &setup(flags));
        assert_eq!(self.last(), common::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS);
        self
    }

    /// Opens a channel: its number.
    pub(crate) fn open(&mut self, hall: &mut Hall, user: &str) -> u32 {
        self.ask(hall, user, 0.0, EASIEST);
        *self.channels.last_key_value().expect("a channel was opened").0
    }

    /// Asks for a channel of that hash rate and maximum target.
    pub(crate) fn ask(&mut self, hall: &mut Hall, user: &str, rate: f32, max_target: [u8; 32]) {
        let message = open_standard(user, rate, max_target);
        self.say(hall, mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL, &message);
    }

    pub(crate) fn open_extended(&mut self, hall: &mut Hall, user: &str) -> u32 {
        self.ask_extended(hall, user, 4);
        *self.channels.last_key_value().expect("a channel was opened").0
    }

    pub(crate) fn ask_extended(&mut self, hall: &mut Hall, user: &str, min_extranonce_size: u16) {
        let message = mining::OpenExtendedMiningChannel {
            request_id: 78,
            user_identity: user.try_into().unwrap(),
            nominal_hash_rate: 0.0,
            max_target: (&EASIEST).into(),
            min_extranonce_size,
        };
        self.say(hall, mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL, &bytes(message));
    }

    pub(crate) fn update(
        &mut self,
        hall: &mut Hall,
        channel: u32,
        rate: f32,
        max_target: [u8; 32],
    ) {
        let message = mining::UpdateChannel {
            channel_id: channel,
            nominal_hash_rate: rate,
            maximum_target: (&max_target).into(),
        };
        self.say(hall, mining::MESSAGE_TYPE_UPDATE_CHANNEL, &bytes(message));
    }

    pub(crate) fn close(&mut self, hall: &mut Hall, channel: u32) {
        let reason_code = "bye".try_into().unwrap();
        let message = mining::CloseChannel { channel_id: channel, reason_code };
        self.say(hall, mining::MESSAGE_TYPE_CLOSE_CHANNEL, &bytes(message));
    }

    /// Sends a message, and hears what the pool has to say.
    pub(crate) fn say(&mut self, hall: &mut Hall, kind: u8, payload: &[u8]) {
        let sealed = self.seal(kind, 0, payload);
        self.send(hall, &sealed);
    }

    pub(crate) fn send(&mut self, hall: &mut Hall, bytes: &[u8]) {
        hall.pool.handle_bytes(hall.now, self.id, bytes);
        hall.hear();
        self.listen(hall);
    }

    /// Hears what the pool has to say.
    pub(crate) fn listen(&mut self, hall: &mut Hall) {
        while let Some(bytes) = hall.pool.poll_transmit(self.id) {
            self.wire.receive(&bytes, hall.now.as_secs() as u32);
        }
    }

    /// Sends a share: its sequence number.
    pub(crate) fn submit(&mut self, hall: &mut Hall, channel: u32, found: &Found) -> u32 {
        let (sealed, sequence) = self.seal_share(channel, found);
        self.send(hall, &sealed);
        sequence
    }
}

//! Miners of Stratum V2 at the same pool: our own client, which finds its shares.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use midstate_chain::{Job, Share, Verdict};
use midstate_sv2::{Authority, ChannelKind, Client, ClientConfig, Dialled, Event};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split};
use tokio::time::{Instant, sleep_until};

use crate::{Outcome, STALL};

pub(crate) fn authority() -> Authority {
    Authority::from_secret([9; 32]).unwrap()
}

/// A miner, and its end of a pipe.
pub(crate) struct Miner {
    rng: Rng,
    client: Client,
    job: Option<Arc<Job>>,
    outcome: Outcome,
    start: Instant,
}

impl Miner {
    fn new(mut rng: Rng, user: &str) -> Self {
        let kind = if rng.bool() { ChannelKind::Standard } else { ChannelKind::Extended };
        let mut config = ClientConfig::new(user);
        (config.kind, config.authority) = (kind, Some(authority().key()));
        // It may send as fast as it likes, and stays though its shares come too late.
        config.limits.common.refused = u32::MAX;
        (config.limits.common.share_rate, config.limits.common.outbox) = (u32::MAX, usize::MAX);
        let start = Instant::now();
        let mut client = Client::new(config);
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let unix = since.as_secs() as u32;
        let entropy = std::array::from_fn(|_| rng.u8(..));
        let dialled = Dialled { host: "pool".to_owned(), port: 1, unix, entropy };
        client.handle_connected(Duration::ZERO, dialled);
        Self { rng, client, job: None, outcome: Outcome::default(), start }
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Reads its answers, at once, byte by byte or after a stall: its connection is never ended.
    pub(crate) async fn play(pipe: DuplexStream, rng: Rng) -> Outcome {
        let (mut reader, mut writer) = split(pipe);
        let mut miner = Self::new(rng, "me");
        let mut bursts = miner.rng.u32(1..12);
        let [mut next_burst, mut reads_from] = [Instant::now(); 2];
        let (mut out, mut submitted) = (Vec::new(), 0);
        loop {
            miner.listen();
            out.extend(std::iter::from_fn(|| miner.client.poll_transmit()).flatten());
            if bursts == 0 && miner.client.pending() == 0 && out.is_empty() {
                assert_eq!(miner.outcome.requests, submitted, "one answer each");
                return miner.outcome;
            }
            let mut chunk = vec![0; 1 << miner.rng.u32(0..16)];
            let can_find = bursts > 0 && miner.job.is_some();
            tokio::select! {
                written = writer.write(&out), if !out.is_empty() => {
                    let written = written.expect("the connection stays");
                    out.drain(..written);
                }
                read = reader.read(&mut chunk), if Instant::now() >= reads_from => {
                    let read = read.unwrap();
                    assert!(read > 0, "the connection stays");
                    miner.client.handle_bytes(miner.now(), &chunk[..read]);
                    if miner.rng.u32(..50) == 0 {
                        reads_from = Instant::now() + STALL.mul_f64(miner.rng.f64());
                    }
                }
                () = sleep_until(reads_from), if Instant::now() < reads_from => {}
                () = sleep_until(next_burst), if can_find => {
                    bursts -= 1;
                    let burst = 1 << miner.rng.u32(0..8);
                    submitted += miner.find(burst);
                    if miner.rng.bool() {
                        next_burst += Duration::from_millis(miner.rng.u64(0..20_000));
                    }
                }
            }
        }
    }

    /// Mines for a while, then takes not a byte, and sends as long as it can: it is hung up on.
    pub(crate) async fn play_dead(pipe: DuplexStream, rng: Rng) {
        let (mut reader, mut writer) = split(pipe);
        let mut miner = Self::new(rng, "dead");
        let mut chunk = [0; 4096];
        while miner.job.is_none() {
            while let Some(bytes) = miner.client.poll_transmit() {
                writer.write_all(&bytes).await.unwrap();
            }
            let read = reader.read(&mut chunk).await.unwrap();
            miner.client.handle_bytes(miner.now(), &chunk[..read]);
            miner.listen();
        }
        loop {
            miner.find(1);
            while let Some(bytes) = miner.client.poll_transmit() {
                if writer.write_all(&bytes).await.is_err() {
                    return;
                }
            }
        }
    }

    fn listen(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::Job(job) => {
                    self.outcome.jobs += 1;
                    self.job = Some(job);
                }
                Event::Verdict(outcome) => {
                    self.outcome.requests += 1;
                    self.outcome.accepted += u64::from(outcome.verdict == Verdict::Accepted);
                    let code = outcome.reason.as_deref();
                    assert!(matches!(code, None | Some("stale-share")), "{code:?}");
                }
                Event::Close(reason) => panic!("the connection stays: {reason}"),
                _ => {}
            }
        }
    }

    /// Finds so many shares and hands them in: how many.
    fn find(&mut self, count: u64) -> u64 {
        let job = Arc::clone(self.job.as_ref().expect("there is work"));
        let mut share = Share {
            extranonce2: (0..job.extranonce2_size).map(|_| self.rng.u8(..)).collect(),
            version: job.version,
            time: job.time,
            nonce: self.rng.u32(..),
            hash: job.prev_hash,
            job,
        };
        let mut found = 0;
        while found < count {
            share.nonce = share.nonce.wrapping_add(1);
            share.hash = share.header().hash();
            if share.job.submit_target().is_met_by(&share.hash) {
                self.client.submit(self.now(), share.clone());
                found += 1;
            }
        }
        found
    }
}

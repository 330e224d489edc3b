//! The client before a foreign judge: the server's side of channels of the reference
//! implementation, in process. It makes the jobs out of templates and judges the client's shares by
//! its own rules.

use bitcoin::{Amount, ScriptBuf, Target, TxOut};
use channels_sv2::extranonce_manager::ExtranonceAllocator;
use channels_sv2::server::extended::ExtendedChannel;
use channels_sv2::server::share_accounting::ShareValidationError;
use channels_sv2::server::standard::StandardChannel;
use midstate_chain::{Job, Share, Verdict};
use midstate_sv2::{Attempt, Event};
use mining_sv2 as mining;
use template_distribution_sv2 as templates;

use crate::pool::{CHANNEL, GROUP, MAINNET, Pair, Sent, UNIX, find_share};

/// Shares that the judge wants in a minute of our 10 MH/s: one in a thousand hashes.
const SHARES_A_MINUTE: f32 = 600_000.0;
/// Jobs of the same block that it keeps.
const JOBS: Option<usize> = Some(8);

enum Judge {
    Standard(StandardChannel),
    Extended(ExtendedChannel),
}

/// A client and the pool's side of its channel.
struct Court {
    pair: Pair,
    judge: Judge,
    templates: u64,
}

impl Court {
    fn standard() -> Self {
        let mut allocator = ExtranonceAllocator::new(vec![7, 7], 20, 16).unwrap();
        let prefix = allocator.allocate_standard().unwrap();
        let (user, any, tag) =
            ("rig".to_owned(), Target::from_le_bytes([0xff; 32]), "judge".to_owned());
        let (rate, wanted) = (1e7, SHARES_A_MINUTE);
        let channel =
            StandardChannel::new_for_pool(CHANNEL, user, prefix, any, rate, 1, wanted, tag, JOBS)
                .unwrap();
        let mut pair = Pair::standard();
        pair.connect();
        pair.accept_setup(0);
        let (target, prefix) =
            (channel.get_target().to_le_bytes(), channel.get_extranonce_prefix());
        let message = mining::OpenStandardMiningChannelSuccess {
            request_id: 1,
            channel_id: CHANNEL,
            target: (&target).into(),
            extranonce_prefix: binary_sv2::B032::new(prefix).unwrap(),
            group_channel_id: GROUP,
        };
        pair.say(mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS, message);
        Self { pair, judge: Judge::Standard(channel), templates: 0 }
    }

    fn extended() -> Self {
        let mut allocator = ExtranonceAllocator::new(vec![7, 7], 20, 16).unwrap();
        let prefix = allocator.allocate_extended(4).unwrap();
        let (user, any, tag) =
            ("rig".to_owned(), Target::from_le_bytes([0xff; 32]), "judge".to_owned());
        let (rate, wanted, size) = (1e7, SHARES_A_MINUTE, 20 - prefix.len() as u16);
        let channel = ExtendedChannel::new_for_pool(
            CHANNEL, user, prefix, any, rate, true, size, 1, wanted, tag, JOBS,
        )
        .unwrap();
        let mut pair = Pair::extended();
        pair.connect();
        pair.accept_setup(0);
        let (target, prefix) =
            (channel.get_target().to_le_bytes(), channel.get_extranonce_prefix());
        let message = mining::OpenExtendedMiningChannelSuccess {
            request_id: 1,
            channel_id: CHANNEL,
            target: (&target).into(),
            extranonce_size: size,
            extranonce_prefix: binary_sv2::B032::new(prefix).unwrap(),
            group_channel_id: GROUP,
        };
        pair.say(mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL_SUCCESS, message);
        Self { pair, judge: Judge::Extended(channel), templates: 0 }
    }

    /// The judge makes a job of a template, and the client is told of it.
    fn new_job(&mut self, is_future: bool) {
        self.templates += 1;
        let template = templates::NewTemplateOwned {
            template_id: self.templates,
            future_template: is_future,
            version: 0x2000_0000,
            coinbase_tx_version: 2,
            coinbase_prefix: vec![2, self.templates as u8, 3].try_into().unwrap(),
            coinbase_tx_input_sequence: u32::MAX,
            coinbase_tx_value_remaining: 5_000_000_000,
            coinbase_tx_outputs_count: 0,
            coinbase_tx_outputs: vec![].try_into().unwrap(),
            coinbase_tx_locktime: 0,
            merkle_path: vec![[0xaa; 32].into(), [0xbb; 32].into()].try_into().unwrap(),
        };
        let script_pubkey = ScriptBuf::from(vec![0x51]);
        let outputs = vec![TxOut { value: Amount::from_sat(5_000_000_000), script_pubkey }];
        let id = self.templates;
        match &mut self.judge {
            Judge::Standard(channel) => {
                channel.on_new_template(template, outputs).unwrap();
                let job = match is_future {
                    true => {
                        let id = channel.get_future_job_id_from_template_id(id).unwrap();
                        channel.get_future_job(id).unwrap()
                    }
                    false => channel.get_active_job().unwrap(),
                };
                self.pair.say(mining::MESSAGE_TYPE_NEW_MINING_JOB, job.get_job_message().clone());
            }
            Judge::Extended(channel) => {
                channel.on_new_template(template, outputs).unwrap();
                let job = match is_future {
                    true => {
                        let id = channel.get_future_job_id_from_template_id(id).unwrap();
                        channel.get_future_job(id).unwrap()
                    }
                    false => channel.get_active_job().unwrap(),
                };
                let kind = mining::MESSAGE_TYPE_NEW_EXTENDED_MINING_JOB;
                self.pair.say(kind, job.get_job_message().clone());
            }
        }
    }

    /// A block comes, for which the newest template is.
    fn new_block(&mut self, prev_hash: u8) {
        let block = templates::SetNewPrevHashOwned {
            template_id: self.templates,
            prev_hash: [prev_hash; 32].into(),
            header_timestamp: UNIX,
            n_bits: MAINNET,
            target: [0; 32].into(),
        };
        let job_id = match &mut self.judge {
            Judge::Standard(channel) => {
                channel.on_set_new_prev_hash(block).unwrap();
                channel.get_active_job().unwrap().get_job_id()
            }
            Judge::Extended(channel) => {
                channel.on_set_new_prev_hash(block).unwrap();
                channel.get_active_job().unwrap().get_job_id()
            }
        };
        let prev_hash = [prev_hash; 32];
        let message = mining::SetNewPrevHash {
            channel_id: CHANNEL,
            job_id,
            prev_hash: (&prev_hash).into(),
            min_ntime: UNIX,
            nbits: MAINNET,
        };
        self.pair.say(mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH, message);
    }

    /// The judge judges all shares that came, and the client hears it: the codes of refusals.
    fn judge(&mut self) -> Vec<Option<&'static str>> {
        let mut codes = Vec::new();
        for Sent { kind, mut payload, .. } in std::mem::take(&mut self.pair.sent) {
            let (sequence, judged) = match (kind, &mut self.judge) {
                (mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD, Judge::Standard(channel)) => {
                    let share: mining::SubmitSharesStandardOwned =
                        binary_sv2::from_bytes(&mut payload).unwrap();
                    (share.sequence_number, channel.validate_share(share))
                }
                (mining::MESSAGE_TYPE_SUBMIT_SHARES_EXTENDED, Judge::Extended(channel)) => {
                    let share: mining::SubmitSharesExtended<'_> =
                        binary_sv2::from_bytes(&mut payload).unwrap();
                    (share.sequence_number, channel.validate_share(share.into_owned()))
                }
                _ => continue,
            };
            let code = match judged {
                Ok(_) => None,
                Err(
                    ShareValidationError::Invalid(code)
                    | ShareValidationError::Stale(code)
                    | ShareValidationError::InvalidJobId(code)
                    | ShareValidationError::DoesNotMeetTarget(code)
                    | ShareValidationError::VersionRollingNotAllowed(code)
                    | ShareValidationError::DuplicateShare(code)
                    | ShareValidationError::BadExtranonceSize(code),
                ) => Some(code),
                Err(error) => panic!("{error:?}"),
            };
            match code {
                None => self.pair.accept(sequence, 1),
                Some(code) => self.pair.refuse(sequence, code),
            }
            codes.push(code);
        }
        codes
    }

    /// Sends a share past the client's own judgement; the judge's code, which the client is told.
    fn attempt(&mut self, share: &Share) -> Option<&'static str> {
        let job = share.job.id.parse().unwrap();
        let Share { nonce, time, version, ref extranonce2, .. } = *share;
        let attempt = Attempt { job, nonce, time, version, extranonce: extranonce2 };
        let sent = self.pair.client.attempt(&attempt);
        self.pair.settle();
        let [code] = self.judge()[..] else { panic!("it is sent") };
        let answer = code.map_or(Ok(()), |code| Err(code.to_owned()));
        let told = Event::Attempted { sequence: sent.unwrap(), answer };
        assert!(self.pair.events.contains(&told), "{told:?}");
        code
    }

    fn courts() -> [Self; 2] {
        [Self::standard(), Self::extended()]
    }
}

/// A share of the job that misses its target.
fn find_miss(job: &std::sync::Arc<Job>) -> Share {
    let mut share = find_share(job, 0);
    while share.meets_share_target() {
        share.nonce += 1;
        share.hash = share.header().hash();
    }
    share
}

#[test]
fn a_foreign_judge_accepts_every_share_of_ours_of_all_jobs_of_a_block_with_rolled_versions() {
    for mut court in Court::courts() {
        court.new_job(true);
        court.new_block(0x11);
        for nth in 0..3 {
            let job = court.pair.job();
            assert_eq!(job.rollable_bits(), 0x1fff_e000, "each share rolls one of them");
            court.pair.submit(find_share(&job, 0));
            court.pair.submit(find_share(&job, 1));
            assert_eq!(court.judge(), [None; 2], "job {nth} of the block");
            court.new_job(false);
            // The job before it still counts.
            court.pair.submit(find_share(&job, 2));
            assert_eq!(court.judge(), [None]);
        }
        court.new_job(true);
        court.new_block(0x22);
        let job = court.pair.job();
        court.pair.submit(find_share(&job, 0));
        assert_eq!(court.judge(), [None], "on the next block");
        let verdicts = court.pair.verdicts();
        assert_eq!(verdicts.len(), 10);
        assert!(verdicts.iter().all(|(verdict, _)| *verdict == Verdict::Accepted));
        assert_eq!(court.pair.warnings(), [""; 0]);
    }
}

#[test]
fn what_the_client_keeps_back_the_judge_would_refuse() {
    for mut court in Court::courts() {
        court.new_job(true);
        court.new_block(0x11);
        let job = court.pair.job();
        let share = find_share(&job, 0);
        court.pair.submit(share.clone());
        assert_eq!(court.judge(), [None]);

        let kept_back = |court: &mut Court, share: &Share| {
            court.pair.submit(share.clone());
            assert!(court.judge().is_empty(), "the client keeps it back");
        };
        kept_back(&mut court, &share);
        assert_eq!(court.attempt(&share), Some("duplicate-share"));
        let miss = find_miss(&job);
        kept_back(&mut court, &miss);
        assert_eq!(court.attempt(&miss), Some("difficulty-too-low"));
        let mut rolled = find_share(&job, 1);
        rolled.version ^= 1;
        kept_back(&mut court, &rolled);
        assert_eq!(court.attempt(&rolled), Some("invalid-non-rollable-version-bit"));

        court.new_job(true);
        court.new_block(0x22);
        let late = find_share(&job, 2);
        kept_back(&mut court, &late);
        assert_eq!(court.attempt(&late), Some("stale-share"));
        let unknown = Job { id: "99".to_owned(), ..Job::clone(&job) };
        let unknown = Share { job: unknown.into(), ..late };
        assert_eq!(court.attempt(&unknown), Some("invalid-job-id"));
        // The books: one accepted, four of our own ends, and none of the attempts.
        assert_eq!(court.pair.verdicts().len(), 5);
        assert_eq!(court.pair.client.pending(), 0);
    }
}

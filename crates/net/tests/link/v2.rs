//! A pool of Stratum V2 in a link's list: the same rules as for one of V1.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_net::{
    Account, Connection, Dial, DialError, Dialling, Direction, Frames, LinkEnd, PoolUrl, Route,
    Said, V2Wishes,
};
use midstate_stratum::Verdict;
use mining_sv2 as mining;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::watch;

use crate::pipes::{Mood, Pools, Running, account};
use crate::v2_pool::{CHANNEL, EASY, MAINNET, PUBLIC, Pool, Sent, find_share};

/// `v2.example` speaks V2 while it is up; the others are pools of V1.
pub(crate) struct Mixed {
    is_up: watch::Sender<bool>,
    /// It takes shares, and answers none of them.
    is_mute: Arc<AtomicBool>,
    /// It opens no channel, with this code.
    refuses: Arc<Mutex<Option<&'static str>>>,
    others: Pools,
}

impl Mixed {
    /// `v2.example` alone.
    pub(crate) fn up() -> Self {
        Self::beside(Pools::default())
    }

    fn beside(others: Pools) -> Self {
        Self {
            is_up: watch::channel(true).0,
            is_mute: Arc::default(),
            refuses: Arc::default(),
            others,
        }
    }
}

impl Dial for Mixed {
    fn dial<'a>(&'a self, url: &'a PoolUrl, route: &'a Route) -> Dialling<'a> {
        if url.host != "v2.example" {
            return self.others.dial(url, route);
        }
        Box::pin(async move {
            let mut is_up = self.is_up.subscribe();
            if !*is_up.borrow_and_update() {
                return Err(DialError::Refused(url.to_string()));
            }
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let is_mute = Arc::clone(&self.is_mute);
            let refuses = *self.refuses.lock().unwrap();
            tokio::spawn(async move {
                tokio::select! {
                    _ = serve(theirs, &is_mute, refuses) => {}
                    _ = is_up.changed() => {}
                }
            });
            Ok(Connection { transport: Box::new(ours), peer: Some([192, 0, 2, 1].into()) })
        })
    }
}

/// The pool closes this channel at its first share.
const DOOMED: u32 = CHANNEL + 2;

/// A good pool, unless it is mute or opens no channel, until the miner hangs up.
async fn serve(
    mut stream: DuplexStream,
    is_mute: &AtomicBool,
    refuses: Option<&'static str>,
) -> io::Result<()> {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
    let mut pool = Pool::new(Duration::from_secs(3600));
    let mut bytes = vec![0; 4096];
    loop {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Ok(());
        }
        let (answer, messages) = pool.receive(&bytes[..count], unix);
        stream.write_all(&answer).await?;
        for message in messages {
            let is_share = message.kind == mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD;
            if is_share && is_mute.load(Ordering::Relaxed) {
                continue;
            }
            let is_opening = message.kind == mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL;
            if let (true, Some(code)) = (is_opening, refuses) {
                let error_code = code.try_into().unwrap();
                let error = mining::OpenMiningChannelError { request_id: 1, error_code };
                let error = pool.say(mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR, error);
                stream.write_all(&error).await?;
                continue;
            }
            stream.write_all(&reply(&mut pool, message)).await?;
        }
    }
}

fn reply(pool: &mut Pool, mut message: Sent) -> Vec<u8> {
    match message.kind {
        common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION => pool.say(
            common_messages_sv2::MESSAGE_TYPE_SETUP_CONNECTION_SUCCESS,
            common_messages_sv2::SetupConnectionSuccess { used_version: 2, flags: 0 },
        ),
        mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL => {
            let ask: mining::OpenStandardMiningChannel<'_> =
                binary_sv2::from_bytes(&mut message.payload).unwrap();
            let channel = CHANNEL + ask.request_id - 1;
            let opened = mining::OpenStandardMiningChannelSuccess {
                request_id: ask.request_id,
                channel_id: channel,
                target: (&EASY).into(),
                extranonce_prefix: binary_sv2::B032::new(&[1, 2, 3, 4]).unwrap(),
                group_channel_id: 0,
            };
            let root = [channel as u8; 32];
            // Its number is in the pool's name, as the harness wants it.
            let job = mining::NewMiningJob {
                channel_id: channel,
                job_id: 2,
                min_ntime: binary_sv2::Sv2Option::new(None),
                version: 0x2000_0000,
                merkle_root: (&root).into(),
            };
            let block = mining::SetNewPrevHash {
                channel_id: channel,
                job_id: 2,
                prev_hash: (&[0x11; 32]).into(),
                min_ntime: 1_700_000_000,
                nbits: MAINNET,
            };
            let opened =
                pool.say(mining::MESSAGE_TYPE_OPEN_STANDARD_MINING_CHANNEL_SUCCESS, opened);
            let job = pool.say(mining::MESSAGE_TYPE_NEW_MINING_JOB, job);
            let block = pool.say(mining::MESSAGE_TYPE_MINING_SET_NEW_PREV_HASH, block);
            [opened, job, block].concat()
        }
        mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD => {
            let share: mining::SubmitSharesStandard =
                binary_sv2::from_bytes(&mut message.payload).unwrap();
            let accepted = mining::SubmitSharesSuccess {
                channel_id: share.channel_id,
                last_sequence_number: share.sequence_number,
                new_submits_accepted_count: 1,
                new_shares_sum: 1,
            };
            let mut answer = pool.say(mining::MESSAGE_TYPE_SUBMIT_SHARES_SUCCESS, accepted);
            if share.channel_id == DOOMED {
                let reason_code = "enough".try_into().unwrap();
                let close = mining::CloseChannel { channel_id: DOOMED, reason_code };
                answer.append(&mut pool.say(mining::MESSAGE_TYPE_CLOSE_CHANNEL, close));
            }
            answer
        }
        _ => Vec::new(),
    }
}

pub(crate) fn v2_account(key: &str) -> Account {
    let url = format!("stratum2+tcp://v2.example:3333/{key}");
    Account { v2: V2Wishes::default(), ..account(&url) }
}

#[tokio::test(start_paused = true)]
async fn a_v2_pool_takes_shares_and_a_v1_pool_stands_in_while_it_is_down() {
    let others = Pools::default();
    others.set("one.example", Mood::Good);
    let mixed = Arc::new(Mixed::beside(others));
    let accounts = vec![v2_account(PUBLIC), account("one.example:3333")];
    let mut running = Running::start_by(Arc::clone(&mixed) as Arc<dyn Dial>, accounts, None);
    running.until(|running| running.pool() == Some("2")).await;
    assert!(running.seconds() < 1.0);
    running.shares.send(find_share(running.job.as_ref().unwrap(), 0)).unwrap();
    running.until(|running| running.verdicts.len() == 1).await;
    assert_eq!(running.verdicts[0].1, Verdict::Accepted);

    mixed.is_up.send_replace(false);
    running.until(|running| running.pool() == Some("one.example")).await;
    assert!(running.lost.iter().any(|why| why.contains("refused")), "{:?}", running.lost);
    mixed.is_up.send_replace(true);
    running.until(|running| running.pool() == Some("2")).await;
    running.shares.send(find_share(running.job.as_ref().unwrap(), 1)).unwrap();
    running.until(|running| running.verdicts.len() == 2).await;
    assert_eq!(running.verdicts[1].1, Verdict::Accepted);
    let about_v2 = |text: &String| text.contains("authority");
    assert!(!running.warnings.iter().any(about_v2), "{:?}", running.warnings);
}

#[tokio::test(start_paused = true)]
async fn a_v2_pool_that_cannot_prove_its_key_is_never_worked_for() {
    let others = Pools::default();
    others.set("one.example", Mood::Good);
    let mixed = Arc::new(Mixed::beside(others));
    let other_key = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";
    let accounts = vec![v2_account(other_key), account("one.example:3333")];
    let mut running = Running::start_by(Arc::clone(&mixed) as Arc<dyn Dial>, accounts, None);
    running.until(|running| running.pool() == Some("one.example")).await;
    assert!(running.lost[0].contains("did not sign"), "{:?}", running.lost);
    assert_eq!(running.verdicts, []);
}

#[tokio::test(start_paused = true)]
async fn a_v2_pool_without_a_key_is_worked_for_with_a_warning() {
    let mixed: Arc<dyn Dial> = Arc::new(Mixed::up());
    let mut running = Running::start_by(mixed, vec![v2_account("")], None);
    running.until(|running| running.pool() == Some("2")).await;
    assert_eq!(running.warnings.len(), 1, "{:?}", running.warnings);
    assert!(running.warnings[0].contains("no authority key"), "{:?}", running.warnings);
}

#[tokio::test(start_paused = true)]
async fn rule_3_a_v2_pool_that_says_nothing_any_more_loses_the_work_within_three_minutes() {
    let others = Pools::default();
    others.set("one.example", Mood::Good);
    let mixed = Arc::new(Mixed::beside(others));
    mixed.is_mute.store(true, Ordering::Relaxed);
    let accounts = vec![v2_account(PUBLIC), account("one.example:3333")];
    let mut running = Running::start_by(Arc::clone(&mixed) as Arc<dyn Dial>, accounts, None);
    running.until(|running| running.pool() == Some("2")).await;
    for nonce in 0..60 {
        running.shares.send(find_share(running.job.as_ref().unwrap(), nonce)).unwrap();
        running.pass(2).await;
    }
    assert_eq!(running.pool(), Some("2"));
    running.until(|running| running.pool() == Some("one.example")).await;
    assert!((150.0..180.0).contains(&running.seconds()), "{}", running.seconds());
    let (_, reason) = &running.failovers[0];
    let words = "left 60 shares unanswered, the oldest for 150 s";
    assert!(reason.as_ref().unwrap().contains(words), "{reason:?}");
    assert_eq!(running.count(Verdict::Unresolved), 60, "each has a verdict");
}

#[tokio::test(start_paused = true)]
async fn rule_5_a_v2_pool_that_is_full_is_no_refusal_of_the_user() {
    for (code, is_final) in [("channel-capacity-exhausted", false), ("unknown-user", true)] {
        let mixed = Arc::new(Mixed::up());
        *mixed.refuses.lock().unwrap() = Some(code);
        let dial = Arc::clone(&mixed) as Arc<dyn Dial>;
        let mut running = Running::start_by(dial, vec![v2_account(PUBLIC)], Some(60));
        let end = running.end().await;
        let LinkEnd::Unreachable(reason) = end else {
            assert!(is_final && format!("{end:?}").contains(code), "{code}: {end:?}");
            continue;
        };
        assert!(!is_final && reason.contains("opened no channel: channel-capacity"), "{reason}");
        assert!(!reason.contains("user or password"), "{reason}");
    }
    // It has room again, and the next pool stood in for it at once.
    let others = Pools::default();
    others.set("one.example", Mood::Good);
    let mixed = Arc::new(Mixed::beside(others));
    *mixed.refuses.lock().unwrap() = Some("channel-capacity-exhausted");
    let accounts = vec![v2_account(PUBLIC), account("one.example:3333")];
    let mut running = Running::start_by(Arc::clone(&mixed) as Arc<dyn Dial>, accounts, None);
    running.until(|running| running.pool() == Some("one.example")).await;
    assert!(running.seconds() < 2.0, "{}", running.seconds());
    *mixed.refuses.lock().unwrap() = None;
    running.until(|running| running.pool() == Some("2")).await;
}

#[tokio::test(start_paused = true)]
async fn frames_are_the_messages_of_both_sides_in_the_clear_and_in_their_order() {
    let mixed: Arc<dyn Dial> = Arc::new(Mixed::up());
    let told = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&told);
    let frames = Frames::to(move |frame| sink.lock().unwrap().push(frame));
    let accounts = vec![v2_account(PUBLIC)];
    let mut running = Running::start_tapped(mixed, accounts, None, Some(frames));
    running.until(|running| running.pool() == Some("2")).await;
    running.shares.send(find_share(running.job.as_ref().unwrap(), 0)).unwrap();
    running.until(|running| running.verdicts.len() == 1).await;
    let told = told.lock().unwrap();
    let mut seen = Vec::new();
    for frame in told.iter() {
        assert!(frame.pool.starts_with("stratum2+tcp://v2.example:3333"), "{frame:?}");
        assert_eq!(&*frame.worker, "me");
        let Said::Message(message) = &frame.said else { panic!("{frame:?}") };
        assert_eq!(frame.direction == Direction::Sent, message.is_sent);
        seen.push((message.is_sent, message.name, message.channel));
    }
    let expected = [
        (true, "Handshake", None),
        (false, "Handshake", None),
        (true, "SetupConnection", None),
        (false, "SetupConnection.Success", None),
        (true, "OpenStandardMiningChannel", None),
        (false, "OpenStandardMiningChannel.Success", Some(CHANNEL)),
        (false, "NewMiningJob", Some(CHANNEL)),
        (false, "SetNewPrevHash", Some(CHANNEL)),
        (true, "SubmitSharesStandard", Some(CHANNEL)),
        (false, "SubmitShares.Success", Some(CHANNEL)),
    ];
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn jobs_of_several_channels_stand_beside_each_other_and_move_together() {
    let others = Pools::default();
    others.set("one.example", Mood::Good);
    let mixed = Arc::new(Mixed::beside(others));
    let account_of_three =
        Account { v2: V2Wishes { channels: 3, ..V2Wishes::default() }, ..v2_account(PUBLIC) };
    let accounts = vec![account_of_three, account("one.example:3333")];
    let mut running = Running::start_by(Arc::clone(&mixed) as Arc<dyn Dial>, accounts, None);
    let channels = |running: &Running| -> Vec<Option<u32>> {
        running.jobs.iter().map(|job| job.channel).collect()
    };
    let all = [CHANNEL, CHANNEL + 1, DOOMED].map(Some);
    running.until(|running| channels(running) == all).await;
    for place in 0..2 {
        running.shares.send(find_share(&running.jobs[place], 0)).unwrap();
    }
    running.until(|running| running.verdicts.len() == 2).await;
    // The pool closes one of them, which is opened again under another number.
    running.shares.send(find_share(&running.jobs[2], 0)).unwrap();
    running.until(|running| channels(running) == all[..2]).await;
    running.until(|running| running.jobs.len() == 3).await;
    assert_eq!(channels(&running)[2], Some(DOOMED + 1));
    assert!(running.verdicts.iter().all(|&(_, verdict)| verdict == Verdict::Accepted));

    mixed.is_up.send_replace(false);
    running.until(|running| running.pool() == Some("one.example")).await;
    assert_eq!(channels(&running), [None], "no job of another pool is hashed");
    mixed.is_up.send_replace(true);
    running.until(|running| channels(running) == all).await;
    let shares: Vec<_> = running.jobs[..2].iter().map(|job| find_share(job, 1)).collect();
    for share in shares {
        running.shares.send(share).unwrap();
    }
    running.until(|running| running.verdicts.len() == 5).await;
    assert_eq!(running.count(Verdict::Accepted), 5);
}

//! Any session with a pool of Stratum V2, on two clients that hear the same in different pieces:
//! they say the same, each share ends exactly once, and time does not spin.
//!
//! An input is a script. The first byte of a record says what happens:
//!
//! - `s` the miner finds a share of its newest job;
//! - `w` time passes until the client's next deadline;
//! - `x` the connection breaks, and a new one is up;
//! - `k` a bit of the next record's message is changed on its way;
//! - any other is the type of a message, and the next two bytes are the channel that it is for,
//! unless that is 255, and its length; its bytes follow.
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_fuzz::share;
use midstate_fuzz::v2::Side;

/// Records of a script that are played.
const RECORDS: usize = 64;

#[derive(Clone, Copy)]
enum Record<'a> {
    Share,
    Wait,
    Reconnect,
    Damage,
    Message { kind: u8, channel: u8, payload: &'a [u8] },
}

/// The next record of a script.
fn next<'a>(script: &mut &'a [u8]) -> Option<Record<'a>> {
    let (&first, rest) = script.split_first()?;
    *script = rest;
    Some(match first {
        b's' => Record::Share,
        b'w' => Record::Wait,
        b'x' => Record::Reconnect,
        b'k' => Record::Damage,
        kind => {
            let [channel, length, rest @ ..] = rest else { return None };
            let (payload, rest) = rest.split_at(rest.len().min(usize::from(*length)));
            *script = rest;
            Record::Message { kind, channel: *channel, payload }
        }
    })
}

fn play(side: &mut Side, record: Record<'_>, is_damaged: bool) {
    match record {
        Record::Share => {
            // A target that the fuzzer made up may take for ever: any hash will do.
            if let Some(job) = &side.job {
                let share = share(job, side.shares as u32);
                side.client.submit(side.now, share);
                side.shares += 1;
            }
        }
        Record::Wait => {
            if let Some(due) = side.client.poll_timeout() {
                side.now = side.now.max(due);
                side.client.handle_timeout(side.now);
                assert_ne!(side.client.poll_timeout(), Some(due), "a handled timer returns");
            }
        }
        Record::Reconnect => {
            side.client.handle_disconnected(side.now);
            side.connect();
        }
        Record::Damage => {}
        Record::Message { kind, channel, payload } => {
            let mut payload = payload.to_vec();
            if channel != 255 && payload.len() >= 4 {
                payload[..4].copy_from_slice(&u32::from(channel).to_le_bytes());
            }
            side.say(kind, &payload, is_damaged);
        }
    }
    side.settle();
}

midstate_fuzz::target!(|script| {
    let (mut whole, mut cut) = (Side::new(usize::MAX), Side::new(script.len() % 17 + 1));
    for side in [&mut whole, &mut cut] {
        side.connect();
    }
    let (mut script, mut is_damaged) = (script, false);
    for _ in 0..RECORDS {
        let Some(record) = next(&mut script) else { break };
        for side in [&mut whole, &mut cut] {
            play(side, record, is_damaged);
        }
        is_damaged = matches!(record, Record::Damage);
        assert_eq!(whole.now, cut.now);
    }
    assert_eq!((whole.end(), cut.end()), (whole.shares, cut.shares));
    assert_eq!(whole.happened, cut.happened);
});

//! Any lines from a pool, while shares wait for their answers: each share ends exactly once (I9),
//! no line is too long, and time does not spin.
#![cfg_attr(feature = "libfuzzer", no_main)]

use std::time::Duration;

use midstate_fuzz::{NOW, events, sent, share, working};
use midstate_stratum::ClientEvent;

const SHARES: u32 = 4;
/// 64 lines make fewer events than this, and so do the timers of a day.
const MOST: usize = 1000;

midstate_fuzz::target!(|text| {
    let (mut client, job) = working();
    (0..SHARES).for_each(|nonce| client.submit(NOW, share(&job, nonce)));
    let mut happened = Vec::new();
    for line in text.split_inclusive(|&byte| byte == b'\n').take(64) {
        client.handle_bytes(NOW, line);
        happened.extend(events(&mut client));
        sent(&mut client);
    }
    let mut now = NOW;
    while let Some(due) = client.poll_timeout() {
        assert!(due >= now, "a deadline in the past");
        now = due;
        client.handle_timeout(now);
        assert!(client.poll_timeout() != Some(due), "a timer that was handled returns");
    }
    client.handle_disconnected(now + Duration::from_secs(1));
    client.finish(now + Duration::from_secs(2));
    happened.extend(events(&mut client));
    assert!(happened.len() < MOST, "{} events", happened.len());
    let is_end = |event: &&ClientEvent| matches!(event, ClientEvent::Verdict(_));
    let ended = happened.iter().filter(is_end).count();
    assert_eq!((ended, client.pending()), (SHARES as usize, 0));
});

//! Any parameters of `mining.notify`: the job is refused and the old one goes on, or it is a job
//! within the limits, which our own server can hand on without a change (S4).
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_fuzz::{EASY, MASK, newest_job, say, working};
use midstate_stratum::{Limits, Server, ServerConfig};

midstate_fuzz::target!(|params| {
    let (mut client, _) = working();
    let head = br#"{"id":null,"method":"mining.notify","params":"#;
    say(&mut client, &[head, params, b"}"].concat());
    let Some(job) = newest_job(&mut client) else { return };

    let limits = Limits::default();
    assert!(job.coinbase(&[0; 4]).len() <= limits.coinbase);
    assert!(job.branch.len() <= limits.branches);
    assert_eq!(job.version_mask & !MASK, 0);
    job.header(&[0; 4]).hash();

    let mut server = Server::new(ServerConfig {
        extranonce1: job.extranonce1.clone(),
        extranonce2_size: job.extranonce2_size,
        version_mask: MASK,
        limits,
    });
    server.notify(&job);
    let line = server.poll_transmit().expect("a notify");
    let (mut other, _) = working();
    say(&mut other, EASY.as_bytes());
    say(&mut other, line.trim_ascii_end());
    let again = newest_job(&mut other).expect("what was taken can be handed on");
    assert!(again.same_work(&job) && again.id == job.id, "{job:?}\n{again:?}");
});

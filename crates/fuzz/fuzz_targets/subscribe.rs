//! Any answer to `mining.subscribe`: an extranonce within the limits, or no session (S3).
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_fuzz::{EASY, JOB, NOW, answer, connected, events, say, sent, share};
use midstate_stratum::{ClientEvent, Limits};

midstate_fuzz::target!(|result| {
    let mut client = connected();
    for request in sent(&mut client) {
        if request["method"] == "mining.subscribe" {
            let line: Vec<u8> = result.iter().copied().filter(|&b| b != b'\n').collect();
            answer(&mut client, &request, &line);
        } else {
            answer(&mut client, &request, b"true");
        }
    }
    say(&mut client, EASY.as_bytes());
    say(&mut client, JOB.as_bytes());
    let events = events(&mut client);
    let subscribed = events.iter().find_map(|event| match event {
        ClientEvent::Subscribed { extranonce1, extranonce2_size, .. } => {
            Some((extranonce1.clone(), *extranonce2_size))
        }
        _ => None,
    });
    let job = events.iter().find_map(|event| match event {
        ClientEvent::Job(job) => Some(job),
        _ => None,
    });
    let Some((extranonce1, size)) = subscribed else {
        return assert!(job.is_none(), "no work without an extranonce");
    };
    let limits = Limits::default();
    assert!(extranonce1.len() <= limits.extranonce1 && size <= limits.extranonce2);
    let job = job.expect("the job is good");
    assert_eq!((&job.extranonce1, job.extranonce2_size), (&extranonce1, size));
    client.submit(NOW, share(job, 7));
    let submit = sent(&mut client).pop().expect("the share is sent");
    let extranonce2 = submit["params"][2].as_str().expect("hex");
    assert_eq!(extranonce2.len(), 2 * size);
});

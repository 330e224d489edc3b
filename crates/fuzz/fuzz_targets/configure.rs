//! Any answer to `mining.configure`: nothing is rolled that we did not offer (I14), and work goes
//! on.
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_fuzz::{EASY, JOB, MASK, NOW, answer, connected, newest_job, say, sent, share};

midstate_fuzz::target!(|result| {
    let mut client = connected();
    for request in sent(&mut client) {
        match request["method"].as_str() {
            Some("mining.configure") => {
                // One line: an answer, not a conversation.
                let line: Vec<u8> = result.iter().copied().filter(|&b| b != b'\n').collect();
                answer(&mut client, &request, &line);
            }
            Some("mining.subscribe") => answer(&mut client, &request, br#"[[],"a1b2c3d4",4]"#),
            _ => answer(&mut client, &request, b"true"),
        }
    }
    say(&mut client, EASY.as_bytes());
    say(&mut client, JOB.as_bytes());
    let job = newest_job(&mut client).expect("the job is good");
    assert_eq!(job.version_mask & !MASK, 0);
    client.submit(NOW, share(&job, 7));
    let submit = sent(&mut client).pop().expect("the share is sent");
    let params = submit["params"].as_array().expect("parameters");
    assert!(params.len() == 6 || (params.len() == 5 && job.version_mask == 0), "{submit}");
});

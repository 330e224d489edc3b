//! Any bytes from a miner: every line of the server is JSON, and a question has at most one answer.
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_fuzz::MASK;
use midstate_stratum::{Limits, Reject, Server, ServerConfig, ServerEvent};

midstate_fuzz::target!(|bytes| {
    let is_kind = bytes.len() % 2 == 0;
    let mut server = Server::new(ServerConfig {
        extranonce1: vec![1, 2, 3, 4],
        extranonce2_size: 4,
        version_mask: MASK,
        limits: Limits::default(),
    });
    server.handle_bytes(bytes);
    // An event that is answered may make another one possible, an authorization a share.
    server.handle_bytes(b"\n");
    while let Some(event) = server.poll_event() {
        let ticket = match event {
            ServerEvent::Authorize { ticket, user, .. } => {
                assert!(user.len() <= Limits::default().request_line);
                ticket
            }
            ServerEvent::Submit { ticket, submission } => {
                assert_eq!(submission.extranonce2.len(), 4);
                assert_eq!(submission.version_bits.unwrap_or(0) & !MASK, 0);
                ticket
            }
            _ => continue,
        };
        server.answer(ticket, if is_kind { Ok(()) } else { Err(Reject::other("no")) });
    }
    server.handle_bytes(bytes);
    let questions = 2 * (bytes.split(|&byte| byte == b'\n').count() + 1);
    let mut answers = 0;
    while let Some(line) = server.poll_transmit() {
        assert!(line.ends_with(b"\n"));
        serde_json::from_slice::<serde_json::Value>(&line).expect("the server writes JSON");
        answers += 1;
    }
    assert!(answers <= questions, "{answers} answers to {questions} questions");
});

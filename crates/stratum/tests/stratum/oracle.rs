//! A foreign oracle: the parser of the Stratum reference implementation (`sv1_api`) reads what we
//! write, and we read what it writes.

use midstate_stratum::{ClientEvent, Limits, Server, ServerConfig, ServerEvent};
use serde_json::Value;
use sv1_api::methods::{
    Client2Server, Method, Server2Client, Server2ClientResponse, client_to_server, server_to_client,
};
use sv1_api::utils::{Extranonce, HexU32Be, PrevHash};
use sv1_api::{Message, json_rpc};

use crate::mock::{EASY, Mock, PREV, asked, config, share_at};

/// A line of ours as the reference reads it.
fn read(line: &Value) -> Method {
    let message: Message = serde_json::from_value(line.clone()).expect("the reference parses it");
    message.try_into().unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

fn request(line: &Value) -> Client2Server {
    match read(line) {
        Method::Client2Server(request) => request,
        other => panic!("a request, not {other:?}"),
    }
}

/// A message as the reference writes it.
fn written(message: impl TryInto<Message, Error: std::fmt::Debug>) -> String {
    serde_json::to_string(&message.try_into().expect("complete")).expect("JSON")
}

#[test]
fn the_reference_reads_our_handshake() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    let Client2Server::Configure(configure) = request(&sent[0]) else { panic!() };
    assert_eq!(configure.version_rolling_mask(), Some(HexU32Be(0x1fff_e000)));
    assert_eq!(configure.version_rolling_min_bit_count(), Some(HexU32Be(2)));
    let Client2Server::Subscribe(subscribe) = request(&sent[1]) else { panic!() };
    assert_eq!((subscribe.id, subscribe.agent_signature.as_str()), (2, "midstate/0.1"));
    assert!(matches!(request(&sent[2]), Client2Server::ExtranonceSubscribe(_)));
    let Client2Server::Authorize(authorize) = request(&sent[3]) else { panic!() };
    assert_eq!((authorize.name.as_str(), authorize.password.as_str()), ("addr.worker", "x"));
}

#[test]
fn the_reference_reads_our_shares_with_and_without_rolling() {
    let mut mock = Mock::ready();
    let job = mock.job("5#3", PREV, true);
    let Client2Server::Submit(submit) =
        request(&mock.submitted(&share_at(&job, job.version | 0x6000, 0xab)))
    else {
        panic!()
    };
    assert_eq!((submit.user_name.as_str(), submit.job_id.as_str()), ("addr.worker", "5#3"));
    assert_eq!(Vec::from(submit.extra_nonce2), [0; 4]);
    assert_eq!((submit.time, submit.nonce), (HexU32Be(job.time), HexU32Be(0xab)));
    assert_eq!(submit.version_bits, Some(HexU32Be(0x6000)));
}

#[test]
fn we_read_the_references_side_of_the_handshake_and_its_job() {
    let mut mock = Mock::new(config());
    let sent = mock.connect();
    let id = |method| asked(&sent, method)["id"].as_u64().expect("ours");

    let rolling = server_to_client::VersionRollingParams::new(HexU32Be(0x1fff_ffe0), HexU32Be(2));
    mock.line(&written(server_to_client::Configure {
        id: id("mining.configure"),
        version_rolling: Some(rolling),
        minimum_difficulty: None,
    }));
    mock.line(&written(server_to_client::Subscribe {
        id: id("mining.subscribe"),
        extra_nonce1: Extranonce::try_from(vec![7; 14]).expect("14 bytes"),
        extra_nonce2_size: 8,
        subscriptions: vec![("mining.notify".into(), "s".into())],
    }));
    let Client2Server::Authorize(authorize) = request(asked(&sent, "mining.authorize")) else {
        panic!()
    };
    mock.line(&serde_json::to_string(&Message::OkResponse(authorize.respond(true))).unwrap());
    mock.line(&written(server_to_client::SetDifficulty { value: EASY }));
    mock.line(&written(notify("1")));
    let events = mock.events();
    let [
        ClientEvent::Subscribed { extranonce1, extranonce2_size: 8, version_mask: 0x1fff_e000 },
        ClientEvent::Authorized,
        ClientEvent::Difficulty(EASY),
        ClientEvent::Job(job),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!(extranonce1, &[7; 14]);
    // In the order of the header, on both sides.
    assert_eq!(job.prev_hash.as_bytes().as_slice(), Vec::<u8>::from(prev_hash()));
    assert_eq!((job.version, job.time), (0x2000_0000, 0x6500_0000));
    assert_eq!(job.branch.len(), 1);
    assert_eq!(mock.submitted(&share_at(job, job.version, 0))["params"][5], "00000000");

    // It spells this one `mining.set_version`.
    mock.line(&written(server_to_client::SetVersionMask { version_mask: HexU32Be(0xe000) }));
    assert_eq!(mock.newest_job().expect("the job again").version_mask, 0xe000);
    mock.line(&written(server_to_client::SetExtranonce {
        extra_nonce1: Extranonce::try_from(vec![9; 2]).expect("2 bytes"),
        extra_nonce2_size: 3,
    }));
    mock.line(&written(notify("2")));
    let job = mock.newest_job().expect("a job");
    assert_eq!((job.extranonce1.as_slice(), job.extranonce2_size), (&[9, 9][..], 3));
}

fn prev_hash() -> PrevHash {
    PREV.try_into().expect("64 hex digits")
}

fn notify(job_id: &str) -> server_to_client::Notify {
    server_to_client::Notify {
        job_id: job_id.into(),
        prev_hash: prev_hash(),
        coin_base1: vec![1, 2].into(),
        coin_base2: vec![3].into(),
        merkle_branch: vec![vec![0xab; 32].try_into().expect("32 bytes")],
        version: HexU32Be(0x2000_0000),
        bits: HexU32Be(0x1d00_ffff),
        time: HexU32Be(0x6500_0000),
        clean_jobs: true,
    }
}

#[test]
fn a_share_of_ours_is_what_the_reference_would_submit() {
    let mut mock = Mock::ready();
    let job = mock.job("1", PREV, true);
    let line = mock.submitted(&share_at(&job, job.version, 7));
    let Client2Server::Submit(submit) = request(&line) else { panic!() };
    let theirs: Value = serde_json::from_str(&written(submit)).expect("JSON");
    assert_eq!(theirs, line);
}

/// Our server, with what the reference's client says to it.
struct Pool(Server);

impl Pool {
    fn hear(&mut self, line: &str) -> Vec<Value> {
        self.0.handle_bytes(line.as_bytes());
        self.0.handle_bytes(b"\n");
        self.lines()
    }

    fn lines(&mut self) -> Vec<Value> {
        std::iter::from_fn(|| self.0.poll_transmit())
            .map(|line| serde_json::from_slice(&line).expect("the server writes JSON"))
            .collect()
    }
}

#[test]
fn the_references_client_and_our_server_understand_each_other() {
    let mut pool = Pool(Server::new(ServerConfig {
        extranonce1: vec![1, 2, 3, 4],
        extranonce2_size: 8,
        version_mask: 0x1fff_e000,
        limits: Limits::default(),
    }));
    for (bits, mask) in [(17, None), (16, Some(HexU32Be(0x1fff_e000)))] {
        let asked = Some(HexU32Be(0xffff_ffff));
        let configure = client_to_server::Configure::new(0, asked, Some(HexU32Be(bits)));
        let answers = pool.hear(&written(configure));
        let Method::Server2ClientResponse(Server2ClientResponse::Configure(agreed)) =
            read(&answers[0])
        else {
            panic!("{answers:?}")
        };
        assert_eq!(agreed.version_rolling_mask(), mask);
    }

    let answers = pool.hear(&written(client_to_server::Subscribe {
        id: 1,
        agent_signature: "reference/1".into(),
        extranonce1: None,
    }));
    let Method::Server2ClientResponse(Server2ClientResponse::Subscribe(subscribed)) =
        read(&answers[0])
    else {
        panic!()
    };
    assert_eq!(Vec::from(subscribed.extra_nonce1), [1, 2, 3, 4]);
    assert_eq!((subscribed.id, subscribed.extra_nonce2_size), (1, 8));

    assert!(
        pool.hear(&written(client_to_server::Authorize {
            id: 2,
            name: "w".into(),
            password: "x".into(),
        }))
        .is_empty()
    );
    let mut events: Vec<_> = std::iter::from_fn(|| pool.0.poll_event()).collect();
    let Some(ServerEvent::Authorize { ticket, .. }) = events.pop() else { panic!("{events:?}") };
    pool.0.answer(ticket, Ok(()));
    let lines = pool.lines();
    let Method::Server2ClientResponse(Server2ClientResponse::GeneralResponse(yes)) =
        read(&lines[0])
    else {
        panic!()
    };
    assert!(yes.into_authorize("w".into()).is_ok());

    let mut mock = Mock::ready();
    pool.0.set_difficulty(0.02);
    pool.0.notify(&mock.job("1f", PREV, true));
    let lines = pool.lines();
    let Method::Server2Client(Server2Client::SetDifficulty(difficulty)) = read(&lines[0]) else {
        panic!()
    };
    assert_eq!(difficulty.value, 0.02);
    let Method::Server2Client(Server2Client::Notify(job)) = read(&lines[1]) else { panic!() };
    assert_eq!((job.job_id.as_str(), job.clean_jobs), ("1f", true));
    assert_eq!(Vec::<u8>::from(job.prev_hash), Vec::<u8>::from(prev_hash()));

    assert!(
        pool.hear(&written(client_to_server::Submit {
            user_name: "w".into(),
            job_id: "1f".into(),
            extra_nonce2: Extranonce::try_from(vec![5; 8]).expect("8 bytes"),
            time: job.time,
            nonce: HexU32Be(0xab),
            version_bits: Some(HexU32Be(0x2000)),
            id: 3,
        }))
        .is_empty()
    );
    let Some(ServerEvent::Submit { ticket, submission }) = pool.0.poll_event() else { panic!() };
    assert_eq!((submission.extranonce2, submission.nonce), (vec![5; 8], 0xab));
    assert_eq!(submission.version_bits, Some(0x2000));
    pool.0.answer(ticket, Err(midstate_stratum::Reject::stale()));
    let Message::ErrorResponse(json_rpc::Response { id: 3, error: Some(error), .. }) =
        serde_json::from_value(pool.lines().remove(0)).expect("the reference parses it")
    else {
        panic!()
    };
    assert_eq!((error.code, error.message.as_str()), (21, "job not found (stale)"));
}

//! Handshake, setup and the opening of channels.

use std::time::Duration;

use common_messages_sv2 as common;
use midstate_sv2::{ChannelKind, ClientConfig, Event};
use mining_sv2 as mining;

use crate::pool::{CHANNEL, Pair, Pool, UNIX, authority, dialled};

#[test]
fn a_pool_that_proves_its_key_is_talked_to_and_the_setup_says_who_we_are() {
    let config = ClientConfig::new("bc1q.rig");
    let mut pair = Pair::new(ClientConfig { authority: Some(authority()), ..config });
    pair.connect();
    let [setup] = &mut pair.sent[..] else { panic!("{:?}", pair.sent) };
    assert_eq!(setup.kind, common::MESSAGE_TYPE_SETUP_CONNECTION);
    assert!(!setup.is_for_channel);
    let setup: common::SetupConnection<'_> = binary_sv2::from_bytes(&mut setup.payload).unwrap();
    assert_eq!(setup.protocol, common::Protocol::MiningProtocol);
    assert_eq!((setup.min_version, setup.max_version), (2, 2));
    assert_eq!(setup.flags, 1, "standard jobs are asked for");
    assert_eq!(setup.endpoint_host.as_utf8_or_hex(), "pool.example");
    assert_eq!(setup.endpoint_port, 3333);
    assert_eq!(setup.vendor.as_utf8_or_hex(), "midstate");

    pair.accept_setup(0);
    let mut open = pair.sent.pop().unwrap();
    let open: mining::OpenStandardMiningChannel<'_> =
        binary_sv2::from_bytes(&mut open.payload).unwrap();
    assert_eq!(open.user_identity.as_utf8_or_hex(), "bc1q.rig");
    assert!((open.nominal_hash_rate - 1e7).abs() < 1.0);
    pair.open_standard();
    let opened = Event::Opened { channel: CHANNEL, kind: ChannelKind::Standard };
    assert!(pair.events.contains(&opened), "{:?}", pair.events);
    assert_eq!(pair.closed(), None);
}

#[test]
fn an_extended_channel_asks_for_four_bytes() {
    let mut pair = Pair::extended();
    pair.connect();
    let setup: common::SetupConnection<'_> =
        binary_sv2::from_bytes(&mut pair.sent[0].payload).unwrap();
    assert_eq!(setup.flags, 0);
    pair.accept_setup(0);
    let mut open = pair.sent.pop().unwrap();
    assert_eq!(open.kind, mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL);
    let open: mining::OpenExtendedMiningChannel<'_> =
        binary_sv2::from_bytes(&mut open.payload).unwrap();
    assert_eq!(open.min_extranonce_size, 4);
}

#[test]
fn a_pool_of_extended_channels_alone_gets_one_and_a_fixed_version_is_kept() {
    let mut pair = Pair::standard();
    pair.connect();
    pair.accept_setup(0b11);
    assert_eq!(pair.sent.last().unwrap().kind, mining::MESSAGE_TYPE_OPEN_EXTENDED_MINING_CHANNEL);
    assert_eq!(
        pair.warnings(),
        ["warning: pool: the pool takes extended channels alone: opening one"]
    );
    pair.open_extended(4);
    pair.extended_job(CHANNEL, 1, None);
    pair.new_block(1, crate::pool::MAINNET);
    assert_eq!(pair.job().version_mask, 0, "the pool wants the version as it is");
}

#[test]
fn another_authority_is_told_apart_from_a_wrong_clock() {
    let config = || ClientConfig::new("bc1q.rig");
    // The key of the specification's example, which is not this pool's.
    let other = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh".parse().unwrap();
    let mut pair = Pair::new(ClientConfig { authority: Some(other), ..config() });
    pair.connect();
    assert!(pair.closed().unwrap().contains("did not sign"), "{:?}", pair.closed());
    assert_eq!(pair.sent, [], "nothing is said to a stranger");

    // The pool's clock is an hour and a minute behind ours.
    let mut pair = Pair::new(ClientConfig { authority: Some(authority()), ..config() });
    pair.pool = Pool::new(Duration::from_secs(60));
    pair.client.handle_connected(pair.now, dialled(UNIX + 3660));
    pair.settle();
    let closed = pair.closed().unwrap();
    assert!(closed.contains("was valid until") && closed.contains("clocks"), "{closed}");
}

#[test]
fn rule_5_refusals_are_told_in_the_pools_code_and_only_those_of_the_user_as_such() {
    let mut pair = Pair::standard();
    pair.connect();
    let error = common::SetupConnectionError {
        flags: 0,
        error_code: "protocol-version-mismatch".try_into().unwrap(),
    };
    pair.say(common::MESSAGE_TYPE_SETUP_CONNECTION_ERROR, error);
    assert_eq!(
        pair.closed().unwrap(),
        "the pool refused the connection: protocol-version-mismatch"
    );

    // Only a code about the user is a refusal of the user.
    for (code, is_user, told) in [
        ("unknown-user", true, "the pool refused the user: unknown-user: the pool does not know"),
        ("user-banned", true, "the pool refused the user: user-banned"),
        ("unauthorized", true, "the pool refused the user: unauthorized"),
        (
            "max-target-out-of-range",
            false,
            "opened no channel: max-target-out-of-range: the pool's",
        ),
        ("channel-capacity-exhausted", false, "opened no channel: channel-capacity-exhausted: the"),
        ("Server is down for tea\n", false, "the pool opened no channel: Server is down for tea"),
        ("", false, "the pool opened no channel: no reason given"),
    ] {
        let mut pair = Pair::standard();
        pair.connect();
        pair.accept_setup(0);
        let error_code = code.try_into().unwrap();
        let error = mining::OpenMiningChannelError { request_id: 1, error_code };
        pair.say(mining::MESSAGE_TYPE_OPEN_MINING_CHANNEL_ERROR, error);
        let closed = pair.closed().unwrap();
        assert!(closed.contains(told), "{code}: {closed}");
        let refused = pair.events.iter().find_map(|event| match event {
            Event::Refused { is_user, .. } => Some(*is_user),
            _ => None,
        });
        assert_eq!(refused, Some(is_user), "{code}");
    }
}

#[test]
fn each_step_of_the_opening_has_fifteen_seconds_in_all() {
    for (step, words) in [
        (0, "no answer to the Noise handshake within 15 s"),
        (1, "no answer to SetupConnection within 15 s"),
        (2, "no answer to OpenStandardMiningChannel within 15 s"),
    ] {
        let mut pair = Pair::standard();
        if step > 0 {
            pair.connect();
        } else {
            pair.client.handle_connected(pair.now, dialled(UNIX));
        }
        if step > 1 {
            pair.accept_setup(0);
        }
        assert_eq!(pair.client.poll_timeout(), Some(pair.now + Duration::from_secs(15)));
        let due = pair.now + Duration::from_secs(15);
        pair.client.handle_timeout(due - Duration::from_millis(1));
        assert!(!matches!(pair.client.poll_event(), Some(Event::Close(_))));
        pair.client.handle_timeout(due);
        let Some(Event::Close(reason)) = pair.client.poll_event() else { panic!("{words}") };
        assert_eq!(reason.to_string(), words);
    }
}

#[test]
fn our_hash_rate_is_told_anew_when_it_changed_and_not_too_often() {
    let mut pair = Pair::standard().open();
    let updates = |pair: &Pair| {
        let is_update =
            |sent: &&crate::pool::Sent| sent.kind == mining::MESSAGE_TYPE_UPDATE_CHANNEL;
        pair.sent.iter().filter(is_update).count()
    };
    pair.client.set_hash_rate(pair.now, 1.1e7);
    pair.wait(60);
    assert_eq!(updates(&pair), 0, "a tenth more is the same");
    pair.client.set_hash_rate(pair.now, 5e7);
    pair.settle();
    assert_eq!(updates(&pair), 1);
    let mut update = pair.sent.last().unwrap().clone();
    assert!(update.is_for_channel);
    let update: mining::UpdateChannel<'_> = binary_sv2::from_bytes(&mut update.payload).unwrap();
    assert_eq!(update.channel_id, CHANNEL);
    assert!((update.nominal_hash_rate - 5e7).abs() < 10.0);
    pair.client.set_hash_rate(pair.now, 1e6);
    pair.settle();
    assert_eq!(updates(&pair), 1, "not within 30 s");
    let due = pair.client.poll_timeout().unwrap();
    assert_eq!(due, pair.now + Duration::from_secs(30));
    pair.wait(30);
    assert_eq!(updates(&pair), 2);
}

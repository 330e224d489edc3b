//! The bounds on a stranger's messages, and the end of its connection.

use midstate_pool::Front;
use mining_sv2 as mining;

use crate::miner::{Hall, Miner, STANDARD_JOBS, setup};

#[test]
fn a_miner_of_stratum_v1_is_told_in_its_own_words_that_this_is_v2() {
    let mut hall = Hall::easy();
    for cut in [200, 1, 30] {
        let mut miner = Miner::silent(&mut hall);
        let hello: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"x\"]}\n";
        for part in hello.chunks(cut) {
            miner.send(&mut hall, part);
        }
        let told = String::from_utf8(miner.clear().to_vec()).unwrap();
        assert!(told.contains("this port speaks Stratum V2") && told.ends_with('\n'), "{told}");
        assert_eq!(hall.closed().unwrap(), "it speaks Stratum V1 at the port of Stratum V2");
        hall.events.clear();
    }
}

#[test]
fn bytes_may_come_cut_anywhere() {
    let mut hall = Hall::easy();
    let mut miner = Miner::silent(&mut hall);
    for byte in miner.hello() {
        miner.send(&mut hall, &[byte]);
    }
    assert!(!hall.pool.pool().is_let_in(miner.id));
    for (sent, byte) in miner.seal(0, 0, &setup(0)).into_iter().enumerate() {
        assert!(!hall.pool.pool().is_let_in(miner.id));
        let unfinished = hall.pool.pool().unfinished_frame(miner.id);
        // The handshake was number 0.
        assert_eq!(unfinished, (sent > 0).then_some(1), "after {sent} bytes");
        miner.send(&mut hall, &[byte]);
    }
    assert_eq!(hall.pool.pool().unfinished_frame(miner.id), None);
    assert!(hall.pool.pool().is_let_in(miner.id));
    let channel = miner.open(&mut hall, "rig");
    let found = miner.find(channel, 0);
    for byte in miner.seal_share(channel, &found).0 {
        miner.send(&mut hall, &[byte]);
    }
    assert!(miner.answers().contains(&Ok((channel, 1, 1))));
}

#[test]
fn garbage_instead_of_a_handshake_or_of_a_frame_ends_the_connection() {
    let mut hall = Hall::easy();
    let miner = Miner::silent(&mut hall);
    // Any 64 bytes are a key, for which no other half is known.
    hall.pool.handle_bytes(hall.now, miner.id, &[0xa5; 64]);
    hall.hear();
    assert_eq!(hall.closed(), None);
    hall.pool.handle_bytes(hall.now, miner.id, &[0x5a; 22]);
    hall.hear();
    assert!(hall.closed().unwrap().contains("cannot be decrypted"), "{:?}", hall.closed());
}

#[test]
fn a_frame_that_came_twice_or_is_too_long_ends_the_connection() {
    for twice in [true, false] {
        let mut hall = Hall::easy();
        let mut miner = Miner::connect(&mut hall).set_up(&mut hall, STANDARD_JOBS);
        let frame = match twice {
            true => miner.seal(mining::MESSAGE_TYPE_CLOSE_CHANNEL, 0x8000, &[0; 5]).repeat(2),
            false => miner.seal(mining::MESSAGE_TYPE_CLOSE_CHANNEL, 0x8000, &[0; 8193]),
        };
        miner.send(&mut hall, &frame);
        let words = if twice { "cannot be decrypted" } else { "a frame of 8193 bytes" };
        assert!(hall.closed().unwrap().contains(words), "{:?}", hall.closed());
    }
}

#[test]
fn nothing_comes_before_setup_connection_and_that_comes_once() {
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall);
    miner.say(&mut hall, mining::MESSAGE_TYPE_CLOSE_CHANNEL, &[0; 5]);
    assert_eq!(hall.closed().unwrap(), "a message of type 0x18 came before SetupConnection");
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    miner.say(&mut hall, 0, &setup(0));
    assert!(hall.closed().unwrap().contains("twice"), "{:?}", hall.closed());
}

#[test]
fn unknown_messages_are_ignored_and_a_few_malformed_ones_too() {
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let unknown = [miner.seal(0x7e, 0, &[1; 40]), miner.seal(0x1a, 0x8005, &[2; 9])].concat();
    miner.send(&mut hall, &unknown);
    miner.say(&mut hall, 0x7e, &[]);
    for _ in 0..7 {
        miner.say(&mut hall, mining::MESSAGE_TYPE_SUBMIT_SHARES_STANDARD, &[0; 3]);
    }
    assert_eq!(hall.closed(), None);
    let channel = miner.open(&mut hall, "rig");
    let found = miner.find(channel, 0);
    miner.submit(&mut hall, channel, &found);
    assert!(miner.answers().contains(&Ok((channel, 1, 1))));
    miner.say(&mut hall, mining::MESSAGE_TYPE_UPDATE_CHANNEL, &[0; 3]);
    let closed = hall.closed().unwrap();
    assert!(
        closed.starts_with("8 malformed messages came, the last one: UpdateChannel"),
        "{closed}"
    );
}

#[test]
fn a_miner_that_asks_and_never_reads_is_dropped() {
    let mut hall = Hall::easy();
    let mut miner = Miner::connect(&mut hall).set_up(&mut hall, 0);
    let channel = miner.open(&mut hall, "rig");
    let found = miner.find(channel, 0);
    for _ in 0..4096 {
        // Duplicates, but for the first.
        let (bytes, _) = miner.seal_share(channel, &found);
        hall.pool.handle_bytes(hall.now, miner.id, &bytes);
    }
    hall.hear();
    assert_eq!(hall.closed(), None);
    let (bytes, _) = miner.seal_share(channel, &found);
    hall.pool.handle_bytes(hall.now, miner.id, &bytes);
    hall.hear();
    assert_eq!(hall.closed().unwrap(), "4097 answers wait to be read");
}

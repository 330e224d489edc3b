//! The public chain as a test vector: 439 real headers and the exact retargets between some of them
//! (`tests/data`), genesis blocks, the supply.

use midstate_chain::{
    Bits, Header, HeaderError, Network, RETARGET_INTERVAL, TARGET_SPACING, Target, U256, retarget,
};

const HEADERS: &str = include_str!("../../../tests/data/mainnet-headers.csv");
const RETARGETS: &str = include_str!("../../../tests/data/mainnet-retargets.csv");

struct Known {
    height: u32,
    hex: &'static str,
    header: Header,
    hash: &'static str,
}

fn known_headers() -> Vec<Known> {
    let known = |row: &'static str| {
        let [height, hex, hash] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("three columns expected in {row:?}")
        };
        let header = hex.parse().expect("the second column is a header");
        Known { height: height.parse().expect("the first is a number"), hex, header, hash }
    };
    HEADERS.lines().skip(1).map(known).collect()
}

fn bits(hex: &str) -> Bits {
    Bits::from_consensus(u32::from_str_radix(hex, 16).expect("eight hex digits"))
}

#[test]
fn real_headers_survive_parsing_and_hash_to_their_names() {
    let headers = known_headers();
    assert_eq!(headers.len(), 439);
    for Known { height, hex, header, hash } in headers {
        assert_eq!(header.to_string(), hex, "height {height}");
        assert_eq!(Header::from_bytes(&header.to_bytes()), header, "height {height}");
        assert_eq!(header.hash().to_string(), hash, "height {height}");
        assert_eq!(hash.parse(), Ok(header.hash()), "height {height}");
    }
}

#[test]
fn real_headers_meet_their_bits_and_no_target_below_their_hash() {
    for Known { height, header, .. } in known_headers() {
        let hash = header.hash();
        let target = header.bits.to_target().unwrap();
        assert!(target.is_met_by(&hash), "height {height}");
        assert_eq!(target.to_bits(), header.bits, "height {height}");

        let number = U256::from_le_bytes(*hash.as_bytes());
        assert!(Target::from_number(number).is_met_by(&hash), "equality counts");
        assert!(!Target::from_number(number - U256::ONE).is_met_by(&hash), "height {height}");
    }
}

#[test]
fn what_is_not_a_header_says_what_it_is_instead() {
    let genesis = known_headers()[0].hex;
    assert_eq!(genesis[2..].parse::<Header>(), Err(HeaderError::Length(79)));
    assert_eq!(format!("{genesis}00").parse::<Header>(), Err(HeaderError::Length(81)));
    assert_eq!("".parse::<Header>(), Err(HeaderError::Length(0)));
    assert!(matches!(genesis[1..].parse::<Header>(), Err(HeaderError::Hex(_))));
    assert!(matches!(genesis.replace('f', "g").parse::<Header>(), Err(HeaderError::Hex(_))));
}

#[test]
fn retarget_agrees_with_the_exact_vectors() {
    let limit = Network::Mainnet.limit();
    let rows = RETARGETS.lines().skip(1);
    let checked = rows.map(|row| {
        let [height, first, last, old, new] = row.split(',').collect::<Vec<_>>()[..] else {
            panic!("five columns expected in {row:?}")
        };
        let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
        assert_eq!(retarget(bits(old), first, last, limit), Ok(bits(new)), "height {height}");
    });
    assert_eq!(checked.count(), 12);
}

/// The time of a period's last block is not in the file; that of the next block is. Their distance
/// was below 4,818 s in every period, and the result grows with the time, so it can be bracketed.
#[test]
fn retarget_agrees_with_every_known_period_to_within_a_block_time() {
    let limit = Network::Mainnet.limit();
    let headers = known_headers();
    let mut checked = 0;
    for pair in headers.windows(2) {
        let [old, new] = pair else { unreachable!("windows of two") };
        if old.height % RETARGET_INTERVAL != 0 || new.height != old.height + RETARGET_INTERVAL {
            continue;
        }
        let after = |seconds: i64| {
            let last = u32::try_from(i64::from(new.header.time) + seconds).unwrap();
            retarget(old.header.bits, old.header.time, last, limit).unwrap().to_target().unwrap()
        };
        let target = new.header.bits.to_target().unwrap();
        assert!(after(-4818) <= target && target <= after(4818), "height {}", new.height);
        checked += 1;
    }
    assert!(checked >= 430, "only {checked} periods are in the file");
}

#[test]
fn retarget_is_clamped_limited_and_survives_time_running_backwards() {
    let limit = Network::Mainnet.limit();
    let old = bits("1b0404cb");
    let at = |first, last| retarget(old, first, last, limit).unwrap();
    let fortnight = 1_209_600;
    assert_eq!(at(0, fortnight), old);
    assert_eq!(at(0, fortnight / 4), at(0, 1));
    assert_eq!(at(u32::MAX, 0), at(0, fortnight / 4));
    assert_eq!(at(0, u32::MAX), at(0, fortnight * 4));
    assert_eq!(retarget(limit, 0, fortnight * 2, limit), Ok(limit));
    // The largest target times the longest timespan does not overflow.
    let regtest = Network::Regtest.limit();
    assert_eq!(retarget(regtest, 0, u32::MAX, regtest), Ok(regtest));
}

#[test]
fn a_hash_in_a_failed_assertion_is_readable() {
    let hash = Network::Mainnet.genesis().hash();
    let text = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    assert_eq!(format!("{hash:?}"), format!("Hash256({text})"));
}

#[test]
fn chains_and_targets_are_written_as_core_writes_them() {
    let names = Network::ALL.map(|network| network.to_string());
    assert_eq!(names, ["main", "testnet4", "signet", "regtest"]);
    let easiest = Network::Regtest.limit().to_target().unwrap();
    // The "target" of getblocktemplate on regtest.
    assert_eq!(easiest.to_string(), format!("7fffff{}", "0".repeat(58)));
}

#[test]
fn a_block_should_take_ten_minutes() {
    assert_eq!(TARGET_SPACING, 600);
}

#[test]
fn genesis_blocks_hash_to_their_names_and_meet_their_limits() {
    let names = [
        (Network::Mainnet, "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"),
        (Network::Testnet4, "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043"),
        (Network::Signet, "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6"),
        (Network::Regtest, "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"),
    ];
    for (network, name) in names {
        let hash = network.genesis().hash();
        assert_eq!(hash.to_string(), name, "{network}");
        assert!(network.limit().to_target().unwrap().is_met_by(&hash), "{network}");
        assert_eq!(network.name().parse(), Ok(network));
    }
    assert!("testnet5".parse::<Network>().unwrap_err().to_string().contains("testnet4"));
    let long = "x".repeat(1000).parse::<Network>().unwrap_err().to_string();
    assert!(long.len() < 150, "{long}");
}

#[test]
fn the_subsidy_halves_to_zero_and_sums_to_just_below_21_million() {
    let main = Network::Mainnet;
    let eras = |network: Network| {
        (0..34).map(move |era| {
            let first = era * network.halving_interval();
            let last = first + network.halving_interval() - 1;
            assert_eq!(network.subsidy(first), network.subsidy(last), "{network} era {era}");
            network.subsidy(first)
        })
    };
    let total = eras(main).map(|subsidy| subsidy * u64::from(main.halving_interval())).sum::<u64>();
    assert_eq!(total, 2_099_999_997_690_000);
    assert_eq!(main.subsidy(33 * main.halving_interval()), 0);
    assert_eq!(main.subsidy(1_049_999), 312_500_000);
    assert_eq!(main.subsidy(1_050_000), 156_250_000);
    assert_eq!(main.subsidy(u32::MAX), 0);
    assert_eq!(eras(Network::Regtest).nth(1), Some(2_500_000_000));
    // Core's nSubsidyHalvingInterval of regtest is 150.
    let regtest = [149, 150, 300].map(|height| Network::Regtest.subsidy(height));
    assert_eq!(regtest, [5_000_000_000, 2_500_000_000, 1_250_000_000]);
}

//! Addresses, judged by the `bitcoin` crate.

use std::str::FromStr;

use bitcoin::address::NetworkUnchecked;
use bitcoin::hashes::Hash as _;
use bitcoin::{
    Address as Foreign, PubkeyHash, ScriptBuf, ScriptHash, WitnessProgram, WitnessVersion,
};
use midstate_chain::Network;
use midstate_gbt::{Address, AddressError};
use proptest::prelude::*;

/// BIP173's and BIP350's own examples and well-known mainnet outputs.
#[test]
fn known_addresses_give_known_scripts() {
    let cases = [
        (
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            Network::Mainnet,
            "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac",
        ),
        (
            "3P14159f73E4gFr7JterCCQh9QjiTjiZrG",
            Network::Mainnet,
            "a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87",
        ),
        (
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            Network::Mainnet,
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            Network::Signet,
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            Network::Mainnet,
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
    ];
    for (text, chain, script) in cases {
        let address = Address::from_str(text).unwrap();
        assert_eq!(hex::encode(address.script_for(chain).unwrap()), script, "{text}");
    }
}

#[test]
fn an_address_of_another_chain_is_refused_with_the_cure() {
    let address = Address::from_str("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4").unwrap();
    let error = address.script_for(Network::Regtest).unwrap_err();
    assert_eq!(
        error.to_string(),
        "address \"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\" is for main, not for regtest; \
         give an address that starts with bcrt1, m, n or 2"
    );
}

#[test]
fn damaged_addresses_are_refused() {
    for text in [
        "",
        "1",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb",         // checksum
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", // checksum
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", // not bech32m
        "tc1qw508d6qejxtdg4y5r3zarvary0c5xw7kg3g4ty", // foreign prefix
        "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
        "Bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", // mixed case
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ", // a private key
    ] {
        let error = Address::from_str(text).unwrap_err();
        assert!(matches!(error, AddressError::Malformed { .. }), "{text}: {error}");
    }
}

#[test]
fn a_damaged_segwit_address_is_judged_as_one_and_not_as_base58() {
    let text = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5";
    let error = Address::from_str(text).unwrap_err();
    let AddressError::Malformed { reason, .. } = error else { panic!("{error}") };
    assert!(reason.contains("checksum"), "{reason}");
}

/// BIP350's valid vectors whose version or length has no meaning yet.
#[test]
fn addresses_anyone_could_spend_are_refused() {
    for text in [
        "BC1SW50QGDZ25J",
        "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
    ] {
        let error = Address::from_str(text).unwrap_err();
        assert!(matches!(error, AddressError::Unspendable(_)), "{text}: {error}");
    }
}

fn judge(foreign: &Foreign, chain: Network) {
    let text = foreign.to_string();
    let address = Address::from_str(&text).expect("a valid address");
    assert_eq!(
        address.script_for(chain).expect("its own chain"),
        foreign.script_pubkey().as_bytes()
    );
}

proptest! {
    /// Every type on every chain gives the script that the `bitcoin` crate gives.
    #[test]
    fn scripts_agree_with_the_bitcoin_crate(hash: [u8; 32], kind in 0..5u8, chain in 0..4usize) {
        let chain = Network::ALL[chain];
        let network = match chain {
            Network::Mainnet => bitcoin::Network::Bitcoin,
            Network::Testnet4 => bitcoin::Network::Testnet4,
            Network::Signet => bitcoin::Network::Signet,
            Network::Regtest => bitcoin::Network::Regtest,
        };
        let hash160 = <[u8; 20]>::try_from(&hash[..20]).unwrap();
        let program = |version, bytes: &[u8]| {
            let program = WitnessProgram::new(version, bytes).unwrap();
            Foreign::from_witness_program(program, network)
        };
        let foreign = match kind {
            0 => Foreign::p2pkh(PubkeyHash::from_byte_array(hash160), network),
            1 => Foreign::from_script(
                &ScriptBuf::new_p2sh(&ScriptHash::from_byte_array(hash160)),
                network,
            ).unwrap(),
            2 => program(WitnessVersion::V0, &hash160),
            3 => program(WitnessVersion::V0, &hash),
            _ => program(WitnessVersion::V1, &hash),
        };
        judge(&foreign, chain);
    }

    /// We refuse each text that the `bitcoin` crate refuses: none is paid by mistake.
    #[test]
    fn a_changed_letter_is_never_paid(at in 0..42usize, letter in "[a-zA-Z0-9]") {
        let mut text = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080".to_owned();
        text.replace_range(at..at + 1, &letter);
        let ours = Address::from_str(&text).is_ok();
        let theirs = Foreign::<NetworkUnchecked>::from_str(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }
}

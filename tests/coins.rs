//! Coins that anyone can spend, to fill a mempool without a wallet: outputs to the script hash of
//! `OP_TRUE`, whose witness is that script.

use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::serialize_hex;
use bitcoin::script::Builder;
use bitcoin::transaction::Version;
use bitcoin::{
    Address, Amount, KnownHrp, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness,
    opcodes,
};
use serde_json::json;

use crate::bitcoind::Bitcoind;

/// Some open coins, each an output that is not spent yet.
pub(crate) struct OpenCoins {
    coins: Vec<(OutPoint, Amount)>,
}

/// A coinbase may be spent when it is this deep.
const MATURITY: u64 = 100;

fn open_script() -> ScriptBuf {
    Builder::new().push_opcode(opcodes::OP_TRUE).into_script()
}

impl OpenCoins {
    /// Mines `count` of them at the node, and 100 blocks on top.
    pub(crate) fn mine(node: &Bitcoind, count: u64) -> Self {
        let address = Address::p2wsh(&open_script(), KnownHrp::Regtest).to_string();
        let hashes = node.call("generatetoaddress", json!([count, address]));
        let coin = |hash| {
            let block = node.call("getblock", json!([hash, 2]));
            let txid = block["tx"][0]["txid"].as_str().unwrap().parse().unwrap();
            let value = block["tx"][0]["vout"][0]["value"].as_f64().unwrap();
            (OutPoint { txid, vout: 0 }, Amount::from_btc(value).unwrap())
        };
        let coins = hashes.as_array().unwrap().iter().map(coin).collect();
        node.generate(MATURITY);
        Self { coins }
    }

    /// Sends a transaction that splits the oldest coin into so many and pays `fee`; its id.
    pub(crate) fn spend(&mut self, node: &Bitcoind, outputs: u64, fee: u64) -> String {
        let (previous_output, value) = self.coins.remove(0);
        let each = (value - Amount::from_sat(fee)) / outputs;
        let dust = value - Amount::from_sat(fee) - each * outputs;
        let script_pubkey = open_script().to_p2wsh();
        let mut output = vec![TxOut { value: each, script_pubkey }; outputs as usize];
        // The remainder goes to the first, so that the fee is exact.
        output[0].value += dust;
        let transaction = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::from_slice(&[open_script().as_bytes()]),
            }],
            output,
        };
        node.call("sendrawtransaction", json!([serialize_hex(&transaction)]));
        let txid = transaction.compute_txid();
        let coins = transaction.output.iter().enumerate();
        self.coins.extend(
            coins.map(|(vout, output)| (OutPoint { txid, vout: vout as u32 }, output.value)),
        );
        txid.to_string()
    }
}

//! A whole block as nodes take it (`submitblock`, BIP22).

use crate::Header;
use crate::script::push_compact_size;

/// Header, count, coinbase with its witness, then the other transactions as the template gave them.
pub fn serialize_block<T: AsRef<[u8]>>(header: &Header, coinbase: &[u8], others: &[T]) -> Vec<u8> {
    let mut block = header.to_bytes().to_vec();
    push_compact_size(&mut block, 1 + others.len());
    block.extend(coinbase);
    for transaction in others {
        block.extend(transaction.as_ref());
    }
    block
}

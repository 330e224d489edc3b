//! A transaction without its witness (BIP144): the form that its id is the hash of.

use std::borrow::Cow;

use crate::script::take_compact_size;

/// A transaction as it stands in a block, without marker, flag and witness. `None` if its bytes are
/// no transaction as far as to the end of its outputs; the witness itself is not read.
pub fn without_witness(transaction: &[u8]) -> Option<Cow<'_, [u8]>> {
    let has_witness = transaction.get(4..6)? == [0x00, 0x01];
    let body = transaction.get(if has_witness { 6 } else { 4 }..)?;
    let mut rest = body;
    let inputs = take_compact_size(&mut rest)?;
    for _ in 0..inputs {
        rest.split_off(..36)?; // outpoint
        let script_len = take_compact_size(&mut rest)?;
        rest.split_off(..script_len)?;
        rest.split_off(..4)?; // sequence
    }
    let outputs = take_compact_size(&mut rest)?;
    for _ in 0..outputs {
        rest.split_off(..8)?; // value
        let script_len = take_compact_size(&mut rest)?;
        rest.split_off(..script_len)?;
    }
    let witness_len = rest.len().checked_sub(4)?; // lock time
    if !has_witness {
        return (witness_len == 0).then_some(Cow::Borrowed(transaction));
    }
    let end = body.len() - rest.len();
    Some(Cow::Owned([&transaction[..4], &body[..end], &rest[witness_len..]].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::with_witness;

    #[test]
    fn a_witness_is_taken_off_as_it_was_put_on() {
        let inputs = [&[1][..], &[7; 36], &[2, 0x51, 0x51], &[0xff; 4]].concat();
        let outputs = [&[1][..], &[9; 8], &[1, 0x51]].concat();
        let plain = [&[2, 0, 0, 0][..], &inputs, &outputs, &[5, 0, 0, 0]].concat();
        assert_eq!(without_witness(&plain).as_deref(), Some(&plain[..]));
        let full = with_witness(&plain).unwrap();
        assert_eq!(without_witness(&full).as_deref(), Some(&plain[..]));
        for cut in 0..plain.len() {
            assert_eq!(without_witness(&plain[..cut]), None, "{cut}");
        }
        assert_eq!(without_witness(&[&plain[..], &[0]].concat()), None, "a byte too many");
        // A count beyond all memory ends at the first input that is not there.
        let endless = [&plain[..4], &[0xff; 9]].concat();
        assert_eq!(without_witness(&endless), None);
    }
}

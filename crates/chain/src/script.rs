//! The few pieces of transaction encoding that a coinbase needs: compact sizes and script pushes.
//! Sources: Core's `serialize.h` and `script/script.h`.

/// Appends Bitcoin's variable-length count.
pub(crate) fn push_compact_size(out: &mut Vec<u8>, count: usize) {
    match count {
        0..=0xfc => out.push(count as u8),
        0xfd..=0xffff => {
            out.push(0xfd);
            out.extend((count as u16).to_le_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xfe);
            out.extend((count as u32).to_le_bytes());
        }
        _ => {
            out.push(0xff);
            out.extend((count as u64).to_le_bytes());
        }
    }
}

/// Takes a variable-length count from the front of `bytes`. `None` where they end before it does,
/// or it is more than memory holds.
pub(crate) fn take_compact_size(bytes: &mut &[u8]) -> Option<usize> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    let width = match first {
        0xfd => 2,
        0xfe => 4,
        0xff => 8,
        count => return Some(count.into()),
    };
    let number = bytes.split_off(..width)?;
    let number = number.iter().rev().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
    usize::try_from(number).ok()
}

/// The shortest push of a block height: `OP_0`, `OP_1`..`OP_16`, else a minimal script number
/// (BIP34 as Core checks it: `CScript() << nHeight`).
pub(crate) fn height_push(height: u32) -> Vec<u8> {
    match height {
        0 => vec![0x00],
        1..=16 => vec![0x50 + height as u8],
        _ => {
            let mut number = height.to_le_bytes().to_vec();
            while number.last() == Some(&0) {
                number.pop();
            }
            // The top bit is a sign: a positive number that uses it needs one more byte.
            if number.last().is_some_and(|byte| byte & 0x80 != 0) {
                number.push(0);
            }
            number.insert(0, number.len() as u8);
            number
        }
    }
}

/// Reads what [`height_push`] wrote from the start of a script.
pub(crate) fn read_height_push(script: &[u8]) -> Option<u32> {
    let (&opcode, rest) = script.split_first()?;
    match opcode {
        0x00 => Some(0),
        0x51..=0x60 => Some(u32::from(opcode - 0x50)),
        1..=5 => {
            let number = rest.get(..usize::from(opcode))?;
            let height = number.iter().rev().fold(0u64, |n, &byte| n << 8 | u64::from(byte));
            u32::try_from(height)
                .ok()
                .filter(|&height| height_push(height) == script[..=number.len()])
        }
        _ => None,
    }
}

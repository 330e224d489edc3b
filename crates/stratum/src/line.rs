//! Bytes into lines (S1): any fragmentation in, whole lines out, never a cut one.

/// Collects the bytes of a stream until a line feed.
#[derive(Debug)]
pub(crate) struct LineBuffer {
    partial: Vec<u8>,
    limit: usize,
}

/// More bytes than a line may have came without a line feed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineTooLong {
    /// Bytes seen so far.
    pub(crate) got: usize,
}

impl LineBuffer {
    /// An empty buffer for lines of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self { partial: Vec::new(), limit }
    }

    /// Takes bytes off the front of `input`, up to the end of a line, and returns that line without
    /// its line feed. `None`: all was taken, and no line ended.
    ///
    /// After an error the stream is out of step; only [`clear`](Self::clear) makes sense.
    pub(crate) fn next_line(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, LineTooLong> {
        let end = memchr::memchr(b'\n', input);
        let taken = end.unwrap_or(input.len());
        // Checked before anything is copied, so that the cap bounds memory, too.
        let got = self.partial.len() + taken;
        if got > self.limit {
            return Err(LineTooLong { got });
        }
        self.partial.extend_from_slice(&input[..taken]);
        *input = &input[end.map_or(taken, |end| end + 1)..];
        Ok(end.map(|_| std::mem::take(&mut self.partial)))
    }

    /// Whether a line was begun and not ended.
    pub(crate) fn is_partial(&self) -> bool {
        !self.partial.is_empty()
    }

    /// Forgets an unfinished line and its memory.
    pub(crate) fn clear(&mut self) {
        self.partial = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(buffer: &mut LineBuffer, mut input: &[u8]) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| buffer.next_line(&mut input).expect("short lines")).collect()
    }

    #[test]
    fn s1_lines_come_out_whole_however_they_were_cut() {
        let text = b"one\n\ntwo\r\nthree";
        for size in 1..=text.len() {
            let mut buffer = LineBuffer::new(64);
            let got: Vec<_> =
                text.chunks(size).flat_map(|chunk| lines(&mut buffer, chunk)).collect();
            assert_eq!(got, [&b"one"[..], b"", b"two\r"], "in pieces of {size}");
            assert!(buffer.is_partial());
            assert_eq!(lines(&mut buffer, b"\n"), [b"three"]);
            assert!(!buffer.is_partial());
        }
    }

    #[test]
    fn s1_the_cap_is_inclusive_and_holds_across_fragments() {
        let mut buffer = LineBuffer::new(4);
        assert_eq!(lines(&mut buffer, b"1234\n"), [b"1234"]);
        assert_eq!(buffer.next_line(&mut &b"12345\n"[..]), Err(LineTooLong { got: 5 }));
        assert_eq!(lines(&mut buffer, b"123"), Vec::<Vec<u8>>::new());
        assert_eq!(buffer.next_line(&mut &b"45"[..]), Err(LineTooLong { got: 5 }));
    }

    #[test]
    fn s1_a_gigabyte_without_a_line_feed_stays_within_the_cap() {
        let mut buffer = LineBuffer::new(512 * 1024);
        let chunk = vec![b'x'; 64 * 1024];
        let refused = (0..16 * 1024).find_map(|_| buffer.next_line(&mut &chunk[..]).err());
        assert_eq!(refused, Some(LineTooLong { got: 9 * 64 * 1024 }));
        assert!(buffer.partial.capacity() <= 1024 * 1024);
    }
}

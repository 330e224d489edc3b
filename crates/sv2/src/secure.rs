//! The encrypted line: the Noise NX handshake, then frames (specification, 3.2 and 4).
//!
//! A frame is a header of six bytes (`extension: u16, type: u8, length: u24`, little-endian) and a
//! payload. Both are encrypted apart: the header as one piece, the payload in pieces of at
//! most 65,535 bytes with their 16 bytes of MAC. The cryptography is that of the crate `noise_sv2`.

use std::fmt;

use noise_sv2::{
    AEAD_MAC_LEN, ELLSWIFT_ENCODING_SIZE, INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE, Initiator,
    NoiseDecryptor, NoiseEncryptor, NoiseEngine, Responder,
};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{Authority, AuthorityKey, CertificateError, CloseReason};

/// Bytes of the server's part of the handshake.
pub(crate) const HANDSHAKE: usize = INITIATOR_EXPECTED_HANDSHAKE_MESSAGE_SIZE;
/// Bytes of a header in the clear.
const HEADER: usize = 6;
/// Bytes of a piece of payload as it is sent, MAC included.
const PIECE: usize = 65_535;
/// The frame belongs to a channel: the first four bytes of its payload are the channel's number.
const CHANNEL_BIT: u16 = 1 << 15;

/// A message as it travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Which extension defines the type; 0 is the protocol itself.
    pub(crate) extension: u16,
    /// Whether it is for a channel.
    pub(crate) is_for_channel: bool,
    /// The type of the message.
    pub(crate) kind: u8,
    pub(crate) payload: Vec<u8>,
}

/// The next thing that the bytes held.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// The handshake is through; a server sends these bytes first, a client none.
    Secured(Vec<u8>),
    Frame(Frame),
}

/// One encrypted connection.
pub(crate) struct Secure {
    state: State,
    /// Bytes that came and are not used yet, behind those that are: less than a frame and one read.
    input: Vec<u8>,
    used: usize,
    limit: usize,
}

enum State {
    /// The server's answer is awaited.
    Shaking(Box<Initiator>),
    /// A miner's first bytes are awaited; with the randomness for the answer.
    Listening(Box<Responder>, ChaCha20Rng),
    Open {
        seal: NoiseEncryptor,
        open: NoiseDecryptor,
        /// The header of the frame that is coming in.
        header: Option<Header>,
    },
    Broken,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    extension: u16,
    kind: u8,
    length: usize,
}

impl Secure {
    /// Begins: the first bytes to send, and the line. `limit` bounds a frame's payload.
    pub(crate) fn begin(
        authority: Option<&AuthorityKey>,
        entropy: [u8; 32],
        limit: usize,
    ) -> Result<(Vec<u8>, Self), CloseReason> {
        let mut random = ChaCha20Rng::from_seed(entropy);
        let initiator = match authority {
            Some(key) => Initiator::from_raw_k_with_rng(*key.as_bytes(), &mut random),
            None => Initiator::without_pk_with_rng(&mut random),
        };
        let mut initiator = initiator.map_err(|_| CertificateError::Authority)?;
        let hello = initiator.step_0().map_err(|_| CloseReason::Handshake)?;
        let state = State::Shaking(initiator);
        Ok((hello.to_vec(), Self { state, input: Vec::new(), used: 0, limit }))
    }

    /// The server's side: waits for a miner. `limit` bounds a frame's payload.
    pub(crate) fn listen(authority: &Authority, entropy: [u8; 32], limit: usize) -> Self {
        let mut random = ChaCha20Rng::from_seed(entropy);
        let responder = authority.responder(&mut random);
        Self { state: State::Listening(responder, random), input: Vec::new(), used: 0, limit }
    }

    /// The bytes that came and are not used yet.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.input[self.used..]
    }

    /// Bytes came.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        // Once a read, and not once a frame.
        self.input.drain(..std::mem::take(&mut self.used));
        self.input.extend_from_slice(bytes);
    }

    /// Whether a frame, or the handshake's answer, has come in part.
    pub(crate) fn is_partial(&self) -> bool {
        self.input.len() > self.used || matches!(self.state, State::Open { header: Some(_), .. })
    }

    /// The next thing that came whole. `unix` is the date that a certificate is judged by, or
    /// carries.
    pub(crate) fn next(&mut self, unix: u32) -> Result<Option<Received>, CloseReason> {
        let next = match &mut self.state {
            State::Shaking(_) => self.finish_handshake(unix),
            State::Listening(..) => self.answer_handshake(unix),
            State::Open { .. } => self.next_frame(),
            State::Broken => Ok(None),
        };
        if next.is_err() {
            (self.state, self.input, self.used) = (State::Broken, Vec::new(), 0);
        }
        next
    }

    fn finish_handshake(&mut self, unix: u32) -> Result<Option<Received>, CloseReason> {
        let Some(answer) = self.take(HANDSHAKE) else {
            return Ok(None);
        };
        let State::Shaking(initiator) = &mut self.state else { return Ok(None) };
        let answer = answer.try_into().expect("taken by that size");
        let engine = initiator.step_2_with_now(answer, unix).map_err(|error| match error {
            noise_sv2::Error::InvalidCertificate(of) => {
                judge(of.version, of.valid_from, of.not_valid_after, unix).into()
            }
            _ => CloseReason::Handshake,
        })?;
        let (seal, open) = NoiseEngine::into_split(engine);
        self.state = State::Open { seal, open, header: None };
        Ok(Some(Received::Secured(Vec::new())))
    }

    fn answer_handshake(&mut self, unix: u32) -> Result<Option<Received>, CloseReason> {
        let Some(hello) = self.take(ELLSWIFT_ENCODING_SIZE) else { return Ok(None) };
        let State::Listening(responder, random) = &mut self.state else { return Ok(None) };
        let hello = hello.try_into().expect("taken by that size");
        let from = unix.saturating_sub(Authority::BEFORE);
        let (answer, engine) = responder
            .step_1_with_now_rng(hello, from, random)
            .map_err(|_| CloseReason::Handshake)?;
        let (seal, open) = NoiseEngine::into_split(engine);
        self.state = State::Open { seal, open, header: None };
        Ok(Some(Received::Secured(answer.to_vec())))
    }

    fn next_frame(&mut self) -> Result<Option<Received>, CloseReason> {
        let State::Open { header, .. } = &self.state else { return Ok(None) };
        let header = match *header {
            Some(header) => header,
            None => {
                let Some(bytes) = self.take(HEADER + AEAD_MAC_LEN) else { return Ok(None) };
                let clear = self.open(bytes)?;
                let header = Header::from_bytes(&clear);
                if header.length > self.limit {
                    return Err(CloseReason::FrameTooLong {
                        got: header.length,
                        limit: self.limit,
                    });
                }
                header
            }
        };
        let whole = self.take(sealed_length(header.length));
        if let State::Open { header: waiting, .. } = &mut self.state {
            *waiting = whole.is_none().then_some(header);
        }
        let Some(sealed) = whole else { return Ok(None) };
        let mut payload = Vec::with_capacity(header.length);
        for piece in sealed.chunks(PIECE) {
            payload.append(&mut self.open(piece.to_vec())?);
        }
        Ok(Some(Received::Frame(Frame {
            extension: header.extension & !CHANNEL_BIT,
            is_for_channel: header.extension & CHANNEL_BIT != 0,
            kind: header.kind,
            payload,
        })))
    }

    /// A message as bytes to send. Only for a line that is open.
    pub(crate) fn seal(&mut self, frame: &Frame) -> Vec<u8> {
        let State::Open { seal, .. } = &mut self.state else { return Vec::new() };
        let extension = frame.extension | if frame.is_for_channel { CHANNEL_BIT } else { 0 };
        let length = u32::try_from(frame.payload.len()).expect("our messages are short");
        let mut header = extension.to_le_bytes().to_vec();
        header.push(frame.kind);
        header.extend_from_slice(&length.to_le_bytes()[..3]);
        let mut sealed = Vec::new();
        let pieces = frame.payload.chunks(PIECE - AEAD_MAC_LEN).map(<[u8]>::to_vec);
        for mut piece in std::iter::once(header).chain(pieces) {
            seal.encrypt(&mut piece).expect("a nonce of 64 bits does not run out");
            sealed.append(&mut piece);
        }
        sealed
    }

    fn open(&mut self, mut piece: Vec<u8>) -> Result<Vec<u8>, CloseReason> {
        let State::Open { open, .. } = &mut self.state else { return Err(CloseReason::Cipher) };
        open.decrypt(&mut piece).map_err(|_| CloseReason::Cipher)?;
        Ok(piece)
    }

    fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        let taken = self.input.get(self.used..self.used + count)?.to_vec();
        self.used += count;
        Some(taken)
    }
}

impl fmt::Debug for Secure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Shaking(_) => "shaking",
            State::Listening(..) => "listening",
            State::Open { .. } => "open",
            State::Broken => "broken",
        };
        f.debug_struct("Secure").field("state", &state).finish_non_exhaustive()
    }
}

impl Header {
    fn from_bytes(bytes: &[u8]) -> Self {
        Self {
            extension: u16::from_le_bytes([bytes[0], bytes[1]]),
            kind: bytes[2],
            length: u32::from_le_bytes([bytes[3], bytes[4], bytes[5], 0]) as usize,
        }
    }
}

/// Bytes on the wire for a payload of so many.
fn sealed_length(length: usize) -> usize {
    length + length.div_ceil(PIECE - AEAD_MAC_LEN) * AEAD_MAC_LEN
}

/// Clocks may differ by so many seconds, as the library has it.
const LEEWAY: u32 = 10;

/// What is wrong with a certificate that the library refused.
fn judge(version: u16, from: u32, until: u32, now: u32) -> CertificateError {
    if version != 0 {
        CertificateError::Version(version)
    } else if now.saturating_add(LEEWAY) < from {
        CertificateError::Early { from, now }
    } else if now.saturating_sub(LEEWAY) > until {
        CertificateError::Expired { until, now }
    } else {
        CertificateError::Authority
    }
}

/// Whether a key is one: the x coordinate of a point of the curve.
pub(crate) fn is_key(key: [u8; 32]) -> bool {
    Initiator::from_raw_k_with_rng(key, &mut ChaCha20Rng::from_seed([0; 32])).is_ok()
}

//! The key by which a pool proves who it is: its public half, as it stands in a URL, and both
//! halves, as a pool has them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use midstate_chain::Hash256;
use noise_sv2::Responder;
use rand_chacha::ChaCha20Rng;
use secp256k1::{Keypair, Secp256k1, SecretKey};

/// The version of the key in the text, little-endian.
const VERSION: [u8; 2] = [1, 0];
const CHECKSUM: usize = 4;

/// A pool's authority key: the x coordinate of a secp256k1 key, which signs the certificates of the
/// pool's servers. People write it in Base58Check behind two bytes of version (specification, 4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuthorityKey([u8; 32]);

/// Why a text is no authority key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityKeyError {
    /// Not Base58.
    #[error("holds characters that Base58 does not have")]
    Base58,
    /// Too short or too long.
    #[error("has {0} bytes instead of 38: two of version, 32 of key, four of checksum")]
    Length(usize),
    /// The version is not 1.
    #[error("has version {0} instead of 1")]
    Version(u16),
    /// A typing mistake, most likely.
    #[error("has a wrong checksum: a character is mistyped or missing")]
    Checksum,
    /// No point of the curve has that coordinate.
    #[error("is no key: no point of the curve has this coordinate")]
    Curve,
}

impl AuthorityKey {
    /// The key itself, most significant byte first.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<[u8; 32]> for AuthorityKey {
    type Error = AuthorityKeyError;

    fn try_from(key: [u8; 32]) -> Result<Self, AuthorityKeyError> {
        // The library's constructor is the judge of keys; its random source is not used for that.
        crate::secure::is_key(key).then_some(Self(key)).ok_or(AuthorityKeyError::Curve)
    }
}

impl FromStr for AuthorityKey {
    type Err = AuthorityKeyError;

    fn from_str(text: &str) -> Result<Self, AuthorityKeyError> {
        let bytes = bs58::decode(text).into_vec().map_err(|_| AuthorityKeyError::Base58)?;
        let Ok::<[u8; 38], _>(bytes) = bytes.try_into() else {
            let length = bs58::decode(text).into_vec().map_or(0, |bytes| bytes.len());
            return Err(AuthorityKeyError::Length(length));
        };
        let (payload, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if Hash256::of(payload).as_bytes()[..CHECKSUM] != *checksum {
            return Err(AuthorityKeyError::Checksum);
        }
        let (version, key) = payload.split_at(VERSION.len());
        if version != VERSION {
            return Err(AuthorityKeyError::Version(u16::from_le_bytes([version[0], version[1]])));
        }
        let key: [u8; 32] = key.try_into().expect("38 bytes less two and four");
        Self::try_from(key)
    }
}

impl fmt::Display for AuthorityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = [&VERSION[..], &self.0].concat();
        let checksum = Hash256::of(&payload);
        let bytes = [&payload[..], &checksum.as_bytes()[..CHECKSUM]].concat();
        f.write_str(&bs58::encode(bytes).into_string())
    }
}

/// A pool's authority key with its secret half, which signs a certificate for each connection.
#[derive(Clone, Copy)]
pub struct Authority {
    secret: [u8; 32],
    key: AuthorityKey,
}

impl Authority {
    /// A certificate is valid so many seconds before the handshake: a miner's clock may be slow...
    pub(crate) const BEFORE: u32 = 60 * 60;
    /// ...and for so long from then on, since it may be fast, too.
    const VALIDITY: Duration = Duration::from_secs(25 * 60 * 60);

    /// From 32 secret bytes, drawn at random. `None` for the few values that are no key, with which
    /// no random source will ever come.
    pub fn from_secret(secret: [u8; 32]) -> Option<Self> {
        let key = SecretKey::from_slice(&secret).ok()?;
        let pair = Keypair::from_secret_key(&Secp256k1::signing_only(), &key);
        let key = AuthorityKey(pair.x_only_public_key().0.serialize());
        Some(Self { secret, key })
    }

    /// The public half, for the URL.
    pub fn key(&self) -> AuthorityKey {
        self.key
    }

    /// The server's side of a handshake.
    pub(crate) fn responder(&self, random: &mut ChaCha20Rng) -> Box<Responder> {
        let (public, validity) = (self.key.as_bytes(), Self::VALIDITY);
        Responder::from_authority_kp_with_rng(public, &self.secret, validity, random)
            .expect("the public half was made of the secret one")
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification's chapter 4.6.
    const KEY: &str = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh";

    #[test]
    fn the_key_of_the_specification_is_read_and_written() {
        let key: AuthorityKey = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        assert_eq!(
            key.as_bytes()[..6],
            [118, 99, 112, 0, 151, 156],
            "as the specification lists its bytes"
        );
    }

    #[test]
    fn a_mistyped_key_says_what_is_wrong() {
        let wrong = |text: &str| text.parse::<AuthorityKey>().unwrap_err();
        assert_eq!(
            wrong("9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXi"),
            AuthorityKeyError::Checksum
        );
        assert_eq!(wrong("0OIl"), AuthorityKeyError::Base58);
        assert!(matches!(wrong("9bXiEd8boQVhq7"), AuthorityKeyError::Length(10 | 11)));
        assert_eq!(wrong(""), AuthorityKeyError::Length(0));
    }
}

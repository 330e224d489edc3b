//! The public key in a certificate, read without judging the rest of it: a certificate that the
//! user has named may be of version 1, or have extensions that are not known here. Used by
//! [`Trust`](crate::Trust) for pins and for the proof that the server holds the key.
//!
//! X.509 in DER: RFC 5280, 4.1.

use tokio_rustls::rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use tokio_rustls::rustls::pki_types::SubjectPublicKeyInfoDer;
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, PeerMisbehaved};

const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
/// The version, which a certificate of version 1 does not have.
const VERSION: u8 = 0xa0;

/// The key of a certificate.
pub(crate) struct PublicKey<'a> {
    /// The whole SubjectPublicKeyInfo.
    pub(crate) info: &'a [u8],
    /// Its algorithm, without tag and length.
    algorithm: &'a [u8],
    bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// The key of a certificate in DER; `None` if that is no certificate.
    pub(crate) fn of(certificate: &'a [u8]) -> Option<Self> {
        let mut certificate = Der(Der(certificate).contents(SEQUENCE)?);
        let mut fields = Der(certificate.contents(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.skip()?;
        }
        // Serial number, algorithm of the signature, issuer, validity, subject.
        for _ in 0..5 {
            fields.skip()?;
        }
        let before = fields.0;
        let mut parts = Der(fields.contents(SEQUENCE)?);
        let info = &before[..before.len() - fields.0.len()];
        let algorithm = parts.contents(SEQUENCE)?;
        // No bit of the last byte is unused.
        let [0, bits @ ..] = parts.contents(BIT_STRING)? else { return None };
        Some(Self { info, algorithm, bits })
    }

    /// Whether this key signed a message of TLS 1.3.
    pub(crate) fn verify_tls13(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        let info = SubjectPublicKeyInfoDer::from(self.info);
        verify_tls13_signature_with_raw_key(message, &info, signed, algorithms).map(drop)
    }

    /// The same for TLS 1.2, where the name of a scheme leaves the curve open.
    pub(crate) fn verify_tls12(
        &self,
        message: &[u8],
        signed: &DigitallySignedStruct,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), Error> {
        let scheme = algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let Some((_, candidates)) = scheme else {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        };
        let of_key =
            candidates.iter().find(|one| one.public_key_alg_id().as_ref() == self.algorithm);
        let signature = signed.signature();
        match of_key.map(|one| one.verify_signature(self.bits, message, signature)) {
            Some(Ok(())) => Ok(()),
            _ => Err(Error::InvalidCertificate(CertificateError::BadSignature)),
        }
    }
}

/// The rest of a text in DER.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The contents of the next element, which has this tag.
    fn contents(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, contents) = self.next()?;
        (found == tag).then_some(contents)
    }

    fn skip(&mut self) -> Option<()> {
        self.next().map(drop)
    }

    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let [tag, length, rest @ ..] = self.0 else { return None };
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            // So many bytes of length follow; a certificate has fewer than 2^24 bytes in TLS.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_the_key_is_read_from_a_whole_certificate_and_from_nothing_else() {
        let made = rcgen::generate_simple_self_signed(vec!["h".to_owned()]).unwrap();
        let der = made.cert.der();
        let info = rcgen::PublicKeyData::subject_public_key_info(&made.signing_key);
        assert_eq!(PublicKey::of(der).unwrap().info, info);
        for end in 0..der.len() {
            assert!(PublicKey::of(&der[..end]).is_none(), "{end} bytes");
        }
        // A length that promises more than there is, and lengths that nobody needs.
        for length in [0x84, 0xff, 0x80] {
            let mut der = der.to_vec();
            der[1] = length;
            assert!(PublicKey::of(&der).is_none(), "{length:x}");
        }
    }
}

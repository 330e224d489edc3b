//! Trust in pools and nodes (S8): TLS by rustls, verified unless the user turns that off in so many
//! words. A connection that cannot be verified is not made; nothing falls back to plaintext.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, CryptoProvider, WebPkiSupportedAlgorithms};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, OtherError, RootCertStore,
    SignatureScheme,
};

use crate::blocking::on_a_thread;
use crate::file::read_file;
use crate::tls_key::PublicKey;
use crate::tls_stream::TlsSettings;
use crate::tls_words;

/// The certificates to trust.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Trust {
    /// Certificates for the server's name under the authorities of the operating system.
    #[default]
    System,
    /// These certificates and no others. A server that shows one of them, byte for byte, is
    /// trusted as by its pin: name, dates and the CA flag do not matter, since the user has named
    /// this very certificate. Any other server needs a certificate for its name that one of these,
    /// as an authority, has signed.
    Authorities(Arc<[CertificateDer<'static>]>),
    /// The one certificate, or any certificate of the one key. Name, dates and authorities do not
    /// matter: a user who pins has checked the certificate by other means.
    Pin(Pin),
    /// Any certificate. The connection is hidden from listeners, and nothing more.
    Anybody,
}

/// SHA-256 of a certificate or of its public key (SubjectPublicKeyInfo), both in DER.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pin([u8; 32]);

/// Why a trust cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// Not 32 bytes in hex.
    #[error(
        "a pin is the SHA-256 of a certificate or its public key, 64 hex digits, got {0:?}; \
         `openssl x509 -in CERT -noout -fingerprint -sha256` prints one"
    )]
    Pin(String),
    /// The file is not there, or not a PEM file.
    #[error("cannot read certificates from {path}: {error}")]
    File {
        /// The file.
        path: String,
        /// The mistake in it.
        error: String,
    },
    /// The file has no certificate.
    #[error(
        "{path} holds no certificate{}; expected a PEM file, with a line -----BEGIN \
         CERTIFICATE-----{}", found.0, found.1
    )]
    Empty {
        /// The file.
        path: String,
        /// What it holds instead, and what to do with that.
        found: (&'static str, &'static str),
    },
    /// A machine without authorities believes nobody.
    #[error(
        "this machine has no list of certificate authorities: install it (Debian: \
         ca-certificates), or name the server's with --cert FILE or --tls-pin HEX"
    )]
    NoSystemRoots,
    /// No thread to read them on.
    #[error("cannot read this machine's list of certificate authorities: {0}")]
    NotRead(io::Error),
}

/// The fault of a server's certificate, in a sentence that names the cure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Distrust {
    #[error(
        "the server's certificate has expired (or this machine's clock is wrong): tell its \
         operator, or set the clock"
    )]
    Expired,
    #[error("the server's certificate is not valid yet: is this machine's clock right?")]
    NotYetValid,
    #[error(
        "the server's certificate is for another name than {0}: check the URL; somebody else may \
         be answering"
    )]
    OtherName(String),
    #[error(
        "the server's certificate (SHA-256 {0}) is signed by no authority that is trusted here: \
         perhaps by itself, or the server does not send the certificates in between; if its \
         operator confirms it, use --tls-pin, or --cert with the authority's or the server's own \
         certificate"
    )]
    UnknownAuthority(Pin),
    #[error(
        "the server has another certificate (SHA-256 {certificate}{}) than the pinned one: \
         somebody else may be answering, or the server has a new key",
        .key.map_or_else(String::new, |key| format!(", of its key {key}"))
    )]
    OtherThanPinned { certificate: Pin, key: Option<Pin> },
    #[error(
        "the server's certificate (SHA-256 {certificate}) is not fit for a server: {why}; if its \
         operator confirms it, use --tls-pin, or --cert with this very certificate"
    )]
    Unfit { why: &'static str, certificate: Pin },
    #[error("the server's certificate cannot be judged: {0}")]
    Unjudged(String),
}

impl Trust {
    /// The certificates in a PEM file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no certificate.
    pub fn from_pem_file(path: &Path) -> Result<Self, TrustError> {
        let unreadable = |error: pem::Error| TrustError::File {
            path: path.display().to_string(),
            error: tls_words::unreadable(&error),
        };
        let file = read_file(path).map_err(|error| unreadable(pem::Error::Io(error)))?;
        let certificates = CertificateDer::pem_slice_iter(&plain_pem(&file))
            .map(|certificate| certificate.map(without_notes))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unreadable)?;
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates.iter().cloned());
        // One that is no authority's can still be the server's own.
        if added == 0 && !certificates.iter().any(|der| PublicKey::of(der).is_some()) {
            let path = path.display().to_string();
            return Err(TrustError::Empty { path, found: instead_of_a_certificate(&file) });
        }
        Ok(Self::Authorities(certificates.into()))
    }

    /// The pin in hex, as OpenSSL prints it: colons between the bytes, and `sha256 Fingerprint=`
    /// before them. Blanks around it do not matter.
    ///
    /// # Errors
    /// When it is no SHA-256.
    pub fn from_pin(text: &str) -> Result<Self, TrustError> {
        let digits = match text.split_once('=') {
            Some((name, pin)) if name.to_ascii_lowercase().ends_with("fingerprint") => pin,
            _ => text,
        };
        let digits: Vec<u8> = digits
            .trim()
            .bytes()
            .filter(|&byte| byte != b':')
            .map(|byte| char::from(byte).to_digit(16).map(|digit| digit as u8))
            .collect::<Option<_>>()
            .ok_or_else(|| TrustError::Pin(text.to_owned()))?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect();
        match <[u8; 32]>::try_from(bytes) {
            Ok(pin) if digits.len() == 64 => Ok(Self::Pin(Pin(pin))),
            _ => Err(TrustError::Pin(text.to_owned())),
        }
    }

    /// Whether a server that passes has proved who it is.
    pub fn is_verified(&self) -> bool {
        !matches!(self, Self::Anybody)
    }

    /// The settings of rustls for a connection that believes this and no more.
    pub(crate) async fn client_config(&self, host: &str) -> Result<TlsSettings, TrustError> {
        let provider = Arc::new(crypto::ring::default_provider());
        let authorities = match self {
            Self::System => {
                let roots = on_a_thread(system_roots).await;
                Some(roots.map_err(TrustError::NotRead)??)
            }
            Self::Authorities(certificates) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(certificates.iter().cloned());
                Some(roots).filter(|roots| !roots.is_empty())
            }
            Self::Pin(_) | Self::Anybody => None,
        };
        let authorities =
            authorities.map(|roots| authority_verifier(roots, &provider)).transpose()?;
        let verifier = Verifier {
            trust: self.clone(),
            host: host.to_owned(),
            authorities,
            algorithms: provider.signature_verification_algorithms,
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring has the cipher suites of TLS 1.2 and 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(TlsSettings::new(config))
    }
}

/// Read from files, which takes long: not for an async thread.
fn system_roots() -> Result<RootCertStore, TrustError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "certificate authorities");
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(TrustError::NoSystemRoots) } else { Ok(roots) }
}

fn authority_verifier(
    roots: RootCertStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, TrustError> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|_| TrustError::NoSystemRoots)
}

/// One verifier for every kind of trust, so that all of them refuse in our own words.
#[derive(Debug)]
struct Verifier {
    trust: Trust,
    host: String,
    /// For the kinds of trust that have authorities.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn distrust(&self, error: Error, certificate: &CertificateDer<'_>) -> Distrust {
        use CertificateError as Why;
        let Error::InvalidCertificate(why) = error else {
            return Distrust::Unjudged(tls_words::in_words(&error));
        };
        match why {
            Why::Expired | Why::ExpiredContext { .. } => Distrust::Expired,
            Why::NotValidYet | Why::NotValidYetContext { .. } => Distrust::NotYetValid,
            Why::NotValidForName | Why::NotValidForNameContext { .. } => {
                Distrust::OtherName(self.host.clone())
            }
            // The second: one that has the name of a trusted authority, and another key.
            Why::UnknownIssuer | Why::BadSignature => {
                Distrust::UnknownAuthority(Pin::of(certificate))
            }
            other => {
                Distrust::Unfit { why: tls_words::unfit(&other), certificate: Pin::of(certificate) }
            }
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = match (&self.trust, &self.authorities) {
            (Trust::Anybody, _) => Ok(()),
            (Trust::Pin(pin), _) => pin.check(end_entity),
            // Before any rule for certificates: a self-signed one may have the CA flag or none.
            (Trust::Authorities(named), _) if named.iter().any(|one| one == end_entity) => Ok(()),
            (_, Some(authorities)) => authorities
                .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
                .map(drop)
                .map_err(|error| self.distrust(error, end_entity)),
            (_, None) => Err(Distrust::UnknownAuthority(Pin::of(end_entity))),
        };
        verdict.map(|()| ServerCertVerified::assertion()).map_err(|distrust| {
            let why = OtherError(Arc::new(distrust));
            Error::InvalidCertificate(CertificateError::Other(why))
        })
    }

    // However the certificate was judged, the peer must hold its key. The judgement is above; only
    // the key is looked at here.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        key_of(cert)?.verify_tls12(message, dss, &self.algorithms)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        key_of(cert)?.verify_tls13(message, dss, &self.algorithms)?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The key of a certificate.
fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<PublicKey<'a>, Error> {
    let key = PublicKey::of(certificate);
    key.ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

impl Pin {
    /// The pin of a certificate.
    fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    fn check(self, certificate: &CertificateDer<'_>) -> Result<(), Distrust> {
        let key = PublicKey::of(certificate).map(|key| Self::of(key.info));
        let certificate = Self::of(certificate);
        if self == certificate || Some(self) == key {
            Ok(())
        } else {
            Err(Distrust::OtherThanPinned { certificate, key })
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pin({self})")
    }
}

/// A PEM file as editors and OpenSSL write it, in its plain form: without a mark of UTF-8, without
/// blanks around lines, and with one name for certificates.
fn plain_pem(file: &[u8]) -> Vec<u8> {
    let file = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    let mut plain = Vec::with_capacity(file.len());
    for line in file.split(|&byte| byte == b'\n') {
        plain.extend_from_slice(match line.trim_ascii() {
            b"-----BEGIN X509 CERTIFICATE-----" | b"-----BEGIN TRUSTED CERTIFICATE-----" => {
                b"-----BEGIN CERTIFICATE-----"
            }
            b"-----END X509 CERTIFICATE-----" | b"-----END TRUSTED CERTIFICATE-----" => {
                b"-----END CERTIFICATE-----"
            }
            line => line,
        });
        plain.push(b'\n');
    }
    plain
}

/// The certificate without what OpenSSL writes behind a `TRUSTED` one.
fn without_notes(certificate: CertificateDer<'static>) -> CertificateDer<'static> {
    // A sequence whose length takes two bytes, as every certificate's does.
    match *certificate {
        [0x30, 0x82, high, low, ..] => {
            let end = 4 + usize::from(u16::from_be_bytes([high, low]));
            certificate.get(..end).map_or_else(|| certificate.clone(), |der| der.to_vec().into())
        }
        _ => certificate,
    }
}

/// What a file holds where a certificate should be, as far as its first bytes say, and the cure.
fn instead_of_a_certificate(file: &[u8]) -> (&'static str, &'static str) {
    let holds = |label: &[u8]| file.windows(label.len()).any(|window| window == label);
    if file.starts_with(&[0x30]) {
        return ("", " (`openssl x509 -inform der -in FILE` makes one of a DER file)");
    }
    if holds(b"CERTIFICATE REQUEST-----") {
        return (", but a request for one, which an authority has yet to sign", "");
    }
    if holds(b"BEGIN PKCS7-----") {
        return ("", " (`openssl pkcs7 -print_certs -in FILE` makes one of a PKCS #7 file)");
    }
    if holds(b"PRIVATE KEY-----") {
        return (", but a private key, which stays with the server", "");
    }
    ("", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_9_a_certificate_is_read_in_every_form_that_openssl_and_editors_write() {
        let file = std::env::temp_dir().join("midstate-forms-of-pem.pem");
        let trust = |text: &[u8]| {
            std::fs::write(&file, text).unwrap();
            Trust::from_pem_file(&file).map_err(|error| error.to_string())
        };
        let pem = include_str!("../tests/data/version-1.pem");
        let good = trust(pem.as_bytes()).unwrap();
        // OpenSSL's notes on whom a certificate is trusted for stand behind it.
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert_eq!(without_notes([&der[..], &[0x30, 0x03, 0x0c, 0x01, 0x78]].concat().into()), der);
        for text in [
            format!("\u{feff}{pem}"),
            pem.replace('\n', "\r\n"),
            pem.lines().map(|line| format!("  {line} \n")).collect(),
            pem.replace(" CERT", " X509 CERT"),
            pem.replace(" CERT", " TRUSTED CERT"),
        ] {
            assert_eq!(trust(text.as_bytes()), Ok(good.clone()), "{text}");
        }
        // A file that holds something else is told as what it is.
        let label = |label: &str| pem.replace("CERTIFICATE", label).into_bytes();
        for (file, words) in [
            (
                label("PRIVATE KEY"),
                "no certificate, but a private key, which stays with the server;",
            ),
            (label("EC PRIVATE KEY"), "no certificate, but a private key"),
            (label("CERTIFICATE REQUEST"), "no certificate, but a request for one"),
            (label("PKCS7"), "BEGIN CERTIFICATE----- (`openssl pkcs7 -print_certs"),
            (der.to_vec(), "BEGIN CERTIFICATE----- (`openssl x509 -inform der"),
            (b"hello".to_vec(), "holds no certificate; expected a PEM file"),
            (Vec::new(), "BEGIN CERTIFICATE-----"),
        ] {
            let error = trust(&file).unwrap_err();
            assert!(error.contains(words), "{error}");
            assert_eq!(error.ends_with("CERTIFICATE-----"), !error.contains('('), "{error}");
        }
    }

    #[test]
    fn s8_pins_are_64_hex_digits() {
        let pin = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789abcdef";
        let colons: Vec<_> =
            pin.as_bytes().chunks(2).map(|c| std::str::from_utf8(c).unwrap()).collect();
        let trust = Trust::from_pin(pin).unwrap();
        assert_eq!(trust, Trust::from_pin(&colons.join(":")).unwrap());
        for text in [format!("sha256 Fingerprint={}", colons.join(":")), format!(" {pin}\n")] {
            assert_eq!(trust, Trust::from_pin(&text).unwrap(), "{text}");
        }
        let Trust::Pin(pinned) = trust else { panic!("a pin") };
        assert_eq!(pinned.to_string(), pin.to_lowercase());
        for bad in ["", "00", &pin[1..], &format!("{pin}00"), &pin.replace('0', "g"), "é"] {
            assert!(matches!(Trust::from_pin(bad), Err(TrustError::Pin(_))), "{bad}");
        }
    }
}

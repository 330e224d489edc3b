//! TLS errors in words: what is wrong, and what to do. rustls prints its errors as the Rust code
//! has them (`peer is incompatible: NoCipherSuitesInCommon`), so none of its texts reaches the
//! user: each kind of error has a line in the tables below. Kinds that rustls may add get a general
//! sentence.

use std::io;

use tokio_rustls::rustls::pki_types::pem;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible,
};

use crate::file::without_os_number;

/// The server's part of a handshake that failed.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// It has answered in TLS.
    pub(crate) of_tls: bool,
    /// It has asked for a certificate of ours.
    pub(crate) is_asked: bool,
}

/// Why a TLS handshake failed.
pub(crate) fn handshake_failure(error: &io::Error, seen: Seen) -> String {
    match tls_error(error) {
        Some(error) => in_words(error),
        None if is_hang_up(error) => match seen {
            Seen { is_asked: true, .. } => refusal(AlertDescription::CertificateRequired),
            Seen { of_tls: true, .. } => "the server closed the connection in the middle of the \
                                          TLS handshake and gave no reason: its log may tell one"
                .to_owned(),
            _ => "the server closed the connection at the beginning of the TLS handshake and gave \
                  no reason: is it the TLS port, and does it speak TLS 1.2 or newer?"
                .to_owned(),
        },
        None => {
            let words = without_os_number(&error.to_string());
            format!("the connection broke in the TLS handshake: {words}")
        }
    }
}

/// The words for a connection that broke, if TLS is why.
pub(crate) fn broken_by_tls(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let error = match error.downcast_ref::<io::Error>() {
        Some(error) => tls_error(error)?,
        None => error.downcast_ref::<Error>()?,
    };
    Some(in_words(error))
}

/// Whether the other end is gone, in whatever way.
pub(crate) fn is_hang_up(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

/// The table of rustls' errors.
pub(crate) fn in_words(error: &Error) -> String {
    let words = match error {
        // Our own verifier's.
        Error::InvalidCertificate(CertificateError::Other(OtherError(why)))
            if why.downcast_ref::<crate::tls::Distrust>().is_some() =>
        {
            return why.to_string();
        }
        // The rest is about the signature that proves that the server holds the key.
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            "the server does not hold the key of its certificate, or the key is too small (RSA \
             below 2048 bits): its operator has to set it up anew"
        }
        Error::InvalidCertificate(why) => {
            return format!("the server's certificate cannot be used: {}", unfit(why));
        }
        Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            "what answers there does not speak TLS: is it the plaintext port (stratum+tcp, http)?"
        }
        Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => "the server speaks only versions of TLS that are broken; 1.2 or newer is wanted",
        Error::PeerIncompatible(_) => {
            "the server and midstate have no way of encryption in common: its operator has to \
             allow one of today (TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20)"
        }
        Error::AlertReceived(alert) => return refusal(*alert),
        Error::NoCertificatesPresented => {
            "the server showed no certificate: its operator has to give it one"
        }
        Error::DecryptError | Error::PeerSentOversizedRecord => {
            "what came cannot be decrypted: something between here and the server changes the \
             data, or the server has a fault; try again, without a proxy or from another network"
        }
        Error::InvalidMessage(_)
        | Error::InappropriateMessage { .. }
        | Error::InappropriateHandshakeMessage { .. }
        | Error::PeerMisbehaved(_) => {
            "the server does not keep to the rules of TLS: is it a TLS port, and nothing in \
             between that answers in its place?"
        }
        Error::FailedToGetCurrentTime => "this machine's clock cannot be read: set it",
        Error::FailedToGetRandomBytes => "this machine gives no random numbers",
        Error::UnsupportedNameType => {
            "the host in the URL is no name that a certificate can have: check the URL"
        }
        Error::NoApplicationProtocol => {
            "the server speaks another protocol over TLS than the one that is asked for: check \
             the port"
        }
        Error::EncryptError
        | Error::HandshakeNotComplete
        | Error::BadMaxFragmentSize
        | Error::General(_) => "the TLS library failed on our side: try again, and report it",
        _ => "the TLS handshake failed: is it the server's TLS port?",
    };
    words.to_owned()
}

/// The table of the reasons that servers give when they refuse us.
fn refusal(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let words = match alert {
        Alert::ProtocolVersion => {
            "the server speaks only versions of TLS that are broken; 1.2 or newer is wanted"
        }
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            "the server refused the handshake: it and midstate have no way of encryption in \
             common, or it wants a certificate from its clients, which midstate does not have"
        }
        Alert::UnrecognisedName => {
            "the server knows no host of this name: write the name in the URL that its \
             certificate has"
        }
        Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateUnknown
        | Alert::CertificateUnobtainable
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::UnknownCA => {
            "the server wants a certificate from its clients, and midstate has none: take a port \
             without that"
        }
        Alert::AccessDenied => "the server does not let this machine in: ask its operator",
        Alert::InternalError => "the server has a fault of its own: tell its operator",
        Alert::CloseNotify | Alert::UserCanceled => "the server ended the TLS handshake: try again",
        Alert::NoApplicationProtocol => {
            "the server speaks another protocol over TLS than the one that is asked for: check \
             the port"
        }
        Alert::DecryptError | Alert::BadRecordMac | Alert::DecryptionFailed => {
            "the server could not decrypt what we sent: something in between changes the data"
        }
        _ => {
            return format!(
                "the server refused the TLS handshake (alert {}): is it the right port?",
                u8::from(alert)
            );
        }
    };
    words.to_owned()
}

/// The table of what makes a certificate unfit, for a sentence that begins with it.
pub(crate) fn unfit(why: &CertificateError) -> &'static str {
    use CertificateError as Why;
    match why {
        Why::BadEncoding => "it is damaged, or no X.509 certificate",
        Why::Expired | Why::ExpiredContext { .. } => "it has expired, or this clock is wrong",
        Why::NotValidYet | Why::NotValidYetContext { .. } => {
            "it is not valid yet, or this clock is wrong"
        }
        Why::Revoked => "its authority has revoked it",
        Why::UnknownRevocationStatus
        | Why::ExpiredRevocationList
        | Why::ExpiredRevocationListContext { .. }
        | Why::InvalidOcspResponse => "whether it was revoked cannot be told",
        Why::UnhandledCriticalExtension => "it has a critical extension that is not known here",
        Why::UnknownIssuer => "no authority that is trusted here has signed it",
        Why::BadSignature => "the signature on it is wrong",
        Why::UnsupportedSignatureAlgorithmContext { .. }
        | Why::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => ALGORITHM,
        Why::NotValidForName | Why::NotValidForNameContext { .. } => "it is for another name",
        Why::InvalidPurpose | Why::InvalidPurposeContext { .. } => {
            "it is meant for something else than a server (extended key usage)"
        }
        Why::Other(OtherError(why)) => unfit_by_name(&why.to_string()),
        #[expect(deprecated, reason = "what rustls still returns for some certificates")]
        Why::UnsupportedSignatureAlgorithm => ALGORITHM,
        _ => "it breaks a rule for certificates",
    }
}

const ALGORITHM: &str = "it is signed in a way that is not accepted here (SHA-1, a rare curve, a \
                         small key); ECDSA P-256 or RSA of 2048 bits with SHA-256 is";

/// The errors of webpki that rustls passes on as they are; their texts are their names.
fn unfit_by_name(name: &str) -> &'static str {
    match name {
        "CaUsedAsEndEntity" => {
            "it is marked as an authority's (CA flag), as `openssl req -x509` makes them"
        }
        "EndEntityUsedAsCa" => "a certificate in its chain is no authority's (no CA flag)",
        "UnsupportedCertVersion" => {
            "it is of version 1 of X.509; version 3 is wanted, as `openssl req -x509` makes"
        }
        "NameConstraintViolation" | "MalformedNameConstraint" => {
            "its authority may not sign for this name"
        }
        "PathLenConstraintViolated"
        | "MaximumPathDepthExceeded"
        | "MaximumSignatureChecksExceeded"
        | "MaximumPathBuildCallsExceeded"
        | "MaximumNameConstraintComparisonsExceeded" => "its chain of authorities is too long",
        "SignatureAlgorithmMismatch" => "it names two ways of signing that differ",
        "MalformedExtensions" | "MissingOrMalformedExtensions" | "ExtensionValueInvalid" => {
            "its extensions are damaged"
        }
        "InvalidSerialNumber" => "its serial number is not allowed",
        _ => "it breaks a rule for certificates",
    }
}

/// The mistake in a PEM file.
pub(crate) fn unreadable(error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => error.to_string(),
        pem::Error::MissingSectionEnd { .. } => "a section in it has no END line".into(),
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line in it is damaged".into(),
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is damaged".into(),
        pem::Error::SectionTooLarge => "a section in it is too large".into(),
        _ => "it is no PEM file".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio_rustls::rustls::pki_types::{ServerName, UnixTime};
    use tokio_rustls::rustls::{ContentType, HandshakeType, PeerMisbehaved};

    use super::*;

    /// Words like those of a program's source: `NoCipherSuitesInCommon`, `Other(..)`, `[1, 2]`.
    fn is_debug_text(text: &str) -> bool {
        let known = ["ChaCha20", "OpenSSL"];
        let text = known.iter().fold(text.to_owned(), |text, word| text.replace(word, ""));
        let hump = |pair: &[u8]| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase();
        text.as_bytes().windows(2).any(hump)
            || text.contains(['{', '}', '[', ']', '_'])
            || text.contains("::")
    }

    #[derive(Debug)]
    struct Named(&'static str);

    impl std::fmt::Display for Named {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Named {}

    fn certificate_errors() -> Vec<CertificateError> {
        use CertificateError as Why;
        let time = UnixTime::now();
        let other = |name| Why::Other(OtherError(Arc::new(Named(name))));
        let names = [
            "CaUsedAsEndEntity",
            "EndEntityUsedAsCa",
            "UnsupportedCertVersion",
            "NameConstraintViolation",
            "PathLenConstraintViolated",
            "SignatureAlgorithmMismatch",
            "MalformedExtensions",
            "InvalidSerialNumber",
            "WhateverComesNext",
        ];
        let mut all: Vec<_> = names.into_iter().map(other).collect();
        all.extend([
            Why::BadEncoding,
            Why::Expired,
            Why::ExpiredContext { time, not_after: time },
            Why::NotValidYet,
            Why::NotValidYetContext { time, not_before: time },
            Why::Revoked,
            Why::UnhandledCriticalExtension,
            Why::UnknownIssuer,
            Why::UnknownRevocationStatus,
            Why::ExpiredRevocationList,
            Why::ExpiredRevocationListContext { time, next_update: time },
            Why::BadSignature,
            Why::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: vec![1],
                supported_algorithms: vec![],
            },
            Why::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: vec![1],
                public_key_algorithm_id: vec![2],
            },
            Why::NotValidForName,
            Why::NotValidForNameContext {
                expected: ServerName::try_from("a").unwrap(),
                presented: vec!["DnsName(b)".into()],
            },
            Why::InvalidPurpose,
            Why::InvalidOcspResponse,
            Why::ApplicationVerificationFailure,
        ]);
        all
    }

    #[test]
    fn rule_9_no_tls_error_is_told_in_rusts_own_words() {
        let mut errors = vec![
            Error::InvalidMessage(InvalidMessage::InvalidContentType),
            Error::InvalidMessage(InvalidMessage::MissingKeyExchange),
            Error::InappropriateMessage {
                expect_types: vec![ContentType::Handshake],
                got_type: ContentType::Alert,
            },
            Error::InappropriateHandshakeMessage {
                expect_types: vec![HandshakeType::ServerHello],
                got_type: HandshakeType::Finished,
            },
            Error::NoCertificatesPresented,
            Error::UnsupportedNameType,
            Error::DecryptError,
            Error::EncryptError,
            Error::PeerIncompatible(PeerIncompatible::NoCipherSuitesInCommon),
            Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
            Error::PeerMisbehaved(PeerMisbehaved::TooMuchEarlyDataReceived),
            Error::General("SomethingInside(1)".into()),
            Error::FailedToGetCurrentTime,
            Error::FailedToGetRandomBytes,
            Error::HandshakeNotComplete,
            Error::PeerSentOversizedRecord,
            Error::NoApplicationProtocol,
            Error::BadMaxFragmentSize,
            Error::Other(OtherError(Arc::new(Named("SomethingElse(2)")))),
        ];
        errors.extend((0..=255).map(|code| Error::AlertReceived(code.into())));
        errors.extend(certificate_errors().into_iter().map(Error::InvalidCertificate));
        for error in errors {
            let words = handshake_failure(&io::Error::other(error.clone()), Seen::default());
            assert!(!is_debug_text(&words), "{error:?}: {words}");
            // After the handshake, and as hyper passes it on.
            assert_eq!(broken_by_tls(&io::Error::other(error.clone())), Some(words.clone()));
            assert_eq!(broken_by_tls(&error), Some(words));
        }
        assert_eq!(broken_by_tls(&io::Error::other("no TLS")), None);
    }
}

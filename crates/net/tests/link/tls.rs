//! TLS over real sockets (S8): what is not proved is refused, in a sentence that says what to do.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use midstate_gbt::conf::Credentials;
use midstate_net::{
    Dial, DialError, Dialler, NodeAccess, Outcome, PoolUrl, Route, RpcClient, SwarmDialler, Trust,
};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, IsCa, Issuer, KeyPair,
    PublicKeyData,
};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ALL_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

use crate::pipes::{Running, account};

/// An authority and what it can sign.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

struct Identity {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    fn sign(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Identity { certificate: certificate.der().clone(), key }
    }

    fn trust(&self) -> Trust {
        let directory = std::env::temp_dir().join(format!("midstate-tls-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("{}.pem", hex(&Sha256::digest(&self.pem))));
        std::fs::write(&path, &self.pem).unwrap();
        Trust::from_pem_file(&path).unwrap()
    }
}

fn self_signed() -> Identity {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    Identity { certificate: params.self_signed(&key).unwrap().der().clone(), key }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A server with this certificate; the URL to reach it by.
async fn serve(identity: &Identity) -> PoolUrl {
    serve_by(identity, ALL_VERSIONS).await
}

async fn serve_by(identity: &Identity, versions: &[&'static SupportedProtocolVersion]) -> PoolUrl {
    serve_clients(identity, versions, Arc::new(NoClientAuth)).await
}

/// `clients`: who they have to be.
async fn serve_clients(
    identity: &Identity,
    versions: &[&'static SupportedProtocolVersion],
    clients: Arc<dyn ClientCertVerifier>,
) -> PoolUrl {
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(CertifiedKey::new(
            vec![identity.certificate.clone()],
            ring::sign::any_supported_type(&key).unwrap(),
        ))));
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(mut stream) = acceptor.accept(stream).await {
                    let _ = stream.write_all(b"hello\n").await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    url
}

async fn listen() -> (TcpListener, PoolUrl) {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("stratum+tls://localhost:{port}").parse().unwrap())
}

/// The outcome of connecting: the first line, or the sentence.
async fn connect(url: &PoolUrl, trust: Trust) -> Result<String, String> {
    let route = Route { trust, proxy: None };
    let dialler = Dialler::default();
    match dialler.dial(url, &route).await {
        Ok(mut connection) => {
            let mut line = vec![0; 6];
            tokio::io::AsyncReadExt::read_exact(&mut connection.transport, &mut line)
                .await
                .unwrap();
            Ok(String::from_utf8(line).unwrap())
        }
        Err(error @ DialError::Tls { .. }) => Err(error.to_string()),
        Err(other) => panic!("not refused by TLS: {other}"),
    }
}

#[track_caller]
fn assert_refused(outcome: Result<String, String>, words: &[&str]) {
    let sentence = outcome.expect_err("refused");
    for word in words {
        assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
    }
}

#[tokio::test]
async fn s8_a_good_certificate_connects() {
    let authority = Authority::new();
    let url = serve(&authority.sign("localhost", |_| {})).await;
    assert_eq!(connect(&url, authority.trust()).await.as_deref(), Ok("hello\n"));
}

#[tokio::test]
async fn s8_an_expired_certificate_is_refused() {
    let authority = Authority::new();
    let expired = authority.sign("localhost", |params| {
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let url = serve(&expired).await;
    assert_refused(connect(&url, authority.trust()).await, &["expired", "clock"]);
    let early = authority.sign("localhost", |params| {
        params.not_before = rcgen::date_time_ymd(2999, 1, 1);
        params.not_after = rcgen::date_time_ymd(3000, 1, 1);
    });
    let url = serve(&early).await;
    assert_refused(connect(&url, authority.trust()).await, &["not valid yet", "clock"]);
}

#[tokio::test]
async fn s8_a_certificate_for_another_name_is_refused() {
    let authority = Authority::new();
    let url = serve(&authority.sign("other.example", |_| {})).await;
    assert_refused(connect(&url, authority.trust()).await, &["another name than localhost", "URL"]);
}

#[tokio::test]
async fn s8_a_certificate_that_nobody_signed_is_refused() {
    let identity = self_signed();
    let url = serve(&identity).await;
    let pin = hex(&Sha256::digest(&identity.certificate));
    let words = ["no authority that is trusted", pin.as_str(), "--tls-pin", "--cert"];
    assert_refused(connect(&url, Authority::new().trust()).await, &words);
    // One that says it is an authority, as those of `openssl req -x509` do.
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).unwrap().der().clone();
    let url = serve(&Identity { certificate, key }).await;
    assert_refused(connect(&url, Authority::new().trust()).await, &["--tls-pin"]);
}

/// As `openssl req -x509` makes them: self-signed, with the CA flag, without it, or with "no CA".
fn own_certificate(name: &str, is_ca: IsCa, year: i32) -> (Identity, Trust) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = is_ca;
    params.not_before = rcgen::date_time_ymd(year, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 100, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    let directory = std::env::temp_dir().join(format!("midstate-own-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{}.pem", hex(&Sha256::digest(certificate.der()))));
    std::fs::write(&path, certificate.pem()).unwrap();
    let trust = Trust::from_pem_file(&path).unwrap();
    (Identity { certificate: certificate.der().clone(), key }, trust)
}

#[tokio::test]
async fn rule_9_a_certificate_that_the_user_names_is_trusted() {
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    for (name, is_ca, year) in [
        ("localhost", ca(), 2020),
        ("localhost", IsCa::NoCa, 2020),
        ("localhost", IsCa::ExplicitNoCa, 2020),
        ("localhost", IsCa::Ca(BasicConstraints::Constrained(0)), 2020),
        // The user has named this very certificate: neither its name nor its dates matter.
        ("other.example", ca(), 2020),
        ("localhost", ca(), 1900),
        ("localhost", IsCa::NoCa, 2990),
    ] {
        let (identity, trust) = own_certificate(name, is_ca, year);
        let url = serve(&identity).await;
        let came = connect(&url, trust).await;
        assert_eq!(came.as_deref(), Ok("hello\n"), "{name} {is_ca:?} {year}");
    }
    // Another certificate than the one that was named is refused, and the cure is told.
    let (_, trust) = own_certificate("localhost", ca(), 2020);
    let (stranger, _) = own_certificate("localhost", ca(), 2020);
    let url = serve(&stranger).await;
    let refused = connect(&url, trust).await;
    assert!(!refused.as_ref().unwrap_err().contains("CaUsed"), "{refused:?}");
    assert_refused(refused, &["--cert", "--tls-pin"]);
}

#[tokio::test]
async fn rule_9_a_certificate_that_is_named_does_not_lend_its_name_to_another_key() {
    // The same bytes, and another key: the handshake proves that the server does not hold it.
    let (named, trust) = own_certificate("localhost", IsCa::NoCa, 2020);
    let thief = Identity { certificate: named.certificate, key: KeyPair::generate().unwrap() };
    let url = serve(&thief).await;
    assert_refused(connect(&url, trust).await, &["does not hold the key"]);
}

/// Certificates that rustls' own rules refuse: version 1, an unknown critical extension.
fn odd_certificates() -> Vec<(&'static str, Identity, String)> {
    let pem = include_str!("../data/version-1.pem");
    let version_1 = Identity {
        certificate: CertificateDer::from_pem_slice(pem.as_bytes()).unwrap(),
        key: KeyPair::from_pem(&pem[pem.find("-----BEGIN PRIVATE").unwrap()..]).unwrap(),
    };
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let mut unknown = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    unknown.set_criticality(true);
    params.custom_extensions.push(unknown);
    let made = params.self_signed(&key).unwrap();
    let critical = Identity { certificate: made.der().clone(), key };
    vec![
        ("version 1", version_1, pem.to_owned()),
        ("unknown critical extension", critical, made.pem()),
    ]
}

#[tokio::test]
async fn rule_9_a_certificate_that_is_named_or_pinned_is_judged_by_nothing_else() {
    for (what, identity, pem) in odd_certificates() {
        let certificate = hex(&Sha256::digest(&identity.certificate));
        let key = hex(&Sha256::digest(identity.key.subject_public_key_info()));
        let path = std::env::temp_dir().join(format!("midstate-odd-{certificate}.pem"));
        std::fs::write(&path, pem).unwrap();
        let named = Trust::from_pem_file(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        for versions in [&[&TLS13], &[&TLS12]] {
            let url = serve_by(&identity, versions).await;
            let by_certificate = Trust::from_pin(&certificate).unwrap();
            let by_key = Trust::from_pin(&key).unwrap();
            for trust in [named.clone(), by_certificate, by_key, Trust::Anybody] {
                let came = connect(&url, trust.clone()).await;
                assert_eq!(came.as_deref(), Ok("hello\n"), "{what}, {versions:?}: {trust:?}");
            }
            // The same bytes prove nothing without the key.
            let thief = Identity {
                certificate: identity.certificate.clone(),
                key: KeyPair::generate().unwrap(),
            };
            let url = serve_by(&thief, versions).await;
            assert_refused(connect(&url, named.clone()).await, &["does not hold the key"]);
        }
        // The advice works.
        let url = serve(&identity).await;
        let refused = connect(&url, Authority::new().trust()).await;
        assert_refused(refused, &[&certificate, "--tls-pin", "--cert"]);
        let wrong = Trust::from_pin(&"00".repeat(32)).unwrap();
        assert_refused(connect(&url, wrong).await, &["another certificate", &certificate, &key]);
    }
}

#[test]
fn rule_9_a_file_that_holds_no_certificate_says_what_is_expected() {
    let path = std::env::temp_dir().join(format!("midstate-no-pem-{}", std::process::id()));
    let begin = "-----BEGIN CERTIFICATE-----\n";
    for (text, word) in [
        ("", "BEGIN CERTIFICATE"),
        ("nonsense", "BEGIN CERTIFICATE"),
        (&format!("{begin}AAAA\n"), "END"),
        (&format!("{begin}!!!!\n-----END CERTIFICATE-----\n"), "damaged"),
        (&format!("{begin}AAAA\n-----END CERTIFICATE-----\n"), "BEGIN CERTIFICATE"),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = Trust::from_pem_file(&path).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains('['), "{text:?}: {error}");
    }
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn s8_the_right_pin_connects_and_the_wrong_one_does_not() {
    let identity = self_signed();
    let url = serve(&identity).await;
    let certificate = hex(&Sha256::digest(&identity.certificate));
    let key = hex(&Sha256::digest(identity.key.subject_public_key_info()));
    for pin in [&certificate, &key] {
        let trust = Trust::from_pin(pin).unwrap();
        assert_eq!(connect(&url, trust).await.as_deref(), Ok("hello\n"));
    }
    let wrong = Trust::from_pin(&"00".repeat(32)).unwrap();
    let words = ["another certificate", "pinned", certificate.as_str(), key.as_str()];
    assert_refused(connect(&url, wrong).await, &words);
}

#[tokio::test]
async fn s8_insecure_believes_anybody_who_speaks_tls() {
    let url = serve(&self_signed()).await;
    assert_eq!(connect(&url, Trust::Anybody).await.as_deref(), Ok("hello\n"));
}

#[tokio::test]
async fn rule_8_a_cause_that_tls_gives_is_not_guessed_at_as_well() {
    let (identity, authority) = (self_signed(), Authority::new());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let clients = clients.build().unwrap();
    // In TLS 1.3 the client has ended its handshake when it hears that it is not let in.
    let url = serve_clients(&identity, &[&TLS13], clients.clone()).await;
    let mut account = account(&url.to_string());
    account.route.trust = Trust::Anybody;
    let mut found = None;
    let told = |step: midstate_net::Step| found = Some(step.outcome);
    assert!(midstate_net::examine_pool(&account, &Dialler::default(), told).await.is_none());
    let Some(Outcome::Explained(examined)) = found else { panic!("explained: {found:?}") };
    let mut link = Running::start_by(Arc::new(Dialler::default()), vec![account], None);
    link.until(|link| !link.lost.is_empty()).await;
    for words in [&examined, &link.lost[0]] {
        assert!(words.contains("wants a certificate from its clients"), "{words}");
        assert!(!words.contains("stratum+tcp") && !words.contains("without a word"), "{words}");
    }
    link.stop().await;
    let url = serve_clients(&identity, &[&TLS12], clients).await;
    assert_refused(connect(&url, Trust::Anybody).await, &["a certificate from its clients"]);
}

#[tokio::test]
async fn s8_a_handshake_that_is_cut_is_refused() {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            // The greeting is read, the beginning of an answer sent, and then the door is shut.
            let mut greeting = vec![0; 1024];
            let _ = stream.read(&mut greeting).await;
            let _ = stream.write_all(&[22, 3, 3, 0, 90, 2]).await;
        }
    });
    assert_refused(connect(&url, Trust::Anybody).await, &["in the middle of the TLS handshake"]);
}

#[tokio::test]
async fn s8_a_pool_that_speaks_only_old_tls_is_refused() {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = vec![0; 1024];
        let _ = stream.read(&mut greeting).await;
        // The answer of a server of TLS 1.1: fatal alert 70, protocol version.
        stream.write_all(&[21, 3, 2, 0, 2, 2, 70]).await.unwrap();
    });
    assert_refused(connect(&url, Trust::Anybody).await, &["1.2 or newer"]);
}

#[tokio::test]
async fn s8_a_plaintext_pool_is_refused_and_not_spoken_to_in_plaintext() {
    let (listener, url) = listen().await;
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"{\"id\":1,\"result\":true}\n").await.unwrap();
        let mut heard = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut heard).await;
        heard
    });
    assert_refused(connect(&url, Trust::Anybody).await, &["does not speak TLS", "stratum+tcp"]);
    let heard = heard.await.unwrap();
    assert!(!heard.windows(6).any(|window| window == b"mining"), "nothing in the clear");
}

#[tokio::test]
async fn s8_a_server_that_hangs_up_at_our_greeting_may_know_only_old_tls() {
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
    });
    let words = ["at the beginning of the TLS handshake", "the TLS port", "1.2 or newer"];
    assert_refused(connect(&url, Trust::Anybody).await, &words);
}

/// Settings of a server that asks its clients for a certificate, or not.
fn asking(asks: bool, version: &'static SupportedProtocolVersion) -> TlsAcceptor {
    let (identity, authority) = (self_signed(), Authority::new());
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let clients: Arc<dyn ClientCertVerifier> = match asks {
        true => clients.allow_unauthenticated().build().unwrap(),
        false => Arc::new(NoClientAuth),
    };
    let key = PrivateKeyDer::try_from(identity.key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![identity.certificate], key);
    TlsAcceptor::from(Arc::new(config.unwrap()))
}

/// The words for a call at a node behind TLS.
async fn call(port: u16) -> String {
    let access = NodeAccess {
        url: format!("https://localhost:{port}").parse().unwrap(),
        route: Route { trust: Trust::Anybody, proxy: None },
        credentials: Credentials::Password { user: "u".into(), password: "p".into() },
    };
    let answer = RpcClient::new(&access).post(b"{}".to_vec(), Duration::from_secs(20)).await;
    answer.unwrap_err().to_string()
}

#[tokio::test]
async fn rule_9_a_server_that_hangs_up_after_it_asked_for_a_certificate_wants_one() {
    for version in [&TLS13, &TLS12] {
        for asks in [true, false] {
            let acceptor = asking(asks, version);
            let (listener, url) = listen().await;
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    // The handshake, and not a word after it, TLS's own at the end included.
                    let mut stream = acceptor.accept(stream).await.unwrap();
                    let _ = stream.read(&mut [0; 64]).await;
                }
            });
            let told = call(url.port).await;
            assert!(!told.contains("://") && !told.contains("close_notify"), "{told}");
            match asks {
                true => assert!(told.contains("wants a certificate from its clients"), "{told}"),
                false => {
                    assert!(told.contains("closed the connection without an answer"), "{told}");
                    assert!(told.contains("it speaks TLS"), "{told}");
                }
            }
            let mut account = account(&url.to_string());
            account.route.trust = Trust::Anybody;
            let mut link = Running::start_by(Arc::new(Dialler::default()), vec![account], None);
            link.until(|link| !link.lost.is_empty()).await;
            assert_eq!(link.lost[0].contains("certificate from its clients"), asks, "{told}");
            link.stop().await;
        }
    }
}

#[tokio::test]
async fn rule_9_a_server_that_hangs_up_in_the_handshake_is_told_by_its_question() {
    for (asks, words) in [
        (true, "wants a certificate from its clients"),
        (false, "in the middle of the TLS handshake and gave no reason"),
    ] {
        let acceptor = asking(asks, &TLS12);
        let (listener, url) = listen().await;
        tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            tokio::spawn(async move { drop(acceptor.accept(theirs).await) });
            let (mut answer, mut question) = tokio::io::split(ours);
            let (mut back, mut forth) = client.split();
            // Our greeting goes there, its answer comes, and then the door is shut.
            let mut greeting = vec![0; 4096];
            let length = back.read(&mut greeting).await.unwrap();
            question.write_all(&greeting[..length]).await.unwrap();
            tokio::select! {
                _ = tokio::io::copy(&mut answer, &mut forth) => {}
                _ = back.read(&mut greeting) => {}
            }
        });
        assert_refused(connect(&url, Trust::Anybody).await, &[words]);
    }
}

/// It makes the settings of TLS once, and a good connection must not make the next one unsafe.
#[tokio::test]
async fn s8_the_dialler_of_a_swarm_checks_every_certificate() {
    let authority = Authority::new();
    let good = serve(&authority.sign("localhost", |_| {})).await;
    let stranger = serve(&self_signed()).await;
    let dialler = SwarmDialler::default();
    let route = Route { trust: authority.trust(), proxy: None };
    for _ in 0..3 {
        let connection = dialler.dial(&good, &route).await.expect("its authority is trusted");
        assert!(connection.peer.expect("there is no proxy").is_loopback());
        let refused = dialler.dial(&stranger, &route).await;
        assert!(matches!(refused, Err(DialError::Tls { .. })));
    }
}

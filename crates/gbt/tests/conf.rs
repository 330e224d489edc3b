//! `bitcoin.conf` as Core reads it.

use std::path::{Path, PathBuf};

use midstate_chain::Network;
use midstate_gbt::conf::{
    Conf, Credentials, Login, LoginSources, Platform, cookie_path, credentials, default_datadir,
    default_port, local_url,
};

const CONF: &str = "\
# a comment
server=1
rpcuser=alice   # the one above sections
rpcpassword=secret
rpcport=1111
signet.rpcport=2222
[regtest]
rpcport = 3333
rpcuser=bob
[main]
rpccookiefile=/run/cookie
";

#[test]
fn sections_win_and_ports_do_not_leak_into_test_chains() {
    let conf = Conf::parse(CONF).unwrap();
    assert_eq!(local_url(&conf, Network::Regtest), "http://127.0.0.1:3333");
    assert_eq!(local_url(&conf, Network::Signet), "http://127.0.0.1:2222");
    assert_eq!(local_url(&conf, Network::Mainnet), "http://127.0.0.1:1111");
    assert_eq!(local_url(&conf, Network::Testnet4), "http://127.0.0.1:48332");
}

#[test]
fn a_password_is_in_no_debug_output() {
    let shown = format!("{:?}", Conf::parse(CONF).unwrap());
    assert!(shown.contains("rpcpassword"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");
}

#[test]
fn the_first_value_in_a_file_counts() {
    let conf = Conf::parse("[regtest]\nrpcport=1\nrpcport=2\n").unwrap();
    assert_eq!(local_url(&conf, Network::Regtest), "http://127.0.0.1:1");
}

#[test]
fn the_chain_is_read_in_every_spelling() {
    let chain = |text| Conf::parse(text).unwrap().chain();
    assert_eq!(chain(""), Ok(None));
    assert_eq!(chain("chain=signet"), Ok(Some(Network::Signet)));
    assert_eq!(chain("regtest=1"), Ok(Some(Network::Regtest)));
    assert_eq!(chain("regtest=0\ntestnet4=1"), Ok(Some(Network::Testnet4)));
    assert!(chain("testnet=1").unwrap_err().to_string().contains("\"test\""));
    // In a section it selects nothing.
    assert_eq!(chain("[regtest]\nregtest=1"), Ok(None));
}

#[test]
fn u4_flag_then_environment_then_cookie_then_conf() {
    let conf = Conf::parse(CONF).unwrap();
    let datadir = Path::new("/srv/x/.bitcoin");
    let login = |user: &str| Login { user: user.to_owned(), password: "p".to_owned() };
    let pick = |sources: &LoginSources, cookie: bool| {
        credentials(sources, &conf, datadir, Network::Regtest, |_| cookie)
    };
    let mut sources = LoginSources { flags: Some(login("flag")), ..LoginSources::default() };
    sources.cookie_file = Some(PathBuf::from("/c"));
    sources.environment = Some(login("env"));
    // As paths, which are the same with either slash where there are two.
    let user = |credentials: Credentials| match credentials {
        Credentials::Password { user, .. } => PathBuf::from(user),
        Credentials::Cookie(path) => path,
    };

    assert_eq!(user(pick(&sources, true)), Path::new("flag"));
    sources.flags = None;
    assert_eq!(user(pick(&sources, true)), Path::new("/c"));
    sources.cookie_file = None;
    assert_eq!(user(pick(&sources, true)), Path::new("env"));
    sources.environment = None;
    assert_eq!(user(pick(&sources, true)), Path::new("/srv/x/.bitcoin/regtest/.cookie"));
    assert_eq!(user(pick(&sources, false)), Path::new("bob"));
}

#[test]
fn cookies_lie_where_core_writes_them() {
    let none = Conf::default();
    let home = default_datadir(Platform::Unix, Path::new("/srv/x"));
    let at = |conf: &Conf, chain| cookie_path(conf, &home, chain);
    assert_eq!(at(&none, Network::Mainnet), Path::new("/srv/x/.bitcoin/.cookie"));
    assert_eq!(at(&none, Network::Testnet4), Path::new("/srv/x/.bitcoin/testnet4/.cookie"));
    let conf = Conf::parse(CONF).unwrap();
    assert_eq!(at(&conf, Network::Mainnet), Path::new("/run/cookie"));
    let moved = Conf::parse("datadir=/data\nrpccookiefile=auth").unwrap();
    assert_eq!(at(&moved, Network::Signet), Path::new("/data/signet/auth"));
}

#[test]
fn includes_are_named_and_do_not_override() {
    let mut conf = Conf::parse("includeconf=a\n[regtest]\nincludeconf=b\nrpcport=1\n").unwrap();
    assert_eq!(conf.includes(Network::Regtest), ["b", "a"]);
    conf.extend(Conf::parse("[regtest]\nrpcport=2\n[signet]\nrpcport=3").unwrap());
    assert_eq!(local_url(&conf, Network::Regtest), "http://127.0.0.1:1");
    assert_eq!(local_url(&conf, Network::Signet), "http://127.0.0.1:3");
}

#[test]
fn broken_lines_are_named_without_showing_a_password() {
    let error = Conf::parse("server=1\nrpcpassword hunter2hunter2\n").unwrap_err();
    assert_eq!(error.line, 2);
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert!(Conf::parse("-server=1").is_err());
    assert!(Conf::parse("\u{e9}").is_err());
}

#[test]
fn s15_passwords_are_not_printed() {
    let login = Login { user: "u".to_owned(), password: "hunter2".to_owned() };
    let sources = LoginSources { flags: Some(login), ..LoginSources::default() };
    let found = credentials(&sources, &Conf::default(), Path::new("/"), Network::Regtest, |_| true);
    assert!(!format!("{sources:?} {found:?}").contains("hunter2"));
}

#[test]
fn ports_are_cores() {
    assert_eq!(Network::ALL.map(default_port), [8332, 48332, 38332, 18443]);
}

#[test]
fn s15_credentials_in_a_log_have_no_password() {
    let (user, password) = ("me".to_owned(), "hunter2".to_owned());
    let shown = format!("{:?}", Credentials::Password { user, password });
    assert!(shown.contains("me") && !shown.contains("hunter2"), "{shown}");
}

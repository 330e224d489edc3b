//! Where a local node is and how it lets us in, so that no flag is needed (U4): Core's default
//! paths and ports, its `bitcoin.conf`, and the order in which they count. Pure functions of texts
//! and paths; the caller reads files and environment.
//!
//! Sources: Core's `chainparamsbase.cpp` (ports, directories), `common/config.cpp` and
//! `common/settings.cpp` (sections, precedence, negation), `common/args.cpp` (data directories).

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use midstate_chain::{Network, NetworkError};

/// Name of the configuration file inside the data directory.
pub const CONF_NAME: &str = "bitcoin.conf";
const COOKIE_NAME: &str = ".cookie";

/// Core's RPC port for a chain.
pub const fn default_port(chain: Network) -> u16 {
    match chain {
        Network::Mainnet => 8332,
        Network::Testnet4 => 48332,
        Network::Signet => 38332,
        Network::Regtest => 18443,
    }
}

/// The directory below the data directory that holds a chain's files, the cookie among them.
const fn chain_directory(chain: Network) -> &'static str {
    match chain {
        Network::Mainnet => "",
        Network::Testnet4 => "testnet4",
        Network::Signet => "signet",
        Network::Regtest => "regtest",
    }
}

/// The name of a chain's section in `bitcoin.conf`.
const fn section(chain: Network) -> &'static str {
    // Core calls the section as the chain, and both are what we call the network.
    chain.name()
}

/// Systems with different homes for application data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Linux and the BSDs: below `$HOME`.
    Unix,
    /// Below `$HOME`.
    MacOs,
    /// Below `%LOCALAPPDATA%` (Core 28 and later).
    Windows,
}

/// Core's default data directory below `home` (see [`Platform`] for which directory that is).
pub fn default_datadir(platform: Platform, home: &Path) -> PathBuf {
    match platform {
        Platform::Unix => home.join(".bitcoin"),
        Platform::MacOs => home.join("Library/Application Support/Bitcoin"),
        Platform::Windows => home.join("Bitcoin"),
    }
}

/// A parsed `bitcoin.conf`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Conf {
    /// By section ("" for lines above the first) and name; values in file order.
    values: HashMap<(String, String), Vec<String>>,
}

/// Why a text is no `bitcoin.conf`. Core refuses the same lines.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{CONF_NAME} line {line}: expected name=value or [section], got {text:?}")]
pub struct ConfError {
    /// From 1.
    pub line: usize,
    /// The line; a password in it is not shown.
    pub text: String,
}

impl fmt::Debug for Conf {
    /// Names without values: a password is among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Conf(")?;
        f.debug_set().entries(self.values.keys()).finish()?;
        write!(f, ")")
    }
}

impl Conf {
    /// Reads the file's text.
    pub fn parse(text: &str) -> Result<Self, ConfError> {
        let mut conf = Self::default();
        let mut current = String::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
                name.clone_into(&mut current);
            } else if let Some((name, value)) =
                line.split_once('=').filter(|_| !line.starts_with('-'))
            {
                conf.set(&current, name.trim(), value.trim());
            } else {
                // Without '=' a line may still be a password on its own: show its start only.
                let text = line.chars().take(12).collect();
                return Err(ConfError { line: index + 1, text });
            }
        }
        Ok(conf)
    }

    /// `regtest.rpcport=1` above any section is `rpcport=1` in section `regtest`.
    fn set(&mut self, current: &str, name: &str, value: &str) {
        let (section, name) = match name.split_once('.') {
            Some((section, name)) if current.is_empty() => (section, name),
            _ => (current, name),
        };
        self.values
            .entry((section.to_owned(), name.to_owned()))
            .or_default()
            .push(value.to_owned());
    }

    /// Adds an included file; what is already here wins.
    pub fn extend(&mut self, included: Self) {
        for (key, values) in included.values {
            self.values.entry(key).or_default().extend(values);
        }
    }

    /// Files that this one includes for a chain (`includeconf`), relative to the data directory.
    pub fn includes(&self, chain: Network) -> Vec<&str> {
        [section(chain), ""].iter().flat_map(|section| self.all(section, "includeconf")).collect()
    }

    /// The chain it selects; `None` when it does not say, which for Core means main. A chain we do
    /// not know is an error that names it.
    pub fn chain(&self) -> Result<Option<Network>, NetworkError> {
        if let Some(name) = self.first("", "chain") {
            return name.parse().map(Some);
        }
        if self.is_on("", "testnet") {
            return "test".parse::<Network>().map(Some);
        }
        let flagged = [Network::Testnet4, Network::Signet, Network::Regtest];
        Ok(flagged.into_iter().find(|chain| self.is_on("", chain.name())))
    }

    /// The data directory, if it is not the default one.
    pub fn datadir(&self) -> Option<&Path> {
        self.first("", "datadir").filter(|path| !path.is_empty()).map(Path::new)
    }

    /// A setting for a chain: its section wins over the lines above all sections.
    fn get(&self, chain: Network, name: &str) -> Option<&str> {
        self.first(section(chain), name).or_else(|| self.first("", name))
    }

    /// The port. Above all sections it is for main only: Core keeps it from leaking into test
    /// chains.
    fn port(&self, chain: Network) -> Option<u16> {
        let general = || self.first("", "rpcport").filter(|_| chain == Network::Mainnet);
        self.first(section(chain), "rpcport").or_else(general)?.parse().ok()
    }

    fn is_on(&self, section: &str, name: &str) -> bool {
        self.first(section, name).is_some_and(|value| value.parse() != Ok(0))
    }

    /// In a file the first value of a setting counts, not the last.
    fn first(&self, section: &str, name: &str) -> Option<&str> {
        self.all(section, name).next()
    }

    fn all(&self, section: &str, name: &str) -> impl Iterator<Item = &str> {
        let key = (section.to_owned(), name.to_owned());
        self.values.get(&key).into_iter().flatten().map(String::as_str)
    }
}

/// How a node is to be asked for entry.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Name and password.
    Password {
        /// `rpcuser`.
        user: String,
        /// `rpcpassword`.
        password: String,
    },
    /// The file with both, which the node writes anew at each start: read it at each 401 (S15).
    Cookie(PathBuf),
}

/// For people, without the password (S15).
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "the user name {user:?} and its password"),
            Self::Cookie(path) => write!(f, "the cookie {}", path.display()),
        }
    }
}

/// Passwords stay out of logs (S15).
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user:?}, ..)"),
            Self::Cookie(path) => write!(f, "Cookie({path:?})"),
        }
    }
}

/// Where the user can have named a cookie, or a user name and a password. Any may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoginSources {
    /// `--rpccookiefile`.
    pub cookie_file: Option<PathBuf>,
    /// `-u` and `-p`, or those in the URL.
    pub flags: Option<Login>,
    /// From the environment.
    pub environment: Option<Login>,
}

/// A user name and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({:?}, ..)", self.user)
    }
}

impl Login {
    fn into_credentials(self) -> Credentials {
        Credentials::Password { user: self.user, password: self.password }
    }
}

/// The default URL of a local node on `chain`.
pub fn local_url(conf: &Conf, chain: Network) -> String {
    format!("http://127.0.0.1:{}", conf.port(chain).unwrap_or(default_port(chain)))
}

/// The credentials to try, in order: flags, environment, cookie, `bitcoin.conf`. A cookie counts
/// only if its file is there (`exists`), since a node with `rpcpassword` in its file writes none. A
/// cookie that a flag names counts always, since its node may not be up yet.
pub fn credentials(
    sources: &LoginSources,
    conf: &Conf,
    datadir: &Path,
    chain: Network,
    exists: impl Fn(&Path) -> bool,
) -> Credentials {
    if let Some(login) = &sources.flags {
        return login.clone().into_credentials();
    }
    if let Some(path) = &sources.cookie_file {
        return Credentials::Cookie(path.clone());
    }
    if let Some(login) = &sources.environment {
        return login.clone().into_credentials();
    }
    let cookie = cookie_path(conf, datadir, chain);
    if !exists(&cookie) {
        let login = conf.get(chain, "rpcuser").zip(conf.get(chain, "rpcpassword"));
        if let Some((user, password)) = login {
            let (user, password) = (user.to_owned(), password.to_owned());
            return Credentials::Password { user, password };
        }
    }
    Credentials::Cookie(cookie)
}

/// Where a node with this configuration writes its cookie.
pub fn cookie_path(conf: &Conf, datadir: &Path, chain: Network) -> PathBuf {
    let base = conf.datadir().unwrap_or(datadir).join(chain_directory(chain));
    base.join(conf.get(chain, "rpccookiefile").unwrap_or(COOKIE_NAME))
}

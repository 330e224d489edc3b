//! One connection to a pool or a node, step by step, each with its time: what `midstate doctor URL`
//! shows.

mod node;
mod pool;
mod pool_v2;

use std::time::Duration;

use midstate_chain::{Network, NetworkError};
use midstate_gbt::rpc::{NoAnswer, RpcError};
use midstate_gbt::{TemplateError, WorkError};
use midstate_stratum::CloseReason;
use tokio::net::TcpStream;
use tokio::time::Instant;

pub use self::node::examine_node;
pub use self::pool::examine_pool;
use crate::dial::{Dialler, Endpoint, Transport};
use crate::seat::in_words;
use crate::tls_words::broken_by_tls;
use crate::{DialError, PoolUrl, Route, TrustError};

/// One step of an examination.
#[derive(Debug, Clone)]
pub struct Step {
    /// Which.
    pub stage: Stage,
    /// How long it took.
    pub took: Duration,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of a step, in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Good(String),
    /// It works, and something is not as it should be.
    Doubtful(String),
    /// It does not work: the examination ends here. The stage says what that may mean.
    Bad(String),
    /// The same, and the sentence says all that is known of the cause.
    Explained(String),
    /// The server does not take user or password: the examination ends here.
    Refused(String),
}

impl Outcome {
    /// Changes its text.
    fn each_text(&mut self, change: impl Fn(&mut String)) {
        let (Self::Good(text)
        | Self::Doubtful(text)
        | Self::Bad(text)
        | Self::Explained(text)
        | Self::Refused(text)) = self;
        change(text);
    }
}

/// The steps: the way to a server first, then what a pool shows, or what a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The name's addresses.
    Name,
    /// A TCP connection, by the proxy if there is one.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The Noise handshake of Stratum V2.
    Noise,
    /// A V2 pool's answer to SetupConnection.
    Setup,
    /// A V2 pool's answer to the opening of a channel.
    Channel,
    /// A pool's answer to `mining.subscribe`.
    Subscribe,
    /// A pool's answer to `mining.authorize`.
    Authorize,
    /// A pool's first `mining.notify`.
    Job,
    /// Whether a node takes our cookie or password.
    Credentials,
    /// The chain a node is on.
    Chain,
    /// How much of it a node has.
    Sync,
    /// A node's peers.
    Peers,
    /// A node's answer to `getblocktemplate`.
    Template,
    /// Whether anybody may mine on this signet.
    Challenge,
    /// Whether a node would take our block but for its proof of work.
    Proposal,
    /// A node's clock against ours.
    Clock,
}

/// Why an examination ends early. Each is a sentence with the cure.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error(transparent)]
    Trust(#[from] TrustError),
    #[error(transparent)]
    NoAnswer(#[from] NoAnswer),
    #[error(transparent)]
    Rpc(#[from] RpcError),
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error(transparent)]
    Work(#[from] WorkError),
    #[error(transparent)]
    UnknownChain(#[from] NetworkError),
    #[error("the node is on {found}, but --chain says {wanted}")]
    OtherChain { found: Network, wanted: Network },
    #[error("the node would refuse our block at height {height}: {reason}")]
    Refused { height: u32, reason: String },
    #[error("{0}")]
    Closed(CloseReason),
    #[error("{0}")]
    ClosedV2(midstate_sv2::CloseReason),
    #[error("{}", in_words(.0))]
    Broken(std::io::Error),
    #[error("no job within {} s", .0.as_secs())]
    NoJob(Duration),
    #[error("no work within {} s; the last warning: {last}", .within.as_secs())]
    NothingToWorkOn { within: Duration, last: String },
    #[error(
        "the pool gives no work here and redirects to {0}; `midstate doctor {0}` examines that"
    )]
    Redirected(PoolUrl),
    #[error("{0}")]
    OtherProtocol(String),
    #[error("{0}")]
    HungUp(String),
}

impl Problem {
    /// The outcome of the step that this problem ended.
    fn outcome(&self, stage: Stage) -> Outcome {
        let words = self.to_string();
        match self {
            Self::Closed(CloseReason::AuthorizationRefused(_))
            | Self::ClosedV2(midstate_sv2::CloseReason::UserRefused(_)) => Outcome::Refused(words),
            Self::ClosedV2(reason) if pool_v2::is_explained(reason) => Outcome::Explained(words),
            // Troubles of another kind move on to the stage that they belong to.
            _ if stage == Stage::Credentials => Outcome::Refused(words),
            Self::Closed(
                CloseReason::SubscriptionRefused(_)
                | CloseReason::Handshake { .. }
                | CloseReason::Silent(_)
                | CloseReason::NoJob(_),
            ) => Outcome::Bad(words),
            Self::Closed(_)
            | Self::Dial(DialError::NoProxy { .. } | DialError::Proxy { .. })
            | Self::NothingToWorkOn { .. }
            | Self::Redirected(_)
            | Self::OtherProtocol(_)
            | Self::HungUp(_) => Outcome::Explained(words),
            // The pool had let us in, or TLS told the cause: more is not known.
            Self::Broken(error) if stage == Stage::Job || broken_by_tls(error).is_some() => {
                Outcome::Explained(words)
            }
            _ => Outcome::Bad(words),
        }
    }

    /// Whether the server may be of another kind, if it has not said a word.
    fn may_be_guessed_at(&self) -> bool {
        match self {
            Self::Broken(error) => broken_by_tls(error).is_none(),
            Self::Closed(reason) => matches!(
                reason,
                CloseReason::Handshake { .. }
                    | CloseReason::Silent(_)
                    | CloseReason::LineUnfinished(_)
            ),
            Self::ClosedV2(reason) => !pool_v2::is_explained(reason),
            _ => false,
        }
    }
}

/// An examination under way.
struct Examination<'a> {
    told: &'a mut dyn FnMut(Step),
    /// The present step began.
    since: Instant,
    stage: Stage,
    /// The pool's words before it let us in.
    said: Option<String>,
    /// The last remark on a pool.
    told_last: Option<String>,
}

impl<'a> Examination<'a> {
    fn new(told: &'a mut dyn FnMut(Step)) -> Self {
        Self { told, since: Instant::now(), stage: Stage::Name, said: None, told_last: None }
    }

    /// The name and the TCP connection.
    async fn reach(
        &mut self,
        to: Endpoint<'_>,
        route: &Route,
        dialler: &Dialler,
        next: Stage,
    ) -> Result<TcpStream, Problem> {
        match &route.proxy {
            Some(proxy) => self.good(format!("left to {proxy}"), Stage::Connect),
            None => {
                let addresses = dialler.resolve(to.host, to.port).await?;
                let addresses: Vec<_> = addresses.iter().map(|a| a.ip().to_string()).collect();
                self.good(addresses.join(", "), Stage::Connect);
            }
        }
        let stream = dialler.connect(to, route).await?;
        let peer = stream.peer_addr().map_or_else(|_| to.url.to_string(), |peer| peer.to_string());
        self.good(format!("connected to {peer}"), next);
        Ok(stream)
    }

    /// The TLS handshake.
    async fn secure(
        &mut self,
        stream: TcpStream,
        to: Endpoint<'_>,
        route: &Route,
        dialler: &Dialler,
        next: Stage,
    ) -> Result<Box<dyn Transport>, Problem> {
        let settings = route.trust.client_config(to.host).await?;
        let secured = dialler.secure(stream, to, &settings).await?;
        let outcome = match route.trust.is_verified() {
            true => Outcome::Good("the certificate is good".to_owned()),
            false => Outcome::Doubtful("encrypted, but the certificate is not checked".to_owned()),
        };
        self.done(outcome, next);
        Ok(secured)
    }

    /// The present step went well, the next one begins.
    fn good(&mut self, found: String, next: Stage) {
        self.done(Outcome::Good(found), next);
    }

    /// The present step is over, the next one begins.
    fn done(&mut self, outcome: Outcome, next: Stage) {
        self.tell(outcome);
        (self.stage, self.since) = (next, Instant::now());
    }

    /// The examination ends here.
    fn end(&mut self, problem: &Problem) {
        self.tell(problem.outcome(self.stage));
    }

    fn tell(&mut self, outcome: Outcome) {
        (self.told)(Step { stage: self.stage, took: self.since.elapsed(), outcome });
    }
}

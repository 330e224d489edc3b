//! Sockets. The only library that knows tokio; protocol rules live in `stratum` and `pool`, which
//! know neither sockets nor clocks. Everything here reads bytes, hands them over, writes what comes
//! back, and keeps the time.
#![forbid(unsafe_code)]

mod backoff;
mod blocking;
mod connector;
mod cookie;
mod dial;
mod event;
mod examine;
mod file;
mod foreign;
mod frames;
mod hash_rate;
mod limits;
mod link;
mod node_link;
mod node_session;
mod node_url;
mod paced_node_pool;
mod pool_server;
mod protocol;
mod proxy;
mod rpc;
mod seat;
mod socks;
mod spool;
mod swarm;
mod tls;
mod tls_key;
mod tls_stream;
mod tls_words;
mod trouble;
mod upstream;
mod url;
mod url_parts;
mod wire;

pub use blocking::on_a_thread_or_here;
pub use dial::{Connection, Dial, DialError, Dialler, Dialling, Lookup, Route, Transport};
pub use event::{
    EventReceiver, EventSender, Happened, LinkEnd, LinkEvent, LinkState, Protocol, events,
};
pub use examine::{Outcome, Stage, Step, examine_node, examine_pool};
pub use file::{file_rows, read_file, read_text_file, read_up_to, without_os_number};
pub use frames::{Direction, Frame, Frames, Said};
pub use hash_rate::HashRate;
pub use limits::{LinkLimits, ServerLimits, node_rows};
pub use link::{Link, LinkConfig};
pub use node_link::{NodeLink, NodeLinkConfig};
pub use node_session::{NodeName, NodeSession, NodeTask};
pub use node_url::NodeUrl;
pub use paced_node_pool::{NodeWord, PacedNodePool};
pub use pool_server::{Backend, Listen, NodePool, PoolServer, ServerHandle};
pub use proxy::ProxyUrl;
pub use rpc::{NodeAccess, RpcClient};
pub use seat::{Account, Redirects, V2Wishes};
pub use spool::{Spool, SpoolProblem};
pub use swarm::{Intake, Order, SharedPlan, Swarm, SwarmConfig, SwarmDialler, Tell};
pub use tls::{Pin, Trust, TrustError};
pub use upstream::Upstream;
pub use url::{PoolAddress, PoolUrl, V2};
pub use url_parts::{UrlError, UrlLogin, WrongPart, without_login};

//! The door of a class: devices join by a code, get their work as server-sent events and bring hits
//! by POST; this machine alone sees the class's page. Used by `midstate class`; `docs/class.md` has
//! the protocol, and who may do what.
//!
//! [`room`] is the pool of the class, with the devices in it; [`door`] asks it, in the name of
//! browsers that [`guard`] lets in.

mod console;
mod door;
pub(crate) mod facts;
mod files;
mod guard;
mod room;

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use self::console::{Said, listen_to_teacher};
pub(crate) use self::door::limits;
pub(crate) use self::room::{Desk, Room};

/// A door that is open.
pub(crate) struct Door {
    page: SocketAddr,
    servers: Vec<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// Connections where nobody but this machine can come.
const OWN_CONNECTIONS: usize = 32;

impl Door {
    /// Connections at a time: each device has one for its stream, and another one for a moment now
    /// and then.
    pub(crate) const CONNECTIONS: usize = door::CONNECTIONS;

    /// Opens it on a port that is taken already, to so many connections; `desk` is where the room
    /// is asked. The class's page is for this machine alone: where the door is at one address of
    /// the network, there is another one at 127.0.0.1, at the same port if that is free.
    pub(crate) async fn open(
        listener: TcpListener,
        desk: Desk,
        most: usize,
    ) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let (page, own) = match address.ip() {
            ip if ip.is_unspecified() || ip == Ipv4Addr::LOCALHOST => (here(address.port()), None),
            _ => {
                let own = match TcpListener::bind(here(address.port())).await {
                    Ok(own) => own,
                    Err(_) => TcpListener::bind(here(0)).await?,
                };
                (own.local_addr()?, Some(own))
            }
        };
        let listeners = [(listener, most)].into_iter().chain(own.map(|own| (own, OWN_CONNECTIONS)));
        let serve = |(listener, most)| {
            let (stop, stopped) = oneshot::channel();
            let server = door::serve(listener, desk.clone(), most, page, stopped);
            (stop, tokio::spawn(server))
        };
        Ok(Self { page, servers: listeners.map(serve).collect() })
    }

    /// Where this machine finds the class's page.
    pub(crate) fn page(&self) -> SocketAddr {
        self.page
    }

    /// Closes it. Browsers get their last events first.
    pub(crate) async fn close(self) {
        let (stops, servers): (Vec<_>, Vec<_>) = self.servers.into_iter().unzip();
        drop(stops);
        for server in servers {
            // A server that has panicked has said so.
            let _ = server.await;
        }
    }
}

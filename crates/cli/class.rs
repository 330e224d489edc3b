//! The door of a class: devices join by a code, get their work as server-sent events and bring hits
//! by POST; this machine alone sees the class's page. Used by `midstate class`; `docs/class.md` has
//! the protocol, and who may do what.
//!
//! [`room`] is the pool of the class, with the devices in it; [`door`] asks it, in the name of
//! browsers that [`guard`] lets in.

mod door;
pub(crate) mod facts;
mod files;
mod guard;
mod room;

use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) use self::door::limits;
pub(crate) use self::room::{Desk, Room};

/// A door that is open.
pub(crate) struct Door {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Door {
    /// Connections at a time: each device has one for its stream, and another one for a moment now
    /// and then.
    pub(crate) const CONNECTIONS: usize = door::CONNECTIONS;

    /// Opens it on a port that is taken already, to so many connections; `desk` is where the room
    /// is asked.
    pub(crate) fn open(listener: TcpListener, desk: Desk, most: usize) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(door::serve(listener, desk, most, stopped));
        Ok(Self { address, stop, server })
    }

    /// Where.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Closes it. Browsers get their last events first.
    pub(crate) async fn close(self) {
        drop(self.stop);
        // A server that has panicked has said so.
        let _ = self.server.await;
    }
}

//! A port of this machine that is the test's own. One that was free a moment ago may be somebody
//! else's now: every connection that is made takes one.

use std::net::SocketAddr;

use tokio::net::TcpSocket;

/// A port that nobody else gets until this is dropped. Whoever connects to it is refused, until a
/// server of ours listens there; and again afterwards.
pub(crate) struct Port {
    address: SocketAddr,
    /// Bound, and never listening. What listens may be bound to the same port beside it, as long
    /// as it sets `SO_REUSEADDR`, too, as servers do.
    _held: TcpSocket,
}

impl Port {
    pub(crate) fn hold() -> Self {
        let held = TcpSocket::new_v4().unwrap();
        held.set_reuseaddr(true).unwrap();
        held.bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        Self { address: held.local_addr().unwrap(), _held: held }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn number(&self) -> u16 {
        self.address.port()
    }
}

//! How a swarm connects.

use std::net::IpAddr;

use tokio::sync::OnceCell;

use crate::dial::{Dial, Dialler, Dialling, is_private};
use crate::tls_stream::TlsSettings;
use crate::{Connection, DialError, PoolUrl, Route};

/// Opens many connections to one pool. The settings of TLS are made at the first one and kept:
/// reading the system's authorities takes long.
#[derive(Default)]
pub struct SwarmDialler {
    dialler: Dialler,
    tls: OnceCell<TlsSettings>,
}

impl Dial for SwarmDialler {
    fn dial<'a>(&'a self, url: &'a PoolUrl, route: &'a Route) -> Dialling<'a> {
        Box::pin(async move {
            if !url.tls {
                return self.dialler.dial(url, route).await;
            }
            let endpoint = url.endpoint();
            let stream = self.dialler.connect(endpoint, route).await?;
            let peer = match route.proxy {
                Some(_) => None,
                None => stream.peer_addr().ok().map(|address| address.ip()),
            };
            let settings = || route.trust.client_config(&url.host);
            let settings = self.tls.get_or_try_init(settings).await?;
            let transport = self.dialler.secure(stream, endpoint, settings).await?;
            Ok(Connection { transport, peer })
        })
    }
}

impl SwarmDialler {
    /// Whether every address of the pool is on this machine or in a private network. Behind a proxy
    /// names cannot be looked up, and count as public.
    ///
    /// # Errors
    /// When the name has no address.
    pub async fn is_private(&self, url: &PoolUrl, route: &Route) -> Result<bool, DialError> {
        if let Ok(address) = url.host.parse::<IpAddr>() {
            return Ok(is_private(address));
        }
        if route.proxy.is_some() {
            return Ok(false);
        }
        let addresses = self.dialler.resolve(&url.host, url.port).await?;
        Ok(addresses.iter().all(|address| is_private(address.ip())))
    }
}

//! Mining, watched in a browser and read by machines: `--web` serves one page, the events behind
//! it, the status as JSON and the same numbers as metrics. Read-only, and for this machine alone
//! unless there is a token. Used by `mine` and `demo`; `docs/web.md` has what is served.
//!
//! [`feed`] is a view of mining, beside the terminal's; it keeps a [`board`] and passes events on.
//! [`server`] hands them out to whom [`guard`] lets in.

mod board;
mod feed;
mod guard;
mod machines;
mod metrics;
mod server;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::mining::{View, Views};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::values;
use feed::{Feed, FeedView};
use guard::Guard;
pub(crate) use server::{Bounds, Peer, limits, serve_router};
use token::{Origin, Token};

/// Colours and type, numbers in words, and the ladder from pencil to ASIC: files of this page that
/// other pages load, too.
pub(crate) const LOOK: &str = include_str!("web/look.css");
pub(crate) const WORDS: &str = include_str!("web/words.js");
pub(crate) const LADDER: &str = include_str!("web/ladder.js");

/// The machines of the ladder, as JSON.
pub(crate) fn machines_json() -> String {
    machines::to_json_text()
}

/// Flags about the page.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Watching")]
pub(crate) struct WebArgs {
    /// Serve a page that shows the mining in a browser, at 127.0.0.1:8080 for instance, or just
    /// 8080; port 0 takes a free one
    #[arg(long, value_name = "ADDR:PORT", value_parser = values::parse_address)]
    web: Option<SocketAddr>,
    /// Let browsers on other machines see the page if they have the token in this file; a missing
    /// file is created
    #[arg(long, value_name = "FILE", requires = "web")]
    web_token: Option<PathBuf>,
}

/// A page that is served.
pub(crate) struct Page {
    /// Where, in words.
    place: String,
    feed: Arc<Feed>,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

/// Where the embedded pool tells the page what happens.
#[derive(Clone)]
pub(crate) struct PoolSide(Arc<Feed>);

impl WebArgs {
    /// Starts to serve the page, if it is asked for.
    pub(crate) async fn open(&self, out: &mut Output) -> Result<Option<Page>, Failure> {
        let Some(address) = self.web else { return Ok(None) };
        if self.web_token.is_none() && !address.ip().is_loopback() {
            return Err(Failure::usage(format!(
                "--web {address} shows the page to other machines: add --web-token FILE (a token \
                 is made there if there is none), or keep it here with --web 127.0.0.1:{}",
                address.port()
            )));
        }
        let token = self.web_token.as_deref().map(Token::read_or_make).transpose()?;
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!(
                "cannot serve the page on {address}; take a free port with --web {}:0",
                address.ip()
            )
        })?;
        let address = listener.local_addr()?;
        let url = format!("http://{address}/");
        out.event(&serde_json::json!({ "event": "web", "url": url }));
        let link = match address.ip() {
            ip if ip.is_unspecified() => format!("http://127.0.0.1:{}/", address.port()),
            _ => url,
        };
        let place = match (&token, &self.web_token) {
            // Once: afterwards it is in the file, and not in every log.
            (Some((token, Origin::Made)), _) => format!(
                "page on {link}?token={}, elsewhere with this machine's name",
                token.reveal()
            ),
            (Some((_, Origin::Read)), Some(file)) => {
                format!("page on {link}?token=.. with the token in {}", file.display())
            }
            _ => format!("page on {link}"),
        };
        let guard = Guard::new(address.ip(), address.port(), token.map(|(token, _)| token));
        let feed = Arc::new(Feed::new());
        let (stop, stopped) = oneshot::channel();
        let server = tokio::spawn(server::serve(listener, guard, Arc::clone(&feed), stopped));
        Ok(Some(Page { place, feed, stop, server }))
    }
}

impl Page {
    /// Lets the page watch, too, and tells the others where it is.
    pub(crate) fn join<'a>(&self, views: Views<'a>) -> Views<'a> {
        let mut views = views.and(FeedView(Arc::clone(&self.feed)));
        views.note(&self.place);
        views
    }

    /// The door by which the embedded pool tells the page its events; its shares all have this
    /// difficulty, if there is one.
    pub(crate) fn pool_side(&self, difficulty: Option<f64>) -> PoolSide {
        self.feed.open_pool(difficulty);
        PoolSide(Arc::clone(&self.feed))
    }

    /// Where the embedded pool listens, for others to join.
    pub(crate) fn pool_listens(&self, address: SocketAddr) {
        self.feed.pool_listens(address);
    }

    /// Mining is over: whoever watches gets the last words, then nobody gets anything any more.
    pub(crate) async fn close(self) {
        self.feed.close();
        drop(self.stop);
        // A server that has panicked has said so.
        let _ = self.server.await;
    }
}

impl PoolSide {
    /// Something happened at the pool.
    pub(crate) fn event(&self, event: &midstate_pool::EmbeddedPoolEvent) {
        self.0.pool_event(event);
    }
}

//! Which requests come from our own pages. A page of another site that is open in a browser of the
//! class reaches this door, too: it is told by its name (Host, against DNS rebinding) and by its
//! origin. Decides on a request's head alone.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::{HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Host,
    Origin,
    /// The page is for this machine, at this address.
    NotHere {
        page: SocketAddr,
    },
}

impl Refusal {
    pub(super) fn answer(self) -> (StatusCode, &'static str, String) {
        let (name, words) = match self {
            Self::Host => (
                "host",
                "this door does not go by that name: use the address that was told".to_owned(),
            ),
            Self::Origin => ("origin", "this door serves its own pages alone".to_owned()),
            Self::NotHere { page } => (
                "not-here",
                format!(
                    "the class's page is for the machine that runs the class: open \
                     http://{page}/class there"
                ),
            ),
        };
        (StatusCode::FORBIDDEN, name, words)
    }
}

/// Lets a request in that our own page could have made.
pub(super) fn admit(request: &Parts) -> Result<(), Refusal> {
    let host = host(&request.headers).filter(is_ours).ok_or(Refusal::Host)?;
    let in_url = request.uri.authority();
    if !in_url.is_none_or(is_ours) {
        return Err(Refusal::Host);
    }
    let mut origins = request.headers.get_all(ORIGIN).iter();
    let is_own = |origin: &[u8]| {
        let origin = origin.strip_prefix(b"http://");
        origin.is_some_and(|origin| origin.eq_ignore_ascii_case(host.as_str().as_bytes()))
    };
    // Programs have none. Browsers send one with every request that changes something.
    let is_own = origins.all(|origin| is_own(origin.as_bytes()));
    let site = request.headers.get("sec-fetch-site");
    let is_same = site.is_none_or(|site| site == "same-origin" || site == "none");
    // A link on another page may lead here: what is loaded by it is a page, which changes nothing.
    let is_page = request.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    if is_own && (is_same || is_page) { Ok(()) } else { Err(Refusal::Origin) }
}

/// Lets a request in that comes from this machine, under a name that only this machine has, as
/// it does at `page`.
pub(super) fn admit_here(
    request: &Parts,
    peer: SocketAddr,
    page: SocketAddr,
) -> Result<(), Refusal> {
    let is_here = |name: &Authority| {
        name.host() == "localhost" || address(name).is_some_and(|ip| ip.is_loopback())
    };
    let named = host(&request.headers).is_some_and(|host| is_here(&host));
    match peer.ip().to_canonical().is_loopback() && named {
        true => Ok(()),
        false => Err(Refusal::NotHere { page }),
    }
}

/// The one Host.
fn host(headers: &HeaderMap) -> Option<Authority> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    host.to_str().ok()?.parse().ok()
}

/// Whether no stranger can have a page under this name: an address is no name, and names without a
/// dot, or below `local`, are given in the local network alone.
fn is_ours(name: &Authority) -> bool {
    let host = name.host();
    let is_local = !host.contains('.') || host.to_ascii_lowercase().ends_with(".local");
    !name.as_str().contains('@') && (address(name).is_some() || is_local)
}

fn address(name: &Authority) -> Option<IpAddr> {
    name.host().trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(url: &str, headers: &[(&str, &str)]) -> Parts {
        let request = headers
            .iter()
            .fold(Request::post(url), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn s10_a_name_that_a_stranger_can_have_is_not_ours() {
        for ours in ["192.168.1.5:8080", "[fe80::1]:8080", "localhost", "desk:8080", "Desk.local:1"]
        {
            assert_eq!(admit(&head("/join", &[("host", ours)])), Ok(()), "{ours}");
        }
        for foreign in ["evil.example", "192.168.1.5.evil.example:8080", "a@192.168.1.5", "", "a b"]
        {
            let refused = admit(&head("/join", &[("host", foreign)]));
            assert_eq!(refused, Err(Refusal::Host), "{foreign}");
        }
        assert_eq!(admit(&head("/join", &[])), Err(Refusal::Host));
        let two = [("host", "10.0.0.1"), ("host", "10.0.0.1")];
        assert_eq!(admit(&head("/join", &two)), Err(Refusal::Host));
        let in_url = head("http://evil.example/join", &[("host", "10.0.0.1")]);
        assert_eq!(admit(&in_url), Err(Refusal::Host));
    }

    #[test]
    fn s10_another_sites_page_is_refused_by_its_origin() {
        let with = |name: &str, value: &str| {
            admit(&head("/hits?device=1", &[("host", "10.0.0.1:8080"), (name, value)]))
        };
        assert_eq!(with("origin", "http://10.0.0.1:8080"), Ok(()));
        for foreign in
            ["http://10.0.0.1", "http://10.0.0.1:8081", "https://10.0.0.1:8080", "null", "", "x"]
        {
            assert_eq!(with("origin", foreign), Err(Refusal::Origin), "{foreign}");
        }
        assert_eq!(with("sec-fetch-site", "same-origin"), Ok(()));
        assert_eq!(with("sec-fetch-site", "none"), Ok(()), "typed by a person");
        assert_eq!(with("sec-fetch-site", "cross-site"), Err(Refusal::Origin));
        let linked = [
            ("host", "10.0.0.1:8080"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-mode", "navigate"),
        ];
        assert_eq!(admit(&head("/", &linked)), Ok(()), "a link leads here");
    }

    #[test]
    fn s10_the_classs_page_is_for_this_machine_alone() {
        let page: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let here = |host: &str, peer: &str| {
            admit_here(
                &head("/class", &[("host", host)]),
                SocketAddr::new(peer.parse().unwrap(), 9),
                page,
            )
        };
        assert_eq!(here("127.0.0.1:8080", "127.0.0.1"), Ok(()));
        assert_eq!(here("localhost:8080", "::1"), Ok(()));
        assert_eq!(here("[::1]:8080", "::ffff:127.0.0.1"), Ok(()));
        let refused = Err(Refusal::NotHere { page });
        assert_eq!(here("127.0.0.1:8080", "192.168.1.9"), refused);
        assert_eq!(here("192.168.1.5:8080", "127.0.0.1"), refused);
    }
}

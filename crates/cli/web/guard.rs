//! The right to read: every request passes here before anything is looked up. GET, under a name
//! that is ours (so that no page of another site reaches us by DNS rebinding), and with the token
//! if there is one. Decides on a request's head alone, and knows nothing of what is asked for.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, COOKIE, HOST};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{Method, StatusCode};

use super::token::Token;

/// The conditions on a request.
pub(super) struct Guard {
    token: Option<Token>,
    /// Where we listen.
    ip: IpAddr,
    /// Name of the cookie that holds the token.
    cookie: String,
}

/// How a request is let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// As it is.
    Through,
    /// With the token in its URL: the browser is given this cookie, so that the token need not
    /// stay there.
    WithCookie(String),
}

/// Why a request is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Method,
    Host,
    Token,
}

impl Refusal {
    /// The status that says so, and a sentence for whoever reads it.
    pub(super) fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "nothing here can be changed: GET\n"),
            Self::Host => (
                StatusCode::FORBIDDEN,
                "this page does not go by that name: use localhost or the address it listens on\n",
            ),
            Self::Token => (
                StatusCode::UNAUTHORIZED,
                "this page wants its token: open /?token=.. once, or send \
                 `Authorization: Bearer ..`; the token is in the file of --web-token\n",
            ),
        }
    }
}

impl Guard {
    /// For a page on this address.
    pub(super) fn new(ip: IpAddr, port: u16, token: Option<Token>) -> Self {
        // Cookies do not know ports: two pages of one machine must not overwrite each other's.
        Self { token, ip, cookie: format!("midstate-{port}") }
    }

    /// Lets a request in, or not.
    pub(super) fn admit(&self, request: &Parts) -> Result<Pass, Refusal> {
        if request.method != Method::GET {
            return Err(Refusal::Method);
        }
        match &self.token {
            // A page that lures a browser here under a foreign name has no token to send: the
            // cookie is kept by name of host. So any name may be ours.
            Some(token) => self.admit_by_token(token, request),
            None if self.is_our_name(request) => Ok(Pass::Through),
            None => Err(Refusal::Host),
        }
    }

    fn admit_by_token(&self, token: &Token, request: &Parts) -> Result<Pass, Refusal> {
        let headers = |name| request.headers.get_all(name).iter().filter_map(|it| it.to_str().ok());
        let cookie = headers(COOKIE)
            .flat_map(|line| line.split(';'))
            .find_map(|pair| pair.trim().strip_prefix(self.cookie.as_str())?.strip_prefix('='));
        let bearer = headers(AUTHORIZATION).find_map(|line| line.strip_prefix("Bearer "));
        if [cookie, bearer].into_iter().flatten().any(|given| token.is(given)) {
            return Ok(Pass::Through);
        }
        let query = request.uri.query().unwrap_or_default().split('&');
        let mut given = query.filter_map(|pair| pair.strip_prefix("token="));
        if request.uri.path() == "/" && given.any(|given| token.is(given)) {
            let (name, token) = (&self.cookie, token.reveal());
            let cookie = format!("{name}={token}; HttpOnly; SameSite=Strict; Path=/");
            return Ok(Pass::WithCookie(cookie));
        }
        Err(Refusal::Token)
    }

    /// Whether the one Host of the request, and the URL's if it has one, is a name of ours. The
    /// port does not matter: a tunnel has another one.
    fn is_our_name(&self, request: &Parts) -> bool {
        let mut hosts = request.headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        let in_url = request.uri.authority();
        host.is_some_and(|host| self.is_ours(&host)) && in_url.is_none_or(|url| self.is_ours(url))
    }

    fn is_ours(&self, name: &Authority) -> bool {
        if name.as_str().contains('@') {
            return false;
        }
        let host = name.host().trim_start_matches('[').trim_end_matches(']');
        let by_address = |ip: IpAddr| ip.is_loopback() || ip == self.ip;
        host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(by_address)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn admit(guard: &Guard, url: &str, headers: &[(&str, &str)]) -> Result<Pass, Refusal> {
        let request = headers
            .iter()
            .fold(Request::get(url), |request, (name, value)| request.header(*name, *value));
        guard.admit(&request.body(()).unwrap().into_parts().0)
    }

    #[test]
    fn only_our_own_names_pass_without_a_token() {
        let guard = Guard::new("127.0.0.1".parse().unwrap(), 8080, None);
        for ours in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080"] {
            assert_eq!(admit(&guard, "/", &[("host", ours)]), Ok(Pass::Through), "{ours}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "localhost@evil.example",
            "evil.example@localhost",
            "127.0.0.1.evil.example",
            "192.168.0.1",
            "0.0.0.0",
            "2130706433",
            "[::2]",
            "",
        ] {
            assert_eq!(admit(&guard, "/", &[("host", foreign)]), Err(Refusal::Host), "{foreign}");
        }
        assert_eq!(admit(&guard, "/", &[]), Err(Refusal::Host), "none");
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(admit(&guard, "/", &two), Err(Refusal::Host), "two");
        let other = admit(&guard, "http://evil.example/", &[("host", "localhost")]);
        assert_eq!(other, Err(Refusal::Host), "a URL with another name");
    }

    #[test]
    fn with_a_token_the_token_decides() {
        let token = Token::parse(SECRET).unwrap();
        let guard = Guard::new("0.0.0.0".parse().unwrap(), 8080, Some(token));
        let host = ("host", "classroom.example:8080");
        assert_eq!(admit(&guard, "/", &[host]), Err(Refusal::Token));

        let cookie = format!("midstate-8080={SECRET}; HttpOnly; SameSite=Strict; Path=/");
        let url = format!("/?x=1&token={SECRET}");
        assert_eq!(admit(&guard, &url, &[host]), Ok(Pass::WithCookie(cookie)));
        let url = format!("/metrics?token={SECRET}");
        assert_eq!(admit(&guard, &url, &[host]), Err(Refusal::Token), "only the page's own URL");

        for (name, value, let_in) in [
            ("cookie", format!("a=b; midstate-8080={SECRET}"), true),
            ("cookie", format!("midstate-8081={SECRET}"), false),
            ("cookie", format!("midstate-8080={}", &SECRET[1..]), false),
            ("authorization", format!("Bearer {SECRET}"), true),
            ("authorization", SECRET.to_owned(), false),
        ] {
            let admitted = admit(&guard, "/metrics", &[host, (name, &value)]);
            assert_eq!(admitted.is_ok(), let_in, "{name}: {value}");
        }
    }
}

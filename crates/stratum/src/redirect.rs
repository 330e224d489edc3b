//! Whether to follow a pool's `client.reconnect` (S7). Pure functions; the caller owns the sockets.
//!
//! In 2014 somebody hijacked BGP routes and told miners of 19 providers to reconnect to him. So a
//! redirect may lead only to whoever was connected to in the first place. What it cannot do by
//! construction: change the scheme, since the message has none.

use std::net::IpAddr;

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectRefused {
    /// One of both is an IP address, and they differ.
    #[error(
        "the pool redirects from {from} to {to}: from or to an IP address only the port may change"
    )]
    OtherAddress {
        /// The host that is connected to.
        from: String,
        /// The host asked for.
        to: String,
    },
    /// No server has proved its name.
    #[error("the pool redirects from {from} to {to}: without TLS only the port may change")]
    OtherHost {
        /// The host that is connected to.
        from: String,
        /// The host asked for.
        to: String,
    },
    /// The hosts belong to different people.
    #[error("the pool redirects from {from} to {to}, which is not under the same domain")]
    OtherDomain {
        /// The host that is connected to.
        from: String,
        /// The host asked for.
        to: String,
    },
}

/// Whether a redirect from host `from` to host `to` stays with the same owner. `verified` says that
/// the connection is TLS with a checked certificate. Hosts are names or IP addresses, IPv6 with or
/// without brackets; case and a final dot do not count.
///
/// Without `verified`: the same host. With it: any host under the same registrable domain, by the
/// public suffix list (so `a.pool.co.uk` does not lead to `b.other.co.uk`).
pub fn allowed(from: &str, verified: bool, to: &str) -> Result<(), RedirectRefused> {
    let (from, to) = (normal(from), normal(to));
    if from == to {
        return Ok(());
    }
    match (address(&from), address(&to)) {
        (Some(a), Some(b)) if a == b => Ok(()),
        (None, None) if !verified => Err(RedirectRefused::OtherHost { from, to }),
        (None, None) if same_domain(&from, &to) => Ok(()),
        (None, None) => Err(RedirectRefused::OtherDomain { from, to }),
        _ => Err(RedirectRefused::OtherAddress { from, to }),
    }
}

/// Whether a text can be a host: at most 253 characters of a DNS name, or an IP address. No scheme,
/// no port, no path.
pub fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    address(text).is_some() || (name.len() <= 253 && name.split('.').all(label))
}

fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    bare.unwrap_or(host).parse().ok()
}

fn same_domain(from: &str, to: &str) -> bool {
    match (psl::domain_str(from), psl::domain_str(to)) {
        (Some(from), Some(to)) => from == to,
        // A bare suffix or a name without a dot has no owner to compare.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_plaintext_may_change_the_port_only() {
        assert_eq!(allowed("pool.example.com", false, "POOL.example.com."), Ok(()));
        assert!(matches!(
            allowed("pool.example.com", false, "eu.example.com"),
            Err(RedirectRefused::OtherHost { .. })
        ));
    }

    #[test]
    fn s7_tls_may_move_within_the_registrable_domain() {
        assert_eq!(allowed("stratum.pool.co.uk", true, "eu.stratum.pool.co.uk"), Ok(()));
        assert_eq!(allowed("pool.com", true, "eu.pool.com"), Ok(()));
        for (from, to) in [
            // cgminer compared the text after the first dot: both of these passed.
            ("mypool.com", "evil.com"),
            ("a.pool.co.uk", "b.evil.co.uk"),
            ("pool.com", "pool.com.evil.net"),
            ("alice.github.io", "mallory.github.io"),
            ("co.uk", "evil.co.uk"),
            ("localhost", "otherhost"),
        ] {
            assert!(
                matches!(allowed(from, true, to), Err(RedirectRefused::OtherDomain { .. })),
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn s7_an_ip_address_stays() {
        assert_eq!(allowed("1.2.3.4", false, "1.2.3.4"), Ok(()));
        assert_eq!(allowed("[2001:db8::1]", true, "2001:DB8:0::1"), Ok(()));
        for (from, to) in [("1.2.3.4", "9.2.3.4"), ("1.2.3.4", "pool.com"), ("pool.com", "1.2.3.4")]
        {
            assert!(
                matches!(allowed(from, true, to), Err(RedirectRefused::OtherAddress { .. })),
                "{from} -> {to}"
            );
        }
    }

    #[test]
    fn s7_hosts_are_names_or_addresses_and_nothing_else() {
        let longest = format!("{}.com", vec!["a".repeat(49); 5].join("."));
        assert_eq!(longest.len(), 253);
        for host in ["pool.com", "a", "xn--bcher-kva.example", "1.2.3.4", "[::1]", "::1", &longest]
        {
            assert!(is_host(host), "{host}");
        }
        let too_long = format!("a{longest}");
        for host in [
            "",
            ".",
            "a..b",
            "-a.com",
            "pool.com:3333",
            "stratum+tcp://pool.com",
            "a b",
            "a/b",
            "pool.com\n",
            "[::1",
            &"a".repeat(64),
            &too_long,
        ] {
            assert!(!is_host(host), "{host}");
        }
    }
}

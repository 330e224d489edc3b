//! Servers that speak another protocol than the URL asks for (rule 8): `mine` and `doctor` say
//! which, show its first bytes, and say what to write instead.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::program::{Directory, run};

const ADDRESS: &str = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080";

/// A server that says this, before it is asked or after, and closes the connection or leaves it
/// open; where it listens.
fn server(says: &'static [u8], speaks_first: bool, closes: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            thread::spawn(move || {
                if !speaks_first {
                    let _ = stream.read(&mut [0; 4096]);
                }
                let _ = stream.write_all(says);
                if !closes {
                    // Until the other end has had enough.
                    let _ = std::io::copy(&mut stream, &mut std::io::sink());
                }
            });
        }
    });
    address
}

/// The words of both commands about a server; both have to fail.
fn said(url: &str) -> [String; 2] {
    let directory = Directory::new("foreign");
    let spool = directory.0.to_str().unwrap();
    let is_node = url.starts_with("http");
    let node = ["--address", ADDRESS, "--spool", spool];
    let login = ["-u", "me", "-p", "x", "--chain", "regtest", "--datadir", spool];
    let login = if is_node { &login[..] } else { &login[..4] };
    let mine = ["mine", "-o", url, "--give-up", "3", "--kernel", "scalar", "-t", "1"];
    let mine = [&mine[..], if is_node { &node } else { &[] }, login].concat();
    [mine, [&["doctor", url], login].concat()].map(|arguments| {
        let output = run(&arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_ne!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains('\u{1b}'), "S11: {said}");
        said
    })
}

#[test]
fn rule_8_a_server_that_speaks_another_protocol_is_told_by_its_name() {
    let http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html>\x1b[2J";
    let alert = b"\x15\x03\x03\x00\x02\x02\x46";
    let ssh = b"SSH-2.0-OpenSSH_9.6\r\n";
    let stratum = b"{\"id\":null,\"result\":null,\"error\":[20,\"x\",null]}\n";
    let cases: [(&str, String, [&str; 3]); 11] = [
        ("", server(http, false, true), ["HTTP", "400 Bad Request", "http://127.0.0.1"]),
        ("", server(alert, false, true), ["TLS", "15 03 03", "stratum+tls://127.0.0.1"]),
        ("", server(ssh, true, false), ["SSH", "SSH-2.0-OpenSSH_9.6", "stratum+tcp://"]),
        ("", server(b"220 mail ESMTP\r\n", true, false), ["SMTP", "220 mail", "stratum+tcp://"]),
        ("", server(b"\xfa\xbf\xb5\xdaversion", true, true), ["Bitcoin", "regtest", "fa bf b5 da"]),
        ("", server(b"what?\n", false, true), ["does not speak Stratum", "what?", "stratum+tcp"]),
        ("", server(b"", false, true), ["without a word", "Stratum V1", "stratum+tls://127.0.0.1"]),
        ("stratum+tls://", server(ssh, true, false), ["does not speak TLS", "SSH-2.0", "SSH"]),
        ("stratum+tls://", server(stratum, true, false), ["Stratum", "id", "stratum+tcp://127"]),
        ("http://", server(ssh, true, true), ["does not speak HTTP", "SSH-2.0", "http://HOST"]),
        ("http://", server(alert, false, true), ["TLS", "15 03 03", "https://127.0.0.1"]),
    ];
    thread::scope(|scope| {
        for (scheme, address, words) in &cases {
            scope.spawn(move || {
                for said in said(&format!("{scheme}{address}")) {
                    for word in words {
                        assert!(said.contains(word), "{scheme}: {word:?} is not in: {said}");
                    }
                }
            });
        }
    });
}

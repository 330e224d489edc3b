//! A man in the middle between a miner and its node, who sees every call and may let it fall; and
//! one who plays the node.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;

use serde_json::Value;

/// The end of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on, and the answer comes back.
    Pass,
    /// The connection breaks before the node sees it.
    Drop,
}

/// Listens until the test ends; the URL to give to the miner. `judge` sees each call's body, on a
/// thread of its own, and may take its time.
pub(crate) fn proxy(port: u16, judge: impl Fn(&str) -> Fate + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let judge = Arc::new(judge);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let judge = Arc::clone(&judge);
            // A connection that breaks is the miner's problem.
            std::thread::spawn(move || drop(serve(stream, port, &*judge)));
        }
    });
    url
}

/// A node that says what the test has it say, until the tests end: each call's JSON is answered
/// with a status and a body. The URL to give to the miner.
pub(crate) fn scripted(answer: impl Fn(&Value) -> (u16, Value) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut miner in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || {
                // A caller that only tries the door says nothing.
                let Ok(Some((_, body))) = read_call(&miner) else { return };
                let (status, body) = answer(&serde_json::from_str(&body).unwrap());
                let body = body.to_string();
                let length = body.len();
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n");
                let _ = write!(miner, "{head}Connection: close\r\n\r\n{body}");
            });
        }
    });
    url
}

/// One call per connection: the miner opens another one.
fn serve(miner: TcpStream, port: u16, judge: &dyn Fn(&str) -> Fate) -> std::io::Result<()> {
    let Some((head, body)) = read_call(&miner)? else { return Ok(()) };
    if judge(&body) == Fate::Pass {
        let mut node = TcpStream::connect(("127.0.0.1", port))?;
        write!(node, "{head}Connection: close\r\n\r\n{body}")?;
        std::io::copy(&mut node, &mut &miner)?;
    }
    miner.shutdown(Shutdown::Both)
}

/// Head and body of an HTTP request; `None` when there is none.
fn read_call(miner: &TcpStream) -> std::io::Result<Option<(String, String)>> {
    let mut reader = BufReader::new(miner.try_clone()?);
    let mut head = String::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, String::from_utf8(body).unwrap())))
}

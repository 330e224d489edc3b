//! A node's RPC port over real sockets: kept connections, and servers that are no nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use midstate_gbt::conf::Credentials;
use midstate_gbt::rpc::{Answer, ChainInfo, NoAnswer, RpcError};
use midstate_net::{NodeAccess, Route, RpcClient};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);
const RESULT: &str = r#"{"result":{"chain":"regtest","blocks":3},"id":0}"#;

/// Serves each connection by `serve`, which gets its number.
async fn server<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> RpcClient
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(serve(number, stream));
        }
    });
    let credentials = Credentials::Password { user: "me".into(), password: "hunter2".into() };
    RpcClient::new(&NodeAccess { url, route: Route::default(), credentials })
}

/// Reads one request; false at the end of the connection.
async fn read_request(stream: &mut BufReader<TcpStream>) -> bool {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return false;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    stream.read_exact(&mut vec![0; length]).await.is_ok()
}

async fn ask(rpc: &RpcClient) -> Result<Answer, NoAnswer> {
    rpc.post(b"{}".to_vec(), PATIENCE).await
}

#[tokio::test]
async fn rule_26_a_kept_connection_that_was_closed_without_a_word_is_replaced_by_a_fresh_one() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let rpc = server(move |_, stream| {
        let seen = Arc::clone(&seen);
        async move {
            let mut stream = BufReader::new(stream);
            // Answers once, reads a second call, and hangs up.
            for number in 0..2 {
                if !read_request(&mut stream).await {
                    return;
                }
                seen.fetch_add(1, Ordering::Relaxed);
                if number == 0 {
                    let length = RESULT.len();
                    let answer =
                        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{RESULT}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        }
    })
    .await;
    for call in 0..4 {
        let answer = ask(&rpc).await.unwrap_or_else(|error| panic!("call {call}: {error}"));
        assert_eq!(answer.result::<ChainInfo>().unwrap().blocks, 3);
    }
    // The first connection answers call 0; calls 1 to 3 may each cost a second try.
    assert!((5..=7).contains(&calls.load(Ordering::Relaxed)), "{calls:?}");
}

#[tokio::test]
async fn rule_26_a_fresh_connection_that_is_closed_without_a_word_is_not_tried_for_ever() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let rpc = server(move |_, stream| {
        let seen = Arc::clone(&seen);
        async move {
            seen.fetch_add(1, Ordering::Relaxed);
            read_request(&mut BufReader::new(stream)).await;
        }
    })
    .await;
    let error = ask(&rpc).await.unwrap_err();
    assert!(matches!(&error, NoAnswer::Broken(_)), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("closed the connection without an answer"), "{error}");
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn rule_26_half_an_answer_on_a_kept_connection_is_told_as_what_came() {
    let calls = Arc::new(AtomicUsize::new(0));
    let rpc = server(move |_, stream| {
        let calls = Arc::clone(&calls);
        async move {
            let mut stream = BufReader::new(stream);
            while read_request(&mut stream).await {
                if calls.fetch_add(1, Ordering::Relaxed) > 0 {
                    let _ = stream.write_all(b"HTTP/1.1 503 Busy\r\nConte").await;
                    return;
                }
                let length = RESULT.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{RESULT}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    ask(&rpc).await.unwrap();
    for _ in 0..2 {
        let error = ask(&rpc).await.unwrap_err();
        assert!(matches!(&error, NoAnswer::Cut(_)), "{error:?}");
        let error = RpcError::Unreachable(error).to_string();
        assert!(error.starts_with("no whole answer from the node: "), "{error}");
        assert!(error.contains("in the middle of the HTTP headers"), "{error}");
        assert!(error.contains("\"HTTP/1.1 503 Busy\""), "{error}");
    }
}

#[tokio::test]
async fn rule_26_answers_of_other_servers_arrive_with_status_type_and_first_words() {
    let page = "<html><h1>It works!</h1>";
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n";
    for (answer, words) in [
        (
            format!("HTTP/1.1 404 No\r\nContent-Type: text/html\r\n\r\n{page}"),
            &["404", "text/html", "It works!"][..],
        ),
        (format!("{chunked}\r\n{:x}\r\n{page}\r\n0\r\n\r\n", page.len()), &["200", "It works!"]),
        (
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\u{1f}x".to_owned(),
            &["gzip", "did not ask"],
        ),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), &["200", "an empty body"]),
        (
            "HTTP/1.1 302 Found\r\nLocation: https://h/login\r\n\r\n".to_owned(),
            &["302", "redirect to https://h/login"],
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_owned(), &["in the middle"]),
        ("SSH-2.0-OpenSSH_9.9\r\n".to_owned(), &["not speak HTTP"]),
        ("{\"id\":null,\"error\":\"stratum\"}\n".to_owned(), &["not speak HTTP"]),
        (String::new(), &["without an answer"]),
        (
            "HTTP/1.1 200 OK\r\nContent-Le".to_owned(),
            &["in the middle of the HTTP headers", "\"HTTP/1.1 200 OK\"", "look at the proxy"],
        ),
        ("HTTP/1.1 4".to_owned(), &["in the middle of the HTTP headers", "\"HTTP/1.1 4\""]),
    ] {
        let said = answer.clone();
        let rpc = server(move |_, stream| {
            let answer = answer.clone();
            async move {
                let mut stream = BufReader::new(stream);
                read_request(&mut stream).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        })
        .await;
        let error = match ask(&rpc).await {
            Ok(answer) => answer.result::<ChainInfo>().unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        for word in words {
            assert!(error.contains(word), "{said:?}: {word:?} is not in: {error}");
        }
        for foreign in ["line 1", "struct", "hyper", "hunter2", "parse"] {
            assert!(!error.contains(foreign), "{said:?}: {error}");
        }
    }
}

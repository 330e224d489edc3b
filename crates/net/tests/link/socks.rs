//! SOCKS5: the proxy gets the name of the pool or the node, and nobody else is asked about it.

use std::time::Duration;

use midstate_gbt::conf::Credentials;
use midstate_net::{Dial, DialError, Dialler, NodeAccess, PoolUrl, Route, RpcClient, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that gives this reply, with a server behind it that says `word` after so many bytes; its
/// URL, what it was asked for, and the connection: closed on bytes that it has not read, it would
/// throw away its own.
async fn proxy(
    reply: u8,
    after: usize,
    word: &'static [u8],
) -> (String, tokio::task::JoinHandle<(Vec<u8>, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("socks5://{}", listener.local_addr().unwrap());
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read(&mut stream, 3).await;
        stream.write_all(&[5, 0]).await.unwrap();
        let head = read(&mut stream, 5).await;
        assert_eq!(head[..4], [5, 1, 0, 3], "connect, to a name");
        let asked = read(&mut stream, usize::from(head[4]) + 2).await;
        stream.write_all(&[5, reply, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
        read(&mut stream, after).await;
        let _ = stream.write_all(word).await;
        (asked, stream)
    });
    (url, asked)
}

async fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).await.unwrap();
    bytes
}

#[tokio::test]
async fn the_proxy_looks_up_the_name() {
    let (proxy, asked) = proxy(0, 0, b"hello\n").await;
    let url: PoolUrl = "stratum+tcp://pool.invalid:3333".parse().unwrap();
    let route = Route { trust: Trust::System, proxy: Some(proxy.parse().unwrap()) };
    let mut connection =
        Dialler::default().dial(&url, &route).await.map_err(|e| e.to_string()).unwrap();
    let mut word = vec![0; 6];
    connection.transport.read_exact(&mut word).await.unwrap();
    assert_eq!(word, b"hello\n");
    assert_eq!(connection.peer, None, "whose address that is, we do not know");
    assert_eq!(asked.await.unwrap().0, [b"pool.invalid", &3333u16.to_be_bytes()[..]].concat());
}

#[tokio::test]
async fn a_node_is_reached_by_the_proxy_as_a_pool_is() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (proxy, asked) = proxy(0, 100, answer).await;
    let node = NodeAccess {
        url: "http://node.invalid:8332".parse().unwrap(),
        route: Route { trust: Trust::System, proxy: Some(proxy.parse().unwrap()) },
        credentials: Credentials::Password { user: "me".to_owned(), password: "x".to_owned() },
    };
    let answer = RpcClient::new(&node).post(b"{}".to_vec(), Duration::from_secs(200)).await;
    let answer = answer.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    assert_eq!(asked.await.unwrap().0, [b"node.invalid", &8332u16.to_be_bytes()[..]].concat());
}

#[tokio::test]
async fn a_proxy_that_cannot_connect_says_so() {
    let (proxy, _asked) = proxy(4, 0, b"").await;
    let url: PoolUrl = "pool.invalid:3333".parse().unwrap();
    let route = Route { trust: Trust::System, proxy: Some(proxy.parse().unwrap()) };
    let error = Dialler::default().dial(&url, &route).await.err().expect("host unreachable");
    assert!(matches!(error, DialError::Proxy { .. }), "{error}");
    assert!(error.to_string().contains(&proxy), "{error}");
}

/// The outcome of dialling by a proxy that sends `first` at once, then these answers, one for each
/// message, and then closes or stays silent.
async fn dialled(first: &[u8], answers: &[&[u8]], closes: bool, login: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let owned: Vec<Vec<u8>> = answers.iter().map(|answer| answer.to_vec()).collect();
    let first = first.to_vec();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&first).await.unwrap();
        for answer in owned {
            let _ = stream.read(&mut [0; 512]).await;
            stream.write_all(&answer).await.unwrap();
        }
        if closes {
            let _ = stream.read(&mut [0; 512]).await;
        } else {
            std::future::pending::<()>().await;
        }
    });
    let proxy = format!("socks5://{login}{address}").parse().unwrap();
    let url: PoolUrl = "pool.invalid:3333".parse().unwrap();
    let route = Route { trust: Trust::System, proxy: Some(proxy) };
    let mut dialler = Dialler::default();
    dialler.limits.connect = Duration::from_millis(500);
    let error = dialler.dial(&url, &route).await.err().expect("no connection").to_string();
    server.abort();
    assert!(error.contains(&format!("the proxy socks5://{address}")), "{error}");
    error
}

#[tokio::test]
async fn rule_8_trouble_with_a_proxy_is_told_as_the_proxys_with_what_it_speaks() {
    let http = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    let let_in: &[u8] = &[5, 0];
    let reply = |code: u8| vec![5, code, 0, 1, 0, 0, 0, 0, 0, 0];
    let (odd, unreachable) = (reply(99), reply(4));
    let me = "me:hUnTeR2@";
    type Case<'a> = (&'a [u8], Vec<&'a [u8]>, bool, &'a str, &'a str);
    let cases: Vec<Case<'_>> = vec![
        (b"", vec![http], true, "", "does not speak SOCKS5: it looks like an HTTP server"),
        (b"", vec![&[0x15, 3, 3, 0, 2, 2, 40]], true, me, "it looks like a TLS port"),
        (b"SSH-2.0-OpenSSH_9\r\n", vec![], false, "", "it looks like SSH"),
        (b"", vec![&[0, 0x5b, 0, 0, 0, 0, 0, 0]], false, me, "it looks like SOCKS4"),
        (b"", vec![&[0x99; 3]], false, "", "its first bytes are 99 99 99"),
        (b"", vec![b"{\"id\":1}\n"], false, "", "it looks like a Stratum port"),
        (b"", vec![], false, "", "does not answer our greeting: is it a SOCKS5 proxy?"),
        (b"", vec![], true, me, "closed the connection without a word"),
        (b"", vec![&[5, 0xff]], false, "", "wants a user and a password"),
        (b"", vec![&[5, 2]], false, "", "wants a user and a password"),
        (b"", vec![&[5, 0xff]], false, me, "wants another login than user and password"),
        (b"", vec![&[5, 2], &[1, 1]], false, me, "does not take the user and password"),
        (b"", vec![let_in, &odd], false, "", "with code 99, which SOCKS5 does not have"),
        (b"", vec![&[5, 2], &[1, 0], &odd], false, me, "with code 99"),
        (b"", vec![let_in, &unreachable], false, "", "cannot reach that host"),
        (b"", vec![let_in], false, "", "has not connected us in time"),
        (b"", vec![let_in], true, "", "before it had connected us"),
    ];
    for (first, answers, closes, login, words) in cases {
        let error = dialled(first, &answers, closes, login).await;
        assert!(error.contains(words), "{words:?} is not in: {error}");
        assert!(!error.contains("hUnTeR2"), "{error}");
    }
    // A closed port.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let proxy = format!("socks5://{free}").parse().unwrap();
    let route = Route { trust: Trust::System, proxy: Some(proxy) };
    let url: PoolUrl = "pool.invalid:3333".parse().unwrap();
    let error = Dialler::default().dial(&url, &route).await.err().unwrap().to_string();
    let words = format!("cannot reach the proxy socks5://{free}: ");
    assert!(error.starts_with(&words) && error.contains("refused"), "{error}");
}

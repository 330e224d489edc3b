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

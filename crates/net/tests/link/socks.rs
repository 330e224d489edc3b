//! SOCKS5: the proxy gets the pool's name, and nobody else is asked about it.

use midstate_net::{Dial, DialError, Network, PoolUrl, Route, Trust};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A proxy that gives this reply; what it was asked for, and a word from the pool behind it.
async fn proxy(reply: u8) -> (String, tokio::task::JoinHandle<Vec<u8>>) {
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
        let _ = stream.write_all(b"hello\n").await;
        asked
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
    let (proxy, asked) = proxy(0).await;
    let url: PoolUrl = "stratum+tcp://pool.invalid:3333".parse().unwrap();
    let route = Route { trust: Trust::System, proxy: Some(proxy.parse().unwrap()) };
    let mut connection =
        Network::default().dial(&url, &route).await.map_err(|e| e.to_string()).unwrap();
    let mut word = vec![0; 6];
    connection.transport.read_exact(&mut word).await.unwrap();
    assert_eq!(word, b"hello\n");
    assert_eq!(connection.peer, None, "whose address that is, we do not know");
    assert_eq!(asked.await.unwrap(), [b"pool.invalid", &3333u16.to_be_bytes()[..]].concat());
}

#[tokio::test]
async fn a_proxy_that_cannot_connect_says_so() {
    let (proxy, _asked) = proxy(4).await;
    let url: PoolUrl = "pool.invalid:3333".parse().unwrap();
    let route = Route { trust: Trust::System, proxy: Some(proxy.parse().unwrap()) };
    let error = Network::default().dial(&url, &route).await.err().expect("host unreachable");
    assert!(matches!(error, DialError::Proxy { .. }), "{error}");
    assert!(error.to_string().contains(&proxy), "{error}");
}

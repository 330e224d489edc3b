//! The embedded pool's server among miners that mean it no good.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_net::{PoolServer, ServerHandle, ServerLimits};
use midstate_pool::{Front, PoolConfig, RegtestPool};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

const SUBSCRIBE: &str = r#"{"id":1,"method":"mining.subscribe","params":[]}"#;
const AUTHORIZE: &str = r#"{"id":3,"method":"mining.authorize","params":["me","x"]}"#;
/// Something that every server answers.
const CONFIGURE: &str = r#"{"id":2,"method":"mining.configure","params":[[],{}]}"#;

async fn start(limits: ServerLimits) -> ServerHandle<RegtestPool> {
    let config = PoolConfig::new(1.0, 0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let pool = RegtestPool::new(config, Vec::new(), now).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (events, _) = mpsc::unbounded_channel();
    PoolServer::new(pool, listener, events).with_limits(limits).spawn().unwrap()
}

struct Miner(BufReader<TcpStream>);

impl Miner {
    async fn connect(server: &ServerHandle<RegtestPool>) -> Self {
        Self(BufReader::new(TcpStream::connect(server.address()).await.unwrap()))
    }

    /// Whether there is an answer to this question.
    async fn ask(&mut self, question: &str) -> bool {
        let id = &question[1..r#"{"id":1"#.len()];
        if self.0.write_all(format!("{question}\n").as_bytes()).await.is_err() {
            return false;
        }
        let mut line = String::new();
        while self.0.read_line(&mut line).await.is_ok_and(|read| read > 0) {
            if line.contains(id) {
                return true;
            }
            line.clear();
        }
        false
    }

    /// Until the server hangs up.
    async fn hung_up(mut self) {
        let mut heard = Vec::new();
        let _ = self.0.read_to_end(&mut heard).await;
    }
}

#[tokio::test]
async fn one_miner_too_many_is_told_so_and_hung_up_on() {
    let server = start(ServerLimits { sessions: 2, ..ServerLimits::default() }).await;
    let mut first = Miner::connect(&server).await;
    let mut second = Miner::connect(&server).await;
    assert!(first.ask(SUBSCRIBE).await && second.ask(SUBSCRIBE).await);
    for is_asking in [true, false, true, true, false] {
        let mut late = Miner::connect(&server).await;
        if is_asking {
            let _ = late.0.write_all(format!("{SUBSCRIBE}\n").as_bytes()).await;
        }
        let mut line = String::new();
        late.0.read_line(&mut line).await.unwrap();
        assert!(line.contains("this pool is full: it has places for 2 miners"), "{line:?}");
        let mut rest = Vec::new();
        let end = timeout(Duration::from_secs(600), late.0.read_to_end(&mut rest));
        assert_eq!(end.await.expect("it is hung up on").unwrap(), 0);
    }
    // Many who never hang up keep no further one from hearing it in time.
    let limits = ServerLimits::default();
    let mut rude = Vec::new();
    for _ in 0..2 * limits.turned_away {
        rude.push(Miner::connect(&server).await);
    }
    let heard = async {
        let mut line = String::new();
        while line.is_empty() {
            let mut late = Miner::connect(&server).await;
            let _ = late.0.read_line(&mut line).await;
        }
    };
    timeout(Duration::from_secs(600), heard).await.expect("places at the door are left");
    drop(rude);
    assert!(first.ask(CONFIGURE).await, "who is in stays in");

    drop(second);
    let place_again = async {
        while !Miner::connect(&server).await.ask(SUBSCRIBE).await {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(10), place_again).await.expect("who leaves makes room");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn who_does_not_subscribe_is_hung_up_on_whatever_else_it_says() {
    let let_in = Duration::from_secs(5);
    let server = start(ServerLimits { let_in, ..ServerLimits::default() }).await;
    let silent = Miner::connect(&server).await;
    let mut idle = Miner::connect(&server).await;
    let mut subscribed = Miner::connect(&server).await;
    let mut authorized = Miner::connect(&server).await;
    let mut both = Miner::connect(&server).await;
    assert!(idle.ask(CONFIGURE).await && subscribed.ask(SUBSCRIBE).await);
    assert!(idle.ask(CONFIGURE).await && authorized.ask(AUTHORIZE).await);
    assert!(both.ask(AUTHORIZE).await && both.ask(SUBSCRIBE).await);

    // In real time: the end of a connection comes from the system, which knows no other.
    let hung_up = async {
        for miner in [silent, idle, subscribed, authorized] {
            miner.hung_up().await;
        }
    };
    timeout(Duration::from_secs(600), hung_up).await.expect("the connections end");
    assert!(both.ask(CONFIGURE).await);
    // Miners that are there leave at the end, and nothing was kept of the others.
    assert_eq!(server.stop().await.unwrap().pool().sessions(), 0);
}

#[tokio::test]
async fn who_leaves_a_line_unfinished_is_hung_up_on_however_slowly_it_goes_on() {
    let line = Duration::from_secs(3);
    let server = start(ServerLimits { line, ..ServerLimits::default() }).await;
    let mut halves = Vec::new();
    for _ in 0..2 {
        let mut miner = Miner::connect(&server).await;
        assert!(miner.ask(SUBSCRIBE).await && miner.ask(AUTHORIZE).await);
        miner.0.write_all(b"{\"id\":7,\"method\":\"mining.").await.unwrap();
        halves.push(miner);
    }
    let mut slow = halves.pop().unwrap();
    let mut idle = Miner::connect(&server).await;
    assert!(idle.ask(SUBSCRIBE).await && idle.ask(AUTHORIZE).await);
    let dribbles = async {
        while slow.0.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        halves.pop().unwrap().hung_up().await;
    };
    timeout(Duration::from_secs(600), dribbles).await.expect("both are hung up on");
    assert!(idle.ask(CONFIGURE).await, "who says nothing and has no line open stays");
    server.stop().await.unwrap();
}

/// In a process of its own, which has few descriptors and uses them up.
#[cfg(unix)]
#[test]
fn who_is_connected_does_not_wait_for_descriptors() {
    const CHILD: &str = "MIDSTATE_TEST_FEW_DESCRIPTORS";
    if std::env::var_os(CHILD).is_none() {
        let name = "pool_server::who_is_connected_does_not_wait_for_descriptors";
        let status = std::process::Command::new("sh")
            .args(["-c", r#"ulimit -n 64 && exec "$0" --exact "$1""#])
            .arg(std::env::current_exe().unwrap())
            .arg(name)
            .env(CHILD, "1")
            .status();
        return assert!(status.unwrap().success());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let server = start(ServerLimits::default()).await;
        let mut miner = Miner::connect(&server).await;
        assert!(miner.ask(SUBSCRIBE).await);
        let mut taken: Vec<_> =
            std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        // One for our end of a connection, none for the server's.
        taken.pop();
        let _waiting = Miner::connect(&server).await;
        let answered = async {
            for _ in 0..200 {
                assert!(miner.ask(CONFIGURE).await);
            }
        };
        // With a pause for each attempt to accept it takes at least 10 s.
        timeout(Duration::from_secs(5), answered).await.expect("the server hears the miner");
    });
}

/// Many requests in one write are many answers, and no miner that reads them is hung up on.
#[tokio::test]
async fn a_miner_that_reads_its_answers_may_send_as_fast_as_it_likes() {
    let server = start(ServerLimits::default()).await;
    let mut miner = Miner::connect(&server).await;
    assert!(miner.ask(SUBSCRIBE).await);
    let submit = |id: usize| {
        format!(
            "{{\"id\":{id},\"method\":\"mining.submit\",\"params\":[\"me\",\"1\",\"00000000\",\
             \"6553f100\",\"00000000\"]}}\n"
        )
    };
    // Far more than any queue of the pool holds.
    let count = 3000;
    let requests: String = (10..10 + count).map(submit).collect();
    let (reader, mut writer) = miner.0.into_inner().into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(requests.as_bytes()).await.unwrap();
        writer
    });
    let mut lines = BufReader::new(reader).lines();
    let mut answers = 0;
    while answers < count {
        let line = lines.next_line().await.unwrap().expect("the connection stays");
        answers += usize::from(line.contains("\"error\":["));
    }
    drop(writing.await.unwrap());
    server.stop().await.unwrap();
}

/// The line stalls: nothing is read for some seconds while requests go out, then everything is.
#[tokio::test]
async fn a_line_that_stalls_for_less_than_the_limit_keeps_its_connection() {
    let server = start(ServerLimits { write: Duration::from_secs(60), ..Default::default() }).await;
    let mut miner = Miner::connect(&server).await;
    assert!(miner.ask(SUBSCRIBE).await);
    let (reader, mut writer) = miner.0.into_inner().into_split();
    // Until the pool stops reading: its answers fill both sockets' buffers, and then it waits.
    let mut asked = 0;
    let question = format!("{CONFIGURE}\n").repeat(64);
    while timeout(Duration::from_millis(300), writer.write_all(question.as_bytes())).await.is_ok() {
        asked += 64;
        assert!(asked < 10_000_000, "the pool reads on although its answers are not read");
    }
    let mut lines = BufReader::new(reader).lines();
    for _ in 0..asked {
        lines.next_line().await.unwrap().expect("the connection stays");
    }
    drop(writer);
    server.stop().await.unwrap();
}

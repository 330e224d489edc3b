//! Pools at the other end of pipes, for a link whose time is the test's.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midstate_chain::{Job, Share};
use midstate_net::{
    Account, Connection, Dial, DialError, Dialling, EventReceiver, Frames, Happened, Link,
    LinkConfig, LinkEnd, LinkEvent, LinkLimits, LinkState, PoolUrl, Route, events,
};
use midstate_stratum::{ClientConfig, Remark, ShareOutcome, Verdict};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// The present behaviour of a pool. A change ends its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Does what a pool should, each share is accepted.
    Good,
    /// The port is closed.
    Refusing,
    /// Lets nobody in.
    Unwelcoming,
    /// Connects and never says a word.
    Silent,
    /// Hangs up at once.
    Rude,
    /// Lets everybody in and has no work.
    Idle,
    /// Sends the miner to this host (its own if empty) and port at the first share.
    Redirecting(&'static str, u16),
    /// Asks the miner at its first share to come back after so many seconds.
    Away(u64),
    /// Refuses `mining.configure` with these words, and hangs up in any case.
    Protesting(&'static str),
    /// As a good one, with a hundred jobs a second.
    Flooding,
    /// Takes shares and answers none.
    Mute,
    /// Dialling it runs into a bug of ours.
    Panicking,
    /// Lets everybody in, sends a job, and hangs up so many milliseconds later.
    Brief(u64),
    /// Hangs up at every share.
    HangsUpAtShares,
    /// Accepts no share.
    Refuses(Refusal),
}

/// The form of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Code(i64),
    Text,
    False,
}

impl Refusal {
    fn error(self) -> Value {
        match self {
            Self::Code(code) => json!([code, "Invalid address", null]),
            Self::Text => json!("Invalid address"),
            Self::False => Value::Null,
        }
    }
}

/// Some pools by the names of their hosts.
#[derive(Clone, Default)]
pub(crate) struct Pools(Arc<Mutex<HashMap<String, Pool>>>);

struct Pool {
    mood: watch::Sender<Mood>,
    /// Hashes of what it accepted, as `extranonce2/ntime/nonce`.
    accepted: Vec<String>,
    connections: usize,
}

impl Pools {
    pub(crate) fn set(&self, host: &str, mood: Mood) {
        let mut pools = self.0.lock().unwrap();
        match pools.get(host) {
            Some(pool) => drop(pool.mood.send_replace(mood)),
            None => {
                let (mood, _) = watch::channel(mood);
                pools.insert(host.into(), Pool { mood, accepted: Vec::new(), connections: 0 });
            }
        }
    }

    pub(crate) fn accepted(&self, host: &str) -> Vec<String> {
        self.0.lock().unwrap()[host].accepted.clone()
    }

    pub(crate) fn connections(&self, host: &str) -> usize {
        self.0.lock().unwrap()[host].connections
    }
}

impl Dial for Pools {
    fn dial<'a>(&'a self, url: &'a PoolUrl, route: &'a Route) -> Dialling<'a> {
        Box::pin(async move {
            let mut pools = self.0.lock().unwrap();
            let pool = pools.get_mut(&url.host).ok_or_else(|| DialError::Name {
                host: url.host.clone(),
                error: io::ErrorKind::NotFound.into(),
            })?;
            let mut mood = pool.mood.subscribe();
            let present = *mood.borrow_and_update();
            if present == Mood::Panicking {
                drop(pools);
                panic!("a bug");
            }
            if present == Mood::Refusing {
                return Err(DialError::Refused(url.to_string()));
            }
            pool.connections += 1;
            let extranonce1 = format!("{:08x}", pool.connections);
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            let (host, pools) = (url.host.clone(), self.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = serve(theirs, present, host, extranonce1, pools) => {}
                    _ = mood.changed() => {}
                }
            });
            // A public address, for what is said about those; nobody knows it behind a proxy.
            let peer = route.proxy.is_none().then_some([192, 0, 2, 1].into());
            Ok(Connection { transport: Box::new(ours), peer })
        })
    }
}

/// A pool in one mood, until the miner hangs up.
async fn serve(stream: DuplexStream, mood: Mood, host: String, extranonce1: String, pools: Pools) {
    let (reader, mut writer) = tokio::io::split(stream);
    let mut lines = BufReader::new(reader).lines();
    match mood {
        Mood::Rude => return,
        Mood::Silent => std::future::pending().await,
        _ => {}
    }
    let between_jobs = match mood {
        Mood::Flooding => Duration::from_millis(10),
        _ => Duration::from_secs(30),
    };
    let mut lock_time = 0;
    let mut refresh = tokio::time::interval(between_jobs);
    refresh.tick().await;
    let mut let_in = false;
    loop {
        let line = tokio::select! {
            line = lines.next_line() => line,
            _ = refresh.tick() => {
                lock_time += u32::from(mood == Mood::Flooding);
                let job = format!("{}\n", notify(&host, lock_time));
                if let_in && writer.write_all(job.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
        };
        let Ok(Some(line)) = line else { return };
        let request: Value = serde_json::from_str(&line).unwrap();
        let method = request["method"].as_str().unwrap_or_default();
        let result = match method {
            "mining.subscribe" => json!([[["mining.notify", extranonce1]], extranonce1, 4]),
            "mining.authorize" => json!(mood != Mood::Unwelcoming),
            "mining.submit" => match mood {
                Mood::Mute => continue,
                Mood::HangsUpAtShares => return,
                Mood::Refuses(_) => json!(false),
                Mood::Redirecting(..) | Mood::Away(_) => {
                    let params = match mood {
                        Mood::Redirecting(to, port) => json!([to, port, 0]),
                        Mood::Away(wait) => json!(["", 3333, wait]),
                        _ => unreachable!("one of both"),
                    };
                    let call = json!({"id": null, "method": "client.reconnect", "params": params});
                    writer.write_all(format!("{call}\n").as_bytes()).await.unwrap();
                    continue;
                }
                _ => {
                    let share =
                        ["2", "3", "4"].map(|at| &request["params"][at.parse::<usize>().unwrap()]);
                    let share = format!("{}/{}/{}", share[0], share[1], share[2]).replace('"', "");
                    pools.0.lock().unwrap().get_mut(&host).unwrap().accepted.push(share);
                    json!(true)
                }
            },
            _ => json!(false),
        };
        if let Mood::Protesting(words) = mood {
            let answer = json!({"id": request["id"], "result": null, "error": [-3, words, null]});
            if method == "mining.configure" {
                writer.write_all(format!("{answer}\n").as_bytes()).await.unwrap();
            }
            return;
        }
        let error = match mood {
            Mood::Refuses(refusal) if method == "mining.submit" => refusal.error(),
            _ => Value::Null,
        };
        let answer = json!({"id": request["id"], "result": result, "error": error});
        let mut text = format!("{answer}\n");
        if method == "mining.authorize" && !matches!(mood, Mood::Unwelcoming | Mood::Idle) {
            text += &format!(
                "{}\n",
                json!({"id": null, "method": "mining.set_difficulty", "params": [1e-10]})
            );
            text += &format!("{}\n", notify(&host, lock_time));
            let_in = true;
        }
        if writer.write_all(text.as_bytes()).await.is_err() {
            return;
        }
        if let (Mood::Brief(millis), true) = (mood, let_in) {
            return tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

/// A job that names its pool. Another lock time makes it other work.
pub(crate) fn notify(host: &str, lock_time: u32) -> Value {
    let prefix =
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff0f0351";
    let params = json!([
        host,
        "4d16b6f85af6e2198f44ae2a6de67f78487ae5611b77c6c0440b921e00000000",
        prefix,
        format!("ffffffff0100f2052a010000000151{lock_time:08x}"),
        [],
        "20000000",
        "1d00ffff",
        "65000000",
        true
    ]);
    json!({"id": null, "method": "mining.notify", "params": params})
}

pub(crate) fn account(url: &str) -> Account {
    let client = ClientConfig { version_mask: 0, ..ClientConfig::new("me") };
    let url = url.parse().unwrap();
    Account {
        url,
        client,
        route: Route::default(),
        redirects: midstate_net::Redirects::default(),
        v2: midstate_net::V2Wishes::default(),
    }
}

/// A running link.
pub(crate) struct Running {
    pub(crate) shares: mpsc::UnboundedSender<Share>,
    pub(crate) reloads: mpsc::UnboundedSender<Vec<Account>>,
    events: EventReceiver,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<LinkEnd>,
    started: Instant,
    /// The newest job, from the pool to work for.
    pub(crate) job: Option<Arc<Job>>,
    /// All jobs to hash, one of each channel.
    pub(crate) jobs: Vec<Arc<Job>>,
    pub(crate) verdicts: Vec<(String, Verdict)>,
    pub(crate) warnings: Vec<String>,
    /// Why connections were lost or did not come about.
    pub(crate) lost: Vec<String>,
    /// To which server work went over, and why.
    pub(crate) failovers: Vec<(String, Option<String>)>,
    /// Messages and warnings, and when they came.
    pub(crate) told: Vec<(f64, String)>,
    /// The servers that events named, and the pools of the list beside them.
    pub(crate) urls: Vec<(String, Option<String>)>,
    next_nonce: u32,
}

impl Running {
    pub(crate) fn start(pools: &Pools, hosts: &[&str]) -> Self {
        Self::start_with(pools, hosts, None)
    }

    pub(crate) fn start_with(pools: &Pools, hosts: &[&str], give_up: Option<u64>) -> Self {
        let accounts = hosts.iter().map(|host| account(&format!("{host}:3333"))).collect();
        Self::start_at(pools, accounts, give_up)
    }

    pub(crate) fn start_at(pools: &Pools, accounts: Vec<Account>, give_up: Option<u64>) -> Self {
        Self::start_by(Arc::new(pools.clone()), accounts, give_up)
    }

    pub(crate) fn start_by(
        dial: Arc<dyn Dial>,
        accounts: Vec<Account>,
        give_up: Option<u64>,
    ) -> Self {
        Self::start_tapped(dial, accounts, give_up, None)
    }

    pub(crate) fn start_tapped(
        dial: Arc<dyn Dial>,
        accounts: Vec<Account>,
        give_up: Option<u64>,
        frames: Option<Frames>,
    ) -> Self {
        let give_up = give_up.map(Duration::from_secs);
        let config = LinkConfig {
            accounts,
            give_up,
            limits: LinkLimits::default(),
            frames,
            hash_rate: midstate_net::HashRate::default(),
        };
        let (shares, given) = mpsc::unbounded_channel();
        let (reloads, reloaded) = mpsc::unbounded_channel();
        let (told, events) = events();
        let (stop, stopped) = oneshot::channel();
        let link = Link::with_dial(config, dial, given, told, stopped).with_reloads(reloaded);
        Self {
            shares,
            reloads,
            events,
            stop: Some(stop),
            task: tokio::spawn(link.run()),
            started: Instant::now(),
            job: None,
            jobs: Vec::new(),
            verdicts: Vec::new(),
            warnings: Vec::new(),
            lost: Vec::new(),
            failovers: Vec::new(),
            told: Vec::new(),
            urls: Vec::new(),
            next_nonce: 0,
        }
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// The pool whose work is being done.
    pub(crate) fn pool(&self) -> Option<&str> {
        self.job.as_ref().map(|job| job.id.as_str())
    }

    /// Lets time pass until `done`, at most an hour.
    pub(crate) async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        let hour = Duration::from_secs(3600);
        timeout(hour, async {
            while !done(self) {
                let event = self.events.recv().await.expect("the link runs");
                self.take(event);
            }
        })
        .await
        .expect("it happens within an hour");
    }

    /// Lets so much time pass.
    pub(crate) async fn pass(&mut self, seconds: u64) {
        self.pass_millis(1000 * seconds).await;
    }

    /// The same, in milliseconds.
    pub(crate) async fn pass_millis(&mut self, millis: u64) {
        let _ = timeout(Duration::from_millis(millis), async {
            while let Some(event) = self.events.recv().await {
                self.take(event);
            }
        })
        .await;
    }

    /// Until work is done for this pool; how long that took.
    pub(crate) async fn until_working_for(&mut self, host: &str) -> Duration {
        let since = Instant::now();
        self.until(|running| running.pool() == Some(host)).await;
        since.elapsed()
    }

    /// Finds a share in the present job.
    pub(crate) fn find_share(&mut self) {
        let job = self.job.clone().expect("there is a job");
        let share = (self.next_nonce..)
            .map(|nonce| {
                let (version, time) = (job.version, job.time);
                let extranonce2 = vec![0; job.extranonce2_size];
                let hash = Default::default();
                let mut share =
                    Share { job: Arc::clone(&job), extranonce2, version, time, nonce, hash };
                share.hash = share.header().hash();
                share
            })
            .find(Share::meets_share_target)
            .unwrap();
        self.next_nonce = share.nonce + 1;
        self.shares.send(share).unwrap();
    }

    /// Stops the link; its end.
    pub(crate) async fn stop(&mut self) -> LinkEnd {
        self.stop.take().unwrap().send(()).unwrap();
        self.end().await
    }

    /// Waits for the link to end by itself.
    pub(crate) async fn end(&mut self) -> LinkEnd {
        while let Some(event) = self.events.recv().await {
            self.take(event);
        }
        (&mut self.task).await.unwrap()
    }

    pub(crate) fn count(&self, verdict: Verdict) -> usize {
        self.verdicts.iter().filter(|&&(_, came)| came == verdict).count()
    }

    fn take(&mut self, LinkEvent { url, listed, what, .. }: LinkEvent) {
        self.urls.push((url.to_string(), listed.map(|listed| listed.to_string())));
        match what {
            Happened::Job { job, beside, .. } => {
                assert!(url.contains(&job.id), "{url} sends its own jobs");
                self.jobs.retain(|of| beside && of.channel != job.channel);
                self.jobs.push(Arc::clone(&job));
                self.job = Some(job);
            }
            Happened::ChannelEnded { channel } => {
                self.jobs.retain(|of| of.channel != Some(channel));
            }
            Happened::Pause => {
                self.job = None;
                self.jobs.clear();
            }
            Happened::Verdict(ShareOutcome { share, verdict, .. }) => {
                let seen = (share.hash.to_string(), verdict);
                assert!(!self.verdicts.iter().any(|(hash, _)| *hash == seen.0), "one verdict each");
                self.verdicts.push(seen);
            }
            Happened::Remark(Remark::Warning { text }) => {
                self.told.push((self.seconds(), format!("{url}: {text}")));
                self.warnings.push(text);
            }
            Happened::Remark(Remark::Message { text }) => {
                self.told.push((self.seconds(), format!("{url}: {text}")));
            }
            Happened::Remark(_) => {}
            Happened::State { state: LinkState::Failover, reason } => {
                self.failovers.push((url.to_string(), reason));
            }
            Happened::State { state: LinkState::Lost, reason } => self.lost.extend(reason),
            Happened::State { .. } | Happened::Revised { .. } => {}
        }
    }
}

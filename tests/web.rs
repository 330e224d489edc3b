//! `--web`: who may read (S10), that status, metrics, events and summary tell the same numbers, and
//! that the page shows them, in a real browser with real mining behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use midstate_economics::units;
use serde_json::Value;

use crate::browser::Browser;
use crate::failover::Pool;
use crate::port::Port;
use crate::program::{Directory, PATIENCE, Running, fail};
use crate::terminal::Terminal;

const PROJECTOR: (u32, u32) = (1920, 1080);
const PHONE: (u32, u32) = (390, 844);
const DOCS: &str = include_str!("../docs/web.md");

/// A demo that finds a block every second or so, on one thread.
fn demo(more: &[&str]) -> Running {
    let always = ["demo", "--blocks", "100000", "--threads", "1", "--max-hashrate", "1M"];
    Running::start(&[&always[..], more].concat())
}

/// Where the page is, as HOST:PORT.
pub(crate) fn address(miner: &mut Running) -> String {
    let event = miner.wait_for(|event| event["event"] == "web");
    let url = event["url"].as_str().unwrap();
    url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned()
}

/// An answer: its status, its head in lower case, its body.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

/// Sends some bytes and reads all that comes back.
fn send(address: &str, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    // A server may answer and hang up before it has heard all: what came before that counts.
    let _ = stream.write_all(request.as_bytes());
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let (head, body) = (head.to_lowercase(), body.to_owned());
    Answer { status: status.unwrap_or(0), head, body }
}

/// Asks for a page under a name, with more lines in the head.
fn ask(address: &str, host: &str, path: &str, more: &str) -> Answer {
    send(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n"),
    )
}

fn get(address: &str, path: &str) -> String {
    let answer = ask(address, address, path, "");
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

pub(crate) fn status(address: &str) -> Value {
    serde_json::from_str(&get(address, "/api/v1/status")).unwrap()
}

/// Waits for something that has no event.
pub(crate) fn wait_for<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = check() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until mining has begun.
fn wait_for_job(miner: &mut Running) {
    miner.wait_for(|event| event["event"] == "job");
}

#[test]
fn s10_everything_is_read_only_under_our_own_name_and_closed_to_other_sites() {
    let mut miner = demo(&["--web", "127.0.0.1:0", "--difficulty", "1"]);
    let address = address(&mut miner);
    wait_for_job(&mut miner);
    for (path, media_type) in [
        ("/", "text/html"),
        ("/look.css", "text/css"),
        ("/page.css", "text/css"),
        ("/words.js", "text/javascript"),
        ("/ladder.js", "text/javascript"),
        ("/page.js", "text/javascript"),
        ("/api/v1/status", "application/json"),
        ("/api/v1/machines", "application/json"),
        ("/metrics", "application/openmetrics-text"),
    ] {
        let answer = ask(&address, &address, path, "Origin: http://evil.example\r\n");
        assert_eq!(answer.status, 200, "{path}");
        assert!(!answer.body.is_empty(), "{path}");
        assert!(answer.head.contains(&format!("content-type: {media_type}")), "{}", answer.head);
        assert!(answer.head.contains("content-security-policy: default-src 'none'; "), "{path}");
        assert!(answer.head.contains("x-content-type-options: nosniff"), "{path}");
        assert!(!answer.head.contains("access-control"), "{path}: {}", answer.head);
        let answer = ask(&address, "evil.example", path, "");
        assert_eq!(answer.status, 403, "{path} under another name");
        assert!(answer.head.contains("content-security-policy"), "refusals, too");
    }
    assert!(!get(&address, "/").contains("unsafe"));
    assert!(get(&address, "/").contains("<noscript>"), "who has no JavaScript is told so");
    for method in ["POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"] {
        let head = format!("{method} / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let answer = send(&address, &head);
        assert_eq!(answer.status, 405, "{method}");
        assert!(answer.head.contains("allow: get"), "{method}: {}", answer.head);
    }
    for path in ["/nothing", "/../../etc/passwd", "/page.html", "/api/v1/", "/events/"] {
        assert_eq!(ask(&address, &address, path, "").status, 404, "{path}");
    }
    let host = address.replace("127.0.0.1", "localhost");
    assert_eq!(ask(&address, &host, "/", "").status, 200);
    assert_ne!(send(&address, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").status, 200);
}

#[test]
fn s10_heads_are_bounded_in_size_and_time_and_connections_in_number() {
    let mut miner = demo(&["--web", "127.0.0.1:0", "--difficulty", "1"]);
    let address = address(&mut miner);
    wait_for_job(&mut miner);
    let long = format!("X-Long: {}\r\n", "x".repeat(8 * 1024));
    assert_eq!(ask(&address, &address, "/", &long).status, 431);
    let fits = format!("X-Long: {}\r\n", "x".repeat(7 * 1024));
    assert_eq!(ask(&address, &address, "/", &fits).status, 200);

    let listen = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
        // One too many may be answered before it has asked.
        let _ = stream.write_all(request.as_bytes());
        let mut first = [0; 15];
        stream.read_exact(&mut first).unwrap();
        (stream, first)
    };
    let mut listeners: Vec<_> = (0..32).map(|_| listen()).collect();
    assert!(listeners.iter().all(|(_, first)| first == b"HTTP/1.1 200 OK"));
    for _ in 0..20 {
        assert_eq!(&listen().1, b"HTTP/1.1 503 Se", "one too many is told so");
    }
    listeners.truncate(31);
    wait_for("a place is free again", || {
        Some(listen()).filter(|(_, first)| first == b"HTTP/1.1 200 OK")
    });
    drop(listeners);
    wait_for("the others, too", || {
        (0..4).all(|_| ask(&address, &address, "/", "").status == 200).then_some(())
    });

    let begun = Instant::now();
    let mut slow = TcpStream::connect(&address).unwrap();
    slow.write_all(b"GET / HTTP/1.1\r\nHost: loc").unwrap();
    slow.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    let ended = slow.read_to_end(&mut rest);
    let (seconds, rest) = (begun.elapsed().as_secs_f64(), String::from_utf8_lossy(&rest));
    assert!(ended.is_ok() && seconds > 4.0, "closed after {seconds} s: {rest}");
    assert!(!rest.contains("200 OK"), "{rest}");
}

#[test]
fn s10_other_machines_need_a_token() {
    let (code, stderr) = fail(&["demo", "--web", "0.0.0.0:0"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("add --web-token FILE"), "{stderr}");

    let directory = Directory::new("token");
    let file = directory.0.join("token").to_str().unwrap().to_owned();
    let arguments = ["--web", "0.0.0.0:0", "--difficulty", "1", "--web-token", &file];
    let mut miner = demo(&arguments);
    let everywhere = address(&mut miner);
    let address = everywhere.replace("0.0.0.0", "127.0.0.1");
    wait_for_job(&mut miner);
    let token = std::fs::read_to_string(&file).unwrap();
    let token = token.trim();
    assert_eq!(token.len(), 32, "128 bits in hex");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let host = "classroom.example";
    let wrong = token.replace(|digit: char| digit.is_ascii_digit(), "a");
    for path in ["/", "/events", "/metrics", "/api/v1/status", "/page.js", "/nothing"] {
        assert_eq!(ask(&address, host, path, "").status, 401, "{path}");
        let path = format!("{path}?token={wrong}x");
        assert_eq!(ask(&address, host, &path, "").status, 401, "{path}");
    }
    let answer = ask(&address, host, &format!("/?token={token}"), "");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("referrer-policy: no-referrer"));
    let cookie = answer.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    assert!(cookie.ends_with("; httponly; samesite=strict; path=/"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for proof in [cookie, bearer] {
        assert_eq!(ask(&address, host, "/metrics", &proof).status, 200, "{proof}");
        assert_eq!(ask(&address, host, "/page.js", &proof).status, 200, "{proof}");
    }
    miner.signal("INT");
    assert_eq!(miner.exit_code(), Some(0));

    let mut miner = demo(&arguments);
    let everywhere = self::address(&mut miner);
    let address = everywhere.replace("0.0.0.0", "127.0.0.1");
    let answer = ask(&address, host, &format!("/?token={token}"), "");
    assert_eq!(answer.status, 200, "the token outlives the program");

    std::fs::write(&file, "secret").unwrap();
    let (code, stderr) = fail(&["demo", "--web", "127.0.0.1:0", "--web-token", &file]);
    assert_eq!(code, 2);
    assert!(stderr.contains("holds no token"), "{stderr}");
}

/// Every path to a value: `shares.found`, `chain[].hash`.
fn paths(value: &Value, path: &str, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            items.iter().for_each(|item| paths(item, &format!("{path}[]"), found));
        }
        value => {
            found.insert(path.to_owned(), value.clone());
        }
    }
}

/// The names in the first column of the table below a heading of the docs.
fn documented(heading: &str) -> BTreeSet<String> {
    let section = DOCS.split(heading).nth(1).expect("the section is there");
    let section = section.split("\n## ").next().unwrap();
    let name = |line: &str| Some(line.strip_prefix("| `")?.split('`').next()?.to_owned());
    section.lines().filter_map(name).collect()
}

/// The samples of an OpenMetrics text: name and labels, and the value.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "the text is whole");
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(sample).collect()
}

#[test]
fn the_docs_name_every_field_and_every_metric() {
    let mut miner = demo(&["--web", "127.0.0.1:0", "--difficulty", "0.0002"]);
    let address = address(&mut miner);
    miner.wait_for(|event| event["event"] == "block");
    miner.wait_for(|event| event["event"] == "block");
    let mut found = BTreeMap::new();
    // A header is sampled four times a second; before the first of a job there is none.
    let now = wait_for("a header of the job, a block, and a worker", || {
        let all = |now: &Value| {
            [&now["header"], &now["chain"][0], &now["workers"][0]].map(Value::is_object)
        };
        Some(status(&address)).filter(|now| all(now) == [true; 3])
    });
    paths(&now, "", &mut found);
    let names: BTreeSet<_> = found.into_keys().collect();
    assert_eq!(names, documented("## The status"));

    let text = get(&address, "/metrics");
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names: BTreeSet<_> =
        families.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(names, documented("## The metrics"));
    let helps = text.lines().filter(|line| line.starts_with("# HELP ")).count();
    assert_eq!(helps, names.len(), "each has its help");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let counted = text.contains(&format!("\n{name}_total"));
        assert_eq!(counted, kind == "counter", "{line}");
    }
}

#[test]
fn a_listener_gets_the_events_as_they_are_printed() {
    let mut miner = demo(&["--web", "127.0.0.1:0", "--difficulty", "0.0001"]);
    let address = address(&mut miner);
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET /events HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    let mut name = String::new();
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        } else if let Some(data) = line.strip_prefix("data: ") {
            let event: Value = serde_json::from_str(data).unwrap();
            assert_eq!(
                (&event["schema"], &event["event"]),
                (&Value::from(1), &Value::from(&*name))
            );
            told.entry(name.clone()).or_default().push(event);
            let count = |name: &str| told.get(name).map_or(0, Vec::len);
            if count("share") >= 5 && count("status") >= 2 && count("header") >= 1 {
                break;
            }
        }
    }
    let first = told["share"][0].clone();
    let printed =
        miner.wait_for(|event| event["event"] == "share" && event["hash"] == first["hash"]);
    assert_eq!(printed, first);
    for share in &told["share"][1..] {
        assert_eq!(&miner.wait_for(|event| event["event"] == "share"), share);
    }
    let statuses = &told["status"];
    assert!(
        statuses.windows(2).all(|two| two[0]["seconds"].as_f64() <= two[1]["seconds"].as_f64())
    );
    let (sampled, header) = (&told["header"].last().unwrap()["header"], "header");
    let bytes: midstate_chain::Header = sampled["bytes"].as_str().unwrap().parse().unwrap();
    assert_eq!(bytes.hash().to_string(), sampled["hash"].as_str().unwrap(), "{header}");
    assert_eq!(bytes.nonce, sampled["nonce"].as_u64().unwrap() as u32);
}

/// The chain as the page shows it, newest first: height, hash, finder.
const CHAIN: &str = "[...document.querySelectorAll('#chain .block:not(#next)')].map(block =>
    [block.querySelector('.height').textContent, block.title,
     block.querySelector('.finder').textContent])";

/// Collects what Chromium calls layout shifts: things that move without anybody's doing. Frames
/// just after a change of the window's size are let pass.
const WATCH_SHIFTS: &str = "new Promise(done => {
    const watch = () => {
      window.shifted = [];
      const keep = ({ node }) => window.shifted.push(node && node.outerHTML.slice(0, 99));
      new PerformanceObserver(list => list.getEntries().forEach(it => it.sources.forEach(keep)))
        .observe({ type: 'layout-shift' });
      done(0);
    };
    // From the second frame on, whenever it comes.
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(watch, 1000)));
  })";

/// A number in the page's words, which no line break tears from its unit.
fn worded(browser: &mut Browser, expression: &str) -> String {
    let words = browser.evaluate(expression);
    let words = words.as_str().unwrap();
    assert!(!words.contains(' '), "{words}");
    words.replace('\u{a0}', " ")
}

/// Each number is worded twice, in Rust and in the page's script.
#[test]
#[ignore = "needs chromium"]
fn the_page_words_numbers_as_the_program_does() {
    let mut browser = Browser::start("words");
    let mut miner = demo(&["--web", "127.0.0.1:0", "--difficulty", "0.0002"]);
    browser.open(&format!("http://{}/", address(&mut miner)), PROJECTOR);
    browser.wait_until("document.body.dataset.state === 'mining'");
    let numbers = [0.0, 2.5e-13, 0.0012, 0.4, 1.0, 9.994, 9.996, 99.96, 999.4, 999.6, 123_456.0];
    for number in numbers.into_iter().chain([999_999.0, 86.4e6, 1.55e14, 4.4e25]) {
        assert_eq!(worded(&mut browser, &format!("si({number:e})")), units::si(number), "{number}");
    }
    let years = [2.5, 40.0, 1234.0, 2.1e6, 999.6e6, 3.3e9, 4e12];
    for seconds in years.map(|years| years * units::YEAR).into_iter().chain([2e5, 1e7, 6e7]) {
        let told = worded(&mut browser, &format!("duration({seconds:e})"));
        assert_eq!(told, units::Seconds(seconds).to_string(), "{seconds} s");
    }
    miner.signal("INT");
    assert_eq!(miner.exit_code(), Some(0));
}

#[test]
#[ignore = "needs chromium"]
fn the_page_shows_what_the_events_and_the_summary_tell() {
    let mut browser = Browser::start("page");
    let mut miner = demo(&["--web", "127.0.0.1:0", "--difficulty", "0.0002"]);
    let address = address(&mut miner);
    let pool = miner.pool_address();
    browser.open(&format!("http://{address}/"), PROJECTOR);
    browser.wait_until("document.body.dataset.state === 'mining'");
    let visitor = ["mine", "-o", &pool, "-u", "<b>anna</b>", "--threads", "1"];
    let mut visitor = Running::start(&[&visitor[..], &["--max-hashrate", "1M"]].concat());
    visitor.wait_for(|event| event["event"] == "block");
    browser.wait_until("document.getElementById('miners').textContent.includes('<b>anna</b>')");
    browser.wait_until("document.querySelectorAll('#scale .row').length === 10");
    let joule = browser.evaluate("document.getElementById('joule').textContent");
    assert_eq!(joule, "CPUfetchingsteering0.1 %ASICroundsabout 90 %");

    for size in [PROJECTOR, PHONE, (1024, 768), (1280, 800)] {
        browser.resize(size);
        let sideways = "document.documentElement.scrollWidth - innerWidth";
        assert_eq!(browser.evaluate(sideways), 0, "the page scrolls sideways at {size:?}");
        let cut = "[...document.querySelectorAll('#scale .value, #joule .value, #joule i')]
            .filter(it => it.scrollWidth > it.clientWidth + 1).map(it => it.textContent)";
        assert_eq!(browser.evaluate(cut), serde_json::json!([]), "cut at {size:?}");
        let hidden =
            "document.querySelector('#join code').getBoundingClientRect().bottom > innerHeight";
        assert_eq!(browser.evaluate(hidden), false, "how to join is below the edge at {size:?}");
    }
    browser.resize(PROJECTOR);
    let below = browser.evaluate("document.documentElement.scrollHeight - innerHeight");
    assert_eq!(below, 0, "all of it is on the projector");
    browser.evaluate(WATCH_SHIFTS);

    let join = format!("midstate mine -u NAME -o {pool}");
    assert_eq!(browser.evaluate("document.querySelector('#join code').textContent"), join);

    assert!(browser.text("target-words").contains("The pool asks for this harder one"));
    for (target, words) in [("7fffff", "below it is a block"), ("7fffffff", "it is a share")] {
        let job = format!(
            "{{ target: '{target}'.padEnd(64, '0'), difficulty: 1, network_difficulty: 2 }}"
        );
        let told = browser.evaluate(&format!("targetWords({job}, '207fffff')"));
        assert!(told.as_str().unwrap().contains(words), "{target}: {told}");
    }

    drop(visitor);
    let mut blocks = Vec::new();
    let summary = loop {
        let event =
            miner.wait_for(|event| event["event"] == "block" || event["event"] == "summary");
        if event["event"] == "summary" {
            break event;
        }
        // The visitor may have been first with another one.
        if event["verdict"] == "accepted" {
            blocks.push(event);
            if blocks.len() == 3 {
                miner.signal("INT");
            }
        }
    };
    assert_eq!(miner.exit_code(), Some(0));
    browser.wait_until("document.body.dataset.state === 'ended'");
    assert_eq!(browser.text("state"), "ended: interrupted");
    for name in ["found", "accepted", "rejected", "stale", "throttled", "unresolved"] {
        assert_eq!(browser.text(name), summary["shares"][name].to_string(), "{name}");
    }
    assert_eq!(browser.text("blocks"), summary["blocks"]["accepted"].to_string());
    let exact = "Number(document.getElementById('hashes').dataset.exact)";
    assert_eq!(browser.evaluate(exact), summary["hashes"]);
    let exact = "Number(document.getElementById('best').dataset.exact)";
    assert_eq!(browser.evaluate(exact), summary["best_difficulty"]);
    assert_eq!(browser.evaluate("window.shifted"), serde_json::json!([]), "the page jumps");
    let shown = browser.evaluate(CHAIN);
    let shown = shown.as_array().unwrap();
    // A chain that grew fast has left the page at its far end.
    let lowest: u64 = shown.last().unwrap()[0].as_str().unwrap().parse().unwrap();
    blocks.retain(|block| block["height"].as_u64() >= Some(lowest));
    assert!(!blocks.is_empty(), "none of ours is in {shown:?}");
    for block in &blocks {
        let height = block["height"].to_string();
        let block = serde_json::json!([height, block["hash"], "this machine"]);
        assert!(shown.contains(&block), "{block} is not in {shown:?}");
    }
    assert!(
        browser.complaints.iter().all(|words| words.contains("ERR_")),
        "{:?}",
        browser.complaints
    );
}

#[test]
#[ignore = "needs chromium"]
fn the_page_says_when_it_is_old_and_comes_back_by_itself() {
    let mut browser = Browser::start("stale");
    let port = Port::hold();
    let place = port.address().to_string();
    let arguments = ["--web", &place, "--difficulty", "1"];
    let mut miner = demo(&arguments);
    assert_eq!(address(&mut miner), place);
    browser.open(&format!("http://{place}/"), PHONE);
    browser.wait_until("document.body.dataset.state === 'mining'");
    miner.signal("STOP");
    browser.wait_until("document.body.dataset.state === 'stale'");
    assert!(browser.text("state").starts_with("no word for "));
    miner.signal("CONT");
    browser.wait_until("document.body.dataset.state === 'mining'");
    drop(miner);
    browser.wait_until("document.body.dataset.state === 'stale'");
    let _again = demo(&arguments);
    browser.wait_until("document.body.dataset.state === 'mining'");
}

#[test]
#[ignore = "needs chromium"]
fn the_page_rests_with_a_pause_and_goes_on_after_it() {
    let mut browser = Browser::start("pause");
    let port = Port::hold();
    let free = port.address().to_string();
    let terminal = Terminal::demo(&["--max-hashrate", "1M", "--web", &free], &[]);
    let place = format!("page on http://{free}/");
    terminal.wait_for("where the page is", |screen| screen.contents().contains(&place));
    browser.open(&format!("http://{free}/"), PROJECTOR);
    browser.wait_until("document.body.dataset.state === 'mining'");

    terminal.press("p");
    browser.wait_until("document.body.dataset.state === 'paused'");
    browser.wait_until("document.getElementById('rate').textContent === '0\\u00a0H/s'");
    // When the last units that were begun are finished, nothing moves any more.
    let exact = "document.getElementById('hashes').dataset.exact";
    let rested = wait_for("rest", || {
        let before = status(&free)["hashes"].to_string();
        std::thread::sleep(Duration::from_millis(1500));
        let now = [status(&free)["hashes"].to_string(), browser.evaluate(exact).as_str()?.into()];
        now.iter().all(|now| *now == before).then_some(before)
    });
    assert_eq!(samples(&get(&free, "/metrics"))["midstate_state{state=\"paused\"}"], 1.0);

    terminal.press("p");
    browser.wait_until("document.body.dataset.state === 'mining'");
    browser.wait_until(&format!("{exact} > {rested}"));
    assert_eq!(browser.complaints, [""; 0]);
}

#[test]
#[ignore = "needs chromium"]
fn the_page_follows_a_failover_and_all_numbers_agree_when_the_work_is_gone() {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut primary, mut backup) = (Pool::start(&runtime), Pool::start(&runtime));
    let mut browser = Browser::start("failover");
    let (first, second) = (primary.url(), backup.url());
    let more = ["--threads", "1", "--max-hashrate", "1M", "--web", "127.0.0.1:0"];
    let mut miner =
        Running::start(&[&["mine", "-o", &first, "-o", &second, "-u", "me"], &more[..]].concat());
    let address = address(&mut miner);
    let accepted_at = |url: String| {
        move |event: &Value| {
            event["event"] == "share" && event["pool"] == *url && event["verdict"] == "accepted"
        }
    };
    miner.wait_for(accepted_at(first.clone()));
    assert_eq!(status(&address)["url"], first);
    browser.open(&format!("http://{address}/"), PROJECTOR);
    browser.wait_until(&format!("document.body.innerText.includes('{first}')"));
    primary.kill(&runtime);
    miner.wait_for(accepted_at(second.clone()));
    assert_eq!(status(&address)["url"], second);
    browser.wait_until(&format!("document.body.innerText.includes('{second}')"));
    browser.wait_until("document.body.dataset.state === 'mining'");
    backup.kill(&runtime);
    miner.wait_for(|event| event["event"] == "pool" && event["state"] == "lost");

    // Without work nothing moves any more.
    let now = wait_for("standstill", || {
        let before = status(&address);
        std::thread::sleep(Duration::from_millis(1500));
        let now = status(&address);
        let still = now["state"] == "connecting" && now["hashes"] == before["hashes"];
        still.then_some(now)
    });
    assert_eq!(now["job"], Value::Null);
    browser.wait_until("document.body.dataset.state === 'connecting'");
    browser.wait_until(&format!(
        "document.getElementById('hashes').dataset.exact === '{}'",
        now["hashes"]
    ));
    assert_eq!(browser.text("accepted"), now["shares"]["accepted"].to_string());
    let metrics = samples(&get(&address, "/metrics"));
    miner.signal("INT");
    let summary = miner.wait_for(|event| event["event"] == "summary");
    assert_eq!(miner.exit_code(), Some(0));
    for name in ["hashes", "shares", "best_difficulty", "kernel", "threads", "midstates"] {
        assert_eq!(now[name], summary[name], "{name}");
    }
    let (shares, blocks) = (&summary["shares"], &summary["blocks"]);
    assert_eq!(now["blocks"]["accepted"], blocks["accepted"]);
    assert_eq!(now["blocks"]["rejected"], blocks["rejected"]);
    for (name, value) in [
        ("midstate_hashes_total", &summary["hashes"]),
        ("midstate_threads", &summary["threads"]),
        ("midstate_midstates", &summary["midstates"]),
        ("midstate_best_difficulty", &summary["best_difficulty"]),
        ("midstate_shares_found_total", &shares["found"]),
        ("midstate_shares_total{verdict=\"accepted\"}", &shares["accepted"]),
        ("midstate_shares_total{verdict=\"rejected\"}", &shares["rejected"]),
        ("midstate_shares_total{verdict=\"stale\"}", &shares["stale"]),
        ("midstate_shares_total{verdict=\"throttled\"}", &shares["throttled"]),
        ("midstate_shares_unresolved", &shares["unresolved"]),
        // A block that was sent to a dead pool is booked when it is given up, at the end.
        ("midstate_blocks_found_total", &now["blocks"]["found"]),
        ("midstate_blocks{verdict=\"accepted\"}", &blocks["accepted"]),
        ("midstate_blocks{verdict=\"rejected\"}", &blocks["rejected"]),
        ("midstate_state{state=\"connecting\"}", &Value::from(1)),
        ("midstate_state{state=\"mining\"}", &Value::from(0)),
    ] {
        let (metric, value) = (metrics[name], value.as_f64().unwrap());
        // serde_json reads some numbers with their last bit wrong.
        assert!((metric - value).abs() <= value * 1e-15, "{name}: {metric}, not {value}");
    }
}

//! `class`: devices that speak the door's protocol mine beside a miner and a plain Stratum client.
//! What the devices were told, what the class's page shows, the events and the pool's books agree.

use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::sync::atomic::AtomicBool;

use midstate_sha256d::Kernel;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::devices::{Device, Tally, events, post, send};
use crate::program::Running;
#[cfg(unix)]
use crate::terminal::Terminal;

/// A class that is open.
pub(crate) struct Class {
    pub(crate) program: Running,
    /// Where devices knock.
    pub(crate) door: String,
    pub(crate) code: String,
    /// Where miners connect.
    pub(crate) stratum: String,
}

impl Class {
    pub(crate) fn start(more: &[&str]) -> Self {
        let always =
            ["class", "--door", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--max-hashrate", "500k"];
        Self::of(Running::start(&[&always[..], more].concat()))
    }

    fn of(mut program: Running) -> Self {
        let opened = program.wait_for(|event| event["event"] == "class");
        let url = opened["urls"][0].as_str().unwrap();
        let door = url.strip_prefix("http://").unwrap().trim_end_matches('/').to_owned();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self { program, door, code: text(&opened["code"]), stratum: text(&opened["stratum"][0]) }
    }

    pub(crate) fn join(&self, name: &str) -> Device {
        Device::join(&self.door, &self.code, name).unwrap()
    }
}

/// A Stratum client without a hasher: it subscribes, authorizes and guesses one nonce.
fn guess(address: &str, user: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
    let mut ask = |method: &str, params: Value| {
        let line = json!({"id": 1, "method": method, "params": params});
        writeln!(stream, "{line}").unwrap();
    };
    ask("mining.subscribe", json!([]));
    ask("mining.authorize", json!([user, "x"]));
    let is_job = |line: &Value| line["method"] == "mining.notify";
    let mut messages = lines.by_ref().map(|line| serde_json::from_str::<Value>(&line).unwrap());
    let job = messages.find(is_job).unwrap()["params"].clone();
    ask("mining.submit", json!([user, job[0], "00000000", job[7], "00000000"]));
    let refused = messages.find(|line| line["error"].is_array()).unwrap();
    assert_eq!(refused["error"][0], 23, "a guess is no share: {refused}");
}

#[test]
fn devices_a_miner_and_a_plain_client_mine_together_and_all_books_agree_to_the_share() {
    let mut class = Class::start(&["--pace", "4", "--blocks", "8", "--name", "Room 12"]);
    let page = events(&class.door, "/class/events").unwrap();
    let page = std::thread::spawn(move || page.map(|(_, state)| state).collect::<Vec<_>>());

    let devices = ["Ada", "Bo\u{202e}", "ada", ""].map(|name| class.join(name));
    let names = devices.each_ref().map(|device| device.name.clone());
    assert_eq!(names, ["Ada", "Bo", "ada 2", "guest"]);
    let miner = ["mine", "-o", &class.stratum, "-u", "Ada", "--max-hashrate", "1M", "-t", "1"];
    let mut miner = Running::start(&miner);
    // Two connections, one after the other.
    (0..2).for_each(|_| guess(&class.stratum, "plain"));
    let threads = devices.map(|device| {
        let mine = move || device.mine(Kernel::SCALAR, 400e3, &AtomicBool::new(false));
        std::thread::spawn(mine)
    });

    let (standings, left) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let (own_blocks, retargets) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let summary = class.program.wait_for(|event| {
        match event["event"].as_str() {
            Some("standing") => standings.borrow_mut().push(event.clone()),
            Some("miner") if event["state"] == "left" => left.borrow_mut().push(event.clone()),
            Some("retarget") => retargets.borrow_mut().push(event.clone()),
            // Whatever it told of times and tries would be this machine's alone.
            Some("block") if event["verdict"] == "accepted" => {
                own_blocks.borrow_mut().push(event["seconds"].clone());
            }
            _ => {}
        }
        event["event"] == "summary"
    });
    assert_eq!(summary["reason"], "blocks");
    assert_eq!(class.program.exit_code(), Some(0));
    let (standings, left) = (standings.into_inner(), left.into_inner());
    let row = |kind: &str, name: &str| {
        let is_row = |row: &&Value| row["kind"] == kind && row["name"] == name;
        let mut rows = standings.iter().filter(is_row);
        let row = rows.next().unwrap_or_else(|| panic!("{kind} {name}: {standings:?}"));
        assert!(rows.next().is_none(), "one row a name");
        row
    };

    // The devices were told what the books say, and the events.
    for (thread, name) in threads.into_iter().zip(&names) {
        let Tally { accepted, blocks, stale, rejected, hashes, .. } = thread.join().unwrap();
        let row = row("device", name);
        let told = json!([accepted, blocks, stale, rejected]);
        let booked = json!([row["shares"], row["blocks"], row["stale"], row["rejected"]]);
        assert_eq!(told, booked, "{name}");
        assert!(accepted > 0 && rejected == 0, "{name}: {row}");
        let claimed = row["claimed"].as_u64().unwrap();
        assert!(claimed > 0 && claimed <= hashes, "{name} claims {claimed} of {hashes}");
        let mut by_event = left
            .iter()
            .filter(|event| event["worker"] == **name && event["device"] == true)
            .map(|event| event["accepted"].as_u64().unwrap());
        assert_eq!(by_event.next_back(), Some(accepted), "{name}: {left:?}");
        assert_eq!(row["here"], true, "it stayed to the end: {row}");
    }
    let plain = row("miner", "plain");
    assert_eq!((&plain["shares"], &plain["rejected"]), (&json!(0), &json!(2)));
    let last = left.iter().rfind(|event| event["worker"] == "plain").unwrap();
    assert_eq!(last["rejected"], 2, "who leaves is told with the sum of the name: {last}");
    let teacher = row("teacher", "teacher's machine");
    assert_eq!(teacher["shares"], summary["shares"]["accepted"]);
    assert_eq!(teacher["blocks"], summary["blocks"]["accepted"]);
    assert_eq!((&teacher["here"], &plain["here"]), (&json!(true), &json!(false)));
    let own_blocks = own_blocks.into_inner();
    assert_eq!(teacher["blocks"], own_blocks.len());
    assert!(own_blocks.iter().all(Value::is_null), "{own_blocks:?}");
    miner.signal("INT");
    let own = miner.wait_for(|event| event["event"] == "summary");
    let ada = row("miner", "Ada");
    assert_eq!(
        (&ada["shares"], &ada["blocks"]),
        (&own["shares"]["accepted"], &own["blocks"]["accepted"])
    );

    // The class's page shows the same, and it is in order.
    let states = page.join().unwrap();
    let last = states.last().unwrap();
    assert_eq!((&last["over"], &last["name"]), (&json!(true), &json!("Room 12")));
    // One more may be found before everybody has heard that it is over.
    let found = last["found"].as_u64().unwrap();
    assert!((8..12).contains(&found), "{found}");
    let shown =
        |row: &Value| json!([row["name"], row["kind"], row["shares"], row["blocks"], row["work"]]);
    let page: Vec<_> = last["rows"].as_array().unwrap().iter().map(shown).collect();
    let booked: Vec<_> = standings.iter().map(shown).collect();
    assert_eq!(page, booked);
    let blocks: Vec<_> = standings.iter().map(|row| row["blocks"].as_u64().unwrap()).collect();
    assert_eq!(blocks.iter().sum::<u64>(), found);
    assert!(blocks.is_sorted_by(|a, b| a >= b), "{blocks:?}");
    assert_eq!(last["waits"].as_array().unwrap().len() as u64, found);
    // So it has all retargets, as the events have them.
    let (retargets, history) = (retargets.into_inner(), last["difficulties"].as_array().unwrap());
    assert!(history.len() > 2 && retargets.len() >= history.len() - 1, "{retargets:?}");
    for (event, points) in retargets.iter().zip(history.windows(2)) {
        assert_eq!((&event["before"], &event["difficulty"]), (&points[0][1], &points[1][1]));
        let (seconds, mut height) = (points[1][0].as_f64().unwrap(), 1);
        let mut found = 0.0;
        for wait in last["waits"].as_array().unwrap() {
            found += wait[0].as_f64().unwrap();
            height += u64::from(found <= seconds + 0.01);
        }
        assert_eq!(event["height"], height, "{event}: {last}");
        assert!(event["reason"] == "blocks" || event["reason"] == "time", "{event}");
    }
    let retarget = last["difficulties"][1][0].as_f64().unwrap();
    let second: f64 = (0..2).map(|block| last["waits"][block][0].as_f64().unwrap()).sum();
    assert!(retarget < second + 0.5, "after two blocks at the latest: {retarget}, {second}");
}

#[test]
#[ignore = "needs chromium"]
fn browsers_join_through_the_code_and_the_class_s_page_shows_what_they_found() {
    let class = Class::start(&["--pace", "4"]);
    let url = format!("http://{}/", class.door);
    let join = |browser: &mut Browser, url: &str, size, name: &str| {
        browser.open(url, size);
        // A button without its script does nothing.
        browser
            .wait_until("document.getElementById('start') && document.readyState === 'complete'");
        browser.evaluate(&format!("document.getElementById('name').value = '{name}'"));
    };
    let start = |browser: &mut Browser| {
        browser.evaluate("document.getElementById('start').click()");
    };
    // A telephone has scanned the code; a laptop types it, wrong at first.
    let mut phone = Browser::start("class-phone");
    join(&mut phone, &format!("{url}#{}", class.code), (390, 844), "Ada");
    start(&mut phone);
    let mut laptop = Browser::start("class-laptop");
    join(&mut laptop, &url, (1280, 720), "Ada");
    let code = |browser: &mut Browser, code: &str| {
        browser.evaluate(&format!("document.getElementById('code').value = '{code}'"));
        browser.evaluate("document.getElementById('start').click()");
    };
    code(&mut laptop, if class.code == "000000" { "000001" } else { "000000" });
    laptop.wait_until("document.getElementById('error').textContent.includes('not the code')");
    // The browser's own word on the answer.
    laptop.complaints.clear();
    code(&mut laptop, &class.code);

    let mut projector = Browser::start("class-projector");
    projector.open(&format!("{url}class"), (1280, 720));
    for browser in [&mut phone, &mut laptop] {
        browser.wait_until("you !== null && you.shares > 3");
    }
    assert_eq!((phone.text("title"), laptop.text("title")), ("Ada".into(), "Ada 2".into()));
    for name in ["Ada 2", "teacher"] {
        projector.wait_until(&format!("document.body.textContent.includes('{name}')"));
    }
    // A reload is the same device, and its shares are still there.
    let before = phone.evaluate("you.shares").as_u64().unwrap();
    phone.evaluate("location.reload()");
    phone.wait_until("document.readyState === 'complete' && you === null");
    start(&mut phone);
    phone.wait_until(&format!("you !== null && you.shares >= {before}"));
    assert_eq!(phone.text("title"), "Ada");

    // The page's count is the class's.
    let mut states = events(&class.door, "/class/events").unwrap();
    let state = states.next().unwrap().1;
    let rows = state["rows"].as_array().unwrap();
    let names: Vec<_> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for (browser, name) in [(&mut phone, "Ada"), (&mut laptop, "Ada 2")] {
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        assert_eq!(
            (&row["kind"], &row["here"], &row["rejected"]),
            (&json!("device"), &json!(true), &json!(0))
        );
        let shown = browser.evaluate("you.shares").as_u64().unwrap();
        assert!(shown >= row["shares"].as_u64().unwrap(), "{row}");
        assert!(row["claimed"].as_u64().unwrap() > 0, "{row}");
        assert_eq!(browser.complaints, Vec::<String>::new(), "{name}");
    }
    assert_eq!(projector.complaints, Vec::<String>::new());
}

#[test]
fn a_device_that_comes_back_goes_on_where_it_was_and_a_hit_counts_once() {
    let class = Class::start(&["--pace", "1000"]);
    let device = class.join("Ada");
    let mut stream = device.events().unwrap();
    let first = work(&mut stream);
    assert_eq!((&first["piece"], &first["clean"]), (&json!(1), &json!(true)));
    // Another page of the device takes over, and the first one is told.
    let mut second = device.events().unwrap();
    let end = stream.find(|(name, _)| name == "end").unwrap().1;
    assert_eq!(end["why"], "replaced");
    assert!(stream.next().is_none(), "it ends");
    assert_eq!(work(&mut second)["piece"], 1, "the same work");
    // The network is lost for a moment.
    drop(second);
    let mut third = device.events().unwrap();
    assert_eq!(work(&mut third)["midstates"], first["midstates"]);

    let (hit, nonce) = find(&first);
    let body = json!({"piece": 1, "done": 16 * (nonce + 1), "hits": [[hit, nonce]]}).to_string();
    let (status, once) = device.post(&body).unwrap();
    assert_eq!((status, &once["verdicts"][0]["verdict"]), (200, &json!("accepted")), "{once}");
    assert_eq!(device.post(&body).unwrap(), (200, once), "sent again, since no answer came");
    let you = third.find(|(name, you)| name == "you" && you["shares"] != 0).unwrap().1;
    assert_eq!(
        (&you["name"], &you["shares"], &you["rejected"]),
        (&json!("Ada"), &json!(1), &json!(0))
    );
    assert_eq!(you["claimed"], 16 * (nonce + 1));
    assert_eq!(you["of"], 2, "beside the teacher's machine");
}

/// The next piece of work of a stream.
fn work(stream: &mut impl Iterator<Item = (String, Value)>) -> Value {
    stream.find(|(name, _)| name == "work").unwrap().1
}

/// The first hit of a piece: midstate and nonce.
fn find(work: &Value) -> (usize, u64) {
    let piece = crate::devices::Piece::parse(work);
    let mut hit = None;
    for nonce in 0.. {
        piece.scan(Kernel::SCALAR, nonce..nonce + 1, &mut |found| hit = Some((found, nonce)));
        if let Some(hit) = hit {
            return hit;
        }
    }
    unreachable!("there are hits among so many")
}

#[test]
fn s10_who_guesses_sends_junk_or_floods_is_told_and_dropped_and_nobody_else_suffers() {
    let class = Class::start(&["--pace", "1000"]);
    let device = class.join("Ada");
    let mut stream = device.events().unwrap();
    let junk = class.join("junk");
    let mut junk_stream = junk.events().unwrap();

    // Junk: told each time, dropped at the tenth.
    let bodies = ["", "{", "[]", r#"{"piece":-1}"#, r#"{"piece":1,"hits":[[99999,0]],"done":0}"#];
    let mut statuses = Vec::new();
    for body in bodies.iter().cycle().take(20) {
        let (status, answer) = junk.post(body).unwrap();
        statuses.push(status);
        assert!(!answer.to_string().contains(" line "), "no word of the parser's: {answer}");
    }
    assert!(statuses[..4].iter().all(|status| *status == 400), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&410), "{statuses:?}");
    let end = junk_stream.find(|(name, _)| name == "end").unwrap().1;
    assert_eq!(end["why"], "dropped");
    assert_eq!(junk.events().err().unwrap().to_string(), "HTTP/1.0 410 Gone");

    // A flood: asked to wait, then dropped.
    let flood = class.join("flood");
    let mut flooded = (0..600).map(|_| flood.post(r#"{"piece":0}"#).unwrap());
    let (_, wait) = flooded.find(|(status, _)| *status == 429).unwrap();
    assert!(wait["wait"].as_f64().unwrap() > 0.0 && wait["words"].is_string(), "{wait}");
    assert!(flooded.any(|(status, _)| status == 410));

    // Bodies, names of hosts, other sites, other paths and methods.
    let long = format!(r#"{{"piece":1,"words":"{}"}}"#, "x".repeat(1024));
    assert_eq!(device.post(&long).unwrap().0, 413);
    let join = |host: &str, more: &str| {
        let body = json!({"code": class.code, "name": "Eve"}).to_string();
        let request = format!(
            "POST /join HTTP/1.1\r\nHost: {host}\r\n{more}Content-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            body.len()
        );
        send(&class.door, &request).unwrap()
    };
    assert_eq!(join("evil.example", "").1["error"], "host");
    assert_eq!(join(&class.door, "Origin: http://evil.example\r\n").1["error"], "origin");
    let ask = |path: &str, host: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        send(&class.door, &request).unwrap()
    };
    let get = |path: &str, host: &str| ask(path, host).0;
    assert_eq!((get("/", &class.door), get("/class", &class.door)), (200, 200));
    let (status, answer) = ask("/class", "192.0.2.1");
    assert_eq!((status, &answer["error"]), (403, &json!("not-here")), "a name that others have");
    let (_, port) = class.door.rsplit_once(':').unwrap();
    let page = format!("http://127.0.0.1:{port}/class");
    assert!(answer["words"].as_str().unwrap().contains(&page), "{answer}");
    assert_eq!((get("/join", &class.door), get("/etc/passwd", &class.door)), (405, 404));
    assert_eq!(get("/work?device=0123456789abcdef0123456789abcdef", &class.door), 404);

    // Guessing codes: ten, and then a pause, for the right code as well.
    let guess =
        |code: &str| post(&class.door, "/join", &json!({"code": code}).to_string()).unwrap();
    let wrong = if class.code == "000000" { "000001" } else { "000000" };
    for _ in 0..10 {
        assert_eq!(guess(wrong).1["error"], "wrong-code");
    }
    let (status, answer) = guess(&class.code);
    assert_eq!((status, &answer["error"]), (429, &json!("wait")), "{answer}");
    assert!((1.0..=60.0).contains(&answer["wait"].as_f64().unwrap()));

    // The device that did nothing wrong is as well as ever.
    assert_eq!(device.post(r#"{"piece":1,"done":16}"#).unwrap().0, 200);
    let you = stream.find(|(name, you)| name == "you" && you["claimed"] == 16).unwrap().1;
    assert_eq!((&you["here"], &you["over"]), (&json!(true), &json!(false)));
}

#[test]
#[cfg(unix)]
fn one_address_cannot_take_every_place_at_the_door() {
    // With 200 descriptors there are 102 places.
    let arguments = ["class", "--door", "127.0.0.1:0", "--max-hashrate", "500k"];
    let class = Class::of(Running::start_with_descriptors(200, &arguments));
    // A connection that does not end its request keeps its place for seconds.
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\n", class.door);
    let open = |_| {
        let mut stream = TcpStream::connect(&class.door).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let mut open: Vec<_> = (0..90).map(open).collect();
    let last = open.last_mut().unwrap();
    let mut answer = [0; 12];
    std::io::Read::read_exact(last, &mut answer).unwrap();
    assert!(answer.ends_with(b"503"), "three quarters of the places are enough for one");
    drop(open);
    // They are free again when they are closed.
    let joined = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        Device::join(&class.door, &class.code, "Ada").ok()
    });
    assert!(joined.is_some());
}

#[test]
#[cfg(unix)]
fn the_teacher_replaces_a_name_in_the_terminal_and_its_shares_stay_counted() {
    let arguments = ["class", "--door", "127.0.0.1:0", "--max-hashrate", "500k", "--pace", "1000"];
    let terminal = Terminal::start(&arguments, &[]);
    let (mut door, mut code) = (String::new(), String::new());
    terminal.wait_for("the way in", |screen| {
        let lines = screen.contents();
        let value = |label: &str| {
            let line = lines.lines().find(|line| line.starts_with(label))?;
            Some(line[label.len()..].trim().to_owned())
        };
        if let Some((url, digits)) = value("join with a browser at").zip(value("code ")) {
            door = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
            code = digits.replace(' ', "");
        }
        lines.contains("the class's page")
    });
    let device = Device::join(&door, &code, "Rude").unwrap();
    let mut stream = device.events().unwrap();
    let first = work(&mut stream);
    let (hit, nonce) = find(&first);
    let body = json!({"piece": 1, "done": 0, "hits": [[hit, nonce]]}).to_string();
    assert_eq!(device.post(&body).unwrap().1["verdicts"][0]["verdict"], "accepted");
    let on_screen = |what: &str| {
        terminal.wait_for(what, |screen| screen.contents().contains(what));
    };
    terminal.press("names\n");
    on_screen("  Rude");
    terminal.press("hide Rude\n");
    on_screen("Rude is shown as guest from now on");
    let you = stream.find(|(name, you)| name == "you" && you["name"] == "guest").unwrap().1;
    assert_eq!((&you["shares"], &you["here"]), (&json!(1), &json!(true)));
    terminal.press("rename guest to Bo Peep\n");
    on_screen("guest is shown as Bo Peep from now on");
    // The first state of a page may be from just before.
    let is_shown = |state: &Value| {
        state["rows"].as_array().unwrap().iter().any(|row| row["name"] == "Bo Peep")
    };
    let mut states = events(&door, "/class/events").unwrap();
    let state = states.find(|(_, state)| is_shown(state)).unwrap().1;
    assert!(!state.to_string().contains("Rude"), "{state}");
    terminal.press("hide Zoe\n");
    on_screen("there is no name Zoe");
    terminal.press("what\n");
    on_screen("type names, hide NAME");
    // Over the network nobody can: there is no such request.
    let (status, _) = post(&door, &format!("/rename?device={}", device.token), "{}").unwrap();
    assert_eq!(status, 404);
}

#[test]
#[cfg(target_os = "linux")]
fn at_one_address_of_the_network_the_class_s_page_is_still_at_this_machine_s_own() {
    let arguments = ["class", "--door", "127.0.0.2:0", "--max-hashrate", "500k"];
    let mut program = Running::start(&arguments);
    let opened = program.wait_for(|event| event["event"] == "class");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (url, page) = (text(&opened["urls"][0]), text(&opened["page"]));
    let door = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (own, _) = page.trim_start_matches("http://").split_once('/').unwrap();
    assert!(door.starts_with("127.0.0.2:") && own.starts_with("127.0.0.1:"), "{opened}");
    assert_eq!(opened["urls"].as_array().unwrap().len(), 1, "devices are told the door alone");
    let device = Device::join(&door, opened["code"].as_str().unwrap(), "Ada").unwrap();
    let state = events(own, "/class/events").unwrap().find(|(_, state)| state["devices"] == 1);
    let (_, state) = state.unwrap();
    assert!(state["rows"].as_array().unwrap().iter().any(|row| row["name"] == *device.name));
    let get = |path: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n");
        send(own, &head).unwrap().0
    };
    assert_eq!((get("/class"), get("/class/class.js"), get("/look.css")), (200, 200, 200));
}

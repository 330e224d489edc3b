//! The pages of `midstate class` in real browsers: devices join by the code, hash, find shares and
//! blocks beside a miner of ours and a plain client of Stratum, and every number is the same on the
//! pages, in the events and in the pool's books. What is asked of the door without a browser is
//! tested elsewhere.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::browser::Browser;
use crate::foreign::Foreigner;
use crate::program::Running;

const PHONE: (u32, u32) = (390, 844);
const LAPTOP: (u32, u32) = (1280, 800);
const PROJECTORS: [(u32, u32); 2] = [(1280, 720), (1024, 768)];
const SIZES: [(u32, u32); 4] = [PHONE, (1024, 768), LAPTOP, (1920, 1080)];

/// A class on this machine, whose own miner leaves most of the work to the devices.
struct Class {
    running: Running,
    welcome: Value,
}

impl Class {
    fn start(more: &[&str]) -> Self {
        let always = ["class", "--door", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
        let slow = ["--threads", "1", "--max-hashrate", "100k", "--priority", "normal"];
        let mut running = Running::start(&[&always[..], &slow, more].concat());
        let welcome = running.wait_for(|event| event["event"] == "class");
        Self { running, welcome }
    }

    fn code(&self) -> &str {
        self.welcome["code"].as_str().unwrap()
    }

    fn url(&self) -> &str {
        self.welcome["urls"][0].as_str().unwrap()
    }

    /// Where miners join.
    fn pool(&self) -> &str {
        self.welcome["stratum"][0].as_str().unwrap()
    }

    /// The class's page.
    fn page(&self, size: (u32, u32)) -> Browser {
        let mut browser = Browser::start("class-page");
        browser.open(self.welcome["page"].as_str().unwrap(), size);
        browser.wait_until("now !== null");
        browser
    }

    /// Ends it: the rows of the final standings.
    fn end(mut self) -> Vec<Value> {
        self.running.signal("INT");
        let mut rows = Vec::new();
        loop {
            let event = self.running.wait_for(|event| {
                ["standing", "summary"].map(Value::from).contains(&event["event"])
            });
            if event["event"] == "summary" {
                break;
            }
            rows.push(event);
        }
        assert_eq!(self.running.exit_code(), Some(0));
        rows
    }
}

/// A browser of the class.
struct Device(Browser);

impl Device {
    /// The page behind the QR code.
    fn open(class: &Class, place: &str, size: (u32, u32)) -> Self {
        Self::open_in(Browser::start(place), class, size)
    }

    fn open_in(mut browser: Browser, class: &Class, size: (u32, u32)) -> Self {
        browser.open(&format!("{}#{}", class.url(), class.code()), size);
        browser.wait_until("document.readyState === 'complete'");
        Self(browser)
    }

    /// As a pupil does it.
    fn join(&mut self, name: &str) {
        self.fill("name", name);
        self.press("start");
        self.0.wait_until("document.body.dataset.state === 'mining'");
    }

    fn fill(&mut self, id: &str, text: &str) {
        self.0.evaluate(&format!("document.getElementById('{id}').value = '{text}'"));
    }

    fn press(&mut self, id: &str) {
        self.0.evaluate(&format!("document.getElementById('{id}').click()"));
    }

    /// A number on the page, whose thousands stand apart.
    fn number(&mut self, id: &str) -> u64 {
        let text: String = self.0.text(id).chars().filter(char::is_ascii_digit).collect();
        text.parse().unwrap()
    }

    fn wait_for_shares(&mut self, more_than: u64) {
        self.0.wait_until(&format!("you !== null && you.shares > {more_than}"));
    }
}

fn row<'a>(rows: &'a [Value], name: &str) -> &'a Value {
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name} in {rows:?}"))
}

#[test]
#[ignore = "needs chromium"]
fn browsers_mine_with_a_class_and_every_number_is_told_alike() {
    let class = Class::start(&["--pace", "4"]);
    let mut page = class.page(PROJECTORS[0]);
    let mut phone = Device::open(&class, "phone", PHONE);
    let mut laptop = Device::open(&class, "laptop", LAPTOP);
    assert_eq!(phone.0.evaluate("document.getElementById('code').value"), class.code());
    // Nothing is hashed before the button is pressed.
    assert_eq!(phone.0.evaluate("desk"), Value::Null);
    phone.join("Ada");
    laptop.join("Bo");

    let miner = ["mine", "-o", class.pool(), "-u", "cyd", "--shares", "2", "--threads", "1"];
    let mut miner = Running::start(&[&miner[..], &["--max-hashrate", "200k"]].concat());
    Foreigner::join(class.pool(), "dora").deliver("dora");
    let summary = miner.wait_for(|event| event["event"] == "summary");
    assert_eq!(miner.exit_code(), Some(0), "{summary}");

    for device in [&mut phone, &mut laptop] {
        device.wait_for_shares(3);
        assert!(device.0.text("rate").ends_with("H/s"), "{}", device.0.text("rate"));
        assert!(device.0.text("best").starts_with("one in "), "{}", device.0.text("best"));
        assert_eq!(device.0.evaluate("desk.kernel"), "module");
    }
    page.wait_until("now.found > 1 && now.rows.length === 5");
    for name in ["Ada", "Bo", "cyd", "dora"] {
        page.wait_until(&format!(
            "document.getElementById('names').textContent.includes('{name}')"
        ));
    }

    // What is found is handed in: a device that rests has nothing left to tell.
    for device in [&mut phone, &mut laptop] {
        device.press("pause");
        device.0.wait_until("desk.out === 0");
        device.0.wait_until("[...reports.values()].every(report => report.hits.length === 0)");
    }
    let rows = class.end();
    assert_eq!(rows.len(), 5, "{rows:?}");
    for (device, name) in [(&mut phone, "Ada"), (&mut laptop, "Bo")] {
        device.0.wait_until("document.body.dataset.state === 'over'");
        let told = row(&rows, name);
        assert_eq!(told["kind"], "device");
        for number in ["shares", "blocks"] {
            assert_eq!(Value::from(device.number(number)), told[number], "{name}: {number}");
        }
        assert_eq!(told["rejected"], 0, "{told}");
        assert_eq!(device.0.complaints, [""; 0]);
    }
    let accepted = &summary["shares"]["accepted"];
    assert_eq!(&row(&rows, "cyd")["shares"], accepted);
    assert_eq!(row(&rows, "dora")["shares"], 1);

    // The class's page has the same final standings, to the share.
    page.wait_until("document.body.dataset.state === 'over'");
    for told in &rows {
        let shown = page.evaluate("now.rows");
        let shown = row(shown.as_array().unwrap(), told["name"].as_str().unwrap()).clone();
        for number in ["blocks", "shares", "rejected", "stale", "work"] {
            assert_eq!(shown[number], told[number], "{told}");
        }
    }
    let blocks: u64 = rows.iter().map(|row| row["blocks"].as_u64().unwrap()).sum();
    assert_eq!(page.evaluate("now.found"), blocks);
    assert_eq!(page.complaints, [""; 0]);
}

#[test]
#[ignore = "needs chromium"]
fn a_device_survives_a_reload_a_name_taken_a_wrong_code_and_ten_seconds_without_a_network() {
    let class = Class::start(&["--pace", "20"]);
    let mut ada = Device::open(&class, "ada", PHONE);
    let wrong = if class.code() == "000000" { "000001" } else { "000000" };
    ada.fill("code", wrong);
    ada.press("start");
    ada.0.wait_until("document.getElementById('error').textContent !== ''");
    assert_eq!(ada.0.evaluate("desk"), Value::Null, "a wrong code lets nobody hash");
    ada.fill("code", class.code());
    ada.join("Ada");
    ada.wait_for_shares(0);

    // Another one of that name gets another name.
    let mut other = Device::open(&class, "other", LAPTOP);
    other.join("Ada");
    other.0.wait_until("you !== null");
    assert_eq!(other.0.text("title"), "Ada 2");
    other.press("pause");
    other.0.wait_until("document.body.dataset.state === 'paused'");

    // A reload is the same device with the same effort, and rests until it is told to go on.
    ada.0.evaluate("byId('effort').value = 60; byId('effort').dispatchEvent(new Event('input'))");
    let before = ada.0.evaluate("you.shares").as_u64().unwrap();
    ada.0.reload();
    ada.0.wait_until("document.getElementById('start').textContent === 'Go on as Ada'");
    assert_eq!(ada.0.evaluate("desk"), Value::Null);
    ada.press("start");
    ada.wait_for_shares(before);
    assert_eq!(ada.0.text("title"), "Ada");
    assert_eq!(ada.0.text("effort-words"), "60\u{a0}%");

    // Without a network it goes on hashing, and brings its hits when it is back.
    ada.0.set_offline(true);
    ada.0.wait_until("document.body.dataset.state === 'away'");
    std::thread::sleep(std::time::Duration::from_secs(10));
    assert!(ada.0.evaluate("desk.rate()").as_f64().unwrap() > 0.0);
    let before = ada.0.evaluate("you.shares").as_u64().unwrap();
    ada.0.set_offline(false);
    ada.0.wait_until("document.body.dataset.state === 'mining'");
    ada.wait_for_shares(before);

    let rows = class.end();
    ada.0.wait_until("document.body.dataset.state === 'over'");
    assert_eq!(Value::from(ada.number("shares")), row(&rows, "Ada")["shares"]);
    assert_eq!(row(&rows, "Ada")["rejected"], 0, "{rows:?}");
    assert_eq!(rows.len(), 3, "the teacher and two devices: {rows:?}");
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_without_vectors_hashes_with_the_script() {
    let class = Class::start(&[]);
    let mut old = Device::open_in(Browser::without_modules("old"), &class, PHONE);
    old.join("Eve");
    old.wait_for_shares(0);
    assert_eq!(old.0.evaluate("desk.kernel"), "script");
    let rows = class.end();
    assert_eq!(row(&rows, "Eve")["rejected"], 0, "{rows:?}");
}

/// The smallest letters of what can be seen.
const SMALLEST: &str = "Math.min(...[...document.querySelectorAll('body *')]
    .filter(element => element.getClientRects().length > 0
        && [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim() !== ''))
    .map(element => parseFloat(getComputedStyle(element).fontSize)))";

#[test]
#[ignore = "needs chromium"]
fn both_pages_fit_their_screens_with_letters_of_14_pixels_at_least() {
    let class = Class::start(&["--name", "Room 12"]);
    let mut page = class.page(PROJECTORS[0]);
    let mut device = Device::open(&class, "sizes", PHONE);
    device.join("Ada");
    device.0.wait_until("you !== null && document.getElementById('scale').children.length > 5");
    page.wait_until("document.getElementById('names').textContent.includes('Ada')");
    for size in PROJECTORS {
        page.resize(size);
        page.evaluate("draw()");
        let overflows = "document.documentElement.scrollHeight > innerHeight \
                         || document.body.scrollHeight > innerHeight";
        assert_eq!(page.evaluate(overflows), false, "the class's page at {size:?}");
    }
    for browser in [&mut page, &mut device.0] {
        for size in SIZES {
            browser.resize(size);
            let wide = browser.evaluate("document.documentElement.scrollWidth > innerWidth");
            assert_eq!(wide, false, "{size:?}");
            assert!(browser.evaluate(SMALLEST).as_f64().unwrap() >= 14.0, "{size:?}");
        }
    }
    // Every control has a name, for those who cannot see it.
    let nameless = "[...document.querySelectorAll('input, button')]
        .filter(control => !control.labels?.length && !control.textContent.trim()).length";
    assert_eq!(device.0.evaluate(nameless), 0);
    class.end();
}

/// The filter of a school's network between a device and the class: it hangs up on requests for
/// these paths as long as it is on.
struct Filter {
    address: SocketAddr,
    is_on: Arc<AtomicBool>,
}

impl Filter {
    fn start(class: &Class, blocked: &'static [&'static str]) -> Self {
        let door: String = class.url().trim_start_matches("http://").trim_matches('/').to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, is_on) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(true)));
        let switch = Arc::clone(&is_on);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (door, switch) = (door.clone(), Arc::clone(&switch));
                std::thread::spawn(move || {
                    // A browser that has left, or a class that has ended, hears no more.
                    let _ = pass(&stream, &door, |path| {
                        !blocked.contains(&path) || !switch.load(Ordering::Relaxed)
                    });
                });
            }
        });
        Self { address, is_on }
    }

    fn open(&self, class: &Class, place: &str) -> Device {
        let mut browser = Browser::start(place);
        browser.open(&format!("http://{}/#{}", self.address, class.code()), PHONE);
        browser.wait_until("document.readyState === 'complete'");
        Device(browser)
    }
}

/// One request there, and all that comes of it back.
fn pass(
    mut browser: &TcpStream,
    door: &str,
    is_let_through: impl Fn(&str) -> bool,
) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && (&mut browser).read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let Some((first, others)) = head.split_once("\r\n") else { return Ok(()) };
    if !is_let_through(first.split(' ').nth(1).unwrap_or_default()) {
        return Ok(());
    }
    // A connection for each request, so that none slips through.
    let others = others.replace("Connection: keep-alive", "Connection: close");
    let mut class = TcpStream::connect(door)?;
    write!(class, "{first}\r\n{others}")?;
    let (mut body, mut there) = (browser.try_clone()?, class.try_clone()?);
    std::thread::spawn(move || drop(std::io::copy(&mut body, &mut there)));
    let mut back = browser.try_clone()?;
    std::io::copy(&mut class, &mut back)?;
    browser.shutdown(std::net::Shutdown::Both)
}

#[test]
#[ignore = "needs chromium"]
fn a_device_whose_worker_does_not_load_says_so_and_what_to_do_and_goes_on_when_it_loads() {
    let class = Class::start(&[]);
    let filter = Filter::start(&class, &["/worker.js"]);
    let mut ada = filter.open(&class, "filtered");
    ada.fill("name", "Ada");
    ada.press("start");
    ada.0.wait_until("document.body.dataset.state === 'ended'");
    let words = ada.0.text("lost");
    assert!(words.contains("worker.js") && words.contains("Load the page again"), "{words}");
    // It is not in the way of others, and works when the filter is gone.
    filter.is_on.store(false, Ordering::Relaxed);
    ada.0.reload();
    ada.0.wait_until("document.getElementById('start').textContent === 'Go on as Ada'");
    ada.press("start");
    ada.wait_for_shares(0);

    // A filter that lets it through at the second try costs a second.
    filter.is_on.store(true, Ordering::Relaxed);
    let mut bo = filter.open(&class, "filtered-for-a-moment");
    bo.fill("name", "Bo");
    bo.press("start");
    bo.0.wait_until("loads > 0");
    filter.is_on.store(false, Ordering::Relaxed);
    bo.wait_for_shares(0);
    let rows = class.end();
    assert_eq!(row(&rows, "Bo")["rejected"], 0, "{rows:?}");
}

#[test]
#[ignore = "needs chromium"]
fn the_button_can_be_pressed_when_the_page_is_there_and_not_before() {
    let class = Class::start(&[]);
    let filter = Filter::start(&class, &["/device.js"]);
    let mut ada = filter.open(&class, "half-loaded");
    let button = "[document.getElementById('start').disabled, \
                  document.getElementById('start').textContent]";
    assert_eq!(ada.0.evaluate(button), serde_json::json!([true, "Loading"]));
    filter.is_on.store(false, Ordering::Relaxed);
    ada.0.reload();
    ada.0.wait_until("!document.getElementById('start').disabled");
    assert_eq!(ada.0.evaluate(button), serde_json::json!([false, "Start"]));
    ada.join("Ada");
    class.end();
}

#[test]
#[ignore = "needs chromium"]
fn a_device_without_the_module_hashes_with_the_script() {
    let class = Class::start(&[]);
    let filter = Filter::start(&class, &["/kernel.wasm"]);
    let mut ada = filter.open(&class, "without-module");
    ada.join("Ada");
    ada.wait_for_shares(0);
    assert_eq!(ada.0.evaluate("desk.kernel"), "script");
    class.end();
}

#[test]
#[ignore = "needs chromium"]
fn names_of_twenty_wide_letters_stay_in_their_columns_and_cards() {
    let class = Class::start(&["--pace", "3"]);
    let name = "W".repeat(20);
    let mut device = Device::open(&class, "wide", PHONE);
    device.join(&name);
    let mut page = class.page(PROJECTORS[0]);
    page.wait_until(&format!("now.last !== null && now.rows.some(row => row.name === '{name}')"));
    // All of the class has such names, wherever a name is shown.
    for names in [2, 30, 45, 200] {
        let fill = format!(
            "(() => {{
                const wide = now.rows.find(row => row.name === '{name}');
                now.rows = Array.from({{ length: {names} }}, (_, i) => ({{ ...wide, here: true,
                    hps: 1e6 * (i + 1), error: 0.1, blocks: 100 + i }}));
                now.last.name = '{name}';
                now.nearest = {{ name: '{name}', fraction: 0.931 }};
                heardAt = performance.now() + 1e6;
                draw();
            }})()"
        );
        for size in PROJECTORS {
            page.resize(size);
            page.evaluate(&fill);
            let outside = page.evaluate(OUTSIDE);
            assert_eq!(outside, serde_json::json!([]), "{names} names at {size:?}");
        }
    }
    let outside = device.0.evaluate("document.documentElement.scrollWidth > innerWidth");
    assert_eq!(outside, false, "the device's own page");
    assert_eq!(page.complaints, [""; 0]);
    class.end();
}

/// The elements that stick out of the screen, or of the card that they are in.
const OUTSIDE: &str = "(() => {
    const out = [];
    for (const element of document.querySelectorAll('body *')) {
        const box = element.getBoundingClientRect();
        if (box.width === 0 || element.closest('svg') !== null) continue;
        // Its letters are wider than it is, and nothing cuts them off.
        const spills = element.clientWidth > 0 && element.scrollWidth > element.clientWidth + 1;
        if (spills && getComputedStyle(element).overflowX === 'visible') {
            out.push(['spills', element.tagName, element.className, element.id].join());
        }
        const card = element.closest('section') ?? document.documentElement;
        const { left, right, top, bottom } = card.getBoundingClientRect();
        const is_out = box.left < left - 1 || box.right > right + 1
            || box.top < top - 1 || box.bottom > Math.min(bottom, innerHeight) + 1;
        // Text that a box around it cuts off does not stick out.
        const is_cut = (inner => {
            for (let box = inner.parentElement; box !== card; box = box.parentElement) {
                if (box === null) return false;
                if (getComputedStyle(box).overflow !== 'visible') return true;
            }
            return false;
        })(element);
        if (is_out && !is_cut) out.push([element.tagName, element.className, element.id].join());
    }
    const cells = [...document.querySelectorAll('#names li')];
    for (const cell of cells) {
        const parts = [...cell.children].filter(part => part.getClientRects().length > 0);
        const boxes = parts.map(part => part.getBoundingClientRect());
        boxes.slice(1).forEach((box, i) => {
            if (boxes[i].right > box.left + 1) out.push('overlap in ' + cell.textContent);
        });
        const { right } = cell.getBoundingClientRect();
        if (boxes.some(box => box.right > right + 1)) {
            out.push('wider than its column: ' + cell.textContent);
        }
    }
    return [...new Set(out)].slice(0, 5);
})()";

//! Drives a headless Chromium over its pipe (the DevTools protocol: JSON, each message ended by a
//! zero byte). No more of the protocol than the tests need.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use base64::Engine;
use serde_json::{Value, json};

use crate::program::PATIENCE;

const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser with one page; ended when dropped.
pub(crate) struct Browser {
    child: Child,
    to: Option<ChildStdin>,
    from: Receiver<Vec<u8>>,
    session: Option<String>,
    calls: u64,
    profile: PathBuf,
    /// The page's complaints: exceptions, refused loads, violated policies.
    pub(crate) complaints: Vec<String>,
}

impl Browser {
    pub(crate) fn start(name: &str) -> Self {
        Self::with_flags(name, &[])
    }

    /// One that takes no module of WebAssembly, as older ones take none with vectors.
    pub(crate) fn without_modules(name: &str) -> Self {
        Self::with_flags(name, &["--js-flags=--wasm-max-module-size=1000"])
    }

    fn with_flags(name: &str, flags: &[&str]) -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = NAMES
            .iter()
            .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
        let program = programs.into_iter().find(|program| program.is_file());
        let program = program.unwrap_or_else(|| panic!("none of {NAMES:?} is in PATH"));
        // Two browsers with one profile are one.
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let profile = format!("midstate-{name}-{}-{number}", std::process::id());
        let profile = std::env::temp_dir().join(profile);
        // The browser reads from 3 and writes to 4; only a shell moves pipes there.
        let mut child = Command::new("sh")
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null 2>/dev/null"#])
            .arg(program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage"])
            .args(flags)
            .args(["--remote-debugging-pipe", "about:blank"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell starts");
        let to = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (sender, from) = channel();
        std::thread::spawn(move || {
            let mut message = Vec::new();
            // To the end, which comes in the middle of no message.
            while let Ok(1..) = stdout.read_until(0, &mut message)
                && message.pop() == Some(0)
                && sender.send(std::mem::take(&mut message)).is_ok()
            {}
        });
        let (session, complaints) = (None, Vec::new());
        let mut browser = Self { child, to, from, session, calls: 0, profile, complaints };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach);
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.call(domain, json!({}));
        }
        browser
    }

    /// Goes to a page, at a size in pixels.
    pub(crate) fn open(&mut self, url: &str, size: (u32, u32)) {
        self.resize(size);
        self.call("Page.navigate", json!({ "url": url }));
    }

    /// Loads the page again, as F5 does.
    pub(crate) fn reload(&mut self) {
        self.call("Page.reload", json!({}));
    }

    /// Cuts the page off its network, or gives it back.
    pub(crate) fn set_offline(&mut self, offline: bool) {
        self.call("Network.enable", json!({}));
        let conditions = json!({
            "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.call("Network.emulateNetworkConditions", conditions);
    }

    pub(crate) fn resize(&mut self, (width, height): (u32, u32)) {
        let metrics = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.call("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let evaluation =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let evaluated = self.call("Runtime.evaluate", evaluation);
        assert_eq!(evaluated["exceptionDetails"], Value::Null, "{expression}");
        evaluated["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn wait_until(&mut self, condition: &str) {
        let begun = Instant::now();
        let expression = format!(
            "(() => {{ try {{ return Boolean({condition}) }} catch {{ return false }} }})()"
        );
        let evaluation = json!({ "expression": expression, "returnByValue": true });
        // A page that is just being left or not yet there cannot be asked: it meets no condition.
        while !self
            .ask("Runtime.evaluate", evaluation.clone())
            .is_ok_and(|evaluated| evaluated["result"]["value"] == true)
        {
            if begun.elapsed() > PATIENCE {
                panic!("{condition}; the page: {}", self.evaluate("document.body.innerText"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The page as it is printed, or as it is shown on a screen (the default), `light` or `dark`.
    pub(crate) fn set_medium(&mut self, medium: &str, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "media": medium, "features": features });
        self.call("Emulation.setEmulatedMedia", media);
    }

    /// A picture of the page now, as PNG.
    pub(crate) fn screenshot(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", json!({ "format": "png" }));
        let encoded = shot["data"].as_str().expect("a picture");
        base64::engine::general_purpose::STANDARD.decode(encoded).expect("it is in base64")
    }

    /// The text of an element.
    pub(crate) fn text(&mut self, id: &str) -> String {
        let text = self.evaluate(&format!("document.getElementById('{id}').textContent"));
        text.as_str().expect("the element is there").to_owned()
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        self.ask(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    /// The answer to a call, or the error that it is answered with.
    fn ask(&mut self, method: &str, params: Value) -> Result<Value, Value> {
        self.calls += 1;
        let mut message = json!({ "id": self.calls, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().expect("the browser is not yet told to end");
        write!(to, "{message}\0").expect("the browser listens");
        loop {
            let answer = self.receive();
            if answer["id"] == self.calls {
                return match &answer["error"] {
                    Value::Null => Ok(answer["result"].clone()),
                    error => Err(error.clone()),
                };
            }
            let complains = ["Runtime.exceptionThrown", "Log.entryAdded"];
            if complains.contains(&answer["method"].as_str().unwrap_or_default()) {
                self.complaints.push(answer["params"].to_string());
            }
        }
    }

    fn receive(&mut self) -> Value {
        let message = self.from.recv_timeout(PATIENCE).expect("the browser answers");
        serde_json::from_slice(&message).expect("the browser speaks JSON")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Without its pipe it ends by itself. The rest is best effort: the folder is temporary.
        drop(self.to.take());
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

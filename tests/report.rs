//! The report of `asic --html` in a real browser: it draws, it asks for nothing, no label leaves
//! its picture or lies on another. Skipped, and says so, where there is no Chromium.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::program::run;

/// A telephone, a tablet, a desk.
const WIDTHS: [u32; 3] = [500, 900, 1400];
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Measures every visible picture: labels outside of it, and labels that lie on each other.
const MEASURE: &str = r#"<script>
const found = { pictures: 0, labels: 0, outside: [], overlaps: [],
                sideways: document.documentElement.scrollWidth > window.innerWidth };
for (const svg of document.querySelectorAll('svg')) {
  const frame = svg.getBoundingClientRect();
  if (frame.width === 0) continue;
  found.pictures += 1;
  const texts = [...svg.querySelectorAll('text')];
  const labels = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
  found.labels += labels.length;
  labels.forEach(([text, a], i) => {
    if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.top < frame.top - 1
        || a.bottom > frame.bottom + 1) found.outside.push(text);
    for (const [other, b] of labels.slice(i + 1)) {
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (across > 1 && down > 3) found.overlaps.push(text + ' / ' + other);
    }
  });
}
const result = document.createElement('pre');
result.id = 'measured';
result.textContent = JSON.stringify(found);
document.body.append(result);
</script></body>"#;

struct Browser {
    program: PathBuf,
    folder: PathBuf,
}

impl Browser {
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH")?;
        let program = NAMES
            .iter()
            .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)))
            .find(|program| program.is_file())?;
        let folder = std::env::temp_dir().join(format!("midstate-report-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the browser");
        Some(Self { program, folder })
    }

    /// Opens a page; what the browser writes to stdout and stderr.
    fn open(&self, page: &Path, width: u32, wanted: &str) -> (String, String) {
        let profile = self.folder.join(format!("profile-{width}"));
        let output = Command::new(&self.program)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-sync"])
            .args(["--disable-component-update", "--hide-scrollbars", "--disable-dev-shm-usage"])
            .args(["--enable-logging=stderr", "--v=0", "--timeout=60000"])
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg(format!("--window-size={width},2400"))
            .arg(wanted)
            .arg(format!("file://{}", page.display()))
            .output()
            .expect("the browser starts");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (text(output.stdout), text(output.stderr))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Best effort: the folder is temporary anyway.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn the_report_draws_in_a_browser_with_every_label_in_its_place() {
    let Some(browser) = Browser::find() else {
        println!("skipped: none of {NAMES:?} is in PATH");
        return;
    };
    let page = browser.folder.join("report.html");
    let path = page.to_str().expect("a path of text");
    let output = run(&["asic", "--seconds", "0.1", "--html", path]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    // The page forbids scripts: the copy that is measured must not.
    let html = fs::read_to_string(&page).expect("the report");
    let open = html.replace("default-src 'none'", "default-src 'unsafe-inline'");
    assert_ne!(html, open, "the page has a policy");
    let measured_page = browser.folder.join("measured.html");
    fs::write(&measured_page, open.replace("</body>", MEASURE)).expect("writing");

    for width in WIDTHS {
        let (dom, _) = browser.open(&measured_page, width, "--dump-dom");
        let measured = dom.split("<pre id=\"measured\">").nth(1).expect("the script ran");
        let measured = measured.split("</pre>").next().expect("it ends").replace("&amp;", "&");
        let measured: Value = serde_json::from_str(&measured).expect("JSON");
        assert_eq!(measured["pictures"], 5, "at {width}: {measured}");
        assert!(measured["labels"].as_u64() > Some(60), "at {width}: {measured}");
        assert_eq!(measured["outside"], Value::Array(vec![]), "at {width}");
        assert_eq!(measured["overlaps"], Value::Array(vec![]), "at {width}");
        assert_eq!(measured["sideways"], false, "the page scrolls sideways at {width}");

        let picture = browser.folder.join(format!("{width}.png"));
        let shot = format!("--screenshot={}", picture.display());
        let (_, log) = browser.open(&page, width, &shot);
        assert!(!log.contains("CONSOLE"), "at {width}: {log}");
        let colours = colours(&picture);
        assert!(colours > 20, "at {width} the page shows {colours} colours");
    }
}

/// How many colours a screenshot has.
fn colours(path: &Path) -> usize {
    let file = std::io::BufReader::new(fs::File::open(path).expect("a screenshot"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a picture of this size")];
    let info = reader.next_frame(&mut pixels).expect("its pixels");
    let pixels = &pixels[..info.buffer_size()];
    pixels.chunks_exact(info.color_type.samples()).collect::<BTreeSet<_>>().len()
}

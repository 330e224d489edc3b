//! The reports of `asic --html` and `bench --html` in a real browser: they draw, they ask for
//! nothing, no label leaves its picture or lies on another. Skipped, and says so, where there is no
//! Chromium.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::program::run;

/// A telephone, a tablet, a desk, and what the margins leave of a sheet of A4.
const VIEWS: [(&str, (u32, u32)); 4] = [
    ("screen", (500, 2400)),
    ("screen", (900, 2400)),
    ("screen", (1400, 2400)),
    ("print", (718, 2400)),
];

/// Measures every visible picture: labels outside of it, and labels that lie on each other.
const MEASURE: &str = "(() => {
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
  return found;
})()";

#[test]
#[ignore = "needs chromium"]
fn the_report_of_asic_draws_with_every_label_in_its_place() {
    for measured in measure("asic", &["--seconds", "0.1"]) {
        assert_eq!(measured["pictures"], 5, "{measured}");
        assert!(measured["labels"].as_u64() > Some(60), "{measured}");
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_report_of_bench_draws_with_every_label_in_its_place() {
    for measured in measure("bench", &["--seconds", "0.05", "--threads", "1"]) {
        assert_eq!(measured["pictures"], 1, "{measured}");
        // A kernel's name and its rate, four times at least.
        assert!(measured["labels"].as_u64() >= Some(8), "{measured}");
    }
}

/// What [`MEASURE`] finds in the report of a command, in every view; nothing without a browser.
/// Asserts what holds for every report.
fn measure(command: &str, flags: &[&str]) -> Vec<Value> {
    let mut browser = Browser::start(command);
    let name = format!("midstate-{command}-{}.html", std::process::id());
    let page = std::env::temp_dir().join(name);
    let path = page.to_str().expect("a path of text");
    let output = run(&[&[command, "--html", path], flags].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    browser.open(&format!("file://{path}"), VIEWS[0].1);
    browser.wait_until("location.protocol === 'file:' && document.readyState === 'complete'");

    let measure = |(medium, size)| {
        browser.set_medium(medium);
        browser.resize(size);
        let measured = browser.evaluate(MEASURE);
        assert_eq!(measured["outside"], json!([]), "{medium} at {size:?}");
        assert_eq!(measured["overlaps"], json!([]), "{medium} at {size:?}");
        assert_eq!(measured["sideways"], false, "{medium} at {size:?}: it scrolls sideways");
        let colours = colours(&browser.screenshot());
        assert!(colours > 20, "{medium} at {size:?}: {colours} colours");
        measured
    };
    let all = VIEWS.map(measure).to_vec();
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    // Best effort: the folder is temporary anyway.
    let _ = std::fs::remove_file(&page);
    all
}

/// How many colours a screenshot has.
fn colours(png: &[u8]) -> usize {
    let decoder = png::Decoder::new(std::io::Cursor::new(png));
    let mut reader = decoder.read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a picture of this size")];
    let info = reader.next_frame(&mut pixels).expect("its pixels");
    let pixels = &pixels[..info.buffer_size()];
    pixels.chunks_exact(info.color_type.samples()).collect::<BTreeSet<_>>().len()
}

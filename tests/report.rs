//! The reports of `asic --html` and `bench --html` in a real browser: they draw, they ask for
//! nothing, no label leaves its picture or lies on another. Skipped, and says so, where there is no
//! Chromium.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::program::run;

/// Telephones, a tablet, desks and a projector, in light and in dark, and what the margins leave of
/// a sheet of A4.
const VIEWS: [(&str, &str, (u32, u32)); 8] = [
    ("screen", "light", (390, 2400)),
    ("screen", "dark", (390, 2400)),
    ("screen", "light", (500, 2400)),
    ("screen", "light", (900, 2400)),
    ("screen", "light", (1280, 2400)),
    ("screen", "dark", (1280, 2400)),
    ("screen", "light", (1920, 2400)),
    ("print", "light", (718, 2400)),
];

/// Measures every visible picture: labels outside of it, and labels that lie on each other.
const MEASURE: &str = "(() => {
  const found = { pictures: 0, labels: 0, outside: [], overlaps: [], text: '',
                  sideways: document.documentElement.scrollWidth > window.innerWidth,
                  cut: [...document.querySelectorAll('.table')]
                    .filter(table => table.scrollWidth > table.clientWidth + 1)
                    .map(table => table.innerText.slice(0, 60)) };
  for (const svg of document.querySelectorAll('svg')) {
    const frame = svg.getBoundingClientRect();
    if (frame.width === 0) continue;
    found.pictures += 1;
    const texts = [...svg.querySelectorAll('text')];
    const labels = texts.map(text => [text.textContent, text.getBoundingClientRect()]);
    found.labels += labels.length;
    found.text += labels.map(([text]) => text).join('; ');
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
        assert_eq!(measured["pictures"], 6, "{measured}");
        assert!(measured["labels"].as_u64() > Some(60), "{measured}");
        let text = measured["text"].as_str().expect("its text");
        for label in ["this machine, today", "the energy for a hash", "the sum: 0.1 %"] {
            assert!(text.contains(label), "{label} is not there: {text}");
        }
    }
}

/// The pictures that are files of their own, those of the documentation among them: each has its
/// title, its source and a date in it.
#[test]
#[ignore = "needs chromium"]
fn every_picture_of_its_own_draws_with_every_label_in_its_place() {
    let pictures: [(&str, &[&str], usize); 7] = [
        ("energy", &["asic", "--rate", "100M", "--svg"], 30),
        ("joule", &["asic", "--rate", "100M", "--svg-why"], 10),
        ("difficulty", &["econ", "retarget", "--history", "--svg"], 15),
        ("exit", &["econ", "retarget", "--replay", "us-exit", "--svg"], 18),
        ("calm", &["econ", "retarget", "--replay", "calm", "--svg"], 12),
        ("halving", &["econ", "retarget", "--replay", "halving2028", "--svg"], 15),
        ("fall", &["econ", "retarget", "--replay", "price-fall", "--svg"], 12),
    ];
    let mut browser = Browser::start("pictures");
    for (name, command, least) in pictures {
        let path = temporary(&format!("{name}.svg"));
        save(&[command, &[&path]].concat());
        for measured in measure_at(&mut browser, &path) {
            assert!(measured["labels"].as_u64() >= Some(least as u64), "{name}: {measured}");
            let text = measured["text"].as_str().expect("its text");
            assert!(text.contains("midstate"), "{name}: no source in {text}");
            assert!(text.contains("20") && text.contains('-'), "{name}: no date in {text}");
        }
    }
}

#[test]
#[ignore = "needs chromium"]
fn the_report_of_bench_draws_with_every_label_in_its_place() {
    for measured in measure("bench", &["--seconds", "0.05", "--threads", "1"]) {
        assert_eq!(measured["pictures"], 1, "{measured}");
        // A kernel's name and its rate, four times at least, two ticks and the sha2 crate.
        assert!(measured["labels"].as_u64() >= Some(11), "{measured}");
        let text = measured["text"].as_str().expect("its text");
        assert!(text.contains("sha2, 1 thread: "), "{text}");
    }
}

/// The findings of [`MEASURE`] in the report of a command, in every view; none without a browser.
fn measure(command: &str, flags: &[&str]) -> Vec<Value> {
    let mut browser = Browser::start(command);
    let path = temporary(&format!("{command}.html"));
    save(&[&[command, "--html", &path], flags].concat());
    measure_at(&mut browser, &path)
}

/// A file that no other run has.
fn temporary(name: &str) -> String {
    let path = std::env::temp_dir().join(format!("midstate-{}-{name}", std::process::id()));
    path.to_str().expect("a path of text").to_owned()
}

fn save(command: &[&str]) {
    let output = run(command);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Measures a file in every view, asserts what holds for every report and picture, and removes it.
fn measure_at(browser: &mut Browser, path: &str) -> Vec<Value> {
    browser.open(&format!("file://{path}"), VIEWS[0].2);
    let name = path.rsplit('/').next().unwrap_or(path);
    browser.wait_until(&format!(
        "location.href.endsWith('{name}') && document.readyState === 'complete'"
    ));
    let measure = |(medium, scheme, size)| {
        browser.set_medium(medium, scheme);
        browser.resize(size);
        let measured = browser.evaluate(MEASURE);
        let view = format!("{name}, {medium}, {scheme}, {size:?}");
        assert_eq!(measured["outside"], json!([]), "{view}");
        assert_eq!(measured["overlaps"], json!([]), "{view}");
        assert_eq!(measured["sideways"], false, "{view}: it scrolls sideways");
        assert!(medium == "print" || measured["cut"] == json!([]), "{view}: {measured}");
        let colours = colours(&browser.screenshot());
        assert!(colours > 20, "{view}: {colours} colours");
        measured
    };
    let all = VIEWS.map(measure).to_vec();
    assert!(browser.complaints.is_empty(), "{:?}", browser.complaints);
    // Best effort: the folder is temporary anyway.
    let _ = std::fs::remove_file(path);
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

//! `bench` as scripts read it: the lines and fields of the contract. No test asserts a speed.

use serde_json::Value;

use crate::program::{events, fail, run};

fn json(arguments: &[&str]) -> Vec<Value> {
    let output = run(&[&["bench", "--json", "--seconds", "0.05"], arguments].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    events(&output.stdout)
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

fn number(event: &Value, field: &str) -> f64 {
    event[field].as_f64().unwrap_or_else(|| panic!("{field} is a number in {event}"))
}

#[test]
fn the_lines_and_fields_of_the_contract() {
    let events = json(&["--kernel", "scalar", "--threads", "1"]);
    let machines = of_kind(&events, "machine");
    assert_eq!(machines.len(), 1);
    assert!(machines[0]["cpu"].is_string() && machines[0]["flags"].is_string());
    assert_eq!(machines[0]["kernels"][0], "scalar");
    let baselines = of_kind(&events, "baseline");
    assert_eq!(baselines.len(), 1);
    assert_eq!(baselines[0]["name"], "sha2");
    assert!(number(baselines[0], "hps") > 0.0);

    let lines = of_kind(&events, "bench");
    let midstates: Vec<_> = lines.iter().map(|line| line["midstates"].as_u64()).collect();
    assert_eq!(midstates, [1, 4, 16, 64].map(Some));
    for line in lines {
        assert_eq!((&line["kernel"], &line["lanes"]), (&"scalar".into(), &1.into()));
        assert_eq!(line["threads"], 1);
        assert!(number(line, "samples") >= 1.0);
        assert!(number(line, "hps_low") <= number(line, "hps"));
        assert!(number(line, "hps") <= number(line, "hps_high"));
        assert!(number(line, "hps_high") <= number(line, "hps_best"));
        assert!(number(line, "cycles_per_hash") > 0.0);
        if cfg!(unix) {
            assert!((0.0..=1.0).contains(&number(line, "cpu_elsewhere")), "{line}");
        }
        assert_eq!(line.get("roofline"), Some(&Value::Null), "no vectors, no bound of theirs");
        assert!(line["watts"].is_null() == line["j_per_th"].is_null(), "{line}");
    }
}

#[test]
fn a_vector_kernel_has_a_share_of_its_bound() {
    let Some(kernel) = ["avx2", "sse41"].into_iter().find(|name| has(name)) else {
        println!("skipped: this CPU has neither AVX2 nor SSE4.1");
        return;
    };
    for line in of_kind(&json(&["--kernel", kernel, "--threads", "1"]), "bench") {
        assert!(number(line, "roofline") > 0.0, "{line}");
    }
}

fn has(kernel: &str) -> bool {
    midstate_sha256d::Kernel::named(kernel).is_some()
}

#[test]
fn the_factors_of_the_ladder_multiply_to_its_total() {
    let events = json(&["--ladder", "--threads", "2"]);
    let steps = of_kind(&events, "ladder");
    let names: Vec<_> = steps.iter().filter_map(|step| step["step"].as_str()).collect();
    assert_eq!(names[..3], ["naive", "midstate", "folded, early stop"]);
    assert_eq!(names[names.len() - 2..], ["schedule shared by 16", "all threads"]);
    assert_eq!(number(steps[0], "factor"), 1.0);
    assert_eq!(steps[names.len() - 1]["threads"], 2);

    let product: f64 = steps.iter().map(|step| number(step, "factor")).product();
    let measured = number(steps[names.len() - 1], "hps") / number(steps[0], "hps");
    let totals = of_kind(&events, "ladder_total");
    assert_eq!(totals.len(), 1);
    for total in [product, number(totals[0], "factor"), number(totals[0], "product")] {
        assert!((total / measured - 1.0).abs() < 1e-9, "{total} is not {measured}");
    }
    let operations = |step: usize| number(steps[step], "operations");
    assert!(operations(0) > operations(1) && operations(1) > operations(2));
}

#[test]
fn the_ladder_takes_every_kernel_or_none() {
    let (code, message) = fail(&["bench", "--ladder", "--kernel", "scalar"]);
    assert_eq!(code, 2);
    assert!(message.contains("--kernel"), "{message}");
}

#[test]
fn a_variant_has_a_factor_beside_its_kernel_and_no_line_of_its_own() {
    let kernels = [("sha-ni", "sha-ni-nonces"), ("avx512", "avx512-two")];
    let Some((kernel, variant)) = kernels.into_iter().find(|(kernel, _)| has(kernel)) else {
        println!("skipped: this CPU has no kernel with a variant");
        return;
    };
    let events = json(&["--kernel", kernel, "--threads", "1"]);
    let variants = of_kind(&events, "variant");
    let midstates: Vec<_> = variants.iter().map(|event| event["midstates"].as_u64()).collect();
    assert_eq!(midstates, [1, 4, 16, 64].map(Some));
    for event in variants {
        assert_eq!((&event["kernel"], &event["variant"]), (&kernel.into(), &variant.into()));
        assert!(number(event, "factor_low") <= number(event, "factor"));
        assert!(number(event, "factor") <= number(event, "factor_high"));
        assert!(number(event, "hps") > 0.0 && number(event, "cycles_per_hash") > 0.0);
    }
    let lines = of_kind(&events, "bench");
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line["kernel"] == kernel), "{lines:?}");
    // Asked for by its name, it is a kernel as any other.
    let events = json(&["--kernel", variant, "--threads", "1"]);
    assert_eq!(of_kind(&events, "variant").len(), 0);
    assert!(of_kind(&events, "bench").iter().all(|line| line["kernel"] == variant));
}

#[test]
fn a_report_is_the_block_of_the_page_and_says_nothing_of_a_person() {
    let arguments = ["bench", "--report", "--kernel", "scalar", "--seconds", "0.05"];
    let output = run(&[&arguments[..], &["--threads", "1"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let fastest = text.lines().find_map(|line| line.strip_prefix("fastest: ")).expect("a rate");
    assert!(fastest.starts_with("scalar, 1 thread, "), "{fastest}");
    assert!(fastest.contains(" measured now") || fastest.contains("busy: "), "{fastest}");
    // The names of the facts, and the lines without one, but for the rows; older blocks do not tell
    // the fastest.
    let shape = |block: &str| -> Vec<String> {
        let is_row = |line: &&str| line.split(' ').count() == 10 && !line.starts_with("kernel ");
        let is_newer = |line: &&str| line.starts_with("fastest: ");
        let lines = block.lines().filter(|line| !is_row(line) && !is_newer(line));
        lines.map(|line| line.split(": ").next().unwrap_or(line).to_owned()).collect()
    };
    let page = include_str!("../docs/machines.md");
    let (_, block) = page.split_once("```text\nmidstate report 1\n").expect("a block on the page");
    let (block, _) = block.split_once("```").expect("the end of the block");
    assert_eq!(shape(&text), shape(&format!("midstate report 1\n{block}")));
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with("scalar ")).collect();
    let of = |row: &&str| row.split(' ').take(3).collect::<Vec<_>>().join(" ");
    let rows: Vec<_> = rows.iter().map(of).collect();
    assert_eq!(rows, ["scalar 1 1", "scalar 4 1", "scalar 16 1", "scalar 64 1"]);

    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let variables = ["HOME", "USER", "LOGNAME", "HOSTNAME", "PWD"].map(std::env::var);
    let secrets = variables.into_iter().flatten().chain([host.trim().to_owned()]);
    // A name of three letters may be part of any word.
    for secret in secrets.filter(|secret| secret.len() > 3) {
        assert!(!text.contains(&secret), "{secret} in {text}");
    }
    assert!(!text.contains('/') || text.matches('/').count() == text.matches("MH/s").count());
}

#[test]
fn a_report_is_neither_json_nor_a_ladder_nor_a_page() {
    for other in [&["--json"][..], &["--ladder"], &["--html", "page.html"]] {
        let (code, message) = fail(&[&["bench", "--report"], other].concat());
        assert_eq!(code, 2);
        assert!(message.contains("--report"), "{message}");
    }
}

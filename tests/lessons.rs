//! `asic`, `econ` and `explain` as their users run them.

use midstate_chain::Target;
use serde_json::Value;

use crate::program::{events, fail, run};

fn text(arguments: &[&str]) -> String {
    let output = run(arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).expect("stdout is text")
}

fn json(arguments: &[&str]) -> Vec<Value> {
    let output = run(&[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{arguments:?}");
    events(&output.stdout)
}

fn value(events: &[Value], name: &str) -> f64 {
    let event = events.iter().find(|event| event["name"] == name && event["event"] == "econ");
    event.unwrap_or_else(|| panic!("no {name}"))["value"].as_f64().expect("a number")
}

#[test]
fn asic_fits_a_pipe_and_names_a_band_with_its_reason() {
    let text = text(&["asic", "--rate", "100e6", "--full"]);
    for line in text.lines() {
        assert!(line.chars().count() <= 96, "{} columns: {line}", line.chars().count());
    }
    assert!(!text.contains('\u{1b}'), "no colour in a pipe");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("needs 67.1 days"), "one second of an S23 Hyd");
    assert!(text.contains("171 million years"));
    assert!(text.contains("assumed: 2 to 10 W for each of"));
    assert!(text.contains("earns nothing"));
}

/// Text without colours.
#[cfg(unix)]
fn plain(text: &str) -> String {
    let mut pieces = text.split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |plain, piece| plain + piece.split_once('m').expect("a colour").1)
}

#[cfg(unix)]
#[test]
fn text_fits_the_terminal_whatever_its_width() {
    let help = text(&["econ", "--help"]);
    let topics = crate::docs::commands(&help).into_iter().map(|topic| vec!["econ", topic]);
    let others: &[&[&str]] = &[
        &["asic", "--rate", "100e6"],
        &["asic", "--rate", "100e6", "--full"],
        &["explain", "genesis"],
        &["explain", "--luck", "--seed", "1"],
        &["econ", "halving", "--price-growth", "0.5"],
        &["econ", "hashprice", "--before", "57.1"],
        &["econ", "retarget", "--history"],
    ];
    for lesson in topics.chain(others.iter().map(|lesson| lesson.to_vec())) {
        for columns in [60, 80, 100, 120] {
            let text = plain(&crate::terminal::printed(columns, &lesson));
            let widest = text.lines().map(|line| line.chars().count()).max().expect("lines");
            assert!(widest <= usize::from(columns), "{lesson:?} at {columns}: {widest}\n{text}");
        }
    }
    // No word is cut or lost: a narrow terminal has the words of a wide one.
    let words = |columns| -> Vec<String> {
        let text = plain(&crate::terminal::printed(columns, &["econ", "claims"]));
        text.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(words(60), words(120));
}

#[cfg(unix)]
#[test]
fn headings_and_verdicts_are_coloured_on_a_terminal_and_nowhere_else() {
    let claims = crate::terminal::printed(80, &["econ", "claims"]);
    assert!(claims.starts_with("\x1b[1m44 claims: "), "{claims}");
    for verdict in ["\x1b[32mHOLDS", "\x1b[31mWRONG", "\x1b[33mOPINION"] {
        assert!(claims.contains(verdict), "{verdict}: {claims}");
    }
    let asic = crate::terminal::printed(80, &["asic", "--rate", "100e6"]);
    assert!(asic.contains("\x1b[36m> 20"), "this machine stands out: {asic}");
    assert!(!text(&["econ", "claims"]).contains('\x1b'));
    assert!(text(&["econ", "claims", "--color", "always"]).contains("\x1b[32mHOLDS"));
}

#[test]
fn asic_begins_with_the_answer() {
    let text = text(&["asic", "--rate", "100e6", "--watts", "50"]);
    let answer = text.split_once("\n\n").expect("two parts").0;
    let answer = answer.split_whitespace().collect::<Vec<_>>().join(" ");
    let how_much =
        "One Antminer S23 Hyd does 580 TH/s: as much as 5,800,000 machines like this one";
    assert!(answer.contains(how_much), "{answer}");
    assert!(answer.contains("takes 52,600 times as much energy (at 50.0 W)"), "{answer}");
    assert!(answer.contains("An ASIC, a chip for this hash alone, has none"), "{answer}");
    assert!(answer.contains("earns nothing"), "{answer}");
    assert!(answer.contains("What physics leaves"), "{answer}");
}

#[cfg(unix)]
#[test]
fn the_answer_of_asic_is_on_the_screen_when_it_ends() {
    // Of 24 rows the last one has the prompt; a busy CPU takes two more.
    let text = crate::terminal::printed(80, &["asic", "--rate", "100e6"]);
    assert!(text.lines().count() <= 21, "{text}");
}

#[test]
fn claims_are_shown_alone_by_number_or_word() {
    let one = text(&["econ", "claims", "12"]);
    assert!(one.starts_with("12 ") && !one.contains("\n13 "), "{one}");
    let all = text(&["econ", "claims"]);
    let tally = all.lines().next().expect("a tally");
    assert_eq!(all.matches(tally).count(), 2, "first, and last, where the screen ends: {all}");
    let one = one.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(one.starts_with("12 WRONG: American Bitcoin makes about 2 %"), "{one}");
    let said = "by article 0 (Pools and hashprice in the United States), here in our words.";
    assert!(one.contains(said), "a paraphrase, and whose: {one}");
    assert!(one.contains("Source, 2026-11-30: Decrypt, decrypt.co/354627"), "{one}");
    let halving = json(&["econ", "claims", "halving"]);
    assert!(!halving.is_empty() && halving.len() < 44);
    let (code, error) = fail(&["econ", "claims", "xyzzy"]);
    assert_eq!(code, 2);
    assert!(error.contains("no claim has \"xyzzy\"; expected a number from 1 to 44"), "{error}");
}

#[test]
fn a_file_that_cannot_be_written_is_told_before_anything_is_measured() {
    // They would measure for an hour.
    for (command, flag) in [("asic", "--html"), ("asic", "--svg"), ("bench", "--html")] {
        let (code, error) = fail(&[command, "--seconds", "3600", flag, "/no/such/folder/a"]);
        assert_eq!(code, 1, "{command} {flag}: {error}");
        assert!(error.contains("/no/such/folder/a: cannot be written"), "{command}: {error}");
    }
}

#[test]
fn a_name_with_a_slip_is_told_the_right_one() {
    let (code, error) = fail(&["explain", "genisis"]);
    assert_eq!(code, 2);
    assert!(error.contains("unknown header \"genisis\": did you mean genesis?"), "{error}");
}

#[test]
fn asic_measures_when_it_is_not_told() {
    let events = json(&["asic", "--seconds", "0.1", "--threads", "1"]);
    let here = events.iter().find(|event| event["class"] == "this").expect("this machine");
    assert!(here["hps"].as_f64() > Some(0.0), "{here}");
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("no number: {here}"));
    assert!(number(&here["hps_low"]) <= number(&here["hps"]), "{here}");
    assert!(number(&here["hps"]) <= number(&here["hps_high"]), "{here}");
    assert!(number(&here["j_per_th"][0]) <= number(&here["j_per_th"][1]), "{here}");
}

#[test]
fn asic_as_json_has_the_devices_and_the_verdict() {
    let events = json(&["asic", "--rate", "100e6", "--watts", "50"]);
    let devices: Vec<_> = events.iter().filter(|event| event["event"] == "device").collect();
    assert!(devices.len() >= 45, "{}", devices.len());
    for device in &devices {
        let class = device["class"].as_str().expect("a class");
        assert!(["this", "hand", "cpu", "gpu", "fpga", "asic"].contains(&class));
        assert!(!device["source"].as_str().expect("a source").is_empty());
    }
    let verdict = events.last().expect("events");
    assert_eq!(verdict["event"], "verdict");
    assert_eq!(verdict["machines_for_one_best"], 5.8e6);
    // 50 W / 100 MH/s = 500,000 J/TH by 9.5.
    assert_eq!(verdict["energy_ratio"][0].as_f64().map(f64::round), Some(52_632.0));
    assert_eq!(verdict["blocks"][2]["network"], "regtest");
    // Two hashes at 100 MH/s.
    assert_eq!(
        verdict["blocks"][2]["seconds"].as_f64().map(|s| (s * 1e12).round()),
        Some(20_000.0)
    );
}

#[test]
fn asic_says_what_mining_leaves_by_reward_and_cost() {
    let said = |flags: &[&str]| {
        let text = text(&[&["asic", "--rate", "580T"], flags].concat());
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    // A block brings $216,288; its power costs $71,326.
    let cheap = said(&["--watts", "5510", "--electricity", "0.05"]);
    assert!(
        cheap.contains(
            "power costs $71,326 with this machine, and the block brings $216,288: mining"
        )
    );
    assert!(!cheap.contains("earns nothing"), "{cheap}");
    let dear = said(&["--watts", "5510", "--electricity", "0.5"]);
    assert!(
        dear.contains("earns nothing: a block's power costs $713,256, and the block brings"),
        "{dear}"
    );
    // The 2 to 10 W that are assumed make it $103,560 to $517,800.
    let unknown = said(&["--threads", "1", "--electricity", "200"]);
    assert!(unknown.contains("depends on the watts that it really draws"), "{unknown}");
}

#[test]
fn asic_is_sure_only_of_what_it_measured() {
    let here = |flags: &[&str]| json(&[&["asic"], flags].concat()).swap_remove(0);
    let told = here(&["--rate", "1e6"]);
    assert_eq!((told["class"].as_str(), told["confidence"].as_str()), (Some("this"), Some("C")));
    assert_eq!(told["rate_source"], "given with --rate");
    let source = told["source"].as_str().expect("a source");
    assert!(source.ends_with("not measured, because --rate was given"), "{source}");
    let both = here(&["--rate", "1e6", "--watts", "50"]);
    assert_eq!(both["confidence"], "C");
    let measured = here(&["--seconds", "0.1", "--threads", "1", "--watts", "50"]);
    assert_eq!(measured["confidence"], "C", "the watts were told");
    let source = measured["rate_source"].as_str().expect("a source");
    assert!(source.starts_with("measured now: kernel "), "{source}");
    let [now, possible] = ["hps", "hps_possible"].map(|field| measured[field].as_f64().unwrap());
    assert!(0.0 < now && now <= possible, "{measured}");
    assert_eq!(told["hps_possible"], Value::Null, "nothing was measured");
}

/// `doctor`, a dry run, `asic` and `bench` measure alike and have one word for it.
#[test]
fn one_machine_has_one_rate_in_one_word() {
    let hash = ["--kernel", "scalar", "--threads", "1"];
    let bench = ["bench", "--kernel", "scalar", "--threads", "1", "--seconds", "0.1"];
    for command in [
        &[&["doctor"], &hash[..]].concat(),
        &[&["asic", "--seconds", "0.1"], &hash[..]].concat(),
        &[&["mine", "-o", "127.0.0.1:1", "-u", "a", "--dry-run"], &hash[..]].concat(),
        &bench.to_vec(),
    ] {
        let text = text(command);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let told = ["H/s measured now", "busy: "].iter().any(|words| text.contains(words));
        assert!(told, "{command:?}: {text}");
        assert!(!text.contains("H/s at best") && !text.contains(": about "), "{command:?}: {text}");
    }
}

#[test]
fn every_claim_has_a_command_that_shows_its_number() {
    /// Numbers of a text, without their commas.
    fn numbers(text: &str) -> Vec<String> {
        let text = text.replace(',', "");
        let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.');
        let parts = parts.map(|part| part.trim_matches('.').to_owned());
        parts.filter(|part| part.parse::<f64>().is_ok()).collect()
    }
    /// Whether `long` is `short` when it is rounded to as many decimals.
    fn rounds_to(long: &str, short: &str) -> bool {
        let decimals = short.split_once('.').map_or(0, |(_, decimals)| decimals.len());
        let long: f64 = long.parse().expect("a number");
        format!("{long:.decimals$}") == short
    }
    let claims = json(&["econ", "claims"]);
    assert_eq!(claims.len(), 44);
    for claim in claims {
        let command = claim["command"].as_str().expect("a command");
        let mut arguments: Vec<_> = command.split(' ').skip(1).collect();
        if arguments[0] == "asic" {
            arguments.extend(["--rate", "1e8"]);
        }
        let shows = claim["shows"].as_str().expect("what it shows");
        let shown = text(&arguments).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(shown.contains(shows), "{command} does not show {shows:?}: {shown}");
        let computed = numbers(claim["computed"].as_str().expect("a sentence"));
        let same = |long: &String| computed.iter().any(|short| rounds_to(long, short));
        let shows = numbers(shows);
        assert!(shows.is_empty() || shows.iter().any(same), "{shows:?} is not in {claim}");
    }
}

#[test]
fn econ_works_the_published_figures_out() {
    // December 2025, by JPMorgan.
    const THEN: [&str; 8] =
        ["econ", "hashprice", "--hashprice", "38.7", "--network", "1045", "--fees", "0"];
    let hashprice = json(&[&THEN[..], &["--before", "57.1", "--exit", "0.1116"]].concat());
    let price = value(&hashprice, "price of a bitcoin that the hashprice stands for");
    assert_eq!(price.round(), 89_870.0);
    assert_eq!((value(&hashprice, "change of hashprice") * 10.0).round(), -322.0);

    let cost = json(&[&THEN[..], &["--cost", "21.6"]].concat());
    assert_eq!((value(&cost, "gross profit") * 10.0).round(), 171.0);

    let breakeven = json(&["econ", "breakeven", "--efficiency", "17.5", "--hashprice", "38.7"]);
    let cents = value(&breakeven, "break-even price of power at 17.5 J/TH");
    assert_eq!((cents * 10.0).round(), 92.0);

    let change = json(&["econ", "retarget", "--from", "141.67e12", "--to", "125.86e12"]);
    assert_eq!((value(&change, "change of difficulty") * 100.0).round(), -1_116.0);

    let pools = json(&["econ", "pools"]);
    assert_eq!((value(&pools, "change, in standard deviations") * 10.0).round(), -49.0);
}

#[test]
fn econ_prints_formula_numbers_and_result() {
    let text = text(&["econ", "breakeven", "--efficiency", "17.5", "--hashprice", "40"]);
    assert!(text.contains("= hashprice [$/TH/day] x 10^5 / (24 x J/TH x PUE)"));
    assert!(text.contains("= 0.04 x 10^5 / (24 x 17.5 x 1)"));
    assert!(text.contains("= 9.52 c/kWh"));
    assert!(text.contains("given on the command line"));
}

#[test]
fn inputs_follow_from_what_is_given() {
    // A difficulty stands for a rate, and both for a hashprice.
    let price = ["econ", "hashprice", "--fees", "0", "--price", "100000"];
    let events = json(&[&price[..], &["--difficulty", "125.86e12"]].concat());
    let computed = value(&events, "hashprice from the price");
    let expected =
        3.125 * 144.0 * 1e5 / (125.86e12 * Target::HASHES_AT_DIFFICULTY_1 / 600.0 / 1e15);
    assert!((computed / expected - 1.0).abs() < 1e-9, "{computed}, expected {expected}");
    let given = events.iter().find(|event| event["name"] == "hashprice").expect("the input");
    assert_eq!(given["value"].as_f64(), Some(computed));
}

#[test]
fn all_topics_tell_the_same_of_one_machine_on_one_day() {
    // 200 TH/s: the chance of a block and the share of the network are one number.
    let wait = value(&json(&["econ", "odds", "--rate", "200e12"]), "mean wait");
    let site = json(&["econ", "site", "--rigs", "1", "--rig-rate", "200e12"]);
    let coins = value(&site, "coins a day, on average");
    let by_site = 3.125 / coins / 365.25;
    assert!((wait / by_site - 1.0).abs() < 1e-4, "odds: {wait} years, site: {by_site} years");
    let network = json(&["econ", "odds", "--rate", "200e12", "--network", "1045"]);
    let site = json(&["econ", "site", "--rigs", "1", "--rig-rate", "200e12", "--network", "1045"]);
    let by_site = 3.125 / value(&site, "coins a day, on average") / 365.25;
    let wait = value(&network, "mean wait");
    assert!((wait / by_site - 1.0).abs() < 1e-4, "odds: {wait} years, site: {by_site} years");
    // Every topic that takes something from the snapshot says of which day it is.
    for topic in [
        "hashprice",
        "breakeven",
        "halving",
        "retarget",
        "odds",
        "pools",
        "site",
        "host",
        "dispatch",
        "payback",
    ] {
        let text = text(&["econ", topic]);
        assert!(text.contains("2026-02-07: "), "{topic}: {text}");
        assert!(!text.contains("2025-12-31"), "{topic}: {text}");
    }
    assert!(text(&["asic", "--rate", "1e8", "--full"]).contains("2026-02-07: "));
}

/// The tutorial sends its readers there.
#[test]
fn odds_tell_how_long_luck_takes_to_even_out() {
    let class = ["econ", "odds", "--rate", "80e6", "--difficulty", "0.05", "--blocks", "100"];
    let events = json(&class);
    assert!((value(&events, "spread of the income after 100 blocks") - 19.6).abs() < 1e-9);
    let years = value(&events, "time that so many blocks take");
    let minutes = years * 365.25 * 24.0 * 60.0;
    assert!((minutes - 4.47).abs() < 0.01, "{minutes}");
    let rows = events.iter().filter(|event| event["event"] == "row");
    let evens: Vec<_> = rows.filter_map(|row| row["after_blocks"].as_f64()).collect();
    assert_eq!(evens.len(), 6);
    assert!((evens[3] - 384.16).abs() < 1e-9, "within 10 % after 384 blocks: {evens:?}");
    assert!(text(&class).contains("95 times in 100"));
}

#[test]
fn a_simulation_can_be_repeated_and_drawn() {
    let path = std::env::temp_dir().join(format!("midstate-retarget-{}.svg", std::process::id()));
    let svg = path.to_str().expect("a path of text");
    let arguments = ["econ", "retarget", "--replay", "us-exit", "--seed", "7", "--svg", svg];
    let (one, two) = (text(&arguments), text(&arguments));
    let drawn = std::fs::read_to_string(&path).expect("the plot");
    std::fs::remove_file(&path).expect("it is ours");
    assert_eq!(one, two);
    assert_ne!(one, text(&["econ", "retarget", "--replay", "us-exit", "--seed", "8"]));
    assert!(drawn.starts_with("<svg ") && drawn.trim_end().ends_with("</svg>"));
}

#[test]
fn a_run_too_short_for_the_lesson_says_how_far_it_goes() {
    let lesson = |periods| {
        let text = text(&["econ", "retarget", "--periods", periods]);
        assert!(!text.contains("NaN"), "{text}");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert!(lesson("2").contains("in the third period, which --periods does not reach. Less"));
    assert!(lesson("3").contains(" BTC a day until the retarget. Less hash rate"));
    assert!(lesson("4").contains("in the mean of the next 1 period: 450, and luck"));
    assert!(lesson("12").contains("in the mean of the next 3 periods: 450, and luck"));
    // Half of it where the blocks bring half.
    let late = ["econ", "retarget", "--replay", "us-exit", "--height", "1052352"];
    let late = text(&late).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(late.contains("periods: 225, and luck"), "{late}");
}

#[test]
fn a_replay_has_the_dates_of_its_heights() {
    let begin = |replay: &str, height: u64| {
        let events = json(&["econ", "retarget", "--replay", replay]);
        let period = events.iter().find(|event| event["height"] == height);
        period.unwrap_or_else(|| panic!("no {height}"))["time"].as_i64().expect("a time")
    };
    // The first period after the last real block, of 7 February 2026: two weeks later.
    let (day, known) = (86_400, 1_770_422_400);
    for replay in ["calm", "feb2026", "us-exit", "price-fall"] {
        assert_eq!(begin(replay, 937_440), known + 14 * day, "{replay}");
        let events = json(&["econ", "retarget", "--replay", replay]);
        let heights = events.iter().filter_map(|event| event["height"].as_u64());
        assert_eq!(heights.min(), Some(937_440), "{replay} repeats a real block");
    }
    // 108,864 blocks of ten minutes later.
    assert_eq!(begin("halving2028", 1_044_288), known + 756 * day);
}

#[test]
fn flags_that_change_nothing_or_have_no_block_are_refused() {
    for (arguments, flag) in [
        (&["--replay", "calm", "--exit", "0.5"][..], "--exit"),
        (&["--replay", "price-fall", "--exit", "0.5"], "--exit"),
        (&["--difficulty", "1e14"], "--difficulty"),
        (&["--replay", "feb2026", "--network", "900"], "--network"),
        (&["--replay", "halving2028", "--height", "900000"], "--height"),
        (&["--replay", "calm", "--electricity", "0.05"], "--electricity"),
        (&["--replay", "calm", "--hashprice", "50"], "--hashprice"),
        (&["--replay", "calm", "--height", "9000000"], "--height"),
        (&["--replay", "calm", "--network", "1e-30"], "below difficulty 1"),
        (&["--from", "1e14", "--to", "2e14", "--periods", "3"], "--periods"),
        (&["--history", "--seed", "3"], "--seed"),
    ] {
        let (code, stderr) = fail(&[&["econ", "retarget"], arguments].concat());
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        assert!(stderr.contains(flag), "{arguments:?}: {stderr}");
    }
}

/// Every `null` of an event says why, and no word of it is a number that is none.
fn assert_numbers(event: &Value, arguments: &[&str]) {
    let nothing =
        |word: &str| ["nan", "inf", "-inf", "$inf"].contains(&word.to_lowercase().as_str());
    let fields = event.as_object().expect("an object");
    let is_empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => {
            let words = text.split([' ', '%', '^', '(', ')', ',', ';', ':']);
            assert!(words.into_iter().all(|word| !nothing(word)), "{arguments:?}: {event}");
            false
        }
        _ => false,
    };
    let empty = fields.values().filter(|value| is_empty(value)).count();
    assert!(empty == 0 || event["reason"].is_string(), "{arguments:?}: {event}");
    assert!(fields.keys().all(|key| !key.is_empty()), "{arguments:?}: {event}");
}

#[test]
fn odd_flags_give_numbers_or_reasons_why_there_are_none() {
    const RETARGET: [&str; 4] = ["retarget", "--periods", "4", "--replay"];
    let simulations = [
        &["calm", "--volatility", "10"][..],
        &["calm", "--network", "1e30"],
        &["us-exit", "--exit", "0.99"],
        &["us-exit", "--exit", "0", "--price", "1e-30"],
        &["price-fall", "--price", "1e30", "--fees", "1e30"],
        &["halving2028", "--fees", "0"],
    ];
    let simulations = simulations.map(|flags| [&RETARGET, flags].concat());
    let sheets = [
        &["hashprice", "--exit", "0.99", "--before", "1e-30"][..],
        &["hashprice", "--height", "9000000", "--equilibrium", "1e-30"],
        &["hashprice", "--cost", "0", "--network", "1e30", "--price", "1e30"],
        &["hashprice", "--network", "1e-30", "--price", "1e30", "--fees", "1e30"],
        &["breakeven", "--height", "9000000"],
        &["breakeven", "--efficiency", "1e-30", "--pue", "1e-30", "--hashprice", "1e30"],
        &["halving", "--years", "0.1", "--hash-growth", "1e30"],
        &["halving", "--price-growth", "-0.999", "--hash-growth", "-0.999", "--height", "0"],
        &["halving", "--height", "9000000"],
        &["odds", "--rate", "1e-30", "--days", "1e-30", "--before", "1e12"],
        &["odds", "--rate", "1e30", "--days", "1e30"],
        &["pools", "--before", "0", "--after", "0"],
        &["pools", "--before", "1", "--after", "1", "--pool-fee", "1"],
        &["pools", "--before", "0", "--after", "1", "--blocks", "1"],
        &["pools", "--rate", "1e-30"],
        &["site", "--share", "0", "--efficiency", "1e-30"],
        &["site", "--rigs", "1", "--pue", "1e30"],
        &["host", "--mining-capex", "0", "--capex", "0"],
        &["host", "--mining-capex", "1e-30", "--capex", "1e30", "--discount", "0"],
        &["host", "--margin", "0", "--decline", "1", "--default-risk", "1", "--discount", "1"],
        &["dispatch", "--hosted", "0"],
        &["dispatch", "--hosted", "100", "--ahead", "0", "--rent", "0"],
        &["dispatch", "--height", "9000000"],
        &["dispatch", "--credits", "0", "--curtailed-mwh", "1e-30"],
        &["payback", "--pool-fee", "1", "--uptime", "0"],
        &["payback", "--electricity", "0", "--cost", "1e-30"],
        &["claims"],
    ];
    for flags in simulations.iter().map(Vec::as_slice).chain(sheets) {
        let arguments = [&["econ"], flags].concat();
        for event in json(&arguments) {
            assert_numbers(&event, &arguments);
        }
        let text = text(&arguments);
        let is_none = |word: &str| word.contains("NaN") || word.trim_matches(['-', '$']) == "inf";
        assert!(!text.split_whitespace().any(is_none), "{arguments:?}: {text}");
    }
}

#[test]
fn a_result_that_does_not_exist_is_a_dash_with_its_reason() {
    let arguments = ["econ", "pools", "--before", "0", "--after", "0"];
    let events = json(&arguments);
    let change = events.iter().find(|event| event["name"] == "change, in standard deviations");
    let change = change.expect("the change");
    assert!(change["value"].is_null(), "{change}");
    let reason = change["reason"].as_str().expect("a reason");
    assert!(text(&arguments).contains(&format!("= -: {reason}\n")), "{reason}");
    let hosting = text(&["econ", "host", "--mining-capex", "0"]);
    assert!(hosting.contains("Hosting ties up $5.00 million and mining nothing"), "{hosting}");
}

#[test]
fn dispatch_reads_prices_and_says_which_line_it_cannot_read() {
    let path = std::env::temp_dir().join(format!("midstate-prices-{}.csv", std::process::id()));
    let file = path.to_str().expect("a path of text");
    std::fs::write(&path, "hour,price\n0,10\n1,500\n").expect("writing");
    let events = json(&["econ", "dispatch", file]);
    let sheet = text(&["econ", "dispatch", file]);
    let ahead = text(&["econ", "dispatch", file, "--ahead", "40"]);
    std::fs::write(&path, "hour,price\n0,10\n1,dear\n").expect("writing");
    let (code, stderr) = fail(&["econ", "dispatch", file]);
    std::fs::remove_file(&path).expect("it is ours");
    assert_eq!(value(&events, "hours in which the miners run"), 1.0);
    assert!(sheet.contains("= 1 hour\n"), "{sheet}");
    let power = events.iter().find(|event| event["use"] == "power").expect("a row");
    // 40 MW for two hours and 60 MW for one: $10 x 100 + $500 x 40.
    assert_eq!((power["mwh"].as_f64(), power["usd"].as_f64()), (Some(140.0), Some(-21_000.0)));
    assert!(sheet.contains("left, not bought") && ahead.contains("left, sold back"), "{sheet}");
    assert_eq!(code, 2);
    assert!(stderr.contains("line 3") && stderr.contains("dear"), "{stderr}");
}

#[test]
fn flags_without_sense_are_refused_with_what_was_expected() {
    for arguments in [
        &["econ", "odds", "--rate", "-1"][..],
        &["econ", "odds", "--rate", "nan"],
        &["econ", "odds", "--rate", "1e300"],
        &["econ", "hashprice", "--exit", "1"],
        &["econ", "hashprice", "--before", "1e300"],
        &["econ", "halving", "--hash-growth", "nan"],
        &["econ", "halving", "--price-growth", "inf"],
        &["econ", "halving", "--price-growth", "-2"],
        &["econ", "halving", "--years", "1e-4"],
        &["econ", "dispatch", "--credits", "nan", "--curtailed-mwh", "1"],
        &["econ", "retarget", "--volatility", "1e6"],
        &["econ", "pools", "--before", "1.5"],
        &["econ", "dispatch", "--hosted", "500"],
        &["econ", "payback", "--rig", "toaster"],
        &["econ", "retarget", "--from", "1e12"],
        &["asic", "--watts", "0"],
        &["explain", "genesiss"],
        &["explain", "00"],
    ] {
        let (code, stderr) = fail(arguments);
        assert_eq!(code, 2, "{arguments:?}: {stderr}");
        let said = arguments.iter().rev().take(2).any(|argument| stderr.contains(argument));
        assert!(said, "{arguments:?}: {stderr}");
    }
}

#[test]
fn explain_walks_from_the_fields_to_the_target() {
    let genesis = text(&["explain", "genesis"]);
    for line in genesis.lines() {
        assert!(line.chars().count() <= 96, "{line}");
    }
    let hash = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f";
    assert!(genesis.contains(&format!("reversed {hash}")));
    assert!(genesis.contains("2009-01-03 18:15:05"));
    assert!(genesis.contains("MIDSTATE bc909a33 6358bff0"));
    // Wherever the line breaks.
    let words = genesis.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("is at or below the target"));
    // Without a terminal --step waits for nobody and shows all rounds.
    let rounds = text(&["explain", "genesis", "--step"]);
    assert_eq!(rounds.matches("\n  round  word").count(), 3);

    let mut event = json(&["explain", "125552"]);
    let event = event.pop().expect("an event");
    assert_eq!(event["met"], true);
    assert!(event["hash"].as_str().expect("a hash").ends_with("1f98bd1d"));
}

#[test]
fn luck_is_repeated_with_its_seed_and_has_no_memory() {
    let run = || json(&["explain", "--luck", "--seed", "1"]);
    let (one, two) = (run(), run());
    assert_eq!(one, two);
    let fit = one.last().expect("an event");
    assert_eq!((fit["event"].as_str(), fit["blocks"].as_u64()), (Some("fit"), Some(4_000)));
    assert!(fit["p_value"].as_f64() > Some(0.001), "{fit}");
}

#[test]
fn a_comma_in_a_number_is_told() {
    for price in ["68,800", "0,05"] {
        let (code, stderr) = fail(&["econ", "hashprice", "--price", price]);
        assert!(code == 2 && stderr.contains("with a point and no comma"), "{stderr}");
    }
}

#[test]
fn a_rate_in_two_words_is_told_how_to_write_it() {
    let (code, stderr) = fail(&["asic", "--rate", "25.8", "MH/s"]);
    assert!(code == 2 && stderr.contains("tip: a rate is one word"), "{stderr}");
}

#[test]
fn a_period_of_a_replay_shows_the_change_that_led_to_its_difficulty() {
    let text = text(&["econ", "retarget", "--exit", "0.5"]);
    let row = text.lines().find(|line| line.contains("-50.0%")).expect("the fall");
    assert!(row.contains(" 69.4 T "), "{row}");
}

#[test]
fn a_point_that_may_stand_for_thousands_is_told() {
    let (code, stderr) = fail(&["econ", "hashprice", "--price", "68.800"]);
    assert!(code == 2 && stderr.contains("expected 68800, or 68.8000"), "{stderr}");
    let (code, stderr) = fail(&["econ", "site", "--share", "1", "--network", "1.045"]);
    assert!(code == 2 && stderr.contains("expected 1045, or 1.0450"), "{stderr}");
    for price in ["68.8", "68800.125", "68800", "0.125", "1.25e4"] {
        text(&["econ", "hashprice", "--price", price]);
    }
}

/// Of a text wherever its lines break.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Two questions of newcomers that no claim answers.
#[test]
fn what_miners_who_leave_do_to_the_rest_and_a_halving_to_the_price_is_told() {
    let claims = text(&["econ", "claims"]);
    let seen = claims.lines().rev().take(22).collect::<Vec<_>>();
    for question in ["What happens if half of the miners leave?", "Does a halving raise the price?"]
    {
        assert!(seen.contains(&question), "it is on the last screen: {seen:?}");
    }
    let claims = joined(&claims);
    assert!(
        claims.contains("those who stay earn 2 times as much. $ midstate econ retarget --exit")
    );
    assert!(claims.contains("225 BTC a day are made in place of 450"), "{claims}");
    let halving = joined(&text(&["econ", "claims", "halving"]));
    assert!(halving.contains("No rule of bitcoin does that"), "{halving}");
    assert!(!halving.contains("half of the miners leave?"), "{halving}");
    assert!(joined(&text(&["econ", "halving"])).contains("No rule of bitcoin raises the price"));
    let exit = joined(&text(&["econ", "retarget", "--exit", "0.5"]));
    assert!(exit.contains("225 BTC a day until the retarget"), "{exit}");
    assert!(exit.contains("Those who stay earn what they did until the retarget, and 2.00 times"));
}

#[test]
fn the_last_screen_of_explain_answers_what_a_miner_does() {
    let genesis = text(&["explain", "genesis"]);
    let seen = genesis.lines().rev().take(20).collect::<Vec<_>>();
    let seen = joined(&seen.into_iter().rev().collect::<Vec<_>>().join(" "));
    for answer in ["80 bytes", "nonce", "not above the target", "hash nearer", "--step"] {
        assert!(seen.contains(answer), "{answer}: {seen}");
    }
    let terms = text(&["explain", "terms"]);
    for term in ["ASIC", "hashprice", "J/TH", "PUE", "subsidy", "stale", "H/s"] {
        assert!(terms.lines().any(|line| line.starts_with(term)), "{term}: {terms}");
    }
}

#[test]
fn a_verdict_is_explained_beside_the_tally() {
    let all = joined(&text(&["econ", "claims"]));
    for verdict in ["HOLDS: the arithmetic gives", "ESTIMATE: a figure", "OPINION: a forecast"] {
        assert_eq!(all.matches(verdict).count(), 2, "{verdict}: {all}");
    }
    assert!(all.contains("stand for a price of $89,870") && all.contains("a price of $68,800"));
}

#[test]
fn a_replay_that_swings_says_that_the_swing_is_the_models() {
    for (replay, swings) in [("halving2028", true), ("price-fall", true), ("calm", false)] {
        let text = text(&["econ", "retarget", "--replay", replay]);
        assert_eq!(text.contains("That swing is the"), swings, "{replay}: {text}");
    }
}

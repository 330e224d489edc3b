//! The rows of the page and their words. A count of zero is not told: what has not happened yet is
//! "none yet".

use std::collections::VecDeque;
use std::time::Duration;

use midstate_economics::odds;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;

use crate::console::paint::{Palette, Row, dim};
use crate::mining::standings::WorkerStatus;
use crate::mining::status::{JobStatus, State, Status};
use crate::mining::words;
use crate::shell::prose::fit;
use crate::shell::units;

/// A count of zero.
const NONE_YET: &str = "none yet";
/// Columns of a miner's blocks and rate.
const BLOCKS: usize = 7;
const SEEN: usize = 23;

/// All rows, top down.
pub(super) fn column(status: &Status, miners: &[WorkerStatus], palette: Palette) -> Vec<Row> {
    let mut rows = vec![head(status, palette), rate(status, palette), plot(8, palette)];
    rows.push(kernel(status));
    rows.extend(machine(status));
    rows.extend(pool(status));
    rows.extend(job(status));
    rows.push(row("next", 4, next(status)));
    rows.extend([shares(status), best(status), blocks(status)]);
    rows.extend(miners_in_short(miners));
    rows
}

/// The rows about this machine.
pub(super) fn machine_pane(status: &Status, palette: Palette) -> Vec<Row> {
    let [now, means] = rates(status);
    let mut rows = vec![Row { wordings: now, ..rate(status, palette) }];
    // A pane has the same rows from the start, so that nothing moves.
    rows.push(row("", 1, if means.is_empty() { vec![String::new()] } else { means }));
    rows.push(plot(1, palette));
    // The hashes have a row of their own.
    let kernel = kernel(status);
    rows.push(Row { wordings: kernel.wordings[1..].to_vec(), ..kernel });
    let hashes = match status.hashes {
        0 => NONE_YET.to_owned(),
        hashes => format!("{} so far", units::si(hashes as f64).trim_end()),
    };
    rows.push(row("hashes", 1, [hashes]));
    rows.extend(machine(status));
    rows
}

/// The rows about the pool, and what was found for it.
pub(super) fn pool_pane(status: &Status) -> Vec<Row> {
    let mut rows: Vec<_> = pool(status).into_iter().chain(job(status)).collect();
    rows.extend(next_in_two_rows(status));
    rows.extend([shares(status), best(status), blocks(status)]);
    rows
}

fn row(label: &'static str, rank: usize, wordings: impl Into<Vec<String>>) -> Row {
    Row { label, wordings: wordings.into(), style: Style::default(), rank }
}

fn plot(rank: usize, palette: Palette) -> Row {
    Row { style: palette.style(Color::Cyan, Modifier::empty()), ..row("", rank, Vec::new()) }
}

/// The state, its duration and the keys.
pub(super) fn head(status: &Status, palette: Palette) -> Row {
    let (state, colour) = match status.state {
        State::Mining => ("mining", Color::Green),
        State::Paused => ("paused", Color::Yellow),
        State::Waiting if status.seconds_of_interval > 0.0 => {
            ("waiting for --block-interval", Color::Yellow)
        }
        State::Waiting => ("waiting for work", Color::Yellow),
        State::Connecting => ("connecting", Color::Yellow),
    };
    let up = units::duration(Duration::from_secs_f64(status.seconds));
    let wordings = [
        format!("{state}  {up}    q quit   p pause   + - threads   ? help"),
        format!("{state}  {up}    q  p  + -  ?"),
        format!("{state}  {up}"),
    ];
    Row { style: palette.style(colour, Modifier::BOLD), ..row("", 0, wordings) }
}

fn rate(status: &Status, palette: Palette) -> Row {
    let style = palette.style(Color::Reset, Modifier::BOLD);
    let [now, means] = rates(status);
    let short = now.last().cloned().unwrap_or_default();
    let mut wordings = now.clone();
    if let [long, brief, ..] = &means[..] {
        wordings = vec![format!("{}   {long}", now[0]), format!("{short}, {brief}"), short];
    }
    Row { style, ..row("rate", 1, wordings) }
}

/// The rate of the last ten seconds, and the means over longer times. Until there is more to a mean
/// than to the one before it, it would say the same twice.
fn rates(status: &Status) -> [Vec<String>; 2] {
    let rates = &status.rates;
    let overall = words::overall(rates.hps_10s, rates.hps_10s_overall);
    if status.state != State::Mining {
        return [at_rest(status), Vec::new()];
    }
    let now = match rates.hps_10s {
        Some(now) => {
            let now = units::rate(now);
            vec![format!("{now} counted in 10 s{overall}"), format!("{now}{overall}"), now]
        }
        None => vec!["nothing hashed in 10 s".to_owned(), "none".to_owned()],
    };
    let means = [(10.0, "60 s", rates.hps_60s), (60.0, "15 min", rates.hps_15m)];
    let means: Vec<_> = means
        .into_iter()
        .filter(|&(since, ..)| status.seconds > since)
        .filter_map(|(_, time, rate)| Some((time, units::rate(rate?))))
        .collect();
    let join = |words: fn(&(&str, String)) -> String, between: &str| {
        means.iter().map(words).collect::<Vec<_>>().join(between)
    };
    let means = match means.is_empty() {
        true => Vec::new(),
        false => vec![
            join(|(time, rate)| format!("{rate} in {time}"), "   "),
            join(|(time, rate)| format!("{time} {rate}"), ", "),
        ],
    };
    [now, means]
}

/// The rate while nothing is hashed.
fn at_rest(status: &Status) -> Vec<String> {
    let before = match status.state {
        State::Paused => "before the pause",
        _ => "before",
    };
    match status.rates.hps_10s.map(units::rate) {
        Some(rate) => vec![format!("none now, {rate} {before}"), "none now".to_owned()],
        None => vec!["nothing hashed in 10 s".to_owned(), "none".to_owned()],
    }
}

/// Below the plot: how far back it goes, and how high.
pub(super) fn axis(rates: &VecDeque<u64>, width: u16) -> Line<'static> {
    let width = usize::from(width);
    let peak = rates.iter().rev().take(width).max().copied().unwrap_or(0);
    let ago = format!("{} ago", units::duration(Duration::from_secs(width as u64)));
    let peak =
        if peak > 0 { format!("at most {}", units::rate(peak as f64)) } else { String::new() };
    let now = "now";
    let room = width.saturating_sub(ago.len() + now.len());
    Line::styled(format!("{ago}{peak:^room$}{now}"), dim())
}

fn kernel(status: &Status) -> Row {
    let (kernel, threads, midstates) = (status.kernel, status.threads, status.midstates);
    let (threads, midstates) =
        (units::count(threads, "thread"), units::count(midstates, "midstate"));
    let hashes = match status.hashes {
        0 => String::new(),
        hashes => format!(", {}hashes so far", units::si(hashes as f64)),
    };
    row(
        "kernel",
        9,
        [
            format!("{kernel}, {threads}, {midstates}{hashes}"),
            format!("{kernel}, {threads}, {midstates}"),
            format!("{kernel}, {threads}"),
        ],
    )
}

/// The readings of the CPU's sensors, if it has any.
fn machine(status: &Status) -> Option<Row> {
    let heat = status.readings.temperature.map(|degrees| format!("{degrees:.0} °C"));
    let power = status.readings.watts.map(|watts| format!("{watts:.0} W"));
    let told: Vec<_> = heat.into_iter().chain(power).collect();
    (!told.is_empty()).then(|| row("machine", 10, [format!("CPU at {}", told.join(", "))]))
}

fn pool(status: &Status) -> Option<Row> {
    let url = status.url.as_ref()?;
    let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
    Some(row("pool", 5, [url.clone(), host.to_owned()]))
}

fn job(status: &Status) -> Option<Row> {
    let JobStatus { job_id, height, difficulty, network_difficulty, age, .. } =
        status.job.as_ref()?;
    let height = height.map_or(String::new(), |height| format!("height {height}, "));
    let height = match status.jobs {
        0 | 1 => height,
        jobs => format!("{}, the newest: {height}", units::count(jobs, "channel")),
    };
    let [difficulty, network] = [*difficulty, *network_difficulty].map(units::difficulty);
    let age = units::duration(Duration::from_secs_f64(*age));
    Some(row(
        "job",
        6,
        [
            format!("{height}difficulty {difficulty}, network {network}, {age} old, id {job_id}"),
            format!("{height}difficulty {difficulty}, network {network}, {age} old"),
            format!("{height}difficulty {difficulty}, {age} old"),
            format!("{height}difficulty {difficulty}"),
            format!("difficulty {difficulty}"),
        ],
    ))
}

/// Why there is nothing to wait for.
fn no_wait(status: &Status) -> String {
    match status.state {
        State::Paused => "no share during a pause",
        State::Connecting => "no share before there is work",
        State::Waiting | State::Mining => "nothing is being hashed",
    }
    .to_owned()
}

/// How sure a share within a minute is.
fn within_a_minute(share: f64) -> String {
    match odds::at_least_one(60.0 / share) {
        sure if sure > 0.99 => "over 99 %".to_owned(),
        likely if likely > 0.01 => format!("{:.0} %", 100.0 * likely),
        rare => format!("1 in {}", units::si(1.0 / rare).trim_end()),
    }
}

/// The mean wait for a block where that is rarer than a share.
fn wait_for_block(status: &Status, share: f64) -> Option<String> {
    status.seconds_to_block.filter(|&block| block > 1.01 * share).map(units::wait)
}

/// How long until the next share, and how sure of it; the same of a block, where that is rarer.
fn next(status: &Status) -> Vec<String> {
    let Some(share) = status.seconds_to_share else { return vec![no_wait(status)] };
    let (wait, minute) = (units::wait(share), within_a_minute(share));
    let block = wait_for_block(status, share);
    let block = block.map_or(String::new(), |block| format!("; a block every {block}"));
    vec![
        format!("a share every {wait}, {minute} likely within a minute{block}"),
        format!("a share every {wait}, {minute} likely within a minute"),
        format!("a share every {wait}{block}"),
        format!("share every {wait}{block}"),
        format!("share every {wait}"),
    ]
}

fn next_in_two_rows(status: &Status) -> Vec<Row> {
    let Some(share) = status.seconds_to_share else {
        return vec![row("next", 4, [no_wait(status)])];
    };
    let (wait, minute) = (units::wait(share), within_a_minute(share));
    let block = wait_for_block(status, share);
    let block = block.map(|block| row("", 4, [format!("a block every {block}")]));
    let share = row(
        "next",
        4,
        [
            format!("a share every {wait}, {minute} likely within a minute"),
            format!("a share every {wait}, {minute} in a minute"),
            format!("a share every {wait}"),
        ],
    );
    [share].into_iter().chain(block).collect()
}

fn shares(status: &Status) -> Row {
    let shares = &status.shares;
    if shares.found == 0 {
        return row("shares", 2, [NONE_YET.to_owned()]);
    }
    let told = words::ledger(shares);
    let latency = status.latency_ms.map_or(String::new(), |ms| format!(", answer in {ms:.0} ms"));
    let short = format!("{} of {} accepted", shares.accepted, shares.answered());
    let longer = match shares.rejected {
        0 => short.clone(),
        rejected => format!("{short}, {rejected} rejected"),
    };
    row("shares", 2, [format!("{told}{latency}"), told, longer, short])
}

fn best(status: &Status) -> Row {
    let best = match status.best_difficulty {
        0.0 => NONE_YET.to_owned(),
        best => format!("difficulty {}", units::difficulty(best)),
    };
    row("best", 7, [best])
}

fn blocks(status: &Status) -> Row {
    let blocks = &status.blocks;
    if blocks.found == 0 {
        return row("blocks", 3, [NONE_YET.to_owned()]);
    }
    let told = words::fates_of_blocks(blocks);
    let short = format!("{} of {} accepted", blocks.accepted, blocks.found);
    row("blocks", 3, [told, short])
}

/// The blocks of the miners at the embedded pool, if there are guests.
fn miners_in_short(miners: &[WorkerStatus]) -> Option<Row> {
    let told = |count: usize| {
        let told = miners.iter().take(count).map(|miner| match miner.blocks {
            0 => miner.name.clone(),
            blocks => format!("{} {}", miner.name, units::count(blocks, "block")),
        });
        let others = miners.len().saturating_sub(count);
        let others = (others > 0).then(|| format!("{others} more"));
        told.chain(others).collect::<Vec<_>>().join(", ")
    };
    let wordings = [5, 4, 3, 2, 1].map(told).into_iter().chain([miners.len().to_string()]);
    (miners.len() > 1).then(|| row("miners", 11, wordings.collect::<Vec<_>>()))
}

/// The miners at the embedded pool, in at most `room` lines with the head.
pub(super) fn miners_table(
    miners: &[WorkerStatus],
    width: usize,
    room: usize,
) -> Vec<Line<'static>> {
    let name = width.saturating_sub(BLOCKS + SEEN);
    let line = |who: &str, blocks: &str, rate: &str| {
        format!("{}{blocks:>BLOCKS$}{rate:>SEEN$}", fit(who, name))
    };
    let mut lines = vec![Line::styled(line("miners", "blocks", "as the pool sees it"), dim())];
    let fits = room.saturating_sub(1);
    let shown = if miners.len() > fits { fits.saturating_sub(1) } else { miners.len() };
    lines.extend(miners.iter().take(shown).map(|miner| {
        let blocks = if miner.blocks > 0 { miner.blocks.to_string() } else { "-".to_owned() };
        let rate = match (miner.hps, miner.error) {
            (Some(rate), Some(error)) => {
                format!("{} ± {:.0} %", units::rate(rate), 100.0 * error)
            }
            _ => "-".to_owned(),
        };
        Line::raw(line(&miner.name, &blocks, &rate))
    }));
    if shown < miners.len() {
        lines.push(Line::styled(format!("and {} more", miners.len() - shown), dim()));
    }
    lines
}

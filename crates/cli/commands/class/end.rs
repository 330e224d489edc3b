//! What `class` says: how to join at the beginning, who joins and finds blocks while it lasts, the
//! standings at the end.

use std::net::SocketAddr;
use std::time::Duration;

use midstate_classroom::{ClassStatus, Kind, Row};
use midstate_net::LinkState;
use midstate_pool::RegtestChain;
use ratatui::text::Span;

use crate::class::facts::{self, Facts};
use crate::mining::event::{BlockEvent, Event, PoolEvent, RejectCount};
use crate::mining::notice::Notice;
use crate::mining::status::Status;
use crate::mining::words::Sentence;
use crate::mining::{Lines, View};
use crate::shell::output::Output;
use crate::shell::units;

/// The lines of mining, without the shares of this machine: a teacher watches the class.
pub(super) struct Bulletin<'a> {
    lines: Lines<'a>,
    is_json: bool,
}

impl<'a> Bulletin<'a> {
    pub(super) fn new(out: &'a mut Output) -> Self {
        let is_json = out.is_json();
        Self { lines: Lines::new(out), is_json }
    }
}

impl View for Bulletin<'_> {
    fn event(&mut self, event: &Event, status: &Status) {
        // The time since this machine's last block says nothing of the class's.
        if let Event::Block(block) = event {
            let block = BlockEvent { effort: None, ..block.clone() };
            return self.lines.event(&Event::Block(block), status);
        }
        if matches!(event, Event::Summary(_)) && !self.is_json {
            self.lines.say(Sentence::Result("this machine alone:".to_owned()));
        }
        let is_ours_alone = matches!(
            event,
            Event::Share(_)
                | Event::Rate(_)
                | Event::Job(_)
                | Event::Pool(PoolEvent { state: LinkState::Authorized, .. })
        );
        if self.is_json || !is_ours_alone {
            self.lines.event(event, status);
        }
    }

    fn tick(&mut self, _: &Status) {}

    fn note(&mut self, text: &str) {
        self.lines.note(text);
    }

    fn notice(&mut self, notice: &Notice, status: &Status) {
        self.lines.notice(notice, status);
    }

    fn report(&mut self, status: &Status, rejects: &[RejectCount]) {
        self.lines.report(status, rejects);
    }

    fn is_gone(&self) -> bool {
        self.lines.is_gone()
    }
}

/// How to join, and where the class's page is.
pub(super) fn say_welcome(facts: &Facts, page: SocketAddr, out: &mut Output) {
    let page = format!("http://{page}/class");
    let Facts { name, code, urls, stratum, pace, .. } = facts;
    out.event(&serde_json::json!({
        "event": "class", "name": name, "code": code, "urls": urls, "page": page,
        "stratum": stratum, "pace": pace,
    }));
    if out.is_seen() {
        let is_coloured = out.has_coloured_data();
        facts::qr_lines(&facts.qr, is_coloured).into_iter().for_each(|line| out.line(line));
    }
    let [first, others @ ..] = &urls[..] else { return };
    out.line(format!("join with a browser at  {first}"));
    out.line(format!("code                    {} {}", &code[..3], &code[3..]));
    for other in others {
        out.line(format!("or, in another network  {other}"));
    }
    for address in stratum {
        out.line(format!("miners join by          midstate mine -o {address} -u NAME"));
    }
    out.line(format!("the class's page        {page}  (on this machine alone)"));
    if out.is_seen() {
        out.line("to hide a rude name     type: hide NAME (help lists the other lines)");
    }
}

/// The chain's owner, and the consequence for miners that judge by headers.
pub(super) fn say_node(node: &str, is_listening: bool, out: &mut Output) {
    out.line(format!("the chain is that of    {node}  (a block counts when this node takes it)"));
    if is_listening {
        out.note(
            "by the headers of regtest every second hash is a block: the programs of miners that \
             join by Stratum may call each share a block. The class's page counts those that are \
             hard enough for the class",
        );
    }
}

/// The standings at the end: for programs every row, for people too.
pub(super) fn tell_standings(status: &ClassStatus, out: &mut Output) {
    let ClassStatus { rows, others, found, expected_blocks, hps, seconds, .. } = status;
    for (index, row) in rows.iter().chain(others).enumerate() {
        let place = row.name.is_some().then_some(index + 1);
        out.event(&Standing { event: "standing", place, row });
    }
    out.line(format!(
        "{} in {}, {expected_blocks:.1} expected by the counted work{}",
        units::count(*found, "block"),
        units::duration(Duration::from_secs_f64(*seconds)),
        hps.map(|hps| format!("; {}H/s at the end", units::si(hps))).unwrap_or_default(),
    ));
    for (index, row) in rows.iter().enumerate() {
        out.line(line(index + 1, row));
    }
    if let Some(others) = others {
        out.line(line(rows.len() + 1, others));
    }
}

/// That all of it was checked, on a chain of the class's own.
pub(super) fn tell_proof(chain: &RegtestChain, out: &mut Output) {
    if let Some(tip) = chain.blocks().last() {
        out.line(format!(
            "proved: every share was hashed again by the pool with the sha2 crate; tip {}",
            tip.hash
        ));
    }
}

/// The blocks that a node has no word on.
pub(super) fn tell_waiting(waiting: usize, out: &mut Output) {
    if waiting > 0 {
        out.line(format!(
            "{} without a verdict of the node, which count for nobody: the next start of mine, \
             demo or class at this node sends them once more",
            units::count(waiting as u64, "block"),
        ));
    }
}

/// A row of the standings, as programs get it.
#[derive(serde::Serialize)]
struct Standing<'a> {
    event: &'static str,
    /// Null for the sum of those without a row.
    place: Option<usize>,
    #[serde(flatten)]
    row: &'a Row,
}

fn line(place: usize, row: &Row) -> String {
    let name = row.name.as_deref().unwrap_or("all others");
    let by = match row.kind {
        Some(Kind::Miner) => ", by Stratum",
        _ => "",
    };
    format!(
        "{place:>3}. {} {:>9}, {} shares worth {}hashes{by}",
        in_cells(name, 20),
        units::count(row.blocks, "block"),
        row.shares,
        units::si(row.work as f64),
    )
}

/// The name, as wide as so many letters of a terminal: those of some scripts take two cells each.
fn in_cells(name: &str, cells: usize) -> String {
    let rest = cells.saturating_sub(Span::raw(name).width());
    format!("{name}{:rest$}", "")
}

#[cfg(test)]
mod tests {
    use super::in_cells;

    #[test]
    fn names_of_any_script_take_the_same_room_in_the_standings() {
        assert_eq!(in_cells("Ada", 12), "Ada         ");
        assert_eq!(in_cells("小林さくら", 12), "小林さくら  ");
        assert_eq!(in_cells("as long as it is", 12), "as long as it is");
    }
}

//! `mine --print-limits`: every limit of the program in one table.

use midstate_classroom::ClassLimits;
use midstate_limits::LimitRow;
use midstate_net::{LinkLimits, ServerLimits, file_rows, node_rows};
use midstate_pool::PoolBounds;
use midstate_stratum::Limits;

use crate::class;
use crate::mining::{flood, overdue};
use crate::servers::frames;
use crate::shell::output::Output;
use crate::shell::printer;
use crate::web;

/// Columns before a limit's consequence, which goes on below itself in a narrow terminal.
const COLUMNS: usize = 54;

/// Every limit there is, as a table.
pub(super) fn print_limits(protocol: &Limits, link: &LinkLimits, out: &mut Output) {
    for (title, rows) in [
        ("messages of a pool, and ours to it", protocol.rows()),
        ("messages of a pool of Stratum V2", midstate_sv2::Limits::default().rows()),
        ("patience with pools", link.rows()),
        ("answers of a node, and patience with it", node_rows()),
        ("files of the user", file_rows()),
        ("miners at the embedded pool", ServerLimits::default().rows()),
        ("those of Stratum V2", midstate_sv2::ServerLimits::default().rows()),
        ("memory that these miners may fill", PoolBounds::default().rows()),
        ("a swarm at a pool", midstate_swarm::Limits::rows()),
        ("requests of a browser", web::limits()),
        ("requests at the door of a class", class::limits()),
        ("devices of a class", ClassLimits::default().rows()),
        ("a goal of blocks on regtest", overdue::limits()),
        ("output that a peer may cause", flood::limits()),
        ("the reader of our output", printer::limits()),
        ("the file of --frames", frames::limits()),
    ] {
        out.line(title);
        for LimitRow { name, value, over } in rows {
            out.event(&serde_json::json!({
                "event": "limit", "name": name, "value": value, "over": over,
            }));
            out.message(COLUMNS, format!("  {name:<36} {value:<16} {over}"));
        }
    }
}

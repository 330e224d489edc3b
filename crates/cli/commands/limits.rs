//! `mine --print-limits`: every limit of the program in one table.

use midstate_classroom::ClassLimits;
use midstate_limits::LimitRow;
use midstate_net::{LinkLimits, ServerLimits, file_rows, node_rows};
use midstate_pool::PoolBounds;
use midstate_stratum::Limits;

use crate::class;
use crate::mining::flood;
use crate::servers::frames;
use crate::shell::output::Output;
use crate::shell::printer;
use crate::web;

/// Every limit there is, as a table.
pub(super) fn print_limits(protocol: &Limits, link: &LinkLimits, out: &mut Output) {
    for (title, rows) in [
        ("what a pool may send, and we", protocol.rows()),
        ("what a pool of Stratum V2 may send", midstate_sv2::Limits::default().rows()),
        ("how patient we are", link.rows()),
        ("what a node may send, and how patient we are with it", node_rows()),
        ("what a file of the user's may hold", file_rows()),
        ("what miners at the embedded pool may do", ServerLimits::default().rows()),
        ("memory that they may fill", PoolBounds::default().rows()),
        ("what a swarm may do to a pool", midstate_swarm::Limits::rows()),
        ("what a browser may ask", web::limits()),
        ("what may be asked at the door of a class", class::limits()),
        ("what devices of a class may do", ClassLimits::default().rows()),
        ("output that a peer may cause", flood::limits()),
        ("the reader of our output", printer::limits()),
        ("the file of --frames", frames::limits()),
    ] {
        out.line(title);
        for LimitRow { name, value, over } in rows {
            out.event(&serde_json::json!({
                "event": "limit", "name": name, "value": value, "over": over,
            }));
            out.line(format!("  {name:<36} {value:<16} {over}"));
        }
    }
}

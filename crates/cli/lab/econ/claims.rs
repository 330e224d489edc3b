//! Topic `claims`: what articles say, what the numbers say.

use midstate_economics::claims::{CLAIMS, Verdict};
use serde_json::json;

use crate::shell::output::Output;
use crate::shell::prose::wrap;

const WIDTH: usize = 92;

pub(super) fn run(out: &mut Output) {
    for claim in CLAIMS {
        let computed = claim.computed();
        out.line(format!("{:>2} {}", claim.number, claim.verdict.to_string().to_uppercase()));
        let says = format!("\"{}\"", claim.says);
        for line in wrap(&says, WIDTH).into_iter().chain(wrap(&computed, WIDTH)) {
            out.line(format!("   {line}"));
        }
        out.line(format!("   $ {}\n", claim.command));
        out.event(&json!({
            "event": "claim", "number": claim.number, "articles": claim.articles,
            "claim": claim.says, "computed": computed, "verdict": claim.verdict.to_string(),
            "command": claim.command, "shows": claim.shows,
        }));
    }
    let count = |verdict| CLAIMS.iter().filter(|claim| claim.verdict == verdict).count();
    out.line(format!(
        "{} claims: {} hold, {} are estimates, {} opinions, {} wrong",
        CLAIMS.len(),
        count(Verdict::Holds),
        count(Verdict::Estimate),
        count(Verdict::Opinion),
        count(Verdict::Wrong)
    ));
}

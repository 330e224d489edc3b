//! Topic `claims`: what articles say, what the numbers say.

use midstate_economics::claims::{CLAIMS, Claim, Verdict};
use serde_json::json;

use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::style::Style;

/// Flags of `claims`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Show these only: a number, or words that a claim has [default: all]
    #[arg(value_name = "WHICH")]
    which: Vec<String>,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<(), Failure> {
    let claims = chosen(&args.which)?;
    if args.which.is_empty() {
        tally(out);
    }
    for claim in claims {
        let computed = claim.computed();
        let verdict = claim.verdict.to_string();
        let shown = out.paint(style(claim.verdict), &verdict.to_uppercase());
        out.line(format!("{:>2} {shown}", claim.number));
        out.prose(3, format!("\"{}\"", claim.says));
        out.prose(3, &computed);
        out.text(format!("   $ {}\n", claim.command));
        out.event(&json!({
            "event": "claim", "number": claim.number, "articles": claim.articles,
            "claim": claim.says, "computed": computed, "verdict": verdict,
            "command": claim.command, "shows": claim.shows,
        }));
    }
    Ok(())
}

/// The answer first.
fn tally(out: &mut Output) {
    let count = |verdict| CLAIMS.iter().filter(|claim| claim.verdict == verdict).count();
    let text = format!(
        "{} claims: {} hold, {} are estimates, {} opinions, {} wrong",
        CLAIMS.len(),
        count(Verdict::Holds),
        count(Verdict::Estimate),
        count(Verdict::Opinion),
        count(Verdict::Wrong)
    );
    out.styled(Style::Heading, text);
    out.text("One alone: midstate econ claims 12, or midstate econ claims halving\n");
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Holds => Style::Good,
        Verdict::Wrong => Style::Bad,
        Verdict::Estimate | Verdict::Opinion => Style::Open,
    }
}

/// All claims, or the one with that number, or those with all of these words.
fn chosen(which: &[String]) -> Result<Vec<&'static Claim>, Failure> {
    let numbers: Option<Vec<u8>> = which.iter().map(|word| word.parse().ok()).collect();
    let has = |claim: &Claim, word: &String| {
        let text = format!("{} {} {}", claim.says, claim.computed(), claim.command);
        text.to_lowercase().contains(&word.to_lowercase())
    };
    let is_chosen = |claim: &&Claim| match &numbers {
        Some(numbers) if !numbers.is_empty() => numbers.contains(&claim.number),
        _ => which.iter().all(|word| has(claim, word)),
    };
    let claims: Vec<_> = CLAIMS.iter().filter(is_chosen).collect();
    if claims.is_empty() {
        return Err(Failure::usage(format!(
            "no claim has {:?}; expected a number from 1 to {}, or words of a claim, such as \
             halving",
            which.join(" "),
            CLAIMS.len()
        )));
    }
    Ok(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_chosen_by_number_or_by_words() {
        let numbers = |which: &[&str]| -> Vec<u8> {
            let which: Vec<_> = which.iter().map(|&word| word.to_owned()).collect();
            chosen(&which).unwrap().iter().map(|claim| claim.number).collect()
        };
        assert_eq!(numbers(&[]).len(), CLAIMS.len());
        assert_eq!(numbers(&["12"]), [12]);
        assert_eq!(numbers(&["2", "1"]), [1, 2]);
        assert!(numbers(&["Halving"]).contains(&6) && !numbers(&["halving"]).contains(&1));
        assert!(numbers(&["halving", "225"]).contains(&6));
        assert!(chosen(&["99".to_owned()]).is_err());
        assert!(chosen(&["xyzzy".to_owned()]).is_err());
    }
}

//! Topic `claims`: what articles say, what the numbers say.

use midstate_economics::claims::{
    ARTICLES, ASKED, Article, Claim, Question, Verdict, claims, price_of_the_articles,
};
use midstate_economics::figures::figures;
use midstate_economics::inputs::Inputs;
use midstate_economics::units::grouped;
use serde_json::json;

use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::style::Style;

/// Flags of `claims`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Show only these claims, with their sources: by number, or by words in them [default: all]
    #[arg(value_name = "WHICH")]
    which: Vec<String>,
}

pub(super) fn run(args: &Args, out: &mut Output) -> Result<(), Failure> {
    let chosen = chosen(&args.which)?;
    let is_whole = args.which.is_empty();
    let tally = tally(&chosen);
    if is_whole {
        head(&tally, out);
    }
    let figures = figures();
    for claim in chosen {
        let computed = claim.computed();
        let verdict = claim.verdict.to_string();
        let shown = out.paint(style(claim.verdict), &verdict.to_uppercase());
        out.hanging(3, format!("{:<2} {shown}: {}.", claim.number, claim.says));
        out.prose(3, format!("Computed: {computed}."));
        out.prose(3, format!("{}.", said_by(claim)));
        let sources = claim.figures.iter().filter_map(|&name| figures.get(name));
        let sources = sources.map(|figure| format!("{}: {}", figure.date, figure.source));
        let sources: Vec<_> = sources.collect();
        if !is_whole {
            sources.iter().for_each(|source| out.prose(3, format!("Source, {source}.")));
        }
        out.text(format!("   $ {}\n", claim.command));
        out.event(&json!({
            "event": "claim", "number": claim.number, "articles": claim.articles,
            "titles": titles(claim), "claim": claim.says, "is_paraphrase": true,
            "computed": computed, "verdict": verdict, "sources": sources,
            "command": claim.command, "shows": claim.shows,
        }));
    }
    asked(&args.which, out);
    // The head has left the screen by now.
    if is_whole {
        out.styled(Style::Heading, tally);
        out.prose(0, verdicts());
        out.text(ONE_ALONE);
    }
    Ok(())
}

/// The questions that no article answers: all, or those with all of these words.
fn asked(which: &[String], out: &mut Output) {
    let is_chosen = |question: &&Question| has_all(&question.asks.to_lowercase(), which);
    for question in ASKED.iter().filter(is_chosen) {
        out.styled(Style::Heading, question.asks);
        out.prose(3, format!("{}.", question.answer()));
        out.text(format!("   $ {}\n", question.command));
    }
}

/// The meaning of each verdict.
fn verdicts() -> String {
    let meaning = |verdict: Verdict| {
        format!("{}: {}.", verdict.to_string().to_uppercase(), verdict.meaning())
    };
    Verdict::ALL.map(meaning).join(" ")
}

fn titles(claim: &Claim) -> Vec<&'static str> {
    let of = |number: &u8| ARTICLES.iter().find(|article| article.number == *number);
    claim.articles.iter().filter_map(of).map(|article| article.title).collect()
}

/// Which article says so.
fn said_by(claim: &Claim) -> String {
    let names = claim.articles.iter().zip(titles(claim));
    let names: Vec<_> = names.map(|(number, title)| format!("{number} ({title})")).collect();
    match &names[..] {
        [] => "Claimed by one of the five articles, here in our words".into(),
        [one] => format!("Claimed by article {one}, here in our words"),
        [firsts @ .., last] => {
            format!("Claimed by articles {} and {last}, here in our words", firsts.join(", "))
        }
    }
}

const ONE_ALONE: &str = "One alone: midstate econ claims 12, or midstate econ \
    claims halving. The words: midstate explain terms";

/// The answer.
fn tally(claims: &[&Claim]) -> String {
    let count = |verdict| claims.iter().filter(|claim| claim.verdict == verdict).count();
    format!(
        "{} claims: {} hold, {} are estimates, {} opinions, {} wrong, {} not computable",
        claims.len(),
        count(Verdict::Holds),
        count(Verdict::Estimate),
        count(Verdict::Opinion),
        count(Verdict::Wrong),
        count(Verdict::Beyond)
    )
}

/// The answer first, then whose claims they are.
fn head(tally: &str, out: &mut Output) {
    out.styled(Style::Heading, tally);
    out.prose(0, verdicts());
    out.prose(
        0,
        "The claims are from five news articles of early 2026, in our words and with the articles' \
         figures. The titles of the articles are ours as well: their headlines are not recorded.",
    );
    for Article { number, title, retells } in ARTICLES {
        if let Some(report) = retells {
            out.prose(0, format!("Article {number} ({title}) retells {report}."));
        }
    }
    let inputs = Inputs::shipped();
    let dollars = |price: f64| format!("${}", grouped(price, 0));
    out.prose(
        0,
        format!(
            "They are computed with the articles' figures of December 2025, which stand for a \
             price of {}. All other commands compute with the figures of {}, with a price of {}.",
            dollars(price_of_the_articles().0),
            inputs.date,
            dollars(inputs.price.value)
        ),
    );
    out.text(format!("{ONE_ALONE}\n"));
}

fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Holds => Style::Good,
        Verdict::Wrong => Style::Bad,
        Verdict::Estimate | Verdict::Opinion | Verdict::Beyond => Style::Open,
    }
}

/// All claims, or the one with that number, or those with all of these words.
fn chosen(which: &[String]) -> Result<Vec<&'static Claim>, Failure> {
    let numbers: Option<Vec<u8>> = which.iter().map(|word| word.parse().ok()).collect();
    let is_chosen = |claim: &&Claim| match &numbers {
        Some(numbers) if !numbers.is_empty() => numbers.contains(&claim.number),
        _ => {
            let text = format!("{} {} {}", claim.says, claim.computed(), claim.command);
            has_all(&text.to_lowercase(), which)
        }
    };
    let all = claims();
    let count = all.len();
    let chosen: Vec<_> = all.into_iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        return Err(Failure::usage(format!(
            "no claim has {:?}; expected a number from 1 to {}, or words of a claim, such as \
             halving",
            which.join(" "),
            count
        )));
    }
    Ok(chosen)
}

/// Whether a text in small letters has all of these words.
fn has_all(text: &str, words: &[String]) -> bool {
    words.iter().all(|word| text.contains(&word.to_lowercase()))
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
        assert_eq!(numbers(&[]).len(), claims().len());
        assert_eq!(numbers(&["12"]), [12]);
        assert_eq!(numbers(&["2", "1"]), [1, 2]);
        assert!(numbers(&["Halving"]).contains(&6) && !numbers(&["halving"]).contains(&1));
        assert!(numbers(&["halving", "225"]).contains(&6));
        assert!(chosen(&["99".to_owned()]).is_err());
        assert!(chosen(&["xyzzy".to_owned()]).is_err());
    }
}

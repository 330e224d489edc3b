//! The luck wall: thousands of easy blocks, found one after the other, and their waits held against
//! the exponential distribution: that of things that have no memory.

use midstate_economics::statistics::exponential_fit;
use midstate_economics::units::grouped;
use serde_json::json;

use super::dial::Mine;
use crate::machine::choose::{HashArgs, choose};
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::prose::bar;
use crate::shell::style::Style;

const BITS: u32 = 10;
const BLOCKS: usize = 4_000;
/// Bars of the histogram: each a quarter of the mean wide, the last for everything longer.
const BARS: usize = 17;

pub(super) fn run(hash: &HashArgs, seed: u64, out: &mut Output) -> Result<(), Failure> {
    let kernel = choose(hash)?.config.kernel;
    let mean = f64::from(1u32 << BITS);
    let mut mine = Mine::new(kernel, BITS, seed);
    let waits: Vec<f64> = (0..BLOCKS).map(|_| mine.next_find() as f64).collect();
    let fit = exponential_fit(&waits, mean).expect("there are samples");

    out.text(format!(
        "{} blocks of {BITS} bits, {} tries, seed {seed}. How long was the wait for each?\n",
        grouped(BLOCKS as f64, 0),
        grouped(mine.tries as f64, 0)
    ));
    let mut counts = [0usize; BARS];
    for wait in &waits {
        counts[((wait / mean * 4.0) as usize).min(BARS - 1)] += 1;
    }
    let columns = out.width() - 36;
    out.styled(Style::Heading, "  wait / mean   blocks  expected");
    for (index, count) in counts.into_iter().enumerate() {
        let (from, to) = (index as f64 / 4.0, (index + 1) as f64 / 4.0);
        let beyond = if index + 1 == BARS { 0.0 } else { (-to).exp() };
        let expected = BLOCKS as f64 * ((-from).exp() - beyond);
        let range = match index + 1 {
            BARS => format!("{from:.2} ..     "),
            _ => format!("{from:.2} .. {to:.2}"),
        };
        out.line(format!(
            "  {range}  {count:>7}  {expected:>8.0}  {}",
            bar(count as f64 / (BLOCKS as f64 * 0.25), columns, count > 0)
        ));
        out.event(&json!({
            "event": "luck", "from": from, "blocks": count, "expected": expected,
        }));
    }
    let longest = waits.iter().copied().fold(0.0, f64::max) / mean;
    let long = waits.iter().filter(|wait| **wait > 3.0 * mean).count();
    out.line("");
    let text = format!(
        "Largest distance to the exponential distribution {:.4}, Kolmogorov-Smirnov p-value \
         {:.3}: a fair lottery is at least this far off in {:.0} % of runs. The longest wait was \
         {longest:.1} times the mean, and {long} waits were above 3 times, where theory expects \
         {:.0}. A long wait does not bring the next block nearer, and a dry spell is nothing but \
         luck. Pools even it out.",
        fit.distance,
        fit.p_value,
        100.0 * fit.p_value,
        BLOCKS as f64 * (-3.0f64).exp()
    );
    out.prose(0, text);
    out.event(&json!({
        "event": "fit", "distance": fit.distance, "p_value": fit.p_value, "seed": seed,
        "blocks": BLOCKS, "tries": mine.tries, "bits": BITS,
    }));
    Ok(())
}

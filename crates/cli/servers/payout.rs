//! `--expect-payout ADDR[:PCT]`, from text to what the Stratum client looks for (S13).

use std::str::FromStr;

use midstate_gbt::{Address, AddressError};
use midstate_stratum::ExpectedPayout;

/// Why a text is no payout.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum PayeeError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error("this address belongs to no chain")]
    NoChain,
    #[error("{0:?} is no part of a payout, expected percent, as 98.5")]
    Percent(String),
}

/// The address that every job has to pay, and the least share of the job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payee(ExpectedPayout);

impl Payee {
    /// For the client. `strict`: leave a pool whose job does not pay.
    pub(crate) fn expected(&self, strict: bool) -> ExpectedPayout {
        ExpectedPayout { strict, ..self.0.clone() }
    }
}

impl FromStr for Payee {
    type Err = PayeeError;

    fn from_str(text: &str) -> Result<Self, PayeeError> {
        // No address has a colon.
        let (text, percent) = match text.split_once(':') {
            Some((address, percent)) => (address, Some(percent)),
            None => (text, None),
        };
        let address: Address = text.parse()?;
        let least_percent = percent.map(parse_percent).transpose()?;
        // Scripts do not tell the chain, and which one the pool is on need not be known.
        let script = address.chains().first().and_then(|&chain| address.script_for(chain).ok());
        let script = script.ok_or(PayeeError::NoChain)?.to_vec();
        let address = text.to_owned();
        Ok(Self(ExpectedPayout { address, script, least_percent, strict: false }))
    }
}

fn parse_percent(text: &str) -> Result<f64, PayeeError> {
    let percent = text.strip_suffix('%').unwrap_or(text).parse().ok();
    percent
        .filter(|percent| *percent > 0.0 && *percent <= 100.0)
        .ok_or_else(|| PayeeError::Percent(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

    #[test]
    fn s13_an_address_and_perhaps_a_part() {
        let parse = |text: &str| text.parse::<Payee>().map(|payout| payout.expected(true));
        let whole = parse(ADDRESS).unwrap();
        assert_eq!((whole.least_percent, whole.strict), (None, true));
        assert_eq!(whole.script.len(), 22);
        let part = parse(&format!("{ADDRESS}:98.5")).unwrap();
        assert_eq!(part, ExpectedPayout { least_percent: Some(98.5), ..whole.clone() });
        assert_eq!(parse(&format!("{ADDRESS}:98.5%")).unwrap(), part);
        for wrong in ["0", "-1", "101", "NaN", "", "all"] {
            let error = parse(&format!("{ADDRESS}:{wrong}")).unwrap_err().to_string();
            assert!(error.contains("expected percent"), "{error}");
        }
        assert!(parse("bc1qw508").unwrap_err().to_string().contains("no Bitcoin address"));
    }
}

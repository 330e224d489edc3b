//! `mining.set_difficulty` and its wishes, as numbers or texts (S5).

use midstate_chain::{DifficultyError, Target};
use serde_json::Value;

/// A difficulty as it was sent, and the target that it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Difficulty {
    pub(crate) value: f64,
    pub(crate) target: Target,
}

/// Why a parameter is not a difficulty.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum NotADifficulty {
    #[error("expected a number, got {0}")]
    Type(&'static str),
    #[error("expected a number, got text")]
    Text,
    #[error(transparent)]
    Range(#[from] DifficultyError),
}

impl Difficulty {
    /// The difficulty until a pool sets another one.
    pub(crate) const ONE: Self = Self { value: 1.0, target: Target::DIFFICULTY_1 };

    /// From the parameters of a call. Fractions are kept; a number inside a text is taken, because
    /// a client that ignores it has all its shares refused (xmrig#2736).
    pub(crate) fn from_params(params: &[Value]) -> Result<Self, NotADifficulty> {
        let value = match params.first() {
            Some(Value::Number(number)) => number.as_f64().ok_or(NotADifficulty::Text)?,
            Some(Value::String(text)) => from_text(text).ok_or(NotADifficulty::Text)?,
            None => return Err(NotADifficulty::Type("nothing")),
            Some(Value::Null) => return Err(NotADifficulty::Type("null")),
            Some(Value::Bool(_)) => return Err(NotADifficulty::Type("a boolean")),
            Some(Value::Array(_)) => return Err(NotADifficulty::Type("an array")),
            Some(Value::Object(_)) => return Err(NotADifficulty::Type("an object")),
        };
        Ok(Self { value, target: Target::from_difficulty(value)? })
    }

    /// As JSON: whole numbers without a fraction, since some peers read integers only.
    pub(crate) fn to_json(value: f64) -> Value {
        let whole = value.fract() == 0.0 && (0.0..(1u64 << 53) as f64).contains(&value);
        if whole { Value::from(value as u64) } else { Value::from(value) }
    }
}

/// A plain decimal number; Rust would read "inf" and "nan", too.
fn from_text(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s5_difficulties_keep_their_fraction_and_round_their_target_down() {
        for (sent, value) in [
            (json!([1]), 1.0),
            (json!([0.0005]), 0.0005),
            (json!([1e-9]), 1e-9),
            (json!([5e-324]), 5e-324),
            (json!([1e15]), 1e15),
            (json!([16384, "more"]), 16384.0),
            (json!(["1024"]), 1024.0),
            (json!(["1.5e3"]), 1500.0),
            (json!([u64::MAX]), u64::MAX as f64),
        ] {
            let difficulty = Difficulty::from_params(sent.as_array().expect("an array"));
            let difficulty = difficulty.unwrap_or_else(|error| panic!("{sent}: {error}"));
            assert_eq!(difficulty.value, value, "{sent}");
            assert_eq!(Ok(difficulty.target), Target::from_difficulty(value));
        }
        assert_eq!(Difficulty::from_params(&[json!(1)]), Ok(Difficulty::ONE));
    }

    #[test]
    fn s5_what_is_no_difficulty() {
        for sent in [
            json!([]),
            json!([null]),
            json!([0]),
            json!([-1]),
            json!([-0.0]),
            json!([1e308]),
            json!(["NaN"]),
            json!(["inf"]),
            json!(["-5"]),
            json!([""]),
            json!(["0x10"]),
            json!([true]),
            json!([[1]]),
            json!([{"difficulty": 1}]),
        ] {
            let difficulty = Difficulty::from_params(sent.as_array().expect("an array"));
            assert!(difficulty.is_err(), "{sent}");
        }
    }

    #[test]
    fn whole_numbers_are_sent_as_integers() {
        assert_eq!(Difficulty::to_json(512.0).to_string(), "512");
        assert_eq!(Difficulty::to_json(0.0005).to_string(), "0.0005");
        assert_eq!(Difficulty::to_json(1e300).to_string(), "1e+300");
    }
}

//! The economics of mining: exact formulas, a hardware table and simulators.
#![forbid(unsafe_code)]

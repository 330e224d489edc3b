//! How the program speaks with the person at the terminal and with scripts: flags that every
//! command has, values of flags, output, log, numbers and prose for people, signals, exit codes. It
//! knows nothing of mining; every other room of the program uses it.

pub(crate) mod descriptors;
pub(crate) mod exit;
pub(crate) mod flags;
pub(crate) mod logs;
pub(crate) mod output;
pub(crate) mod printer;
pub(crate) mod prose;
pub(crate) mod runtime;
pub(crate) mod signals;
pub(crate) mod style;
pub(crate) mod units;
pub(crate) mod values;

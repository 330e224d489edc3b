//! Stratum v1 without sockets or clocks: messages, a client and a server state machine.
#![forbid(unsafe_code)]

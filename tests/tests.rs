//! The program from outside: run as its users run it, judged by code that is not ours.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod bench;
mod bitcoind;
mod browser;
mod classroom;
mod coins;
mod demo;
mod docs;
mod doctor;
mod errors;
mod failover;
mod foreign;
mod grind;
mod heights;
mod https;
mod kernels;
mod latency;
mod lessons;
mod manners;
mod manual;
mod minerd;
mod pace;
mod pools;
mod port;
mod program;
mod proposals;
mod proxy;
mod report;
mod signals;
mod solo;
mod switch;
mod terminal;
mod tls_front;
mod troubles;
mod visitors;
mod web;

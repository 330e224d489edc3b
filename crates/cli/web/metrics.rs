//! `/metrics`: the status as OpenMetrics text, for Prometheus and its kin. The same numbers as the
//! status's and the summary's, because they are made from them; nothing is counted here.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::board::Snapshot;
use crate::mining::standings::WorkerStatus;
use crate::mining::status::{BlockCounts, JobStatus, ShareCounts, State, Status};

/// The type of the text, for `Content-Type`.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// A number that is not known at this instant is left out.
pub(super) fn to_text(now: &Snapshot<'_>) -> String {
    let mut registry = Registry::with_prefix("midstate");
    register_hashing(&mut registry, now.version, now.status);
    register_shares(&mut registry, now.status);
    if let Some(job) = &now.status.job {
        register_job(&mut registry, job);
    }
    if let Some(workers) = &now.workers {
        register_workers(&mut registry, workers);
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("a string takes all that is written to it");
    text
}

fn register_hashing(registry: &mut Registry, version: &'static str, status: &Status) {
    let info = Info::new([("version", version), ("kernel", status.kernel)]);
    registry.register("build", "Version of midstate and the kernel that hashes", info);
    registry.register_with_unit(
        "uptime",
        "Time since mining began",
        Unit::Seconds,
        ConstGauge::new(status.seconds),
    );
    let states = [
        ("connecting", State::Connecting),
        ("waiting", State::Waiting),
        ("mining", State::Mining),
        ("paused", State::Paused),
    ];
    let states =
        states.map(|(name, state)| (name, Some(f64::from(u8::from(state == status.state)))));
    registry.register("state", "1 for the present state", gauges("state", states));
    registry.register("threads", "Hashing threads", ConstGauge::new(status.threads as u64));
    let help = "Versions hashed side by side";
    registry.register("midstates", help, ConstGauge::new(status.midstates as u64));
    registry.register("hashes", "Hashes finished", ConstCounter::new(status.hashes));
    let rates = &status.rates;
    let rates = [("10s", rates.hps_10s), ("60s", rates.hps_60s), ("15m", rates.hps_15m)];
    let help = "Hashes finished over a window of time, by the part of it spent hashing";
    registry.register_with_unit("rate", help, hashes_per_second(), gauges("window", rates));
    let rates = [("10s", status.rates.hps_10s_overall)];
    let help = "Hashes finished over a window of time, by all of it";
    registry.register_with_unit("rate_overall", help, hashes_per_second(), gauges("window", rates));
    registry.register_with_unit(
        "hashing",
        "Time spent hashing",
        Unit::Seconds,
        ConstGauge::new(status.seconds_hashing),
    );
}

fn register_shares(registry: &mut Registry, status: &Status) {
    let ShareCounts { found, accepted, rejected, stale, throttled, unresolved } = status.shares;
    registry.register("shares_found", "Shares found", ConstCounter::new(found));
    let verdicts = [
        ("accepted", accepted),
        ("rejected", rejected),
        ("stale", stale),
        ("throttled", throttled),
    ];
    let family = Family::<Labels, Counter>::default();
    for (verdict, count) in verdicts {
        family.get_or_create(&vec![("verdict", verdict.to_owned())]).inc_by(count);
    }
    registry.register("shares", "Shares by verdict", family);
    let help = "Shares found that have no verdict";
    registry.register("shares_unresolved", help, ConstGauge::new(unresolved));
    let help = "Highest difficulty that a share would have met";
    registry.register("best_difficulty", help, ConstGauge::new(status.best_difficulty));

    let BlockCounts { found, accepted, rejected } = status.blocks;
    registry.register("blocks_found", "Blocks found", ConstCounter::new(found));
    // No counters: a reorganization takes a verdict back.
    let verdicts = [("accepted", Some(accepted as f64)), ("rejected", Some(rejected as f64))];
    registry.register("blocks", "Blocks found, by verdict", gauges("verdict", verdicts));

    for (name, help, seconds) in [
        ("share_latency", "From sending the last answered share to the answer", latency(status)),
        ("share_wait", "Mean time to a share at the present rate", status.seconds_to_share),
        ("block_wait", "Mean time to a block at the present rate", status.seconds_to_block),
    ] {
        if let Some(seconds) = seconds {
            registry.register_with_unit(name, help, Unit::Seconds, ConstGauge::new(seconds));
        }
    }
}

fn latency(status: &Status) -> Option<f64> {
    Some(status.latency_ms? / 1e3)
}

fn register_job(registry: &mut Registry, job: &JobStatus) {
    let info = Info::new([("protocol", job.protocol)]);
    registry.register("job", "What the server of the job speaks", info);
    if let Some(height) = job.height {
        let help = "Height of the block that is searched";
        registry.register("job_height", help, ConstGauge::new(u64::from(height)));
    }
    let help = "Difficulty that makes a hash a share";
    registry.register("job_difficulty", help, ConstGauge::new(job.difficulty));
    let help = "Difficulty that makes a hash a block";
    registry.register("network_difficulty", help, ConstGauge::new(job.network_difficulty));
    let age = ConstGauge::new(job.age);
    registry.register_with_unit("job_age", "Time since the job came", Unit::Seconds, age);
}

fn register_workers(registry: &mut Registry, workers: &[WorkerStatus]) {
    let rates = gauges("worker", workers.iter().map(|worker| (worker.name.as_str(), worker.hps)));
    let help = "Rate of a miner at the embedded pool, estimated from its shares";
    registry.register_with_unit("worker_rate", help, hashes_per_second(), rates);
    let shares = Family::<Labels, Counter>::default();
    let blocks = Family::<Labels, Counter>::default();
    for WorkerStatus { name, accepted, rejected, blocks: found, .. } in workers {
        let labels =
            |verdict: &str| vec![("worker", name.clone()), ("verdict", verdict.to_owned())];
        shares.get_or_create(&labels("accepted")).inc_by(*accepted);
        shares.get_or_create(&labels("rejected")).inc_by(*rejected);
        blocks.get_or_create(&vec![("worker", name.clone())]).inc_by(*found);
    }
    registry.register("worker_shares", "Shares of a miner at the embedded pool", shares);
    registry.register("worker_blocks", "Blocks of a miner at the embedded pool", blocks);
}

/// One gauge for each value of `label`; without those that are not known.
fn gauges<'a>(
    label: &'static str,
    values: impl IntoIterator<Item = (&'a str, Option<f64>)>,
) -> Family<Labels, Gauge<f64, AtomicU64>> {
    let family = Family::<Labels, Gauge<f64, AtomicU64>>::default();
    for (name, value) in values {
        if let Some(value) = value {
            family.get_or_create(&vec![(label, name.to_owned())]).set(value);
        }
    }
    family
}

fn hashes_per_second() -> Unit {
    Unit::Other("hashes_per_second".to_owned())
}

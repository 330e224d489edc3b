//! The plan that flags and configuration come to, and its printing (`--dry-run`).

use std::fmt::Display;
use std::sync::Arc;

use midstate_gbt::client::LongPolling;
use midstate_net::{Account, Frames, NodeAccess, Redirects, Route, Trust, Upstream};
use midstate_sv2::ChannelKind;
use serde::Serialize;

use crate::machine::choose::{Choice, MEASURING};
use crate::machine::sensors::Watch;
use crate::mining::{BlockJudge, Goals, ListError, Setup};
use crate::servers::pools::Reloader;
use crate::shell::exit::Failure;
use crate::shell::output::Output;
use crate::shell::units;

/// All there is to know before the first connection.
pub(crate) struct Plan {
    pub(crate) choice: Choice,
    pub(crate) upstream: Upstream,
    pub(crate) reloader: Reloader,
    pub(crate) goals: Goals,
}

/// The event of a dry run.
#[derive(Serialize)]
#[serde(tag = "event", rename = "plan")]
struct PlanEvent {
    /// Pools or nodes, in order of preference.
    servers: Vec<PlannedServer>,
    kernel: &'static str,
    threads: usize,
    midstates: usize,
    /// Hashes per second, measured now, and what is possible without other programs.
    hps: f64,
    hps_possible: f64,
    /// Share of the CPU time that went to other programs meanwhile.
    cpu_elsewhere: Option<f64>,
    pause_on_battery: bool,
    max_temp: Option<f64>,
    blocks: Option<u64>,
    shares: Option<u64>,
    time_limit: Option<u64>,
    give_up: Option<u64>,
    return_after: u64,
    /// At nodes.
    long_poll: Option<&'static str>,
}

#[derive(Serialize)]
struct PlannedServer {
    url: String,
    /// At a pool; a node is told apart by its `None`.
    user: Option<String>,
    /// The authority or key that vouches for the server; `None` without TLS.
    trust: Option<&'static str>,
    proxy: Option<String>,
    /// The rest is about pools.
    redirect: Option<&'static str>,
    max_share_rate: Option<u32>,
    expect_payout: Option<String>,
    payout_strict: Option<bool>,
    suggest_difficulty: Option<f64>,
    /// The rest is about pools of Stratum V2.
    channel: Option<&'static str>,
    channels: Option<usize>,
    nominal_hashrate: Option<f64>,
    single_submit: Option<bool>,
}

impl Plan {
    /// The same as mining takes it.
    pub(crate) fn into_setup(self) -> Setup {
        let Self { choice, upstream, reloader, goals } = self;
        let in_words = |failure: Failure| ListError::File(failure.to_string());
        let accounts = move || Some(reloader.accounts()?.map_err(in_words));
        let block_judge = BlockJudge::Header;
        Setup { choice, upstream, read_pools: Arc::new(accounts), goals, block_judge }
    }

    /// Every line and message to and from pools is told there.
    pub(super) fn tapped(mut self, frames: Option<Frames>) -> Self {
        if let Upstream::Pools(pools) = &mut self.upstream {
            pools.frames = frames;
        }
        self
    }

    /// Says what would be done.
    pub(super) fn tell(&self, out: &mut Output) -> Result<(), Failure> {
        let Self { choice, upstream, goals, .. } = self;
        let config = &choice.config;
        let rate = choice.measure(MEASURING)?;
        let told = PlanEvent {
            servers: match upstream {
                Upstream::Pools(pools) => {
                    pools.accounts.iter().map(PlannedServer::of_pool).collect()
                }
                Upstream::Nodes(nodes) => nodes.nodes.iter().map(PlannedServer::of_node).collect(),
            },
            kernel: config.kernel.name(),
            threads: config.threads,
            midstates: config.cut.midstates,
            hps: rate.median,
            hps_possible: rate.possible,
            cpu_elsewhere: rate.elsewhere,
            pause_on_battery: choice.watch.as_ref().is_some_and(Watch::pauses_on_battery),
            max_temp: choice.watch.as_ref().and_then(Watch::max_temp),
            blocks: goals.blocks,
            shares: goals.shares,
            time_limit: goals.time.map(|time| time.as_secs()),
            give_up: upstream.give_up().map(|time| time.as_secs()),
            return_after: match upstream {
                Upstream::Pools(pools) => pools.limits.failover.return_after,
                Upstream::Nodes(nodes) => nodes.client.failover.return_after,
            }
            .as_secs(),
            long_poll: match upstream {
                Upstream::Pools(_) => None,
                Upstream::Nodes(nodes) => Some(match nodes.client.long_poll {
                    LongPolling::Auto => "auto",
                    LongPolling::Always => "always",
                    LongPolling::Never => "never",
                }),
            },
        };
        out.event(&told);
        for (place, server) in told.servers.iter().enumerate() {
            let place = if place == 0 { "mine at" } else { "or else at" };
            out.message(2, format!("{place} {}", server.words()));
        }
        if let Upstream::Nodes(nodes) = upstream {
            out.message(2, format!("solved blocks wait in {}", nodes.spool.display()));
        }
        let rate = format!(
            "with {}, {}, {}: {}",
            told.kernel,
            units::count(told.threads, "thread"),
            units::count(told.midstates, "midstate"),
            rate.words()
        );
        out.message(2, rate);
        if told.pause_on_battery {
            out.message(2, "resting on battery");
        }
        if let Some(limit) = told.max_temp {
            out.message(2, format!("resting above {limit} °C"));
        }
        out.message(2, format!("until {}", until(goals)));
        Ok(())
    }
}

impl PlannedServer {
    fn of_pool(Account { url, client, route, redirects, v2 }: &Account) -> Self {
        let payout = client.expect_payout.as_ref();
        Self {
            user: Some(client.user.clone()),
            redirect: Some(match redirects {
                Redirects::None => "none",
                Redirects::Owner => "owner",
                Redirects::Any => "any",
            }),
            max_share_rate: Some(client.limits.share_rate),
            expect_payout: payout.map(|of| match of.least_percent {
                Some(least) => format!("{}:{least}", of.address),
                None => of.address.clone(),
            }),
            payout_strict: payout.map(|of| of.strict),
            suggest_difficulty: client.suggest_difficulty,
            channel: url.v2.map(|_| match v2.channel {
                ChannelKind::Standard => "standard",
                ChannelKind::Extended => "extended",
            }),
            channels: url.v2.map(|_| v2.channels),
            nominal_hashrate: v2.nominal_hash_rate,
            single_submit: url.v2.map(|_| v2.single_submit),
            ..Self::at(url, url.tls, route)
        }
    }

    fn of_node(NodeAccess { url, route, .. }: &NodeAccess) -> Self {
        Self::at(url, url.tls, route)
    }

    fn at(url: &impl Display, tls: bool, Route { trust, proxy }: &Route) -> Self {
        let trust = match trust {
            Trust::System => "the system's authorities",
            Trust::Authorities(_) => "the certificates of --cert",
            Trust::Pin(_) => "--tls-pin",
            Trust::Anybody => "any certificate (--tls-insecure)",
        };
        Self {
            url: url.to_string(),
            user: None,
            trust: tls.then_some(trust),
            proxy: proxy.as_ref().map(ToString::to_string),
            redirect: None,
            max_share_rate: None,
            expect_payout: None,
            payout_strict: None,
            suggest_difficulty: None,
            channel: None,
            channels: None,
            nominal_hashrate: None,
            single_submit: None,
        }
    }

    fn words(&self) -> String {
        let mut words = self.url.clone();
        for (before, what) in [
            (" as ", self.user.as_deref()),
            (", trusting ", self.trust),
            (", through ", self.proxy.as_deref()),
            (", where jobs pay ", self.expect_payout.as_deref()),
        ] {
            words.extend(what.into_iter().flat_map(|what| [before, what]));
        }
        words
    }
}

fn until(Goals { blocks, shares, time }: &Goals) -> String {
    let goals = [
        blocks.map(|count| units::count(count, "accepted block")),
        shares.map(|count| units::count(count, "accepted share")),
        time.map(|time| format!("{} have passed", units::duration(time))),
    ];
    let goals: Vec<_> = goals.into_iter().flatten().collect();
    if goals.is_empty() { "Ctrl-C".to_owned() } else { goals.join(" or ") }
}

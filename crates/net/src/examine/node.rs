//! A Bitcoin Core node: from its name to its clock. Asks for what mining asks for, and changes
//! nothing.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstate_chain::Network;
use midstate_gbt::rpc::{Answer, BlockVerdict, Call, ChainInfo, NetworkInfo, NoAnswer, RpcError};
use midstate_gbt::{Lateness, NOT_BEST, Payout, Template, TemplateError, Work, refusal_in_words};

use super::{Examination, Outcome, Problem, Stage, Step};
use crate::dial::Dialler;
use crate::rpc::{NodeAccess, RpcClient};

/// A node that thinks longer about one call is not fit to be mined at.
const PATIENCE: Duration = Duration::from_secs(10);
const SATOSHI_A_COIN: f64 = 1e8;

/// Examines a node and tells every step; `wanted` is the chain that it must be on, if one was
/// named. Ends at the first step that fails.
pub async fn examine_node(
    node: &NodeAccess,
    wanted: Option<Network>,
    dialler: &Dialler,
    mut told: impl FnMut(Step),
) {
    let rpc = RpcClient::new(node);
    let mut told = |mut step: Step| {
        step.outcome.each_text(|text| rpc.hide(text));
        told(step);
    };
    let mut examination = Examination::new(&mut told);
    if let Err(problem) = examination.node(node, &rpc, wanted, dialler).await {
        examination.end(&problem);
    }
}

impl Examination<'_> {
    async fn node(
        &mut self,
        node: &NodeAccess,
        rpc: &RpcClient,
        wanted: Option<Network>,
        dialler: &Dialler,
    ) -> Result<(), Problem> {
        let (url, route) = (&node.url, &node.route);
        let next = if url.tls { Stage::Tls } else { Stage::Credentials };
        let stream = self.reach(url.endpoint(), route, dialler, next).await?;
        if url.tls {
            self.secure(stream, url.endpoint(), route, dialler, Stage::Credentials).await?;
        }

        let info = self.log_in(node, rpc).await?;
        let chain = on_the_chain(&info, wanted)?;
        self.good(chain.to_string(), Stage::Sync);
        self.done(caught_up(&info, chain), Stage::Peers);
        let peers = ask(rpc, &Call::NetworkInfo).await.and_then(|answer| answer.result());
        self.done(has_peers(peers, chain), Stage::Template);
        self.template(chain, rpc).await
    }

    /// The first call: what opens the door, and what stands behind it.
    async fn log_in(&mut self, node: &NodeAccess, rpc: &RpcClient) -> Result<ChainInfo, Problem> {
        rpc.read_credentials().await?;
        let answer = ask(rpc, &Call::ChainInfo).await;
        let info = answer.and_then(|answer| answer.result::<ChainInfo>());
        match &info {
            // A node that has something to say has let us in.
            Ok(_) | Err(RpcError::Node { .. }) => {
                self.good(format!("let in with {}", node.credentials), Stage::Chain);
            }
            Err(RpcError::Unauthorized | RpcError::Forbidden) => {}
            // No answer at all: nobody has looked at them.
            Err(_) => self.stage = Stage::Chain,
        }
        Ok(info?)
    }

    /// `getblocktemplate`, and what can be read from it.
    async fn template(&mut self, chain: Network, rpc: &RpcClient) -> Result<(), Problem> {
        let template = match fetch(rpc).await {
            Err(Problem::Template(TemplateError::SignedSignet(challenge))) => {
                self.good("a template came".to_owned(), Stage::Challenge);
                return Err(TemplateError::SignedSignet(challenge).into());
            }
            other => other?,
        };
        let next = if template.can_propose { Stage::Proposal } else { Stage::Clock };
        if chain == Network::Signet {
            self.done(described(&template), Stage::Challenge);
            self.good("OP_TRUE: any miner may mine here".to_owned(), next);
        } else {
            self.done(described(&template), next);
        }
        let mut work = work_on(template)?;
        if work.template().can_propose {
            let outcome = proposed(&mut work, rpc).await?;
            self.done(outcome, Stage::Clock);
        }
        let template = work.template();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.tell(match template.clock_skew(now) {
            None => Outcome::Good("no more than 2 minutes from ours".to_owned()),
            Some(skew) => Outcome::Doubtful(format!(
                "{} s {} ours",
                skew.abs(),
                if skew > 0 { "ahead of" } else { "behind" }
            )),
        });
        Ok(())
    }
}

/// A block that is only looked at pays no one.
fn anyone() -> Payout {
    const OP_TRUE: u8 = 0x51;
    Payout {
        script: vec![OP_TRUE],
        tag: b"/midstate doctor/".to_vec(),
        extranonce1: vec![0; 4],
        version_mask: 0,
    }
}

fn work_on(template: Template) -> Result<Work, Problem> {
    Ok(Work::new(template, &anyone(), "doctor".to_owned(), true)?)
}

async fn fetch(rpc: &RpcClient) -> Result<Template, Problem> {
    let answer = ask(rpc, &Call::Template { longpoll_id: None }).await?;
    Ok(Template::parse(answer.raw_result()?.get())?)
}

/// The template's block, checked by the node as `mine` has it checked: while the tip moves, with a
/// fresh template each time.
async fn proposed(work: &mut Work, rpc: &RpcClient) -> Result<Outcome, Problem> {
    let mut lateness = Lateness::default();
    loop {
        let tip = work.template().prev_hash;
        lateness.template(tip);
        if lateness.is_slow() {
            return Ok(Outcome::Doubtful(
                "each time the tip moved while the node looked at our block; mine would mine its \
                 newest template while it is being checked"
                    .to_owned(),
            ));
        }
        let answer = ask(rpc, &Call::Proposal { block: work.proposal().into() }).await;
        let unchecked = |why: &dyn Display| {
            let words = format!("our block could not be checked ({why}); mine would mine it");
            Ok(Outcome::Doubtful(format!("{words} unchecked")))
        };
        return match answer.and_then(|answer| BlockVerdict::from_answer(&answer)) {
            Ok(BlockVerdict::Refused(reason)) if reason == NOT_BEST && !lateness.contradicts() => {
                lateness.not_best(tip);
                *work = work_on(fetch(rpc).await?)?;
                continue;
            }
            Ok(BlockVerdict::Refused(reason)) => {
                let (height, reason) = (work.template().height, refusal_in_words(&reason));
                Err(Problem::Refused { height, reason })
            }
            Ok(BlockVerdict::Unknown(text)) => unchecked(&format!("the node says {text}")),
            Ok(_) => Ok(Outcome::Good(
                "the node would take our block but for its proof of work".to_owned(),
            )),
            Err(error @ (RpcError::Node { .. } | RpcError::Malformed(_))) => unchecked(&error),
            Err(RpcError::Unreachable(NoAnswer::TimedOut(words))) => unchecked(&words),
            Err(error) => Err(error.into()),
        };
    }
}

async fn ask(rpc: &RpcClient, call: &Call) -> Result<Answer, RpcError> {
    rpc.ask(call, PATIENCE).await.map_err(RpcError::Unreachable)
}

/// The chain, if it is the right one.
fn on_the_chain(info: &ChainInfo, wanted: Option<Network>) -> Result<Network, Problem> {
    let found: Network = info.chain.parse()?;
    match wanted.filter(|&wanted| wanted != found) {
        Some(wanted) => Err(Problem::OtherChain { found, wanted }),
        None => Ok(found),
    }
}

fn caught_up(info: &ChainInfo, chain: Network) -> Outcome {
    let ChainInfo { blocks, headers, initial_download, .. } = *info;
    match initial_download || headers > blocks {
        // A fresh regtest node would say so for ever.
        true if chain != Network::Regtest => {
            Outcome::Doubtful(format!("block {blocks} of {headers} that it has heard of"))
        }
        _ => Outcome::Good(format!("block {blocks} is the tip")),
    }
}

fn has_peers(network: Result<NetworkInfo, RpcError>, chain: Network) -> Outcome {
    let network = match network {
        Ok(network) => network,
        Err(error) => return Outcome::Doubtful(error.to_string()),
    };
    let found = format!("connections: {}, {}", network.connections, network.agent());
    match network.connections {
        0 if chain == Network::Regtest => Outcome::Good(format!("{found}; regtest needs none")),
        0 => Outcome::Doubtful(found),
        _ => Outcome::Good(found),
    }
}

fn described(template: &Template) -> Outcome {
    let found = format!(
        "block {}, transactions: {}, {:.8} for the coinbase, difficulty {:.4e}",
        template.height,
        template.transactions.len(),
        template.coinbase_value as f64 / SATOSHI_A_COIN,
        template.target.difficulty(),
    );
    match (&template.longpoll_id, template.can_propose) {
        (Some(_), true) => Outcome::Good(format!("{found}; long poll and proposals")),
        (None, _) => Outcome::Doubtful(format!("{found}; no long poll")),
        (_, false) => Outcome::Doubtful(format!("{found}; no proposals")),
    }
}

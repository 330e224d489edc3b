//! What a test watches beside the books: the pool's difficulties over time, and the faults that are
//! done on purpose.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use midstate_net::{Order, SharedPlan};
use midstate_swarm::{
    Books, Code, Event, Fault, FaultBooks, FaultPlan, Findings, HashCount, SILENCE, Script, State,
    Vardiff, is_earnest,
};
use serde_json::{Value, json};

use crate::shell::output::Output;
use crate::shell::units;

/// Between two looks at everything.
const LOOK: Duration = Duration::from_secs(1);

/// The watch over a test.
pub(super) struct Watch {
    pub(super) findings: Findings,
    plan: Option<SharedPlan>,
    /// Shares a minute and miner that the pool aims at, if the user says so.
    goal: Option<f64>,
    /// When the script began.
    begun: Option<Duration>,
    next_look: Duration,
    /// The most hashes that were late at one look.
    late_at_worst: u64,
    /// The difficulty of a network where nothing may go wrong.
    earnest: Option<f64>,
}

impl Watch {
    pub(super) fn new(script: Arc<Script>, faults: Option<FaultPlan>, goal: Option<f64>) -> Self {
        Self {
            findings: Findings::new(script),
            plan: faults.map(|plan| Arc::new(Mutex::new(plan))),
            goal,
            begun: None,
            next_look: LOOK,
            late_at_worst: 0,
            earnest: None,
        }
    }

    /// The plan of faults, for the miners.
    pub(super) fn plan(&self) -> Option<SharedPlan> {
        self.plan.clone()
    }

    /// The kinds of faults that are to be done.
    pub(super) fn kinds(&self) -> Vec<Fault> {
        self.with_plan(|plan| plan.kinds().collect()).unwrap_or_default()
    }

    /// The script begins.
    pub(super) fn begin(&mut self, at: Duration) {
        self.begun = Some(at);
    }

    /// Something happened.
    pub(super) fn record(&mut self, at: Duration, worker: u32, event: &Event) {
        let at = self.begun.map_or(Duration::ZERO, |begun| at.saturating_sub(begun));
        if let Event::Job(Some(job)) = event
            && self.plan.is_some()
            && is_earnest(job)
        {
            self.earnest = Some(job.network_target.difficulty());
        }
        self.findings.record(at, worker, event);
    }

    /// The difficulty of the pool's network, if faults are wished for and it is too earnest.
    pub(super) fn forbids(&self) -> Option<f64> {
        self.earnest
    }

    /// Once a second of the script.
    pub(super) fn look(&mut self, at: Duration, total: impl FnOnce() -> HashCount) {
        if at >= self.next_look {
            let HashCount { asked, done, late, .. } = total();
            self.findings.look(at, asked, done);
            self.late_at_worst = self.late_at_worst.max(late);
            self.next_look = at + LOOK;
        }
    }

    /// The most hashes that were late at one time: they were made up for later, so that meanwhile
    /// the rate was not the script's.
    pub(super) fn late_at_worst(&self) -> u64 {
        self.late_at_worst
    }

    /// The acts that are due, `left` before the end of the script.
    pub(super) fn acts(&self, now: Duration, left: Duration, books: &Books) -> Vec<Order> {
        let act = |plan: &mut FaultPlan| {
            let fault = plan.act(now)?;
            // The shares of a silence that outlasts the script would be lost.
            if fault == Fault::Silent && left < SILENCE {
                return Some(None);
            }
            let miners = (0..).zip(books.miners());
            let working = miners.filter(|(_, miner)| miner.state == State::Working);
            let working: Vec<u32> = working.map(|(worker, _)| worker).collect();
            Some(plan.pick(working.len()).map(|at| Order::Act(working[at], fault)))
        };
        let next = || self.with_plan(act).flatten();
        std::iter::from_fn(next).flatten().collect()
    }

    /// How the difficulties followed the script until then.
    pub(super) fn vardiff(&self, end: Duration) -> Vardiff {
        self.findings.vardiff(end, self.goal)
    }

    fn with_plan<T>(&self, act: impl FnOnce(&mut FaultPlan) -> T) -> Option<T> {
        let plan = self.plan.as_ref()?;
        // A panic elsewhere cannot leave a plan half changed.
        Some(act(&mut plan.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The faults for programs.
pub(super) fn faults(books: &FaultBooks) -> Value {
    let kinds = books.kinds().map(|(fault, counts)| {
        let refused = counts
            .refused
            .iter()
            .map(|(of, count)| json!({"code": of.as_ref().map(code), "count": count}));
        json!({
            "fault": fault.name(), "done": counts.done, "accepted": counts.accepted,
            "refused": refused.collect::<Vec<_>>(), "unanswered": counts.unanswered,
            "cut_off": counts.cut_off, "unsent": counts.unsent,
        })
    });
    kinds.collect()
}

/// A number where the pool speaks V1, a word where it speaks V2.
pub(super) fn code(code: &Code) -> Value {
    match code {
        Code::Number(number) => (*number).into(),
        Code::Word(word) => word.as_str().into(),
    }
}

/// The difficulties for programs.
pub(super) fn vardiff(vardiff: &Vardiff) -> Value {
    let Vardiff { goal, stretches, settled, settle, overshoot } = vardiff;
    json!({
        "goal": goal, "stretches": stretches, "settled": settled,
        "settle_seconds": settle.map(|[median, longest]| {
            json!({"median": median.as_secs_f64(), "longest": longest.as_secs_f64()})
        }),
        "overshoot": overshoot,
    })
}

/// Both for people.
pub(super) fn tell(out: &mut Output, books: &FaultBooks, vardiff: &Vardiff) {
    if let Some(words) = vardiff_in_words(vardiff) {
        out.line(format!("difficulty   {words}"));
    }
    for (fault, counts) in books.kinds() {
        out.line(format!("fault        {}", counts.sentence(fault)));
    }
}

/// `20.3 shares a minute and miner; settled in 9 of 10 stretches, ..`
pub(super) fn vardiff_in_words(vardiff: &Vardiff) -> Option<String> {
    let Vardiff { goal, stretches, settled, settle, overshoot } = vardiff;
    let mut words = format!("{:.1} shares a minute and miner; ", (*goal)?);
    words += &match settle {
        Some([median, longest]) => format!(
            "settled in {settled} of {}, within {} (median) and {} (longest)",
            units::count(*stretches, "stretch").replace("stretchs", "stretches"),
            units::duration(*median),
            units::duration(*longest),
        ),
        None => format!("settled in none of {stretches} stretches"),
    };
    if let Some(overshoot) = overshoot {
        words += &format!("; at most {:.0} % beyond what the rate asks for", overshoot * 100.0);
    }
    Some(words)
}

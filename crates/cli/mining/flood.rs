//! Bounds how many events a peer can cause: output stays proportionate to what happens. A pool that
//! sends ten thousand jobs a second, shares that are stale by the thousand, and guests of the
//! embedded pool that come and go are told one by one up to a rate; those beyond are counted, and
//! the counts are told together, at most once in ten seconds.
//!
//! Nothing is left out of the books, and none of these ever is: the newest job (it is told when
//! there is room again), an accepted share, and a block where blocks are no toy. Sentences have a
//! [`Ration`](super::ration) of their own.

use std::time::Duration;

use midstate_limits::{LimitRow, row};

use super::event::{JobEvent, LeftOutEvent};

/// Jobs told in a second, and at once.
const JOBS: (u32, u32) = (50, 200);
/// The same of what guests of the embedded pool do.
const GUESTS: (u32, u32) = (20, 200);
/// Shares told at once, at least as many as can wait for an answer and end together.
const SHARES_AT_ONCE: u32 = 8192;
/// How often the counts are told, at most.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// Each limit as a row.
pub(crate) fn limits() -> Vec<LimitRow> {
    let paced = |name, (a_second, at_once): (u32, u32)| {
        let value = format!("{a_second}, {at_once} at once");
        row(name, value, "counted, and told together every 10 s")
    };
    vec![
        paced("jobs told in a second", JOBS),
        paced("news of other miners in a second", GUESTS),
        row(
            "shares told that are not accepted",
            format!("{SHARES_AT_ONCE} at once"),
            "then as many a second as are sent; the others counted, and told together every 10 s",
        ),
    ]
}

/// See the [module](self) page.
pub(super) struct Flood {
    jobs: Door,
    guests: Door,
    shares: Door,
    /// The newest job, where it is not told yet.
    job: Option<JobEvent>,
    left_out: LeftOutEvent,
    told: Option<Duration>,
}

/// Lets through so many at once, and so many a second.
struct Door {
    a_second: f64,
    at_once: f64,
    room: f64,
    since: Duration,
}

impl Door {
    fn new((a_second, at_once): (u32, u32)) -> Self {
        let [a_second, at_once] = [a_second, at_once].map(f64::from);
        Self { a_second, at_once, room: at_once, since: Duration::ZERO }
    }

    fn admits(&mut self, now: Duration) -> bool {
        let seconds = now.saturating_sub(self.since).as_secs_f64();
        self.room = (self.room + seconds * self.a_second).min(self.at_once);
        self.since = self.since.max(now);
        let is_admitted = self.room >= 1.0;
        self.room -= f64::from(u8::from(is_admitted));
        is_admitted
    }
}

impl Flood {
    /// `share_rate` is how many shares are sent in a second.
    pub(super) fn new(share_rate: u32) -> Self {
        Self {
            jobs: Door::new(JOBS),
            guests: Door::new(GUESTS),
            shares: Door::new((share_rate, SHARES_AT_ONCE)),
            job: None,
            left_out: LeftOutEvent::default(),
            told: None,
        }
    }

    /// The job to tell of now, if there is room.
    pub(super) fn job(&mut self, now: Duration, job: JobEvent) -> Option<JobEvent> {
        if self.job.replace(job).is_some() {
            self.left_out.jobs += 1;
        }
        self.held_job(now)
    }

    /// The newest job, if it is not told yet and there is room for it.
    pub(super) fn held_job(&mut self, now: Duration) -> Option<JobEvent> {
        let is_admitted = self.job.is_some() && self.jobs.admits(now);
        self.job.take_if(|_| is_admitted)
    }

    /// Whether to tell this news of a guest.
    pub(super) fn admits_guest(&mut self, now: Duration) -> bool {
        let is_admitted = self.guests.admits(now);
        self.left_out.miners += u64::from(!is_admitted);
        is_admitted
    }

    /// Whether to tell this share, which is not accepted.
    pub(super) fn admits_share(&mut self, now: Duration) -> bool {
        let is_admitted = self.shares.admits(now);
        self.left_out.shares += u64::from(!is_admitted);
        is_admitted
    }

    /// The counts of events left out, if they are due. At the end they are due at once.
    pub(super) fn left_out(&mut self, now: Duration, is_end: bool) -> Option<LeftOutEvent> {
        let is_due = is_end || self.told.is_none_or(|told| now >= told + TOLD_EVERY);
        if self.left_out == LeftOutEvent::default() || !is_due {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: u32) -> JobEvent {
        JobEvent {
            pool: "pool".into(),
            protocol: midstate_net::Protocol::Stratum1,
            channel: None,
            job_id: id.to_string(),
            height: None,
            difficulty: 1.0,
            network_difficulty: 1.0,
            clean: true,
            listed: None,
        }
    }

    #[test]
    fn output_stays_proportionate_to_a_flood_and_the_newest_job_is_told() {
        let mut flood = Flood::new(200);
        let (mut jobs, mut shares, mut guests, mut counts) = (Vec::new(), 0, 0, 0);
        let mut left_out = LeftOutEvent::default();
        // 60 s with 1,000 of each a second.
        for millisecond in 0..60_000 {
            let now = Duration::from_millis(millisecond.into());
            jobs.extend(flood.job(now, job(millisecond)));
            shares += u64::from(flood.admits_share(now));
            guests += u64::from(flood.admits_guest(now));
            if let Some(more) = flood.left_out(now, false) {
                counts += 1;
                left_out.add(&more);
            }
        }
        assert!(jobs.len() <= 200 + 60 * 50 && jobs.len() >= 60 * 50, "{}", jobs.len());
        assert!(shares <= 8192 + 60 * 200, "{shares}");
        assert!(guests <= 200 + 60 * 20, "{guests}");
        assert_eq!(counts, 6, "every ten seconds");
        // The flood is over.
        let late = Duration::from_secs(61);
        jobs.extend(flood.held_job(late));
        assert_eq!(jobs.last().unwrap().job_id, "59999");
        left_out.add(&flood.left_out(late, true).unwrap());
        let sums = [jobs.len() as u64 + left_out.jobs, shares + left_out.shares];
        assert_eq!((sums, guests + left_out.miners), ([60_000; 2], 60_000), "all are counted");
        assert!(flood.left_out(late, true).is_none());
    }
}

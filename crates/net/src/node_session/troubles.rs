//! Which nodes give work, since when the others do not, and why: each node's own reason. Without
//! sockets or clock; [`NodeSession`](super::NodeSession) gives up by it.

use std::sync::Arc;
use std::time::Duration;

/// One entry a node.
#[derive(Debug)]
pub(super) struct Troubles(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    /// Whether work came from it.
    has_worked: bool,
    /// Since when it gives no work, and why. `None` while it does.
    trouble: Option<(Duration, String)>,
}

impl Troubles {
    /// At the start no node has given work.
    pub(super) fn new(names: impl Iterator<Item = Arc<str>>, now: Duration) -> Self {
        let trouble = Some((now, String::new()));
        let entry = |name| Entry { name, has_worked: false, trouble: trouble.clone() };
        Self(names.map(entry).collect())
    }

    /// Work came from the node.
    pub(super) fn works(&mut self, node: usize) {
        self.0[node].has_worked = true;
        self.0[node].trouble = None;
    }

    /// The node answers again. The job at hand may still be right, and then no other job comes.
    pub(super) fn connected(&mut self, node: usize) {
        let Entry { has_worked, trouble, .. } = &mut self.0[node];
        *trouble = trouble.take().filter(|_| !*has_worked);
    }

    /// The node gives no work now. A further reason replaces the words and keeps the time.
    pub(super) fn lost(&mut self, now: Duration, node: usize, reason: &str) {
        let trouble = &mut self.0[node].trouble;
        let since = trouble.take().map_or(now, |(since, _)| since);
        *trouble = Some((since, reason.to_owned()));
    }

    /// Since when no node gives work; `None` while one does.
    pub(super) fn workless_since(&self) -> Option<Duration> {
        let since = self.0.iter().map(|entry| entry.trouble.as_ref().map(|(since, _)| *since));
        since.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// Why no node gives work: each node's own reason, by its name where there are several.
    pub(super) fn words(&self) -> String {
        let reason = |entry: &Entry| {
            let (_, reason) = entry.trouble.as_ref().filter(|(_, reason)| !reason.is_empty())?;
            Some(match self.0.len() {
                1 => reason.clone(),
                _ => format!("{}: {reason}", entry.name),
            })
        };
        let reasons: Vec<_> = self.0.iter().filter_map(reason).collect();
        match reasons.is_empty() {
            true => "no node has given work yet".to_owned(),
            false => reasons.join("; "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn two() -> Troubles {
        Troubles::new(["http://first", "http://second"].map(Arc::from).into_iter(), at(0))
    }

    #[test]
    fn rule_20_trouble_at_one_node_is_never_counted_against_another() {
        let mut troubles = two();
        troubles.lost(at(1), 0, "connection refused");
        troubles.works(1);
        assert_eq!(troubles.workless_since(), None);
        // The first one's reason changes while the second one serves.
        troubles.lost(at(50), 0, "it is starting");
        assert_eq!(troubles.workless_since(), None);
        // The second one goes, too: the time runs from then, and each keeps its reason.
        troubles.lost(at(60), 1, "HTTP status 502");
        assert_eq!(troubles.workless_since(), Some(at(60)));
        assert_eq!(
            troubles.words(),
            "http://first: it is starting; http://second: HTTP status 502"
        );
        troubles.connected(1);
        assert_eq!(troubles.workless_since(), None, "its job is still the right one");
    }

    #[test]
    fn a_node_that_answers_and_has_never_given_work_does_not_serve() {
        let mut troubles = two();
        troubles.connected(0);
        assert_eq!(troubles.workless_since(), Some(at(0)));
        assert_eq!(troubles.words(), "no node has given work yet");
        troubles.works(0);
        assert_eq!(troubles.workless_since(), None);
    }
}

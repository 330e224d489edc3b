//! Who may try to join: every address has so many tries, and then a pause. Right codes are counted
//! apart from wrong ones, and both are bounded.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::limits::ClassLimits;

/// The addresses that tried lately.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    tries: BTreeMap<IpAddr, Tries>,
}

#[derive(Debug, Clone, Copy)]
struct Tries {
    /// When the present minute began.
    since: Duration,
    wrong: u32,
    joined: u32,
    /// Until then nothing from there is looked at.
    paused: Option<Duration>,
}

impl Admission {
    /// How long this address still has to wait; zero if it may try.
    pub(crate) fn wait(&mut self, now: Duration, from: IpAddr, limits: &ClassLimits) -> Duration {
        self.tries(now, from, limits).paused.map_or(Duration::ZERO, |until| until - now)
    }

    /// A wrong code came from there.
    pub(crate) fn record_wrong(&mut self, now: Duration, from: IpAddr, limits: &ClassLimits) {
        let tries = self.tries(now, from, limits);
        tries.wrong += 1;
        if tries.wrong >= limits.wrong_codes {
            tries.paused = Some(now + limits.pause);
        }
    }

    /// A device has joined from there.
    pub(crate) fn record_joined(&mut self, now: Duration, from: IpAddr, limits: &ClassLimits) {
        let tries = self.tries(now, from, limits);
        tries.joined += 1;
        if tries.joined >= limits.joins {
            tries.paused = Some(now + limits.pause);
        }
    }

    fn tries(&mut self, now: Duration, from: IpAddr, limits: &ClassLimits) -> &mut Tries {
        let key = neighbourhood(from);
        if !self.tries.contains_key(&key) && self.tries.len() >= limits.addresses {
            let oldest = self.tries.iter().min_by_key(|(_, tries)| tries.since);
            if let Some(oldest) = oldest.map(|(&key, _)| key) {
                self.tries.remove(&oldest);
            }
        }
        let fresh = Tries { since: now, wrong: 0, joined: 0, paused: None };
        let tries = self.tries.entry(key).or_insert(fresh);
        match tries.paused {
            Some(until) if now < until => {}
            None if now < tries.since + limits.pause => {}
            _ => *tries = fresh,
        }
        tries
    }
}

/// An address; of IPv6 the network, in which one machine may have any number of addresses.
fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1000 + seconds)
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn ten_wrong_codes_in_a_minute_make_an_address_wait_and_no_other() {
        let (limits, mut admission) = (ClassLimits::default(), Admission::default());
        let (guesser, other) = (address("10.0.0.1"), address("10.0.0.2"));
        for second in 0..9 {
            admission.record_wrong(at(second), guesser, &limits);
            assert_eq!(admission.wait(at(second), guesser, &limits), Duration::ZERO);
        }
        admission.record_wrong(at(9), guesser, &limits);
        let mapped = address("::ffff:10.0.0.1");
        assert_eq!(admission.wait(at(9), mapped, &limits), Duration::from_secs(60));
        assert_eq!(admission.wait(at(30), guesser, &limits), Duration::from_secs(39));
        assert_eq!(admission.wait(at(30), other, &limits), Duration::ZERO);
        assert_eq!(admission.wait(at(69), guesser, &limits), Duration::ZERO, "and from the start");
        admission.record_wrong(at(69), guesser, &limits);
        assert_eq!(admission.wait(at(69), guesser, &limits), Duration::ZERO);
    }

    #[test]
    fn tries_of_more_than_a_minute_ago_do_not_count() {
        let (limits, mut admission) = (ClassLimits::default(), Admission::default());
        for minute in 0..20 {
            (0..9).for_each(|_| admission.record_wrong(at(60 * minute), address("::1"), &limits));
            assert_eq!(admission.wait(at(60 * minute), address("::1"), &limits), Duration::ZERO);
        }
    }

    #[test]
    fn a_school_behind_one_address_joins_and_a_flood_of_joins_waits() {
        let (limits, mut admission) = (ClassLimits::default(), Admission::default());
        for joined in 0..200 {
            let waits = admission.wait(at(0), address("10.0.0.1"), &limits);
            assert_eq!(waits, Duration::ZERO, "{joined}");
            admission.record_joined(at(0), address("10.0.0.1"), &limits);
        }
        assert!(admission.wait(at(0), address("10.0.0.1"), &limits) > Duration::ZERO);
    }

    #[test]
    fn addresses_without_end_fill_no_memory() {
        let (limits, mut admission) = (ClassLimits::default(), Admission::default());
        for number in 0..5_000u32 {
            let v6 = Ipv6Addr::from_bits(u128::from(number) << 64);
            admission.record_wrong(at(number.into()), v6.into(), &limits);
        }
        assert_eq!(admission.tries.len(), limits.addresses);
        // Of one network all addresses are one.
        for low in 0..10u128 {
            let v6 = Ipv6Addr::from_bits(7 << 64 | low);
            admission.record_wrong(at(200_000), v6.into(), &limits);
        }
        let v6 = Ipv6Addr::from_bits(7 << 64 | 99);
        assert!(admission.wait(at(200_000), v6.into(), &limits) > Duration::ZERO);
    }
}

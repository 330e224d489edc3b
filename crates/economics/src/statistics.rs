//! The little statistics that the claims need: intervals of a share, tails, and one test of fit.

/// Standard deviation of a share `p` seen in `trials` blocks.
pub fn share_deviation(p: f64, trials: u64) -> f64 {
    (p * (1.0 - p) / trials as f64).sqrt()
}

/// By how many standard deviations two observed shares differ, each with its own spread.
pub fn sigmas_between(before: (f64, u64), after: (f64, u64)) -> f64 {
    let spread = share_deviation(before.0, before.1).hypot(share_deviation(after.0, after.1));
    (after.0 - before.0) / spread
}

/// Wilson's interval of a share at `z` standard deviations (1.96 for 95 %): it stays inside 0..1
/// and holds for small pools, where the textbook interval does not (Wilson, JASA 22, 1927).
pub fn wilson_interval(successes: u64, trials: u64, z: f64) -> (f64, f64) {
    let (n, p) = (trials as f64, successes as f64 / trials as f64);
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let half = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - half).max(0.0), (centre + half).min(1.0))
}

/// Probability that a standard normal is further from zero than `sigmas`.
pub fn normal_two_sided(sigmas: f64) -> f64 {
    libm::erfc(sigmas.abs() / std::f64::consts::SQRT_2)
}

/// P(X <= count) of a Poisson variable; by a normal approximation where the mean is above 10^4.
pub fn poisson_at_most(count: u64, mean: f64) -> f64 {
    if mean <= 0.0 {
        return 1.0;
    }
    if mean > 1e4 {
        let sigmas = (count as f64 + 0.5 - mean) / mean.sqrt();
        return 0.5 * libm::erfc(-sigmas / std::f64::consts::SQRT_2);
    }
    let log_term = |k: u64| k as f64 * mean.ln() - mean - libm::lgamma(k as f64 + 1.0);
    // Twenty deviations above the mean nothing is left to add.
    let last = count.min((mean + 20.0 * mean.sqrt() + 100.0) as u64);
    (0..=last).map(|k| log_term(k).exp()).sum::<f64>().min(1.0)
}

/// Kolmogorov-Smirnov: the largest distance between the samples' distribution and the exponential
/// of mean `mean`, and how often chance alone makes it larger (asymptotic, with Stephens'
/// correction: good from about ten samples on). `None` without samples.
pub fn exponential_fit(samples: &[f64], mean: f64) -> Option<Fit> {
    if samples.is_empty() {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance_at = |(index, sample): (usize, &f64)| {
        let expected = -(-sample / mean).exp_m1();
        let (below, above) = (index as f64 / n, (index + 1) as f64 / n);
        (expected - below).abs().max((above - expected).abs())
    };
    let distance = sorted.iter().enumerate().map(distance_at).fold(0.0, f64::max);
    let scaled = (n.sqrt() + 0.12 + 0.11 / n.sqrt()) * distance;
    Some(Fit { distance, p_value: kolmogorov_tail(scaled) })
}

/// The result of a test of fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Largest distance between the two distributions.
    pub distance: f64,
    /// How often chance alone makes it larger.
    pub p_value: f64,
}

/// 2 * sum of (-1)^(k-1) e^(-2 k^2 x^2).
fn kolmogorov_tail(x: f64) -> f64 {
    if x < 0.2 {
        return 1.0; // The sum converges too slowly here; its value is 1 to twelve digits.
    }
    let term = |k: i32| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sign * (-2.0 * f64::from(k * k) * x * x).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}

//! The instruction sets of aarch64 (little-endian), a file each; see `x86` for the pattern.

mod neon;
mod sha2;

pub(crate) use neon::Neon;
pub(crate) use sha2::Sha2;

/// Whether the CPU has the features: asked at run time with `std`, of the build without it.
macro_rules! cpu_has {
    ($feature:tt) => {{
        #[cfg(feature = "std")]
        let has = std::arch::is_aarch64_feature_detected!($feature);
        #[cfg(not(feature = "std"))]
        let has = cfg!(target_feature = $feature);
        has
    }};
}
use cpu_has;

//! The instruction sets of x86-64, a file each. A file defines a token, which is only made when the
//! CPU has the instructions, and says what a lane operation is; the SHA instructions have a kernel
//! of their own.

mod avx2;
mod avx512;
mod sha_ni;
mod sse41;

pub(crate) use avx2::Avx2;
pub(crate) use avx512::{Avx512, Avx512Two};
pub(crate) use sha_ni::{ShaNi, ShaNiNonces};
pub(crate) use sse41::Sse41;

/// Whether the CPU has the features: asked at run time with `std`, of the build without it.
macro_rules! cpu_has {
    ($($feature:tt),+) => {{
        #[cfg(feature = "std")]
        let has = true $(&& std::is_x86_feature_detected!($feature))+;
        #[cfg(not(feature = "std"))]
        let has = true $(&& cfg!(target_feature = $feature))+;
        has
    }};
}
use cpu_has;

//! WebAssembly: a kernel over its vectors ([`Simd128`]), and the functions of the module that a
//! page loads (`module`, with the feature of that name).

#[cfg(all(feature = "module", target_feature = "simd128"))]
mod module;
#[cfg(target_feature = "simd128")]
mod simd128;

#[cfg(all(feature = "module", not(target_feature = "simd128")))]
compile_error!("the module hashes with vectors: -C target-feature=+simd128");

#[cfg(target_feature = "simd128")]
pub(crate) use simd128::Simd128;

//! SIMD double SHA-256 of block headers: the kernels.

#![no_std]

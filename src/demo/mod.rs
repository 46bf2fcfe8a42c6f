//! Everything at once on throw-away local stores: what the command `demo` runs on, and what the
//! tests and the benchmarks share with it.
//!
//! Only in builds with the feature `demo`.

pub mod deployment;
pub mod dynamodb;
pub mod tables;

//! The integration tests: one binary, a module for each capability.

mod harness;

mod jobs;
mod private_cluster;
mod schema;
mod storage;

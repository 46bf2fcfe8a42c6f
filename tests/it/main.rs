//! The integration tests: one binary, a module for each capability.

mod harness;

mod config;
mod documents;
mod jobs;
mod private_cluster;
mod schema;
mod storage;
mod tidy;

//! The integration tests: one binary, a module for each capability.

mod harness;

mod backup;
mod chaos;
mod cli;
mod config;
mod conformance;
mod daemon;
mod deploy;
mod documents;
mod health;
mod jobs;
mod library;
mod observation;
mod private_cluster;
mod reload;
mod schema;
mod slots;
mod storage;
mod throttle;
mod tidy;
mod tls;

//! The maintenance daemon of an ActingWeb deployment, as a library. `ARCHITECTURE.md` is the map.

pub mod archive;
pub mod backup;
pub mod cli;
pub mod config;
pub mod daemon;
#[cfg(feature = "demo")]
pub mod demo;
pub mod fault;
pub mod health;
pub mod http;
pub mod jobs;
pub mod metrics;
pub mod model;
pub mod runner;
pub mod schedule;
pub mod storage;
pub mod throttle;
pub mod work;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

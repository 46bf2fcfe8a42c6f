//! Backups: taken, proven, restored and kept, of real stores and in real places.

mod archiving;
mod bucket;
mod cli;
mod damage;
mod depot;
mod disk_full;
mod drill;
mod dynamodb;
mod encryption;
mod jobs;
mod kills;
mod leftovers;
mod logical;
mod metrics;
mod native;
mod owner;
mod physical;
mod programs;
mod proof;
mod refusals;
mod restore;
mod scratch;
mod shelf;
mod snapshot;
mod tool;
mod workbench;

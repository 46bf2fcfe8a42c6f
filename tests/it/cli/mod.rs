//! The commands, as people and scripts use them.

mod codes;
mod config;
mod doctor;
mod help;
mod job;
mod pipes;
mod schema;

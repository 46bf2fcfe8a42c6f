//! The daemon as it is installed: the real binary beside a real database.

mod crash;
mod database;
mod dynamodb;
mod replicas;
mod schedule;
mod schema;
mod secrets;
mod signals;

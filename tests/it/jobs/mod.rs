//! The jobs on a real database.

mod stopped;
mod ttl_cleanup;

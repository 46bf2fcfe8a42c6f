//! The jobs on a real database.

mod trouble;
mod ttl_cleanup;

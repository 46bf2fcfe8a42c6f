//! The jobs on a real database.

mod incomplete;
mod trouble;
mod ttl_cleanup;

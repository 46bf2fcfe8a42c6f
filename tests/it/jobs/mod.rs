//! The jobs on a real database.

mod ttl_cleanup;

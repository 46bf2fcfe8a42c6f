//! The store itself.

mod leases;
mod pooler;
mod sweep;

//! The store itself.

mod leases;
mod pooler;
mod privileges;
mod sweep;
mod turned_back;

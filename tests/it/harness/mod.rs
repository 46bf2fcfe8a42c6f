//! What the tests stand on: databases, the Python library, and the tools that they run.

pub(crate) mod cluster;
pub(crate) mod pooler;
pub(crate) mod python;
pub(crate) mod runner;
pub(crate) mod store;
pub(crate) mod tools;

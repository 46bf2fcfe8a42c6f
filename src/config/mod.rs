//! The configuration: its layers, their merging, and what to say about mistakes.
//!
//! Weakest to strongest: the defaults, the file, the variables that ActingWeb itself reads, the
//! variables `MAINTD_…`, and flags. Each room owns its settings; this one puts them together, and
//! reads nothing but the files that it is told to read.

mod actingweb;
mod change;
mod check;
mod environment;
mod explain;
mod file;
mod keys;
mod kubernetes;
mod layer;
mod load;
mod origin;
mod password;
mod problem;
mod rules;
mod settings;
mod show;
mod suggest;
mod syntax;
mod targets;
mod value;

pub use change::{Change, changes};
pub use environment::environment;
pub use load::{DEFAULT_FILE, Loaded, Sources, load};
pub use origin::Origin;
pub use problem::{Problem, Problems};
pub use settings::{Config, Deployment, Drain, Log, LogFormat};

/// A file that names every key with its default.
pub const EXAMPLE: &str = include_str!("../../config.toml.example");

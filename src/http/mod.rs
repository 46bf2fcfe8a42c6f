//! What the daemon says of itself over HTTP: metrics, health, a status page, and the same as JSON.
//!
//! Everything is answered from memory, on a thread of its own, so that no client can disturb the
//! work and no stuck database the answers.

mod connection;
mod page;
mod server;
mod settings;
mod site;
#[cfg(test)]
mod tests;
mod words;

pub use connection::Response;
pub use server::{Limits, Running, Server};
pub use settings::Settings;
pub use site::Site;

//! The configuration: mistakes and what is said about them, layers, secrets, the example file.

mod backups;
mod layers;
mod mistakes;
mod secrets;
mod setup;
mod shown;
mod targets;

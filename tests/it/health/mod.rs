//! Whether tables and indexes are what they must be, and well: each finding provoked, found, repaired and gone.

mod bloat;
mod deep;
mod dynamodb;
mod indexes;
mod remedies;
mod repair;
mod repair_command;
mod repair_foreign;
mod repair_gates;
mod repair_kills;
mod repair_settling;
mod scene;
mod schema;
mod shown;
mod unseen;
mod usage;
mod vitals;

//! Which properties an actor can be found by.

/// How actors are found by what they store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexing {
    /// In the look-up table; without it in the older index on values (DynamoDB) or by reading every
    /// property (PostgreSQL). The library calls this legacy mode.
    pub by_table: bool,
    /// The names of the properties that are looked up.
    pub names: Vec<String>,
}

impl Default for Indexing {
    fn default() -> Self {
        Self { by_table: true, names: ["oauthId", "email", "externalUserId"].map(str::to_owned).into() }
    }
}

impl Indexing {
    /// Whether the look-up table has entries for properties of this name.
    pub fn covers(&self, name: &str) -> bool {
        self.by_table && !name.starts_with(super::row::LIST_PREFIX) && self.names.iter().any(|known| known == name)
    }
}

//! The revisions of ActingWeb's PostgreSQL schema that this build knows.

/// One step of the application's schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Alembic's identifier, as it stands in `alembic_version`.
    pub id: &'static str,
    /// The statements that lead to it, with `{schema}` in the place of the quoted schema.
    pub sql: &'static str,
}

macro_rules! revisions {
    ($($file:literal = $id:literal),+ $(,)?) => {
        /// The chain of revisions, oldest first, as ActingWeb 3.15 has it.
        pub const REVISIONS: &[Revision] = &[$(Revision {
            id: $id,
            sql: include_str!(concat!("../../migrations/actingweb/", $file, "_", $id, ".sql")),
        }),+];
    };
}

revisions! {
    "01" = "3307e3616c5e",
    "02" = "70d60420526",
    "03" = "a1b2c3d4e5f6",
    "04" = "b2c3d4e5f6a7",
    "05" = "c3d4e5f6a7b8",
    "06" = "d4e5f6a7b8c9",
    "07" = "e5f6a7b8c9d0",
}

/// The newest revision that this build knows.
pub const HEAD: &str = REVISIONS[REVISIONS.len() - 1].id;

/// How far along the chain `id` is, counted from 1, if this build knows it.
pub fn position(id: &str) -> Option<usize> {
    REVISIONS.iter().position(|revision| revision.id == id).map(|index| index + 1)
}

//! What a role lacks, and the statements that would give it to it.

use sqlx::Row;

use super::super::error::Context;
use super::super::server::Visit;
use super::super::statements::{privileges as sql, quote_identifier as quoted};
use super::super::{Op, Postgres};
use super::{AMCHECK, HAS_MAINTAIN, Need, Part};
use crate::model::Table;
use crate::storage::Result;

const OP: Op = Op { name: "privileges", phrase: "ask what the role may do" };

/// Something that a part of the work needs, and the role may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The part.
    pub part: Part,
    /// What it may not, in words.
    pub what: String,
    /// The statements that would allow it.
    pub grants: Vec<String>,
}

/// What the server says of the role once.
struct Role {
    /// Quoted.
    name: String,
    /// Quoted.
    schema: String,
    /// Of the server.
    number: i32,
    has_own: bool,
    may_use_own: bool,
    closed: Vec<String>,
    /// Nothing where the schema is not there.
    may_use: Option<bool>,
    replication: bool,
    createdb: bool,
}

impl Postgres {
    /// What the role that we connect as lacks for these parts of the work. What is not there yet, it does not lack.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn lacking(&self, parts: &[Part]) -> Result<Vec<Lacking>> {
        self.measured(OP, async {
            let mut visit = Visit::begin(self, OP).await?;
            let schema = visit.schema(&self.settings).await?;
            let row = visit.one(sqlx::query(sql::OWN).bind(&schema)).await?;
            let role = Role::read(&row, &schema).op(OP)?;
            let mut lacking = Vec::new();
            for part in parts {
                let mut of_tables: Vec<(&str, &str)> = Vec::new();
                for need in part.needs() {
                    let found = match need {
                        Need::Table(table, privileges) => {
                            of_tables.extend(privileges.iter().map(|privilege| (*table, *privilege)));
                            None
                        }
                        Need::Maintain(table) if role.number >= HAS_MAINTAIN => {
                            of_tables.push((table, "MAINTAIN"));
                            None
                        }
                        need => role.lacks(&mut visit, &schema, *need).await?,
                    };
                    lacking.extend(found.map(|(what, grants)| Lacking { part: *part, what, grants }));
                }
                let found = on_tables(&mut visit, &schema, &role, &of_tables).await?;
                lacking.extend(found.map(|(what, grants)| Lacking { part: *part, what, grants }));
            }
            visit.end().await;
            Ok(lacking)
        })
        .await
    }
}

/// What is not allowed, and the statements that would allow it.
type Found = Option<(String, Vec<String>)>;

/// The privileges on tables that the role lacks.
async fn on_tables(visit: &mut Visit, schema: &str, role: &Role, needed: &[(&str, &str)]) -> Result<Found> {
    let (names, privileges): (Vec<&str>, Vec<&str>) = needed.iter().copied().unzip();
    let query = sqlx::query(sql::ON_TABLES).bind(schema).bind(names).bind(privileges);
    let mut tables: Vec<(&str, Vec<&str>)> = Vec::new();
    for row in visit.all(query).await? {
        let place: i64 = row.try_get(0).op(OP)?;
        let Some((table, privilege)) = needed.get(usize::try_from(place - 1).unwrap_or(usize::MAX)) else { continue };
        match tables.last_mut() {
            Some((last, privileges)) if last == table => privileges.push(privilege),
            _ => tables.push((table, vec![privilege])),
        }
    }
    let said = |(table, privileges): &(&str, Vec<&str>)| format!("{} on {table}", privileges.join(", "));
    let grant = |(table, privileges): &(&str, Vec<&str>)| {
        format!("GRANT {} ON {}.{table} TO {};", privileges.join(", "), role.schema, role.name)
    };
    let what: Vec<String> = tables.iter().map(said).collect();
    Ok((!tables.is_empty()).then(|| (what.join("; "), tables.iter().map(grant).collect())))
}

impl Role {
    fn read(row: &sqlx::postgres::PgRow, schema: &str) -> Result<Self, sqlx::Error> {
        Ok(Self {
            name: quoted(row.try_get("role")?),
            schema: quoted(schema),
            number: row.try_get("number")?,
            has_own: row.try_get("has_own")?,
            may_use_own: row.try_get("may_use_own")?,
            closed: row.try_get("closed")?,
            may_use: row.try_get("may_use")?,
            replication: row.try_get("replication")?,
            createdb: row.try_get("createdb")?,
        })
    }

    /// Whether the role lacks something that is no privilege on a table.
    async fn lacks(&self, visit: &mut Visit, schema: &str, need: Need) -> Result<Found> {
        let Self { name, schema: quoted_schema, .. } = self;
        let found = |lacks: bool, what: &str, grant: String| lacks.then(|| (what.to_owned(), vec![grant]));
        Ok(match need {
            Need::Table(..) => None,
            Need::OwnSchema => self.lacks_own(),
            Need::Schema => {
                let lacks = self.may_use == Some(false);
                let grant = format!("GRANT USAGE ON SCHEMA {quoted_schema} TO {name};");
                found(lacks, &format!("USAGE on the schema {schema}"), grant)
            }
            Need::WholeSchema => {
                let rows = visit.all(sqlx::query(sql::UNREADABLE).bind(schema)).await?;
                let mut unreadable = Vec::new();
                for row in &rows {
                    let (relation, kind): (String, String) = (row.try_get(0).op(OP)?, row.try_get(1).op(OP)?);
                    unreadable.push((relation, kind));
                }
                let grants = unreadable
                    .iter()
                    .map(|(one, kind)| format!("GRANT SELECT ON {kind}{quoted_schema}.{} TO {name};", quoted(one)));
                let names: Vec<&str> = unreadable.iter().map(|(name, _)| name.as_str()).collect();
                (!names.is_empty()).then(|| (format!("SELECT on {}", names.join(", ")), grants.collect()))
            }
            Need::Member(other) => {
                let row = visit.one(sqlx::query(sql::MEMBER).bind(other)).await?;
                let has: bool = row.try_get(0).op(OP)?;
                found(!has, &format!("membership of {other}"), format!("GRANT {other} TO {name};"))
            }
            Need::Attribute(attribute) => {
                let has = if attribute == "CREATEDB" { self.createdb } else { self.replication };
                found(!has, attribute, format!("ALTER ROLE {name} {attribute};"))
            }
            Need::Maintain(table) => self.lacks_owner(visit, schema, &[table]).await?,
            Need::Owner => self.lacks_owner(visit, schema, &Table::ALL.map(Table::name)).await?,
            Need::MakesIndexes => {
                let query = sqlx::query(sql::MAY_MAKE).bind(schema).bind(Table::ALL.map(Table::name).as_slice());
                let rows = visit.all(query).await?;
                let may: Option<bool> = rows.first().map(|row| row.try_get(0)).transpose().op(OP)?;
                let grant = format!("GRANT CREATE ON SCHEMA {quoted_schema} TO {name};");
                found(may == Some(false), &format!("CREATE on the schema {schema}"), grant)
            }
            Need::Amcheck => {
                let is_there: bool = visit.one(sqlx::query(sql::HAS_AMCHECK)).await?.try_get(0).op(OP)?;
                let (function, takes) = AMCHECK;
                if !is_there {
                    let grant = format!("GRANT EXECUTE ON FUNCTION {function}({takes}) TO {name};");
                    let steps = vec!["CREATE EXTENSION amcheck;".to_owned(), grant];
                    return Ok(Some(("the extension amcheck, which is not installed".to_owned(), steps)));
                }
                let rows = visit.all(sqlx::query(sql::AMCHECK).bind(function).bind(takes)).await?;
                let functions: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().op(OP)?;
                let grants = functions.iter().map(|one| format!("GRANT EXECUTE ON FUNCTION {one} TO {name};"));
                (!functions.is_empty()).then(|| (format!("EXECUTE on {}", functions.join(", ")), grants.collect()))
            }
        })
    }

    /// Without a schema of our own, we have to be able to make it.
    fn lacks_own(&self) -> Found {
        let Self { name, has_own, may_use_own, closed, .. } = self;
        if !has_own {
            let lacks = !may_use_own;
            let what = "to make the schema maintd, which is not there yet";
            return lacks.then(|| (what.to_owned(), vec![format!("CREATE SCHEMA maintd AUTHORIZATION {name};")]));
        }
        if *may_use_own && closed.is_empty() {
            return None;
        }
        let mut grants = Vec::new();
        let mut what = Vec::new();
        if !may_use_own {
            what.push("the schema maintd".to_owned());
            grants.push(format!("ALTER SCHEMA maintd OWNER TO {name};"));
        }
        what.extend(closed.iter().map(|table| format!("maintd.{table}")));
        grants.extend(closed.iter().map(|table| format!("ALTER TABLE maintd.{} OWNER TO {name};", quoted(table))));
        Some((format!("to use {}", what.join(", ")), grants))
    }

    async fn lacks_owner(&self, visit: &mut Visit, schema: &str, tables: &[&str]) -> Result<Found> {
        let rows = visit.all(sqlx::query(sql::OWNERS).bind(schema).bind(tables)).await?;
        let owners: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().op(OP)?;
        let grants = owners.iter().map(|owner| format!("GRANT {} TO {};", quoted(owner), self.name));
        Ok((!owners.is_empty()).then(|| (format!("membership of {}", owners.join(", ")), grants.collect())))
    }
}

//! Who goes and who stays. The library writes these rows, and what is not as it writes it is left
//! alone.

use crate::model::json::Value;
use crate::model::row::Attribute;
use crate::model::{Record, Row};
use crate::storage::{AttributePlace, Wanted};

/// The id under which the library keeps what belongs to no actor.
const OAUTH2: &str = "_actingweb_oauth2";

/// What the ids begin with that are no actors'.
const RESERVED: &str = "_actingweb_";

const ACCESS_TOKENS: &str = "mcp_tokens";
const REFRESH_TOKENS: &str = "mcp_refresh_tokens";
const AUTH_CODES: &str = "mcp_auth_codes";
const PROVIDER_TOKENS: &str = "mcp_google_tokens";
const CLIENTS: &str = "mcp_clients";

/// How long a session lives (`_SESSION_TTL` of the library).
const SESSION: i64 = 600;

/// How long a refresh token that was used is kept, so that whoever uses it again is found out: 2 days
/// (`SPA_REFRESH_TOKEN_REUSE_WINDOW` and `MCP_REFRESH_TOKEN_REUSE_WINDOW`).
const REUSE_WINDOW: i64 = 2 * 86_400;

/// What is under one id in a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// Rows that end so many seconds after the time in this field.
    Dated { field: &'static str, lasts: i64 },
    /// Refresh tokens.
    RefreshTokens,
    /// Provider tokens, which say nothing about their end.
    ProviderTokens,
    /// Entries that name the actor who has a row of the same name in this bucket.
    TokenIndex { of: &'static str },
    /// The same about clients, which never expire.
    ClientIndex,
}

const EXPIRES_AT: Holds = Holds::Dated { field: "expires_at", lasts: 0 };

/// The buckets of [`OAUTH2`].
const COMMON: [(&str, Holds); 8] = [
    ("_oauth_sessions", Holds::Dated { field: "created_at", lasts: SESSION }),
    ("spa_access_tokens", EXPIRES_AT),
    ("spa_refresh_tokens", Holds::RefreshTokens),
    ("_apple_exchange_tickets", EXPIRES_AT),
    ("_access_token_index", Holds::TokenIndex { of: ACCESS_TOKENS }),
    ("_refresh_token_index", Holds::TokenIndex { of: REFRESH_TOKENS }),
    ("_auth_code_index", Holds::TokenIndex { of: AUTH_CODES }),
    ("_client_index", Holds::ClientIndex),
];

/// The buckets of every actor.
const OF_ACTORS: [(&str, Holds); 4] = [
    (ACCESS_TOKENS, EXPIRES_AT),
    (REFRESH_TOKENS, Holds::RefreshTokens),
    (AUTH_CODES, EXPIRES_AT),
    (PROVIDER_TOKENS, Holds::ProviderTokens),
];

/// What must be read: index entries all, other rows only without a TTL, as those with one are left to
/// it.
pub(super) fn wanted() -> Wanted {
    let all = || COMMON.into_iter().chain(OF_ACTORS);
    let is_index = |holds| matches!(holds, Holds::TokenIndex { .. } | Holds::ClientIndex);
    let named = |(bucket, _): (&str, Holds)| bucket.to_owned();
    Wanted {
        all_of: all().filter(|(_, holds)| is_index(*holds)).map(named).collect(),
        endless_of: all().filter(|(_, holds)| !is_index(*holds)).map(named).collect(),
    }
}

fn holds(id: &str, bucket: &str) -> Option<Holds> {
    let buckets: &[(&str, Holds)] = match id {
        OAUTH2 => &COMMON,
        _ if id.starts_with(RESERVED) => &[],
        _ => &OF_ACTORS,
    };
    buckets.iter().find(|(name, _)| *name == bucket).map(|(_, holds)| *holds)
}

/// Where the lines are drawn, in epoch seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lines {
    /// What ended before this may go: now, less the grace.
    pub(super) ended: i64,
    /// A TTL of this or before hides its row from the library: now.
    pub(super) now: i64,
}

/// What is to become of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: it lives, or its TTL decides, or it is none of the library's.
    Stays,
    /// Its end has passed.
    Expired,
    /// An index entry that names nobody.
    Orphan,
    /// An index entry: what is there decides.
    Points(AttributePlace),
    /// It has no TTL, and what would say when it ends is missing or no number.
    Undated,
    /// A provider token without a TTL: nothing in it says when it ends.
    ProviderToken,
    /// It is not as the library writes it.
    Strange,
}

/// What is to become of a row that was read.
pub(super) fn judge(record: &Record, lines: Lines) -> Verdict {
    let Ok(Row::Attribute(row)) = &record.meaning else { return Verdict::Strange };
    let Some(holds) = holds(&row.id, &row.bucket) else { return Verdict::Stays };
    match holds {
        Holds::TokenIndex { of } => match &row.data {
            Some(data) if data.is_truthy() => points(row, data, of),
            _ => Verdict::Orphan,
        },
        // An entry without an actor names no client that could be looked for.
        Holds::ClientIndex => row.data.as_ref().map_or(Verdict::Strange, |data| points(row, data, CLIENTS)),
        _ if row.ttl_timestamp.is_some() => Verdict::Stays,
        Holds::ProviderTokens => Verdict::ProviderToken,
        Holds::Dated { field, lasts } => row.data.as_ref().map_or(Verdict::Strange, |data| {
            ends(data, field, lasts).map_or_else(|verdict| verdict, |end| past(end, lines))
        }),
        Holds::RefreshTokens => row.data.as_ref().map_or(Verdict::Strange, |data| refresh_token(data, lines)),
    }
}

/// One that was used is there to catch whoever uses it again, also when it would have expired.
fn refresh_token(data: &Value, lines: Lines) -> Verdict {
    let end = if data.get("used").is_some_and(Value::is_truthy) {
        ends(data, "used_at", REUSE_WINDOW)
    } else {
        ends(data, "expires_at", 0)
    };
    end.map_or_else(|verdict| verdict, |end| past(end, lines))
}

/// When it ends by a field, if that can be told.
fn ends(data: &Value, field: &str, lasts: i64) -> Result<f64, Verdict> {
    let Value::Object(_) = data else { return Err(Verdict::Strange) };
    let since = match data.get(field) {
        Some(Value::Int(digits)) => digits.parse::<i64>().ok().map(|seconds| seconds as f64),
        Some(Value::Float(seconds)) => Some(*seconds).filter(|seconds| seconds.is_finite()),
        _ => None,
    };
    since.map(|since| since + lasts as f64).ok_or(Verdict::Undated)
}

fn past(end: f64, lines: Lines) -> Verdict {
    if end < lines.ended as f64 { Verdict::Expired } else { Verdict::Stays }
}

/// The row of the same name that the actor has whom an index entry names.
fn points(entry: &Attribute, data: &Value, bucket: &str) -> Verdict {
    match data.as_str() {
        Some(id) if !id.is_empty() => {
            Verdict::Points(AttributePlace { id: id.to_owned(), bucket: bucket.to_owned(), name: entry.name.clone() })
        }
        _ => Verdict::Strange,
    }
}

/// What an index entry points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Nothing: the entry is an orphan.
    Absent,
    /// Something that goes first.
    Expired,
    /// Something that stays, and the entry with it.
    Lives,
    /// Something that is not as the library writes it.
    Strange,
}

/// What an entry points at, when this is what is under the key.
pub(super) fn judge_target(place: &AttributePlace, found: Option<&Record>, lines: Lines) -> Target {
    let Some(record) = found else { return Target::Absent };
    let Ok(Row::Attribute(row)) = &record.meaning else { return Target::Strange };
    // Another pair of bucket and name has the key.
    if (&row.id, &row.bucket, &row.name) != (&place.id, &place.bucket, &place.name) {
        return Target::Strange;
    }
    if place.bucket == CLIENTS {
        return Target::Lives;
    }
    match row.ttl_timestamp {
        // For the library there is nothing.
        Some(ttl) if ttl <= lines.now => return Target::Expired,
        _ => {}
    }
    match (&row.data, judge(record, lines)) {
        (_, Verdict::Expired) => Target::Expired,
        (Some(Value::Object(_)), _) => Target::Lives,
        _ => Target::Strange,
    }
}

/// The provider token that belongs to an access token, and goes with it.
pub(super) fn provider_token(record: &Record) -> Option<AttributePlace> {
    let Ok(Row::Attribute(row)) = &record.meaning else { return None };
    let name = row.data.as_ref()?.get("google_token_key")?.as_str()?;
    (row.bucket == ACCESS_TOKENS && !name.is_empty()).then(|| AttributePlace {
        id: row.id.clone(),
        bucket: PROVIDER_TOKENS.to_owned(),
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests;

//! The variables that ActingWeb itself reads, so that the daemon finds the application's database.

use figment::value::Value;

use super::check::Mistake;
use super::environment::value;
use super::layer::Layer;
use super::origin::Origin;
use super::problem::Problem;
use super::value::quoted;

/// Variables whose text is the value.
const PLAIN: [(&str, &str); 12] = [
    ("PG_DB_HOST", "storage.postgresql.host"),
    ("PG_DB_PORT", "storage.postgresql.port"),
    ("PG_DB_NAME", "storage.postgresql.dbname"),
    ("PG_DB_USER", "storage.postgresql.user"),
    // libpq's own: the library leaves an empty password out, and libpq then looks here.
    ("PGPASSWORD", "storage.postgresql.password"),
    ("PG_DB_PASSWORD", "storage.postgresql.password"),
    ("PG_POOL_MIN_SIZE", "storage.postgresql.pool.min_size"),
    ("PG_POOL_MAX_SIZE", "storage.postgresql.pool.max_size"),
    ("PGSSLMODE", "storage.postgresql.sslmode"),
    ("AWS_DB_PREFIX", "storage.dynamodb.table_prefix"),
    ("AWS_DB_HOST", "storage.dynamodb.endpoint_url"),
    ("AWS_DEFAULT_REGION", "storage.dynamodb.region"),
];

/// The layer of the application's variables, and the mistakes in what cannot be carried over as it is.
pub(super) fn layer(env: &[(String, String)], mistakes: &mut Vec<Mistake>, warnings: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::default();
    if let Some(backend) = value(env, "DATABASE_BACKEND") {
        // The library takes it as one name, whatever it holds.
        let backends = vec![Value::from(backend)];
        layer.set("storage.backends", backends, Origin::variable("DATABASE_BACKEND"));
    }
    for (name, key) in PLAIN {
        if let Some(text) = value(env, name) {
            layer.set(key, text, Origin::variable(name));
        }
    }
    lookup(env, &mut layer);
    schema(env, &mut layer);
    certificates(env, &mut layer);
    if let Some(text) = value(env, "PG_POOL_TIMEOUT") {
        let key = "storage.postgresql.pool.timeout";
        let origin = Origin::variable("PG_POOL_TIMEOUT");
        match text.trim().parse::<f64>() {
            Ok(seconds) if (0.001..=1e9).contains(&seconds) => {
                layer.set(key, format!("{}ms", (seconds * 1000.0).round()), origin);
            }
            _ => {
                let message = format!(
                    "{} is not a number of seconds above zero: write one without a unit, as in 30 or 2.5",
                    quoted(text)
                );
                layer.origins.insert(key.to_owned(), origin);
                mistakes.push(Mistake::new(key, message));
            }
        }
    }
    if let Some(text) = value(env, "LOG_LEVEL") {
        let origin = Origin::variable("LOG_LEVEL");
        match level(text) {
            Some(level) => layer.set("log.filter", level, origin),
            // Many programs read this one, and not all of them know the same words.
            None => warnings.push(Problem::with_key(
                "log.filter",
                origin,
                format!(
                    "{} is not a level that Python knows, and is ignored: write DEBUG, INFO, WARNING or ERROR",
                    quoted(text)
                ),
            )),
        }
    }
    layer
}

/// How actors are found by their properties. Whatever is not `true` switches the look-up table off, `1`
/// and `yes` too: the library's configuration reads it like that.
fn lookup(env: &[(String, String)], layer: &mut Layer) {
    if let Some(text) = value(env, "USE_PROPERTY_LOOKUP_TABLE") {
        let is_on = text.eq_ignore_ascii_case("true");
        layer.set("storage.property_lookup", is_on, Origin::variable("USE_PROPERTY_LOOKUP_TABLE"));
    }
    if let Some(text) = value(env, "INDEXED_PROPERTIES") {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let names: Vec<Value> = names.map(Value::from).collect();
        if !names.is_empty() {
            layer.set("storage.indexed_properties", names, Origin::variable("INDEXED_PROPERTIES"));
        }
    }
}

/// The schema is prefix and name, joined without anything between.
fn schema(env: &[(String, String)], layer: &mut Layer) {
    let (prefix, name) = (value(env, "PG_DB_PREFIX"), value(env, "PG_DB_SCHEMA"));
    let variables = match (prefix, name) {
        (None, None) => return,
        (Some(_), None) => "PG_DB_PREFIX",
        (None, Some(_)) => "PG_DB_SCHEMA",
        (Some(_), Some(_)) => "PG_DB_PREFIX + PG_DB_SCHEMA",
    };
    let schema = format!("{}{}", prefix.unwrap_or_default(), name.unwrap_or("public"));
    layer.set("storage.postgresql.schema", schema, Origin::variable(variables));
}

/// libpq reads `system` as the certificates of the system, which we trust anyway, and then insists
/// on the host's name unless told otherwise.
fn certificates(env: &[(String, String)], layer: &mut Layer) {
    let origin = Origin::variable("PGSSLROOTCERT");
    match value(env, "PGSSLROOTCERT") {
        Some("system") if value(env, "PGSSLMODE").is_none() => {
            layer.set("storage.postgresql.sslmode", "verify-full", origin)
        }
        Some("system") | None => {}
        Some(path) => layer.set("storage.postgresql.sslrootcert", path, origin),
    }
}

/// The filter for one of Python's levels, by name or number.
fn level(text: &str) -> Option<&'static str> {
    Some(match text.trim().to_ascii_uppercase().as_str() {
        "NOTSET" | "TRACE" | "0" => "trace",
        "DEBUG" | "10" => "debug",
        "INFO" | "20" => "info",
        "WARNING" | "WARN" | "30" => "warn",
        "ERROR" | "CRITICAL" | "FATAL" | "40" | "50" => "error",
        _ => return None,
    })
}

//! Names of tables, indexes and the like in statements that people are told to run.

use super::quote_identifier;

/// The words that PostgreSQL 13 to 18 take for something else than a name: `catcode` R and T of `pg_get_keywords()`.
const RESERVED: &str = "all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
     collate collation column concurrently constraint create cross current_catalog current_date \
     current_role current_schema current_time current_timestamp current_user default deferrable desc \
     distinct do else end except false fetch for foreign freeze from full grant group having ilike in \
     initially inner intersect into is isnull join lateral leading left like limit localtime \
     localtimestamp natural not notnull null offset on only or order outer overlaps placing primary \
     references returning right select session_user similar some symmetric system_user table \
     tablesample then to trailing true union unique user using variadic verbose when where window \
     with";

/// `name` as whoever copies it into a statement must write it: in quotes only where it would be read as another one
/// without them.
pub fn identifier(name: &str) -> String {
    let is_letter = |character: char| character == '_' || character.is_ascii_lowercase();
    let is_plain = name.starts_with(is_letter)
        && name.chars().all(|character| is_letter(character) || character.is_ascii_digit())
        && !RESERVED.split(' ').any(|word| word == name);
    if is_plain { name.to_owned() } else { quote_identifier(name) }
}

/// The table, index or the like of this name in a schema, whatever the `search_path` of whoever copies it.
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", identifier(schema), identifier(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_would_be_read_otherwise_are_quoted() {
        for plain in ["actors", "ix_actors_creator", "_a1", "name", "value"] {
            assert_eq!(identifier(plain), plain);
        }
        for (name, written) in [
            ("IX_Actors", "\"IX_Actors\""),
            ("my-app", "\"my-app\""),
            ("1st", "\"1st\""),
            ("user", "\"user\""),
            ("", "\"\""),
            ("größe", "\"größe\""),
            ("a\"b", "\"a\"\"b\""),
        ] {
            assert_eq!(identifier(name), written);
        }
        assert_eq!(qualified("My", "index"), "\"My\".index");
    }
}

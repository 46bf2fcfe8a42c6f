//! The attributes of one item, read and written as the library does.

use chrono::{DateTime, Utc};

use crate::model::{AttributeValue, Item, Table, Unreadable, json, wire};

/// The attributes of an item, as Python would read them.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a> {
    table: Table,
    item: &'a Item,
}

impl<'a> Fields<'a> {
    /// Those of an item of `table`.
    pub(super) fn of(table: Table, item: &'a Item) -> Self {
        Self { table, item }
    }

    /// An attribute; one that is stored as nothing is none.
    fn value(self, name: &str) -> Option<&'a AttributeValue> {
        self.item.get(name).filter(|value| !matches!(value, AttributeValue::Null(_)))
    }

    fn unreadable(self, attribute: &str, why: &str) -> Unreadable {
        Unreadable { table: self.table, attribute: attribute.to_owned(), why: why.to_owned() }
    }

    fn str(self, name: &str) -> Result<Option<&'a str>, Unreadable> {
        match self.value(name) {
            None => Ok(None),
            Some(AttributeValue::S(text)) => Ok(Some(text)),
            Some(_) => Err(self.unreadable(name, "is not a text")),
        }
    }

    /// A text that may be missing.
    pub(super) fn optional_text(self, name: &str) -> Result<Option<String>, Unreadable> {
        self.str(name).map(|text| text.map(str::to_owned))
    }

    /// A text; empty when it is missing.
    pub(super) fn text(self, name: &str) -> Result<String, Unreadable> {
        self.optional_text(name).map(Option::unwrap_or_default)
    }

    /// Truth; false when it is missing.
    pub(super) fn truth(self, name: &str) -> Result<bool, Unreadable> {
        match self.value(name) {
            None => Ok(false),
            Some(AttributeValue::Bool(truth)) => Ok(*truth),
            Some(_) => Err(self.unreadable(name, "is neither true nor false")),
        }
    }

    /// A whole number that may be missing.
    pub(super) fn optional_number(self, name: &str) -> Result<Option<i64>, Unreadable> {
        match self.value(name) {
            None => Ok(None),
            Some(AttributeValue::N(digits)) => match digits.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => Err(self.unreadable(name, "is not a whole number of 64 bits")),
            },
            Some(_) => Err(self.unreadable(name, "is not a number")),
        }
    }

    /// A whole number.
    pub(super) fn number(self, name: &str) -> Result<i64, Unreadable> {
        self.optional_number(name)?.ok_or_else(|| self.unreadable(name, "is missing"))
    }

    /// A time that may be missing.
    pub(super) fn optional_time(self, name: &str) -> Result<Option<DateTime<Utc>>, Unreadable> {
        let Some(text) = self.str(name)? else { return Ok(None) };
        let why = "is not a time of the form YYYY-MM-DDTHH:MM:SS.ffffff+0000";
        wire::parse_time(text).map(Some).ok_or_else(|| self.unreadable(name, why))
    }

    /// A time.
    pub(super) fn time(self, name: &str) -> Result<DateTime<Utc>, Unreadable> {
        self.optional_time(name)?.ok_or_else(|| self.unreadable(name, "is missing"))
    }

    /// A value of Python that may be missing.
    pub(super) fn json(self, name: &str) -> Result<Option<json::Value>, Unreadable> {
        let Some(text) = self.str(name)? else { return Ok(None) };
        json::parse(text).map(Some).map_err(|_| self.unreadable(name, "is not JSON"))
    }
}

/// The attributes of an item that is to be written. What is none is left out, as the library does.
#[derive(Debug, Default)]
pub(super) struct Written(Item);

impl Written {
    /// With a text.
    pub(super) fn text(self, name: &str, text: &str) -> Self {
        self.value(name, AttributeValue::S(text.to_owned()))
    }

    /// With a text, if there is one.
    pub(super) fn optional_text(self, name: &str, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// With a text, unless it is empty.
    pub(super) fn text_if_any(self, name: &str, text: Option<&str>) -> Self {
        self.optional_text(name, text.filter(|text| !text.is_empty()))
    }

    /// With truth, if it is known.
    pub(super) fn truth(self, name: &str, truth: Option<bool>) -> Self {
        match truth {
            Some(truth) => self.value(name, AttributeValue::Bool(truth)),
            None => self,
        }
    }

    /// With a number, if there is one.
    pub(super) fn number(self, name: &str, number: Option<i64>) -> Self {
        match number {
            Some(number) => self.value(name, AttributeValue::N(number.to_string())),
            None => self,
        }
    }

    /// With a time, if there is one.
    pub(super) fn time(self, name: &str, time: Option<DateTime<Utc>>) -> Self {
        match time {
            Some(time) => self.value(name, AttributeValue::S(wire::format_time(time))),
            None => self,
        }
    }

    /// With a value of Python, if there is one, in exactly its own words.
    pub(super) fn json(self, name: &str, value: Option<&json::Value>) -> Self {
        match value {
            Some(value) => self.value(name, AttributeValue::S(value.to_string())),
            None => self,
        }
    }

    /// The item.
    pub(super) fn item(self) -> Item {
        self.0
    }

    fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }
}

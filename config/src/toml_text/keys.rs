//! A row: one key of a table, as it is read, written and documented.

use toml::de::DeTable;

use super::reader::{Item, Sink};

/// One key of a table that stands for a `T`.
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// What it does, and which values it takes.
    pub(super) doc: &'static str,
    /// Reads the value; reports what does not fit.
    pub(super) read: fn(&mut T, &mut Item<'_, '_, '_, '_>),
    /// The value as TOML; `None` when there is none.
    pub(super) write: fn(&T) -> Option<String>,
}

/// Reads the keys of a table by their rows. `others` are read elsewhere.
pub(super) fn read_keys<T>(
    keys: &[Key<T>],
    others: &[&str],
    target: &mut T,
    table: &DeTable<'_>,
    sink: &mut Sink<'_>,
) {
    for (name, value) in table.iter() {
        let text: &str = name.get_ref();
        match keys.iter().find(|key| key.name == text) {
            Some(key) => (key.read)(target, &mut Item { value, sink }),
            None if others.contains(&text) => {}
            None => {
                let known = keys
                    .iter()
                    .map(|key| key.name)
                    .chain(others.iter().copied());
                sink.unknown_key(text, name.span(), &known.collect::<Vec<_>>());
            }
        }
    }
}

/// Reads an inline or headed table by its rows.
pub(super) fn read_table<T>(keys: &[Key<T>], target: &mut T, item: &mut Item<'_, '_, '_, '_>) {
    if let Some(table) = item.table() {
        read_keys(keys, &[], target, table, item.sink);
    }
}

/// Puts a value in place if it was read.
pub(super) fn put<V>(place: &mut V, value: Option<V>) {
    if let Some(value) = value {
        *place = value;
    }
}

/// Text as a TOML string.
pub(super) fn quoted(text: impl ToString) -> String {
    toml::Value::String(text.to_string()).to_string()
}

/// The keys that have a value, as an inline table; `None` if none has.
pub(super) fn inline<T>(keys: &[Key<T>], value: &T) -> Option<String> {
    let pairs: Vec<String> = keys
        .iter()
        .filter_map(|key| Some(format!("{} = {}", key.name, (key.write)(value)?)))
        .collect();
    (!pairs.is_empty()).then(|| format!("{{ {} }}", pairs.join(", ")))
}

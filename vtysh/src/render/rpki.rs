//! `show rpki`: payloads and caches, and the words for states of validation.

use std::io::{self, Write};

use holdfast_api::v1;
use serde_json::{Map, Value, json};

use super::json::{Slashes, document, pretty};

/// The column in front of a path in a table; none where nothing is validated.
pub(super) fn rpki_code(path: &v1::Path) -> &'static str {
    match path.rpki_state() {
        v1::RpkiState::RpkiNotInUse => "",
        v1::RpkiState::RpkiValid => "V",
        v1::RpkiState::RpkiInvalid => "I",
        v1::RpkiState::RpkiNotFound => "N",
    }
}

/// The state in words.
pub(super) fn rpki_word(path: &v1::Path) -> Option<&'static str> {
    match path.rpki_state() {
        v1::RpkiState::RpkiNotInUse => None,
        v1::RpkiState::RpkiValid => Some("valid"),
        v1::RpkiState::RpkiInvalid => Some("invalid"),
        v1::RpkiState::RpkiNotFound => Some("not found"),
    }
}

/// Payloads that are written while their chunks arrive.
pub(crate) struct RoaTable {
    json: bool,
    /// With a title and sums.
    whole: bool,
    /// Of IPv4 and IPv6.
    shown: [u64; 2],
}

impl RoaTable {
    pub(crate) fn new(json: bool, whole: bool) -> Self {
        Self {
            json,
            whole,
            shown: [0, 0],
        }
    }

    pub(crate) fn head(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.json {
            return write!(out, "{{\n  \"prefixes\":[");
        }
        if self.whole {
            writeln!(out, "RPKI/RTR prefix table")?;
        }
        writeln!(out, "{:<40} Prefix Length  Origin-AS", "Prefix")
    }

    pub(crate) fn chunk(&mut self, out: &mut dyn Write, chunk: &v1::RoaChunk) -> io::Result<()> {
        for roa in &chunk.roas {
            let (address, length) = roa.prefix.split_once('/').unwrap_or((&roa.prefix, "0"));
            if self.json {
                let before = if self.shown == [0, 0] {
                    "\n    "
                } else {
                    ",\n    "
                };
                out.write_all(before.as_bytes())?;
                let entry = json!({
                    "prefix": address,
                    "prefixLenMin": length.parse::<u8>().unwrap_or(0),
                    "prefixLenMax": roa.max_length,
                    "asn": roa.asn,
                });
                pretty(out, &entry, 2, Slashes::Plain)?;
            } else {
                let (longest, asn) = (roa.max_length, roa.asn);
                writeln!(
                    out,
                    "{address:<40}   {length:>3} - {longest:>3}   {asn:>10}"
                )?;
            }
            let [v4, v6] = &mut self.shown;
            *(if address.contains(':') { v6 } else { v4 }) += 1;
        }
        Ok(())
    }

    pub(crate) fn finish(self, out: &mut dyn Write) -> io::Result<()> {
        let [v4, v6] = self.shown;
        match (self.json, self.whole) {
            (true, whole) => {
                let end = if self.shown == [0, 0] { "" } else { "\n  " };
                write!(out, "{end}]")?;
                if whole {
                    write!(
                        out,
                        ",\n  \"ipv4PrefixCount\":{v4},\n  \"ipv6PrefixCount\":{v6}"
                    )?;
                }
                writeln!(out, "\n}}")
            }
            (false, true) => writeln!(
                out,
                "Number of IPv4 Prefixes: {v4}\nNumber of IPv6 Prefixes: {v6}"
            ),
            (false, false) => Ok(()),
        }
    }
}

/// `show rpki cache-server`.
pub(crate) fn rpki_servers(out: &mut dyn Write, caches: &[v1::RpkiCache]) -> io::Result<()> {
    for cache in caches {
        writeln!(
            out,
            "host: {} port: {}, preference: {}",
            cache.host, cache.port, cache.preference
        )?;
    }
    Ok(())
}

/// The same for programs.
pub(crate) fn rpki_servers_json(out: &mut dyn Write, caches: &[v1::RpkiCache]) -> io::Result<()> {
    let servers = caches.iter().map(|cache| Value::Object(server(cache)));
    document(out, &json!({ "servers": servers.collect::<Vec<_>>() }))
}

fn server(cache: &v1::RpkiCache) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("mode".to_owned(), json!("tcp"));
    entry.insert("host".to_owned(), json!(cache.host));
    entry.insert("port".to_owned(), json!(cache.port.to_string()));
    entry.insert("preference".to_owned(), json!(cache.preference));
    entry
}

/// The preference of the caches whose data counts.
fn group(caches: &[v1::RpkiCache]) -> Option<u32> {
    let cache = caches.iter().find(|cache| cache.in_use);
    cache.map(|cache| cache.preference)
}

/// `show rpki cache-connection`.
pub(crate) fn rpki_connections(out: &mut dyn Write, caches: &[v1::RpkiCache]) -> io::Result<()> {
    let Some(group) = group(caches) else {
        return writeln!(out, "No connection to RPKI cache server.");
    };
    writeln!(out, "Connected to group {group}")?;
    for cache in caches {
        let state = if cache.connected { " (connected)" } else { "" };
        writeln!(
            out,
            "rpki tcp cache {} {} pref {}{state}",
            cache.host, cache.port, cache.preference
        )?;
    }
    Ok(())
}

/// The same for programs, with more than FRR knows.
pub(crate) fn rpki_connections_json(
    out: &mut dyn Write,
    caches: &[v1::RpkiCache],
) -> io::Result<()> {
    let connections = caches.iter().map(|cache| {
        let mut entry = server(cache);
        let mut put = |key: &str, value: Value| entry.insert(key.to_owned(), value);
        let state = if cache.connected {
            "connected"
        } else {
            "disconnected"
        };
        put("state", json!(state));
        put("inUse", json!(cache.in_use));
        put("payloads", json!(cache.payloads));
        put("version", json!(cache.version));
        if let (Some(session), Some(serial)) = (cache.session, cache.serial) {
            put("sessionId", json!(session));
            put("serial", json!(serial));
        }
        if !cache.error.is_empty() {
            put("lastError", json!(cache.error));
        }
        Value::Object(entry)
    });
    let connections: Vec<Value> = connections.collect();
    let mut entry = Map::new();
    if let Some(group) = group(caches) {
        entry.insert("connectedGroup".to_owned(), json!(group));
    }
    if !connections.is_empty() {
        entry.insert("connections".to_owned(), Value::Array(connections));
    }
    document(out, &Value::Object(entry))
}

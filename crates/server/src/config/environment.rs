//! Keys by environment variables: `TALLYPORT_<SECTION>_<KEY>`, and two short names.

use std::ffi::OsString;

use toml::{Table, Value};

use super::ConfigError;

/// Start of the names of environment variables that set keys.
const PREFIX: &str = "TALLYPORT_";

/// Variables that the commands read themselves.
const OF_COMMANDS: [&str; 2] = ["TALLYPORT_CONFIG", "TALLYPORT_KEY"];

/// Short names of keys of section `server`.
const SHORT: [&str; 2] = ["data_dir", "listen"];

/// A key and what a variable sets it to.
#[derive(Debug)]
pub(super) struct Setting {
    pub(super) section: String,
    pub(super) key: String,
    value: Value,
}

impl Setting {
    pub(super) fn set(self, merged: &mut Table) {
        if let Some(Value::Table(table)) = merged.get_mut(&self.section) {
            table.insert(self.key, self.value);
        }
    }
}

/// The variables of this process as texts; one of ours that is none is refused.
pub fn variables() -> Result<Vec<(String, String)>, ConfigError> {
    let ours = std::env::vars_os().map(|(name, value)| (shown(name), value));
    let ours = ours.filter(|(name, _)| name.starts_with(PREFIX));
    ours.map(|(name, value)| match value.into_string() {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(ConfigError::NotText { name }),
    })
    .collect()
}

/// A name as text; one that is no UTF-8 names no key whatever stands for its bytes.
fn shown(name: OsString) -> String {
    let shown = |name: OsString| name.to_string_lossy().into_owned();
    name.into_string().unwrap_or_else(shown)
}

/// The setting that a variable stands for; none where it is not ours.
pub(super) fn setting(
    defaults: &Table,
    name: &str,
    text: &str,
) -> Result<Option<Setting>, ConfigError> {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    if OF_COMMANDS.contains(&name) || is_of_orchestrator(rest, text) {
        return Ok(None);
    }
    let unknown = || ConfigError::UnknownVariable {
        name: name.to_owned(),
    };
    let lower = rest.to_ascii_lowercase();
    let short = SHORT.contains(&lower.as_str());
    let named = short.then_some(("server", lower.as_str()));
    let (section, key) = named
        .or_else(|| lower.split_once('_'))
        .ok_or_else(unknown)?;
    let known = defaults.get(section).and_then(Value::as_table);
    let default = known.and_then(|known| known.get(key)).ok_or_else(unknown)?;
    let value = like(default, text).map_err(|expected| ConfigError::Variable {
        name: name.to_owned(),
        value: text.to_owned(),
        expected,
    })?;
    Ok(Some(Setting {
        section: section.to_owned(),
        key: key.to_owned(),
        value,
    }))
}

/// Whether a variable is one that Kubernetes and Docker set for a service whose name begins with
/// `tallyport`: `..._SERVICE_HOST`, `..._SERVICE_PORT` and URLs in `..._PORT`.
fn is_of_orchestrator(rest: &str, text: &str) -> bool {
    let is_transport = |word: &str| matches!(word, "TCP" | "UDP" | "SCTP");
    let is_number = |word: &str| word.parse::<u16>().is_ok();
    let words: Vec<&str> = rest.split('_').collect();
    let has_url = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    match words.as_slice() {
        [.., "SERVICE", "HOST"] => true,
        [.., "SERVICE", "PORT"] => is_number(text),
        [.., "PORT", port, transport, "PROTO" | "PORT" | "ADDR"]
            if is_number(port) && is_transport(transport) =>
        {
            true
        }
        [.., "PORT"] => has_url,
        [.., "PORT", port, transport] => is_number(port) && is_transport(transport) && has_url,
        words => {
            let named = words.windows(2).any(|pair| pair == ["SERVICE", "PORT"]);
            named && is_number(text)
        }
    }
}

/// Reads `text` as a value of the same type as `default`.
fn like(default: &Value, text: &str) -> Result<Value, &'static str> {
    match default {
        Value::Integer(_) => text
            .parse()
            .map(Value::Integer)
            .map_err(|_| "a whole number"),
        Value::Boolean(_) => text
            .parse()
            .map(Value::Boolean)
            .map_err(|_| "true or false"),
        Value::Array(_) => {
            let items = text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty());
            Ok(Value::Array(items.map(Value::from).collect()))
        }
        _ => Ok(Value::from(text)),
    }
}

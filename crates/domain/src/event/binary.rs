//! Data that is sent as base64: taken where JSON is inside.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use super::{Checked, RefusalCode, clip};

/// The text inside `data_base64`; none where it is null.
pub(super) fn base64_data(sent: &RawValue) -> Checked<Option<String>> {
    if sent.get() == "null" {
        return Ok(None);
    }
    let refused = |expected: &str| {
        let message = format!("data_base64 is {}: expected {expected}", clip(sent.get()));
        (RefusalCode::UnsupportedDatacontenttype, message)
    };
    let text: String = serde_json::from_str(sent.get()).map_err(|_| refused("a text in base64"))?;
    let bytes = STANDARD
        .decode(text)
        .map_err(|_| refused("base64 with padding"))?;
    let text = String::from_utf8(bytes).map_err(|_| refused("base64 of JSON"))?;
    raw(&text)
        .map(drop)
        .map_err(|_| refused("base64 of JSON"))?;
    Ok(Some(text))
}

/// A text as the JSON it is.
pub(super) fn raw(text: &str) -> Checked<&RawValue> {
    serde_json::from_str(text).map_err(|error| {
        let message = format!("data_base64 holds no JSON: {error}");
        (RefusalCode::UnsupportedDatacontenttype, message)
    })
}

/// Why an event with both forms of data is refused.
pub(super) fn two_data() -> (RefusalCode, String) {
    let message = "data and data_base64 are both there: expected one of them".to_owned();
    (RefusalCode::MalformedEvent, message)
}

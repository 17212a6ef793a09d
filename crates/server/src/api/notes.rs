//! `metadata`: what clients note on meters and subjects. Nothing is computed from it.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::error::{ApiError, ApiResult};

/// Bytes of the JSON text that is kept.
const METADATA_BYTES_MAX: usize = 16 * 1024;

/// The text to keep; none where nothing or an empty object was sent.
pub fn to_store(metadata: Option<&Map<String, Value>>) -> ApiResult<Option<String>> {
    let Some(metadata) = metadata.filter(|metadata| !metadata.is_empty()) else {
        return Ok(None);
    };
    let text = serde_json::to_string(metadata).map_err(ApiError::internal)?;
    if text.len() > METADATA_BYTES_MAX {
        let length = text.len();
        let message = format!("metadata has {length} bytes: expected at most {METADATA_BYTES_MAX}");
        return Err(ApiError::invalid(message));
    }
    Ok(Some(text))
}

/// The object that was kept.
pub fn shown(metadata: Option<String>) -> ApiResult<Option<Box<RawValue>>> {
    let shown = metadata.map(RawValue::from_string).transpose();
    shown.map_err(ApiError::internal)
}

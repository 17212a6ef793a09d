//! An array of events in JSON, read item by item.

use std::fmt;

use domain::limits::MALFORMED_EVENTS_MAX;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::batch::Checked;
use crate::error::{ApiError, ApiResult};

/// Checks every item. An array with too many malformed ones is refused before they fill the memory.
pub(super) fn checked(
    text: &str,
    check: impl FnMut(&RawValue) -> Checked,
) -> ApiResult<Vec<Checked>> {
    let mut items = Items {
        check,
        all: Vec::new(),
        malformed: 0,
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    let parsed = parser
        .deserialize_seq(&mut items)
        .and_then(|()| parser.end());
    if items.malformed > MALFORMED_EVENTS_MAX {
        let message = format!(
            "the body has more than {MALFORMED_EVENTS_MAX} malformed events: expected events of \
             CloudEvents 1.0; nothing is stored"
        );
        return Err(ApiError::invalid(message));
    }
    parsed.map_err(|error| ApiError::invalid(format!("the body is no JSON: {error}")))?;
    Ok(items.all)
}

struct Items<F> {
    check: F,
    all: Vec<Checked>,
    malformed: usize,
}

impl<'de, F: FnMut(&RawValue) -> Checked> Visitor<'de> for &mut Items<F> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while let Some(item) = sequence.next_element::<&RawValue>()? {
            let checked = (self.check)(item);
            self.malformed += usize::from(checked.is_err());
            self.all.push(checked);
            if self.malformed > MALFORMED_EVENTS_MAX {
                return Err(A::Error::custom("too many malformed events"));
            }
        }
        Ok(())
    }
}

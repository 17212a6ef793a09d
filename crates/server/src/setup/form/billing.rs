//! Billing anchors as a setup file writes them: one, or several by time.

use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Moment;

/// When billing periods start, from a time on; what is left out is the parent's at each time.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BillingForm {
    /// `monthly` or `annual`.
    #[serde(default)]
    pub period: Option<String>,
    /// Day of the month they start on.
    #[serde(default)]
    pub anchor_day: Option<u8>,
    /// Month of the year annual ones start in.
    #[serde(default)]
    pub anchor_month: Option<u8>,
    /// From when on; the beginning of time unless given.
    #[serde(default)]
    pub since: Option<Moment>,
}

/// Reads one entry, or a list of them.
pub(super) fn one_or_several<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<BillingForm>>, D::Error> {
    deserializer.deserialize_any(Entries).map(Some)
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<BillingForm>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("{period, anchorDay, anchorMonth, since} or a list of these")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        BillingForm::deserialize(MapAccessDeserializer::new(map)).map(|one| vec![one])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(seq))
    }
}

//! Changes of meters: each makes a new version from a date on.

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::ids::{AccountId, MeterId};
use domain::limits::{
    ATTRIBUTE_BYTES_MAX, FILTER_VALUES_MAX, FILTERS_MAX, GROUP_BY_MAX, NAME_CHARS_MAX,
    SLUG_CHARS_MAX,
};
use domain::meter::Meter;
use domain::number::NumberRule;
use domain::range::TimeRange;

use crate::account;
use crate::check;
use crate::checksum::METER_VERSIONS;
use crate::database::{json, micros, sql, word};
use crate::error::{Error, Result};
use crate::meter::MeterRecord;
use crate::revision::Change;

impl Change {
    /// Creates a meter in an account; `valid.start` says from when it reads.
    pub async fn insert_meter(&mut self, account: AccountId, meter: &Meter) -> Result<()> {
        check_meter(meter)?;
        check_texts(meter, None)?;
        account::must_exist(&mut self.transaction, account).await?;
        let statement = sql("INSERT INTO meters (id, account_id, created_at, updated_at)
             VALUES ($1, $2, $3, $3)")
        .bind(meter.id)
        .bind(account)
        .bind(self.now);
        self.run(statement).await?;
        self.insert_meter_version(account, meter).await
    }

    /// Makes a new version of a meter from its `valid.start` on; an equal one changes nothing.
    ///
    /// Refused when it can no longer be rated and a rate prices it.
    pub async fn put_meter(&mut self, account: AccountId, meter: &Meter) -> Result<()> {
        check_meter(meter)?;
        let current = self.known_meter(account, meter.id).await?;
        check_texts(meter, Some(&current.meter))?;
        let later = self
            .meter_versions(account, meter.id, meter.valid.start)
            .await?;
        let same = |version: &Meter| {
            Meter {
                valid: meter.valid,
                ..version.clone()
            } == *meter
        };
        let covered = later.last().is_some_and(|last| last.valid.end.is_none());
        if covered && later.iter().all(same) && starts_by(&later, meter.valid.start) {
            return Ok(());
        }
        if !meter.rule.aggregation.is_rateable() && self.is_rated(account, meter.id).await? {
            return Err(Error::NotRateable {
                slug: meter.slug.clone(),
            });
        }
        self.cut_meter(account, meter.id, meter.valid.start).await?;
        self.insert_meter_version(account, meter).await?;
        self.touch_meter(account, meter.id).await
    }

    /// Ends a meter at `at`; its slug is free again.
    ///
    /// The newest version holds for a microsecond at least.
    pub async fn archive_meter(
        &mut self,
        account: AccountId,
        id: MeterId,
        at: Timestamp,
    ) -> Result<()> {
        let current = self.known_meter(account, id).await?;
        let valid = current.meter.valid;
        if valid.end.is_some_and(|end| end <= at) {
            return Ok(());
        }
        let least = valid
            .start
            .and_then(|start| Timestamp::from_microsecond(start.as_microsecond() + 1).ok());
        let since = least.map_or(at, |least| least.max(at));
        self.cut_meter(account, id, Some(since)).await?;
        self.touch_meter(account, id).await
    }

    /// Replaces what clients note on a meter: a JSON object, or nothing.
    pub async fn put_meter_metadata(
        &mut self,
        account: AccountId,
        id: MeterId,
        metadata: Option<&str>,
    ) -> Result<()> {
        self.known_meter(account, id).await?;
        let statement = sql("UPDATE meters SET metadata = $3, updated_at = $4
             WHERE account_id = $1 AND id = $2")
        .bind(account)
        .bind(id)
        .bind(metadata)
        .bind(self.now);
        self.run(statement).await.map(drop)
    }

    /// The meter, or the error that there is none.
    pub(crate) async fn known_meter(
        &mut self,
        account: AccountId,
        id: MeterId,
    ) -> Result<MeterRecord> {
        let found = self.find_meter(account, id).await?;
        found.ok_or_else(|| Error::not_found("meter", id))
    }

    async fn is_rated(&mut self, account: AccountId, id: MeterId) -> Result<bool> {
        let statement = sql("SELECT rate_id FROM rate_versions
             WHERE account_id = $1 AND meter_id = $2 AND ended_revision IS NULL LIMIT 1")
        .bind(account)
        .bind(id);
        Ok(self.transaction.one(statement).await?.is_some())
    }

    async fn touch_meter(&mut self, account: AccountId, id: MeterId) -> Result<()> {
        let statement = sql("UPDATE meters SET updated_at = $3 WHERE account_id = $1 AND id = $2")
            .bind(account)
            .bind(id)
            .bind(self.now);
        self.run(statement).await.map(drop)
    }

    /// Ends what holds from `since` on; what held before it is written again up to there.
    async fn cut_meter(
        &mut self,
        account: AccountId,
        id: MeterId,
        since: Option<Timestamp>,
    ) -> Result<()> {
        let since = since.map_or(i64::MIN, Timestamp::as_microsecond);
        self.cut(&METER_VERSIONS, vec![account.into(), id.into()], since)
            .await
    }

    async fn insert_meter_version(&mut self, account: AccountId, meter: &Meter) -> Result<()> {
        let (valid_from, valid_to) = micros(&meter.valid);
        let rule = &meter.rule;
        let value_property = rule.value_property.as_ref();
        let values = vec![
            meter.id.into(),
            account.into(),
            (&meter.slug).into(),
            (&meter.name).into(),
            (&meter.description).into(),
            (&meter.service).into(),
            (&meter.category).into(),
            (&meter.feature).into(),
            (&meter.unit).into(),
            (&rule.event_type).into(),
            word(&rule.aggregation).into(),
            value_property.map(ToString::to_string).into(),
            json(&rule.filters).into(),
            json(&meter.group_by).into(),
            (&meter.scalar.name).into(),
            meter.scalar.factor.into(),
            (&meter.scalar.metric_category).into(),
            meter.job_level.as_ref().map(word).into(),
            meter.zero_rows.into(),
            number_rule(rule.numbers).into(),
            valid_from.into(),
            valid_to.into(),
        ];
        self.put(&METER_VERSIONS, values).await
    }
}

/// The rule for numbers as it is stored: none for the first, which had no column.
fn number_rule(rule: NumberRule) -> Option<u32> {
    (rule != NumberRule::Spelling).then(|| rule.into())
}

/// Whether versions, in order, hold from `since` on at the latest.
fn starts_by(versions: &[Meter], since: Option<Timestamp>) -> bool {
    versions
        .first()
        .is_some_and(|first| first.valid.start <= since)
}

fn check_meter(meter: &Meter) -> Result<()> {
    check::chars("slug", &meter.slug, 1, SLUG_CHARS_MAX)?;
    let fits =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-".contains(&byte);
    if !meter.slug.bytes().all(fits) {
        let reason = format!("is {:?}: expected a-z, 0-9, _ and -", meter.slug);
        return Err(Error::invalid("slug", reason));
    }
    if meter.scalar.factor == 0 || i64::try_from(meter.scalar.factor).is_err() {
        return Err(Error::invalid("scalar.factor", "expected 1 to 2^63 - 1"));
    }
    if meter.valid.end.is_some() || TimeRange::is_empty(&meter.valid) {
        return Err(Error::invalid(
            "valid.end",
            "a meter ends by being archived",
        ));
    }
    check_rule(meter)
}

/// Checks the texts for people; those that stay as they are were written by a release that took
/// them.
fn check_texts(meter: &Meter, before: Option<&Meter>) -> Result<()> {
    if before.is_none_or(|before| before.name != meter.name) {
        check::name("name", &meter.name)?;
    }
    check::echo("description", &meter.description)?;
    let description = before.map(|before| before.description.as_str());
    let most = meter.description.len();
    check::rewritten("description", &meter.description, description, most)?;
    let texts = |meter: &Meter| {
        [
            ("service", meter.service.clone()),
            ("category", meter.category.clone()),
            ("feature", meter.feature.clone()),
            ("unit", meter.unit.clone()),
            ("scalar.name", meter.scalar.name.clone()),
            (
                "scalar.metricCategory",
                meter.scalar.metric_category.clone(),
            ),
        ]
    };
    let before = before.map(texts);
    for (index, (field, text)) in texts(meter).into_iter().enumerate() {
        let before = before.as_ref().and_then(|texts| texts.get(index));
        let before = before.map(|(_, text)| text.as_str());
        check::rewritten(field, &text, before, NAME_CHARS_MAX)?;
    }
    Ok(())
}

fn check_rule(meter: &Meter) -> Result<()> {
    let rule = &meter.rule;
    check::echo("eventType", &rule.event_type)?;
    if !(1..=ATTRIBUTE_BYTES_MAX).contains(&rule.event_type.len()) {
        let reason = format!("expected 1 to {ATTRIBUTE_BYTES_MAX} bytes");
        return Err(Error::invalid("eventType", reason));
    }
    if rule.value_property.is_none() && rule.aggregation != Aggregation::Count {
        return Err(Error::invalid("valueProperty", "only COUNT does without"));
    }
    if rule.filters.len() > FILTERS_MAX {
        let reason = format!("expected at most {FILTERS_MAX}");
        return Err(Error::invalid("filters", reason));
    }
    for filter in &rule.filters {
        if !(1..=FILTER_VALUES_MAX).contains(&filter.values.len()) {
            let reason = format!("expected 1 to {FILTER_VALUES_MAX} values");
            return Err(Error::invalid("filters", reason));
        }
    }
    if meter.group_by.len() > GROUP_BY_MAX {
        let reason = format!("expected at most {GROUP_BY_MAX}");
        return Err(Error::invalid("groupBy", reason));
    }
    Ok(())
}

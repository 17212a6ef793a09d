//! Changes of rates: each makes a new version for a time.

use domain::Timestamp;
use domain::ids::{AccountId, RateId};
use domain::limits::{NAME_CHARS_MAX, TIERS_MAX};
use domain::quantity::Quantity;
use domain::rate::{Rate, RateKind};

use crate::check;
use crate::checksum::RATE_VERSIONS;
use crate::database::{json, micros, sql, stored_range, word};
use crate::error::{Error, Result};
use crate::rate::RateRecord;
use crate::revision::Change;

impl Change {
    /// Creates a rate in an account, for the time `valid` says.
    ///
    /// Refused when another rate of its kind prices the same meter for the same organization in
    /// that time, and for AVG and MIN meters.
    pub async fn insert_rate(&mut self, account: AccountId, rate: &Rate) -> Result<()> {
        check_texts(rate, None)?;
        self.check_rate(account, rate).await?;
        let statement = sql("INSERT INTO rates (id, account_id, created_at, updated_at)
             VALUES ($1, $2, $3, $3)")
        .bind(rate.id)
        .bind(account)
        .bind(self.now);
        self.run(statement).await?;
        self.insert_rate_version(account, rate).await
    }

    /// Makes a new version of a rate for the time `valid` says and drops what lay after its start.
    ///
    /// An equal one changes nothing.
    pub async fn put_rate(&mut self, rate: &Rate) -> Result<()> {
        let current = self.known_rate(rate.id).await?;
        let same = Rate {
            valid: stored_range(&rate.valid),
            ..rate.clone()
        };
        if current.rate == same {
            return Ok(());
        }
        check_texts(rate, Some(&current.rate))?;
        self.check_rate(current.account, rate).await?;
        self.cut_rate(rate.id, rate.valid.start).await?;
        self.insert_rate_version(current.account, rate).await?;
        self.touch_rate(rate.id).await
    }

    /// Ends a rate at `at`; its newest version holds for a microsecond at least.
    pub async fn end_rate(&mut self, id: RateId, at: Timestamp) -> Result<()> {
        let valid = self.known_rate(id).await?.rate.valid;
        if valid.end.is_some_and(|end| end <= at) {
            return Ok(());
        }
        let least = valid
            .start
            .and_then(|start| Timestamp::from_microsecond(start.as_microsecond() + 1).ok());
        self.cut_rate(id, Some(least.map_or(at, |least| least.max(at))))
            .await?;
        self.touch_rate(id).await
    }

    async fn known_rate(&mut self, id: RateId) -> Result<RateRecord> {
        let found = self.find_rate(id).await?;
        found.ok_or_else(|| Error::not_found("rate", id))
    }

    async fn check_rate(&mut self, account: AccountId, rate: &Rate) -> Result<()> {
        check_fields(rate)?;
        self.known_meter(account, rate.meter).await?;
        if let Some(organization) = rate.organization
            && self.known_organization(organization).await?.account != account
        {
            return Err(Error::not_found("organization", organization));
        }
        let since = rate.valid.start;
        for version in self.meter_versions(account, rate.meter, since).await? {
            let shared = version.valid.intersect(&rate.valid);
            if !version.rule.aggregation.is_rateable() && !shared.is_empty() {
                return Err(Error::NotRateable { slug: version.slug });
            }
        }
        match self.find_overlap(account, rate).await? {
            Some(other) => Err(Error::RateOverlap { rate: other }),
            None => Ok(()),
        }
    }

    /// Another rate that would price the same usage.
    async fn find_overlap(&mut self, account: AccountId, rate: &Rate) -> Result<Option<RateId>> {
        let (valid_from, valid_to) = micros(&rate.valid);
        let statement = sql("SELECT rate_id FROM rate_versions
             WHERE account_id = $1 AND meter_id = $2 AND kind = $3
                 AND coalesce(organization_id, '') = $4
                 AND rate_id <> $5 AND ended_revision IS NULL
                 AND valid_from < $7 AND valid_to > $6
             ORDER BY valid_from LIMIT 1")
        .bind(account)
        .bind(rate.meter)
        .bind(word(&rate.kind))
        .bind(rate.organization.map_or(String::new(), |id| id.to_string()))
        .bind(rate.id)
        .bind(valid_from)
        .bind(valid_to);
        let row = self.transaction.one(statement).await?;
        row.map(|row| row.get("rate_id")).transpose()
    }

    async fn touch_rate(&mut self, id: RateId) -> Result<()> {
        let statement = sql("UPDATE rates SET updated_at = $2 WHERE id = $1")
            .bind(id)
            .bind(self.now);
        self.run(statement).await.map(drop)
    }

    /// Ends what holds from `since` on; what held before it is written again up to there.
    async fn cut_rate(&mut self, id: RateId, since: Option<Timestamp>) -> Result<()> {
        let since = since.map_or(i64::MIN, Timestamp::as_microsecond);
        self.cut(&RATE_VERSIONS, vec![id.into()], since).await
    }

    async fn insert_rate_version(&mut self, account: AccountId, rate: &Rate) -> Result<()> {
        let (valid_from, valid_to) = micros(&rate.valid);
        let values = vec![
            rate.id.into(),
            account.into(),
            rate.meter.into(),
            rate.organization.into(),
            word(&rate.kind).into(),
            rate.per.into(),
            (&rate.unit).into(),
            json(&rate.tiers).into(),
            rate.allowance.into(),
            rate.billable.into(),
            rate.list_price.into(),
            rate.subscription_id.as_ref().into(),
            rate.charge_number.as_ref().into(),
            rate.currency.as_ref().into(),
            valid_from.into(),
            valid_to.into(),
        ];
        self.put(&RATE_VERSIONS, values).await
    }
}

/// Checks the texts for people; those that stay as they are were written by a release that took
/// them.
fn check_texts(rate: &Rate, before: Option<&Rate>) -> Result<()> {
    let unit = before.map(|before| before.unit.as_str());
    check::rewritten("unit", &rate.unit, unit, NAME_CHARS_MAX)?;
    let texts = [
        (
            "subscriptionId",
            &rate.subscription_id,
            before.and_then(|before| before.subscription_id.as_ref()),
        ),
        (
            "chargeNumber",
            &rate.charge_number,
            before.and_then(|before| before.charge_number.as_ref()),
        ),
    ];
    for (field, text, before) in texts {
        if let Some(text) = text.as_ref().filter(|text| before != Some(*text)) {
            check::name(field, text)?;
        }
    }
    Ok(())
}

fn check_fields(rate: &Rate) -> Result<()> {
    if stored_range(&rate.valid).is_empty() {
        return Err(Error::invalid("valid", "ends before it starts"));
    }
    if rate.per == 0 || i64::try_from(rate.per).is_err() {
        return Err(Error::invalid("per", "expected 1 to 2^63 - 1"));
    }
    match (rate.kind, &rate.currency) {
        (RateKind::Money, Some(currency)) => check::currency(currency)?,
        (RateKind::Money, None) => {
            return Err(Error::invalid("currency", "a money rate needs one"));
        }
        (RateKind::Ipu, Some(_)) => {
            return Err(Error::invalid("currency", "an ipu rate has none"));
        }
        (RateKind::Ipu, None) => {}
    }
    if rate.allowance < Quantity::ZERO {
        return Err(Error::invalid("allowance", "expected zero or more"));
    }
    check_tiers(rate)
}

fn check_tiers(rate: &Rate) -> Result<()> {
    if !(1..=TIERS_MAX).contains(&rate.tiers.len()) {
        let reason = format!("has {}: expected 1 to {TIERS_MAX}", rate.tiers.len());
        return Err(Error::invalid("tiers", reason));
    }
    let mut border = Some(Quantity::ZERO);
    for tier in &rate.tiers {
        let Some(below) = border else {
            return Err(Error::invalid("tiers", "only the last one is open"));
        };
        if tier.up_to.is_some_and(|bound| bound <= below) {
            return Err(Error::invalid(
                "tiers",
                "expected ascending bounds above zero",
            ));
        }
        border = tier.up_to;
    }
    match border {
        None => Ok(()),
        Some(_) => Err(Error::invalid("tiers", "the last one must be open")),
    }
}

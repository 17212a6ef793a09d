//! Rates as they are now: by id and all of an account.

use domain::ids::RateId;
use domain::rate::Rate;

use crate::checksum::RATE_VERSIONS;
use crate::database::{Access, Pools, Row, sql};
use crate::error::Result;
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::rate::RateRecord;
use crate::revision::Change;
use crate::snapshot::{ControlSnapshot, Range};

/// Selects rates with their newest version.
macro_rules! newest {
    ($rest:literal) => {
        concat!(
            "SELECT r.created_at, r.updated_at, v.* FROM rates r
             JOIN rate_versions v ON v.rate_id = r.id AND v.ended_revision IS NULL
                 AND v.valid_from = (SELECT max(l.valid_from) FROM rate_versions l
                     WHERE l.rate_id = r.id AND l.ended_revision IS NULL) ",
            $rest
        )
    };
}

impl Metadata {
    /// The rate with this id, ended or not.
    pub async fn find_rate(&self, id: RateId) -> Result<Option<RateRecord>> {
        find(&mut self.database.read(), id).await
    }

    /// The rates of the snapshot's account, ended ones too, by id; refused when one of the
    /// snapshot's is missing.
    pub async fn list_rates(
        &self,
        control: &ControlSnapshot,
        page: &PageRequest,
    ) -> Result<Page<RateRecord>> {
        let account = control.account();
        let page = page.of("rates", vec![account.into()])?;
        let statement = sql(newest!(
            "WHERE r.account_id = $1 AND ($2 IS NULL OR r.id > $2) ORDER BY r.id LIMIT $3"
        ))
        .bind(account)
        .bind(page.after())
        .bind(page.rows());
        let rows = self.database.read().all(statement).await?;
        let records: Vec<_> = rows.iter().map(record_of).collect::<Result<_>>()?;
        let range = Range {
            after: page.after(),
            is_last: !page.is_more(records.len()),
            is_by_byte: matches!(self.database.pools, Pools::Sqlite { .. }),
        };
        let records = control.confirm_list(records, &range)?;
        Ok(page.cut(records, |record: &RateRecord| record.rate.id.to_string()))
    }
}

impl Change {
    /// The rate as this change sees it.
    pub async fn find_rate(&mut self, id: RateId) -> Result<Option<RateRecord>> {
        find(&mut self.transaction.access(), id).await
    }
}

async fn find(access: &mut Access<'_>, id: RateId) -> Result<Option<RateRecord>> {
    let row = access.one(sql(newest!("WHERE r.id = $1")).bind(id)).await?;
    row.as_ref().map(record_of).transpose()
}

fn record_of(row: &Row) -> Result<RateRecord> {
    Ok(RateRecord {
        account: row.get("account_id")?,
        rate: rate_of(row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        revision: row.get("revision")?,
    })
}

/// The version in a row of `rate_versions`, when it is sound.
pub(crate) fn rate_of(row: &Row) -> Result<Rate> {
    RATE_VERSIONS.check(row)?;
    Ok(Rate {
        id: row.get("rate_id")?,
        meter: row.get("meter_id")?,
        organization: row.maybe("organization_id")?,
        kind: row.word("kind")?,
        valid: row.valid()?,
        per: row.get("per_units")?,
        unit: row.get("unit")?,
        tiers: row.json("tiers")?,
        allowance: row.get("allowance")?,
        billable: row.get("billable")?,
        list_price: row.maybe("list_price")?,
        subscription_id: row.maybe("subscription_id")?,
        charge_number: row.maybe("charge_number")?,
        currency: row.maybe("currency")?,
    })
}

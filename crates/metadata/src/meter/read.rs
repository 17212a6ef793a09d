//! Meters as they are now: by id, by slug, and all of an account.

use domain::Timestamp;
use domain::ids::{AccountId, MeterId};
use domain::meter::{Meter, ReadingRule, Scalar};
use domain::number::NumberRule;

use crate::checksum::METER_VERSIONS;
use crate::database::{Access, Pools, Row, Statement, sql};
use crate::error::Result;
use crate::meter::{MeterList, MeterOrder, MeterRecord};
use crate::open::Metadata;
use crate::page::{Page, PageRequest};
use crate::revision::Change;
use crate::snapshot::{ControlSnapshot, Range};

/// Selects meters with their newest version.
macro_rules! newest {
    ($rest:literal) => {
        concat!(
            "SELECT m.created_at, m.updated_at, m.metadata, v.* FROM meters m
             JOIN meter_versions v ON v.account_id = m.account_id AND v.meter_id = m.id
                 AND v.ended_revision IS NULL
                 AND v.valid_from = (SELECT max(l.valid_from) FROM meter_versions l
                     WHERE l.account_id = m.account_id AND l.meter_id = m.id
                         AND l.ended_revision IS NULL) ",
            $rest
        )
    };
}

/// Selects a part of an account's meters, ordered up or down.
macro_rules! ordered {
    ($direction:literal) => {
        concat!(
            "SELECT m.created_at, m.updated_at, m.metadata, v.* FROM meters m
             JOIN meter_versions v ON v.account_id = m.account_id AND v.meter_id = m.id
                 AND v.ended_revision IS NULL
                 AND v.valid_from = (SELECT max(l.valid_from) FROM meter_versions l
                     WHERE l.account_id = m.account_id AND l.meter_id = m.id
                         AND l.ended_revision IS NULL)
             WHERE m.account_id = $1 AND v.valid_to > $2
             ORDER BY
                 CASE $3 WHEN 'slug' THEN v.slug WHEN 'name' THEN v.name
                     WHEN 'aggregation' THEN v.aggregation ELSE '' END ",
            $direction,
            ", CASE $3 WHEN 'created' THEN m.created_at WHEN 'updated' THEN m.updated_at
                     ELSE 0 END ",
            $direction,
            ", m.id ",
            $direction,
            " LIMIT $4 OFFSET $5"
        )
    };
}

/// The order as the statement knows it.
fn word_of(order: MeterOrder) -> &'static str {
    match order {
        MeterOrder::Slug => "slug",
        MeterOrder::Name => "name",
        MeterOrder::Aggregation => "aggregation",
        MeterOrder::Created => "created",
        MeterOrder::Updated => "updated",
    }
}

impl Metadata {
    /// The meter of an account with this id, archived or not.
    pub async fn find_meter(&self, account: AccountId, id: MeterId) -> Result<Option<MeterRecord>> {
        find(&mut self.database.read(), account, id).await
    }

    /// The live meter of an account with this slug.
    pub async fn find_meter_by_slug(
        &self,
        account: AccountId,
        slug: &str,
    ) -> Result<Option<MeterRecord>> {
        let statement = sql(newest!(
            "WHERE m.account_id = $1 AND v.slug = $2 AND v.valid_to = 9223372036854775807"
        ));
        let statement = statement.bind(account).bind(slug);
        one(&mut self.database.read(), statement).await
    }

    /// The meters of the snapshot's account, archived ones too, by id; refused when one of the
    /// snapshot's is missing.
    pub async fn list_meters(
        &self,
        control: &ControlSnapshot,
        page: &PageRequest,
    ) -> Result<Page<MeterRecord>> {
        let account = control.account();
        let page = page.of("meters", vec![account.into()])?;
        let statement = sql(newest!(
            "WHERE m.account_id = $1 AND ($2 IS NULL OR m.id > $2) ORDER BY m.id LIMIT $3"
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
        Ok(page.cut(records, |record: &MeterRecord| record.meter.id.to_string()))
    }

    /// A part of the meters of an account, in an order.
    pub async fn list_meters_in_order(
        &self,
        account: AccountId,
        list: MeterList,
    ) -> Result<Vec<MeterRecord>> {
        let live_at = list.live_at.map_or(i64::MIN, Timestamp::as_microsecond);
        let ordered = if list.descending {
            sql(ordered!("DESC"))
        } else {
            sql(ordered!("ASC"))
        };
        let statement = ordered
            .bind(account)
            .bind(live_at)
            .bind(word_of(list.order))
            .bind(list.limit)
            .bind(list.offset);
        let rows = self.database.read().all(statement).await?;
        rows.iter().map(record_of).collect()
    }
}

impl Change {
    /// The meter as this change sees it.
    pub async fn find_meter(
        &mut self,
        account: AccountId,
        id: MeterId,
    ) -> Result<Option<MeterRecord>> {
        find(&mut self.transaction.access(), account, id).await
    }

    /// All live versions of a meter from an instant on.
    pub(crate) async fn meter_versions(
        &mut self,
        account: AccountId,
        id: MeterId,
        since: Option<Timestamp>,
    ) -> Result<Vec<Meter>> {
        let since = since.map_or(i64::MIN, Timestamp::as_microsecond);
        let statement = sql("SELECT * FROM meter_versions
             WHERE account_id = $1 AND meter_id = $2 AND ended_revision IS NULL AND valid_to > $3
             ORDER BY valid_from")
        .bind(account)
        .bind(id)
        .bind(since);
        let rows = self.transaction.all(statement).await?;
        rows.iter().map(meter_of).collect()
    }
}

async fn find(
    access: &mut Access<'_>,
    account: AccountId,
    id: MeterId,
) -> Result<Option<MeterRecord>> {
    let statement = sql(newest!("WHERE m.account_id = $1 AND m.id = $2"));
    one(access, statement.bind(account).bind(id)).await
}

async fn one(access: &mut Access<'_>, statement: Statement) -> Result<Option<MeterRecord>> {
    let row = access.one(statement).await?;
    row.as_ref().map(record_of).transpose()
}

fn record_of(row: &Row) -> Result<MeterRecord> {
    Ok(MeterRecord {
        account: row.get("account_id")?,
        meter: meter_of(row)?,
        created_at: row.get("created_at")?,
        updated_at: row.get("updated_at")?,
        revision: row.get("revision")?,
        metadata: row.maybe("metadata")?,
    })
}

/// The version in a row of `meter_versions`, when it is sound.
pub(crate) fn meter_of(row: &Row) -> Result<Meter> {
    METER_VERSIONS.check(row)?;
    Ok(Meter {
        id: row.get("meter_id")?,
        slug: row.get("slug")?,
        name: row.get("name")?,
        description: row.get("description")?,
        service: row.get("service")?,
        category: row.get("category")?,
        feature: row.get("feature")?,
        unit: row.get("unit")?,
        rule: ReadingRule {
            event_type: row.get("event_type")?,
            filters: row.json("filters")?,
            value_property: row.maybe("value_property")?,
            aggregation: row.word("aggregation")?,
            numbers: row.maybe("number_rule")?.unwrap_or(NumberRule::Spelling),
        },
        group_by: row.json("group_by")?,
        scalar: Scalar {
            name: row.get("scalar_name")?,
            factor: row.get("scalar_factor")?,
            metric_category: row.get("metric_category")?,
        },
        job_level: row.maybe_word("job_level")?,
        zero_rows: row.get("zero_rows")?,
        valid: row.valid()?,
    })
}

//! Comparing what is read row by row with a snapshot, whose rows are known to be complete: an index
//! that hides a row, or the newest version of one, does not shorten a list.

use domain::ids::{MeterId, RateId};
use domain::meter::Meter;
use domain::rate::Rate;

use crate::error::{Error, Result};
use crate::meter::MeterRecord;
use crate::rate::RateRecord;
use crate::snapshot::ControlSnapshot;

/// What has versions, of which the newest is listed.
pub(crate) trait Listed {
    /// Its versions in a snapshot.
    type Version: PartialEq;
    /// The table of its versions.
    const TABLE: &'static str;

    /// The version, and the revision that wrote it.
    fn version(&self) -> (&Self::Version, u64);
    /// Its id.
    fn id(version: &Self::Version) -> &str;
    /// All versions in a snapshot, by id and start.
    fn known(control: &ControlSnapshot) -> Result<&[Self::Version]>;
}

/// Which items of a list were read.
pub(crate) struct Range<'r> {
    /// The id the first ones come after.
    pub(crate) after: Option<&'r str>,
    /// Whether there are none behind them.
    pub(crate) is_last: bool,
    /// Whether they come in the order of the bytes of their ids.
    pub(crate) is_by_byte: bool,
}

impl ControlSnapshot {
    /// The newest version of a rate that was read now, unless it is older than what is known.
    pub fn confirm_rate(
        &self,
        id: RateId,
        found: Option<RateRecord>,
    ) -> Result<Option<RateRecord>> {
        self.confirm(id.as_str(), found)
    }

    /// The newest version of a meter that was read now, unless it is older than what is known.
    pub fn confirm_meter(
        &self,
        id: MeterId,
        found: Option<MeterRecord>,
    ) -> Result<Option<MeterRecord>> {
        self.confirm(id.as_str(), found)
    }

    fn confirm<T: Listed>(&self, id: &str, found: Option<T>) -> Result<Option<T>> {
        let known = T::known(self)?;
        let after = known.partition_point(|version| T::id(version) <= id);
        let newest = after.checked_sub(1).map(|index| &known[index]);
        let newest = newest.filter(|version| T::id(version) == id);
        let fits = match (newest, found.as_ref().map(T::version)) {
            (None, None) => true,
            (Some(_), None) => false,
            (newest, Some((version, revision))) => {
                revision > self.revision() || newest == Some(version)
            }
        };
        if fits {
            Ok(found)
        } else {
            Err(hidden::<T>(id))
        }
    }

    /// Refuses a part of a list that leaves out what the snapshot has.
    pub(crate) fn confirm_list<T: Listed>(
        &self,
        found: Vec<T>,
        range: &Range<'_>,
    ) -> Result<Vec<T>> {
        let known = T::known(self)?;
        let ids = found.iter().map(|item| T::id(item.version().0));
        let ids: std::collections::BTreeSet<_> = ids.collect();
        let last = ids.last().copied();
        let within = |id: &str| {
            if !range.is_by_byte {
                return range.after.is_none() && range.is_last;
            }
            range.after.is_none_or(|after| id > after)
                && (range.is_last || last.is_some_and(|last| id <= last))
        };
        let mut known = known.iter().map(T::id);
        if let Some(id) = known.find(|id| within(id) && !ids.contains(id)) {
            return Err(hidden::<T>(id));
        }
        let confirmed = found.into_iter().map(|item| {
            let id = T::id(item.version().0).to_owned();
            self.confirm(&id, Some(item))
        });
        confirmed.filter_map(Result::transpose).collect()
    }
}

fn hidden<T: Listed>(id: &str) -> Error {
    Error::DamagedRow {
        table: T::TABLE,
        row: format!("id {id:?}"),
    }
}

impl Listed for RateRecord {
    type Version = Rate;
    const TABLE: &'static str = "rate_versions";

    fn version(&self) -> (&Rate, u64) {
        (&self.rate, self.revision)
    }

    fn id(version: &Rate) -> &str {
        version.id.as_str()
    }

    fn known(control: &ControlSnapshot) -> Result<&[Rate]> {
        control.rates()
    }
}

impl Listed for MeterRecord {
    type Version = Meter;
    const TABLE: &'static str = "meter_versions";

    fn version(&self) -> (&Meter, u64) {
        (&self.meter, self.revision)
    }

    fn id(version: &Meter) -> &str {
        version.id.as_str()
    }

    fn known(control: &ControlSnapshot) -> Result<&[Meter]> {
        control.meters()
    }
}

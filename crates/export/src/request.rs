//! A job's row and the control data of its revision, in the words of plans.

use domain::Timestamp;
use domain::billing::{BillingCycle, CycleLength};
use domain::export::{
    AsOf, Control, ExportKind, ExportRequest, LAYOUT_VERSION, Organization, OrganizationVersion,
    Parameters, utc_date,
};
use jiff::civil::Date;
use metadata::{BillingPeriod, Claimed, ControlSnapshot, ExportSource, NewExport, Pins};

use crate::archive::ARCHIVE_FORMAT;
use crate::error::{Error, Result};

/// The versions this release makes, at a watermark.
pub fn pins(as_of: AsOf) -> Pins {
    Pins {
        as_of,
        layout_version: LAYOUT_VERSION,
        archive_version: ARCHIVE_FORMAT,
    }
}

/// What a job asks for; refuses kinds this release does not make.
pub fn request(claimed: &Claimed) -> Result<ExportRequest> {
    let new = &claimed.export.request;
    Ok(ExportRequest {
        kind: kind(new)?,
        requester: new.organization,
        first: day("startDate", &new.start)?,
        last: day("endDate", &new.end)?,
        parameters: parameters(new)?,
    })
}

/// The choices of our own API kept with a job, the default where there are none.
pub fn parameters(new: &NewExport) -> Result<Parameters> {
    let stored = new.parameters.as_deref();
    let read = stored.map_or(Some(Parameters::default()), Parameters::from_json);
    read.ok_or(Error::Parameters)
}

/// The vendor's door gives assets and jobs of the requester alone, in one file each, whatever its
/// other fields say.
fn kind(new: &NewExport) -> Result<ExportKind> {
    let is_own = new.source == ExportSource::Own;
    let (linked, combined) = (is_own && new.all_linked_orgs, is_own && new.combined);
    Ok(match (new.kind, new.meter) {
        (metadata::ExportKind::Summary, _) => ExportKind::Summary {
            linked: new.all_linked_orgs,
            combined: new.combined,
        },
        (metadata::ExportKind::SummaryAllLinked, _) => ExportKind::Summary {
            linked: true,
            combined: new.combined,
        },
        (metadata::ExportKind::ProjectFolder, _) => ExportKind::ProjectFolder {
            linked: new.all_linked_orgs,
            combined: new.combined,
        },
        (metadata::ExportKind::Asset, meter) => ExportKind::Asset {
            meter,
            linked,
            combined,
        },
        (metadata::ExportKind::Usage, _) => ExportKind::Usage {
            linked: new.all_linked_orgs,
            combined: new.combined,
        },
        (metadata::ExportKind::JobLevel, meter) if is_own || new.all_meters || meter.is_some() => {
            ExportKind::JobLevel {
                meter: meter.filter(|_| !new.all_meters),
                linked,
            }
        }
        (kind, _) => {
            let kind = kind.as_str();
            return Err(Error::Unsupported { kind });
        }
    })
}

/// The UTC day of an instant as sent; a time without an offset is UTC.
fn day(field: &'static str, text: &str) -> Result<Date> {
    let instant = text.parse::<Timestamp>().map(utc_date);
    let refused = |_| Error::Date {
        field,
        text: text.chars().take(64).collect(),
    };
    instant.or_else(|_| text.parse::<Date>()).map_err(refused)
}

/// Control data as plans see it; an error where a meter or a rate is damaged.
pub fn control(snapshot: &ControlSnapshot) -> Result<Control> {
    let organization = |each: &metadata::SnapshotOrganization| Organization {
        id: each.id,
        kind: each.kind,
        archived_at: each.archived_at,
        versions: each.versions.iter().map(version).collect(),
    };
    let mut organizations: Vec<_> = snapshot.organizations().iter().map(organization).collect();
    organizations.sort_by_key(|organization| organization.id);
    Ok(Control {
        organizations,
        edges: snapshot.edges().to_vec(),
        meters: snapshot.meters()?.to_vec(),
        rates: snapshot.rates()?.to_vec(),
    })
}

fn version(version: &metadata::OrganizationVersion) -> OrganizationVersion {
    let anchor = version.attributes.anchor;
    OrganizationVersion {
        valid: version.valid,
        name: version.attributes.name.clone(),
        billing: BillingCycle {
            anchor_day: anchor.day,
            length: match anchor.period {
                BillingPeriod::Monthly => CycleLength::Monthly,
                BillingPeriod::Annual => CycleLength::Annual(anchor.month),
            },
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_that_of_the_instant_in_utc() {
        let day = |text| day("startDate", text).map(|day| day.to_string());
        assert_eq!(day("2022-08-12T00:00:00Z").unwrap(), "2022-08-12");
        assert_eq!(day("2022-08-12T23:59:59-02:00").unwrap(), "2022-08-13");
        assert_eq!(day("2022-08-12T10:00:00.123").unwrap(), "2022-08-12");
        assert_eq!(day("2022-08-12").unwrap(), "2022-08-12");
        assert!(matches!(
            day("12.8.2022"),
            Err(Error::Date {
                field: "startDate",
                ..
            })
        ));
    }
}

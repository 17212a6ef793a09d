//! Edits of meters and rates.

use std::collections::{BTreeMap, HashMap};

use domain::ids::{MeterId, OrganizationId, RateId};
use domain::meter::Meter;
use domain::rate::{Rate, RateKind};
use metadata::ControlSnapshot;

use super::organizations::Places;
use super::{Edit, Present, ended, holding, rewritten, text};
use crate::setup::SetupError;
use crate::setup::check::{Declared, DeclaredMeter, DeclaredRate};

/// Ids of the declared meters by slug.
pub(super) type Meters = HashMap<String, MeterId>;

pub(super) fn meters(
    declared: &Declared,
    present: &Present,
    draw: &mut dyn FnMut() -> u128,
    edits: &mut Vec<Edit>,
) -> Result<Meters, SetupError> {
    let mut by_slug: BTreeMap<&str, Vec<&DeclaredMeter>> = BTreeMap::new();
    for meter in &declared.meters {
        by_slug.entry(&meter.version.slug).or_default().push(meter);
    }
    let mut ids = stored_ids(declared, present)?;
    for (slug, versions) in by_slug {
        let stored = find(present, slug, &versions)?;
        let wanted = versions.iter().find_map(|version| version.id);
        let fresh = || wanted.unwrap_or_else(|| MeterId::from_random(draw()));
        let id = stored.first().map_or_else(fresh, |meter| meter.id);
        let versions: Vec<Meter> = versions
            .into_iter()
            .map(|version| Meter {
                id,
                ..version.version.clone()
            })
            .collect();
        put_meter(slug, &stored, &versions, edits);
        ids.insert(slug.to_owned(), id);
    }
    Ok(ids)
}

/// Ids of the meters that are stored, where rates may be of one the file does not declare.
fn stored_ids(declared: &Declared, present: &Present) -> Result<Meters, SetupError> {
    let Some(snapshot) = present
        .snapshot
        .as_ref()
        .filter(|_| !declared.rates.is_empty())
    else {
        return Ok(Meters::new());
    };
    let live = snapshot.live_meters()?;
    Ok(live.map(|meter| (meter.slug.clone(), meter.id)).collect())
}

fn put_meter(slug: &str, stored: &[Meter], versions: &[Meter], edits: &mut Vec<Edit>) {
    let start = |meter: &Meter| meter.valid.start;
    let changed = rewritten(stored, versions);
    let mut previous: Option<&Meter> = None;
    for meter in changed {
        edits.push(match holding(stored, start(meter), start).or(previous) {
            None => Edit::CreateMeter(meter.clone()),
            Some(before) => Edit::PutMeter {
                before: Box::new(before.clone()),
                after: Box::new(meter.clone()),
            },
        });
        previous = Some(meter);
    }
    edits.extend(ended(stored, changed, start).into_iter().map(|since| {
        let of = format!("meter {slug:?}");
        Edit::EndVersion { of, since }
    }));
}

/// The stored versions of a declared meter; none when it is new.
fn find(
    present: &Present,
    slug: &str,
    versions: &[&DeclaredMeter],
) -> Result<Vec<Meter>, SetupError> {
    let Some(snapshot) = &present.snapshot else {
        return Ok(Vec::new());
    };
    let live = snapshot.live_meters()?.find(|meter| meter.slug == slug);
    let wanted = versions.iter().find_map(|version| version.id);
    match (live, wanted) {
        (Some(live), Some(wanted)) if live.id != wanted => {
            let message = format!("the meter with this slug has the id {}", live.id);
            Err(SetupError::rule(format!("meter {slug:?}"), message))
        }
        (Some(live), _) => Ok(snapshot.meter_versions(live.id)?.to_vec()),
        (None, Some(wanted)) if !snapshot.meter_versions(wanted)?.is_empty() => {
            let message = format!("id {wanted} belongs to another meter or an archived one");
            Err(SetupError::rule(format!("meter {slug:?}"), message))
        }
        (None, _) => Ok(Vec::new()),
    }
}

/// What tells the rates of an account apart: at most one of each prices a reading.
type Key = (MeterId, Option<OrganizationId>, RateKind);

pub(super) fn rates(
    declared: &Declared,
    present: &Present,
    places: &Places,
    meters: &Meters,
    draw: &mut dyn FnMut() -> u128,
    edits: &mut Vec<Edit>,
) -> Result<(), SetupError> {
    let mut groups: Vec<(Key, Vec<&DeclaredRate>)> = Vec::new();
    for rate in &declared.rates {
        let organization = rate.organization.map(|index| places[index]);
        let key = (meters[&rate.meter], organization, rate.kind);
        match groups.last_mut() {
            Some((last, versions)) if *last == key => versions.push(rate),
            _ => groups.push((key, vec![rate])),
        }
    }
    for (key, versions) in groups {
        let stored = stored(present, &key)?;
        let slug = &versions[0].meter;
        let id = match stored.first() {
            Some(first) if stored.iter().any(|rate| rate.id != first.id) => {
                let message = "several rates price this meter over time: change them by the API";
                return Err(SetupError::rule(format!("rate of meter {slug:?}"), message));
            }
            Some(first) => first.id,
            None => RateId::from_random(draw()),
        };
        let versions: Vec<Rate> = versions.iter().map(|rate| stamp(rate, id, key)).collect();
        for rate in rewritten(&stored, &versions) {
            refuse_ignored_terms(rate, &stored, slug)?;
        }
        put_rate(slug, &stored, &versions, edits);
    }
    Ok(())
}

fn put_rate(slug: &str, stored: &[Rate], versions: &[Rate], edits: &mut Vec<Edit>) {
    let start = |rate: &Rate| rate.valid.start;
    let changed = rewritten(stored, versions);
    let mut previous: Option<&Rate> = None;
    for rate in changed {
        let meter = slug.to_owned();
        edits.push(match holding(stored, start(rate), start).or(previous) {
            None => Edit::CreateRate {
                meter,
                rate: rate.clone(),
            },
            Some(before) => Edit::PutRate {
                meter,
                before: Box::new(follower(before, rate)),
                after: Box::new(rate.clone()),
            },
        });
        previous = Some(rate);
    }
    let of = changed.first().map(|rate| text::rate_of(slug, rate));
    edits.extend(ended(stored, changed, start).into_iter().map(|since| {
        let of = of.clone().unwrap_or_default();
        Edit::EndVersion { of, since }
    }));
}

/// A rate to compare another with: one before it ends where the other starts, which is no change.
fn follower(before: &Rate, rate: &Rate) -> Rate {
    let mut before = before.clone();
    if before.valid.start != rate.valid.start {
        before.valid.end = None;
    }
    before
}

/// Refuses a version with terms that its kind ignores, unless it is stored with them already.
fn refuse_ignored_terms(rate: &Rate, stored: &[Rate], slug: &str) -> Result<(), SetupError> {
    let Some(term) = rate.ignored_terms().into_iter().next() else {
        return Ok(());
    };
    let is_stored = stored.iter().any(|stored| {
        let start = stored.valid.start;
        let valid = rate.valid;
        start == valid.start
            && Rate {
                valid,
                ..stored.clone()
            } == *rate
    });
    if is_stored {
        return Ok(());
    }
    Err(SetupError::rule(format!("rate of meter {slug:?}"), term))
}

/// The rates with terms that their kind ignores, as they are stored after `edits`.
pub(super) fn ignored_terms(present: &Present, edits: &[Edit]) -> Result<Vec<String>, SetupError> {
    let written: Vec<_> = edits
        .iter()
        .filter_map(|edit| match edit {
            Edit::CreateRate { meter, rate } => Some((meter, rate)),
            Edit::PutRate { meter, after, .. } => Some((meter, &**after)),
            _ => None,
        })
        .collect();
    // Writing a version drops whatever lies after its start.
    let is_replaced = |rate: &Rate| {
        let mut written = written.iter();
        written.any(|(_, new)| new.id == rate.id && new.valid.start <= rate.valid.start)
    };
    let mut named = Vec::new();
    if let Some(snapshot) = &present.snapshot {
        for rate in snapshot.rates()?.iter().filter(|rate| !is_replaced(rate)) {
            let meter = snapshot.meter(rate.meter.as_str())?;
            let slug = meter.map_or(rate.meter.as_str(), |meter| meter.slug.as_str());
            named.extend(with_ignored_terms(slug, rate));
        }
    }
    let written = written.into_iter();
    named.extend(written.filter_map(|(slug, rate)| with_ignored_terms(slug, rate)));
    Ok(named)
}

fn with_ignored_terms(slug: &str, rate: &Rate) -> Option<String> {
    let terms = rate.ignored_terms().join("; ");
    let rate = text::spell(slug, rate);
    (!terms.is_empty()).then(|| format!("{rate} is priced without what ipu ignores: {terms}"))
}

fn stored(present: &Present, key: &Key) -> Result<Vec<Rate>, SetupError> {
    let all = present.snapshot.as_ref();
    let all = all.map_or(Ok(&[][..]), ControlSnapshot::rates)?;
    let mut stored: Vec<Rate> = all
        .iter()
        .filter(|rate| (rate.meter, rate.organization, rate.kind) == *key)
        .cloned()
        .collect();
    stored.sort_by_key(|rate| rate.valid.start);
    Ok(stored)
}

fn stamp(declared: &DeclaredRate, id: RateId, (meter, organization, kind): Key) -> Rate {
    let declared = declared.clone();
    Rate {
        id,
        meter,
        organization,
        kind,
        valid: declared.valid,
        per: declared.per,
        unit: declared.unit,
        tiers: declared.tiers,
        allowance: declared.allowance,
        billable: declared.billable,
        list_price: declared.list_price,
        subscription_id: declared.subscription_id,
        charge_number: declared.charge_number,
        currency: declared.currency,
    }
}

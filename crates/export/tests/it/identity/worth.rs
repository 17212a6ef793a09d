//! The worth of events, one by one: the rules of rates in the plainest form.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::{Aggregation, Value};
use domain::event::Event;
use domain::export::{Control, Organization, midnight, utc_date};
use domain::ids::{MeterId, OrganizationId};
use domain::json::Json;
use domain::meter::Meter;
use domain::quantity::{Amount, Quantity, Total};
use domain::rate::{RateKind, applicable};
use jiff::ToSpan;
use jiff::civil::Date;

/// What one event says to one meter.
type Reading<'c> = (Timestamp, Value, &'c Meter);

/// The consumption of an organization on the days from `first` to `last`, with 24 places.
pub(super) fn worth(
    control: &Control,
    events: &[Event],
    id: OrganizationId,
    (first, last): (&str, &str),
) -> String {
    let organization = control.organization(id).unwrap();
    let (first, last): (Date, Date) = (first.parse().unwrap(), last.parse().unwrap());
    let days = midnight(first)..midnight(last.saturating_add(1.day()));
    let mut readings = BTreeMap::<MeterId, Vec<Reading<'_>>>::new();
    for event in events.iter().filter(|event| event.organization == id) {
        let data = Json::parse(event.texts.data().unwrap()).unwrap();
        let valid = |meter: &&Meter| meter.valid.contains(event.time);
        for meter in control.meters.iter().filter(valid) {
            if let Ok(Some(value)) = meter.read(event.texts.event_type(), &data) {
                let readings = readings.entry(meter.id).or_default();
                readings.push((event.time, value, meter));
            }
        }
    }
    let mut sum = Amount::from(Total::ZERO);
    for mut readings in readings.into_values() {
        readings.sort_by_key(|(time, ..)| *time);
        let numbers = if readings[0].2.rule.aggregation.is_additive() {
            readings.iter().map(single).collect()
        } else {
            readings
                .chunk_by(|left, right| utc_date(left.0) == utc_date(right.0))
                .map(of_a_day)
                .collect()
        };
        let priced = price(control, organization, numbers);
        for (_, amount) in priced.iter().filter(|(time, _)| days.contains(time)) {
            sum = sum.checked_add(*amount).unwrap();
        }
    }
    sum.fixed(24)
}

fn quantity(value: &Value) -> Quantity {
    match value {
        Value::Number(quantity) => *quantity,
        Value::Text(text) => panic!("{text} is no number"),
    }
}

fn single<'c>((time, value, meter): &Reading<'c>) -> (Timestamp, Total, &'c Meter) {
    (*time, quantity(value).into(), meter)
}

/// The one number of a day, priced at its last reading.
fn of_a_day<'c>(readings: &[Reading<'c>]) -> (Timestamp, Total, &'c Meter) {
    let (time, last, meter) = readings.last().unwrap();
    let total = match meter.rule.aggregation {
        Aggregation::Max => {
            let most = readings.iter().map(|(_, value, _)| quantity(value)).max();
            most.unwrap().into()
        }
        Aggregation::Latest => quantity(last).into(),
        _ => {
            let mut texts: Vec<_> = readings
                .iter()
                .map(|(_, value, _)| format!("{value:?}"))
                .collect();
            texts.sort_unstable();
            texts.dedup();
            Total::whole(texts.len() as u64)
        }
    };
    (*time, total, meter)
}

fn price(
    control: &Control,
    organization: &Organization,
    numbers: Vec<(Timestamp, Total, &Meter)>,
) -> Vec<(Timestamp, Amount)> {
    let mut used = BTreeMap::new();
    let priced = numbers.into_iter().map(|(time, usage, meter)| {
        let period = organization.billing_period(utc_date(time));
        let before = used.entry(period.start).or_insert(Total::ZERO);
        let (rates, kind) = (&control.rates, RateKind::Ipu);
        let rate = applicable(rates, kind, meter.id, organization.id, time);
        let amount = rate.map_or(Some(Amount::from(Total::ZERO)), |rate| {
            rate.price(*before, usage, meter.scalar.factor)
        });
        *before += usage;
        (time, amount.unwrap())
    });
    priced.collect()
}

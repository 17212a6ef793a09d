//! Meters of a setup file.

use domain::aggregation::Aggregation;
use domain::ids::MeterId;
use domain::limits::{FILTER_VALUES_MAX, FILTERS_MAX, GROUP_BY_MAX};
use domain::meter::{Meter, ReadingRule, Scalar};
use domain::number::NumberRule;
use domain::range::TimeRange;

use super::{DeclaredMeter, fields};
use crate::setup::form::{MeterForm, ScalarForm};
use crate::setup::{SetupError, scalar};

/// Checks every version; those of one slug follow each other in time.
pub(super) fn check(forms: &[MeterForm]) -> Result<Vec<DeclaredMeter>, SetupError> {
    let mut declared = Vec::with_capacity(forms.len());
    for form in forms {
        let version =
            version(form).map_err(|message| SetupError::rule(place(&form.slug), message))?;
        declared.push(DeclaredMeter {
            id: form.id,
            version,
        });
    }
    declared.sort_by(|left, right| {
        let key = |meter: &DeclaredMeter| (meter.version.slug.clone(), meter.version.valid.start);
        key(left).cmp(&key(right))
    });
    for next in 1..declared.len() {
        let (before, after) = declared.split_at_mut(next);
        let (before, after) = (&mut before[next - 1], &after[0]);
        if before.version.slug != after.version.slug {
            continue;
        }
        if before.version.valid.start == after.version.valid.start {
            let message = "two versions start at the same time: give one another `since`";
            return Err(SetupError::rule(place(&before.version.slug), message));
        }
        before.version.valid.end = after.version.valid.start;
    }
    Ok(declared)
}

fn version(form: &MeterForm) -> Result<Meter, String> {
    fields::slug(&form.slug)?;
    let name = form.name.clone().unwrap_or_else(|| form.slug.clone());
    fields::name(&name)?;
    let texts = [
        &form.description,
        &form.service,
        &form.category,
        &form.unit,
        form.feature.as_ref().unwrap_or(&form.slug),
    ];
    texts.into_iter().try_for_each(|text| fields::text(text))?;
    let filters = form.filters.iter().map(|filter| &filter.path);
    fields::paths(form.value_property.as_ref(), filters, &form.group_by)?;
    let meter = Meter {
        id: form.id.unwrap_or_else(|| MeterId::from_random(0)),
        slug: form.slug.clone(),
        name,
        description: form.description.clone(),
        service: form.service.clone(),
        category: form.category.clone(),
        feature: form.feature.clone().unwrap_or_else(|| form.slug.clone()),
        unit: form.unit.clone(),
        rule: ReadingRule {
            event_type: form.event_type.clone(),
            filters: form.filters.clone(),
            value_property: form.value_property.clone(),
            aggregation: form.aggregation,
            numbers: NumberRule::Value,
        },
        group_by: form.group_by.clone(),
        scalar: check_scalar(form.scalar.as_ref(), &form.unit)?,
        job_level: form.job_level_layout,
        zero_rows: form.zero_rows,
        valid: TimeRange {
            start: form.since.map(|since| since.0),
            end: None,
        },
    };
    meter_rule(&meter)?;
    Ok(meter)
}

/// Refuses a meter whose rule contradicts itself or goes over a limit.
pub fn meter_rule(meter: &Meter) -> Result<(), String> {
    let rule = &meter.rule;
    if rule.event_type.is_empty() {
        return Err("eventType is empty".to_owned());
    }
    if (rule.aggregation == Aggregation::Count) == rule.value_property.is_some() {
        return Err("valueProperty says what is read, and COUNT has none".to_owned());
    }
    if rule.filters.len() > FILTERS_MAX {
        return Err(format!("a meter has at most {FILTERS_MAX} filters"));
    }
    let fits = |count: usize| (1..=FILTER_VALUES_MAX).contains(&count);
    if !rule.filters.iter().all(|filter| fits(filter.values.len())) {
        return Err(format!("a filter lists 1 to {FILTER_VALUES_MAX} values"));
    }
    if meter.group_by.len() > GROUP_BY_MAX {
        return Err(format!("a meter groups by at most {GROUP_BY_MAX} paths"));
    }
    if meter.scalar.factor == 0 {
        return Err("the factor of a scalar is at least 1".to_owned());
    }
    Ok(())
}

/// The scalar written, a known one by its name, or the meter's unit one by one.
fn check_scalar(form: Option<&ScalarForm>, unit: &str) -> Result<Scalar, String> {
    let Some(form) = form else {
        return Ok(scalar::of_unit(unit));
    };
    fields::name(&form.name)?;
    let known = scalar::known(&form.name);
    let factor = form.factor.or(known.as_ref().map(|scalar| scalar.factor));
    let category = form
        .metric_category
        .clone()
        .or(known.map(|scalar| scalar.metric_category));
    match (factor, category) {
        (Some(factor), Some(metric_category)) if factor > 0 => Ok(Scalar {
            name: form.name.clone(),
            factor,
            metric_category,
        }),
        _ => Err(format!(
            "scalar {:?} needs a factor of at least 1 and a metricCategory",
            form.name
        )),
    }
}

fn place(slug: &str) -> String {
    format!("meter {slug:?}")
}

//! Rules of single fields, the same in a setup file and in the API. Each gives the rule broken.

use domain::limits::SLUG_CHARS_MAX;
use domain::path::JsonPath;
use metadata::{BillingPeriod, Role};

/// Characters of a realm id.
pub const REALM_CHARS: std::ops::RangeInclusive<usize> = 5..=30;
/// Aliases of one organization.
pub const ALIASES_MAX: usize = 32;

/// A name for people, by the one rule for all names.
pub fn name(text: &str) -> Result<(), String> {
    domain::name::check(text).map_err(|error| error.to_string())
}

/// A text for people that may be empty, such as a description.
pub fn text(text: &str) -> Result<(), String> {
    domain::name::check_marks(text).map_err(|error| error.to_string())
}

/// A meter's name for programs.
pub fn slug(text: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if (1..=SLUG_CHARS_MAX).contains(&text.len()) && text.bytes().all(fits) {
        Ok(())
    } else {
        Err(format!(
            "a slug has 1 to {SLUG_CHARS_MAX} letters, digits, _ and -"
        ))
    }
}

/// The paths of a meter, as far as they are given: where its value lies, what it filters by, and
/// what it groups by under which name.
pub fn paths<'a>(
    value: Option<&JsonPath>,
    filters: impl IntoIterator<Item = &'a JsonPath>,
    group_by: impl IntoIterator<Item = (&'a String, &'a JsonPath)>,
) -> Result<(), String> {
    let path = |field: &str, path: &JsonPath| {
        let checked = path.check();
        checked.map_err(|error| format!("{field}: {error}"))
    };
    value.map_or(Ok(()), |value| path("valueProperty", value))?;
    let mut filters = filters.into_iter();
    filters.try_for_each(|filter| path("filters", filter))?;
    let mut group_by = group_by.into_iter();
    group_by.try_for_each(|(name, of)| path(&format!("groupBy.{name}"), of))
}

/// A realm id.
pub fn realm(text: &str) -> Result<(), String> {
    if REALM_CHARS.contains(&text.len()) && text.bytes().all(is_word) {
        Ok(())
    } else {
        let (least, most) = REALM_CHARS.into_inner();
        Err(format!(
            "a realm id has {least} to {most} letters, digits, dots, dashes or underscores"
        ))
    }
}

/// The aliases of one organization.
pub fn aliases(all: &[String]) -> Result<(), String> {
    if all.len() > ALIASES_MAX {
        return Err(format!("an organization has at most {ALIASES_MAX} aliases"));
    }
    all.iter().try_for_each(|alias| name(alias))
}

/// A billing anchor day.
pub fn anchor_day(day: u8) -> Result<(), String> {
    if (1..=31).contains(&day) {
        Ok(())
    } else {
        Err(format!("an anchor day is 1 to 31, not {day}"))
    }
}

/// An ISO 4217 code, by its form.
pub fn currency(text: &str) -> Result<(), String> {
    if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        Ok(())
    } else {
        Err(format!("a currency is three capital letters, not {text:?}"))
    }
}

/// The month an annual billing period starts in.
pub fn anchor_month(month: u8) -> Result<(), String> {
    if (1..=12).contains(&month) {
        Ok(())
    } else {
        Err(format!("an anchor month is 1 to 12, not {month}"))
    }
}

/// The billing period a word names.
pub fn billing_period(word: &str) -> Result<BillingPeriod, String> {
    let all = BillingPeriod::ALL.iter().map(|period| period.as_str());
    BillingPeriod::from_word(word).ok_or_else(|| unknown("billing period", word, all))
}

/// The role a word names.
pub fn role(word: &str) -> Result<Role, String> {
    let all = Role::ALL.iter().map(|role| role.as_str());
    Role::from_word(word).ok_or_else(|| unknown("role", word, all))
}

fn unknown<'a>(what: &str, word: &str, all: impl Iterator<Item = &'a str>) -> String {
    let all: Vec<_> = all.collect();
    format!("{word:?} is no {what}: expected {}", all.join(", "))
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".-_".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_slugs_and_currencies_have_a_form() {
        assert!(realm("ua-realm").is_ok() && realm("abcd").is_err() && realm("a b c d").is_err());
        assert!(slug("flight_hours").is_ok() && slug("flight hours").is_err());
        assert!(currency("USD").is_ok() && currency("usd").is_err());
        assert!(anchor_day(31).is_ok() && anchor_day(0).is_err());
    }
}

//! Numbers of JSON as values: which of them are the same, and how they are written.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::json::scan::{Number, Scanner};

/// Zeros that a plain form may add to the digits of a number: `1e64` is written out, `1e65` is not.
pub const ZEROS_MAX: usize = 64;

/// How numbers in the data of events become texts that are counted, grouped and filtered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum NumberRule {
    /// As they were spelled, so that `42` and `42.0` are two: the rule of earlier releases, which
    /// wrote every exponent with an `e` and a sign.
    Spelling,
    /// By value, in the shortest plain form.
    Value,
}

/// A number of a rule that this release does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rule for numbers is {0}: expected 1 or 2")]
pub struct UnknownRule(u32);

impl NumberRule {
    /// The rule of everything written before rules had a number.
    pub(crate) fn first() -> Self {
        Self::Spelling
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
    pub(crate) fn is_first(&self) -> bool {
        *self == Self::first()
    }
}

impl TryFrom<u32> for NumberRule {
    type Error = UnknownRule;

    fn try_from(number: u32) -> Result<Self, UnknownRule> {
        match number {
            1 => Ok(Self::Spelling),
            2 => Ok(Self::Value),
            unknown => Err(UnknownRule(unknown)),
        }
    }
}

impl From<NumberRule> for u32 {
    fn from(rule: NumberRule) -> Self {
        match rule {
            NumberRule::Spelling => 1,
            NumberRule::Value => 2,
        }
    }
}

/// A scalar of JSON as it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar<'t> {
    /// A number.
    Number(&'t str),
    /// A string, unescaped, or `true` or `false`.
    Text(&'t str),
}

impl<'t> Scalar<'t> {
    /// The text as it was sent.
    pub fn sent(self) -> &'t str {
        match self {
            Self::Number(text) | Self::Text(text) => text,
        }
    }

    /// The text that counts by a rule.
    pub fn counted(self, rule: NumberRule) -> Cow<'t, str> {
        match (self, rule) {
            (Self::Text(text), _) => Cow::Borrowed(text),
            (Self::Number(text), NumberRule::Spelling) => spelled(text),
            (Self::Number(text), NumberRule::Value) => plain(text),
        }
    }

    /// The text that is shown where data is given out as it was sent; the first rule spells
    /// exponents with a sign.
    pub fn shown(self, rule: NumberRule) -> Cow<'t, str> {
        match rule {
            NumberRule::Spelling => self.counted(rule),
            NumberRule::Value => Cow::Borrowed(self.sent()),
        }
    }

    /// Whether this is one of `values`: a text byte for byte, a number by the rule.
    pub fn is_one_of(self, values: &[String], rule: NumberRule) -> bool {
        let counted = self.counted(rule);
        let by_value = rule == NumberRule::Value && matches!(self, Self::Number(_));
        values.iter().any(|value| {
            *value == *counted || by_value && is_number(value) && plain(value) == counted
        })
    }
}

/// Whether a text is a number of JSON.
pub fn is_number(text: &str) -> bool {
    let mut scanner = Scanner::new(text);
    scanner.number().is_some() && scanner.at() == text.len()
}

/// A number as earlier releases spelled it: the exponent after an `e` and a sign.
pub(crate) fn spelled(text: &str) -> Cow<'_, str> {
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return Cow::Borrowed(text);
    };
    let sign = if exponent.starts_with(['+', '-']) {
        ""
    } else {
        "+"
    };
    Cow::Owned(format!("{mantissa}e{sign}{exponent}"))
}

/// Whether a text may be a number that `spelled` changed.
pub fn may_be_respelled(text: &str) -> bool {
    let starts = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    starts && (text.contains("e+") || text.contains("e-")) && is_number(text)
}

/// The shortest plain form of a number of JSON, the same for all that have the same value.
///
/// Where more than [`ZEROS_MAX`] zeros would be added to its digits it is written as `1.5e400`. A
/// number whose exponent does not fit 128 bits stays as it was sent.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let number = Number::of(text);
    let digits = number.digits();
    if digits.is_zero() {
        return Cow::Borrowed("0");
    }
    let exponent = number.exponent.strip_prefix('+').unwrap_or(number.exponent);
    let exponent = if exponent.is_empty() { "0" } else { exponent };
    let exponent = exponent.parse::<i128>().ok();
    let point = exponent.and_then(|exponent| exponent.checked_add(digits.point.into()));
    match point {
        Some(point) if point > i128::MIN => Cow::Owned(written(number.negative, &digits, point)),
        _ => Cow::Borrowed(text),
    }
}

/// Whether a number is in its shortest plain form; most are, and short ones are found here.
fn is_plain(text: &str) -> bool {
    let has_fraction = text.contains('.');
    text.len() <= ZEROS_MAX
        && !text.contains(['e', 'E'])
        && !(has_fraction && text.ends_with('0'))
        && text != "-0"
}

/// The digits of a number that count, and where its point is among them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Digits<'a> {
    /// Without zeros in front; without zeros at the end where there is no fraction.
    pub(crate) whole: &'a str,
    /// Without zeros at the end; without zeros in front where there is no whole part.
    pub(crate) fraction: &'a str,
    /// Digits before the point, without the exponent; below zero for zeros after it.
    pub(crate) point: i64,
}

impl Digits<'_> {
    pub(crate) fn is_zero(&self) -> bool {
        self.whole.is_empty() && self.fraction.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.fraction.len()
    }
}

impl<'a> Number<'a> {
    /// Splits a number that is known to be one.
    pub(crate) fn of(text: &'a str) -> Self {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, ""));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        Self {
            text,
            negative: unsigned.len() < text.len(),
            whole,
            fraction,
            exponent,
        }
    }

    /// The digits that count.
    pub(crate) fn digits(&self) -> Digits<'a> {
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let mut whole = self.whole.trim_start_matches('0');
        let mut fraction = self.fraction.trim_end_matches('0');
        let mut point = length(whole);
        if whole.is_empty() {
            let zeros = length(fraction);
            fraction = fraction.trim_start_matches('0');
            point -= zeros - length(fraction);
        }
        if fraction.is_empty() {
            whole = whole.trim_end_matches('0');
        }
        Digits {
            whole,
            fraction,
            point,
        }
    }
}

/// Writes digits that are not zero with the point after the first `point` of them.
fn written(negative: bool, digits: &Digits<'_>, point: i128) -> String {
    let mut all = String::with_capacity(digits.len() + ZEROS_MAX + 3);
    all.push_str(digits.whole);
    all.push_str(digits.fraction);
    let sign = if negative { "-" } else { "" };
    let length = i128::try_from(all.len()).unwrap_or(i128::MAX);
    let before = usize::try_from(point.saturating_neg()).unwrap_or(0);
    let after = usize::try_from(point.saturating_sub(length)).unwrap_or(0);
    let most = i128::try_from(ZEROS_MAX).unwrap_or(i128::MAX);
    if point.saturating_neg() > most || point.saturating_sub(length) > most {
        let (first, rest) = all.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        return format!("{sign}{first}{dot}{rest}e{}", point - 1);
    }
    if point <= 0 {
        return format!("{sign}0.{}{all}", "0".repeat(before));
    }
    if point >= length {
        return format!("{sign}{all}{}", "0".repeat(after));
    }
    let place = usize::try_from(point).unwrap_or(all.len());
    let (whole, fraction) = all.split_at(place.min(all.len()));
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests;

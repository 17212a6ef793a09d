//! Watermarks as the outside sees them: opaque, short, and told from typing errors.

use domain::Timestamp;
use domain::export::AsOf;

use crate::auth::sha256;

/// First character of every watermark of this form.
const VERSION: &str = "1";
/// Digits of a number.
const NUMBER_DIGITS: usize = 16;
/// Digits that guard the others.
const GUARD_DIGITS: usize = 8;

/// Spells a watermark: 57 letters and digits.
pub(super) fn spell(as_of: AsOf) -> String {
    let micros = as_of.time.as_microsecond();
    let numbers = format!(
        "{:016x}{:016x}{micros:016x}",
        as_of.sequence, as_of.revision
    );
    let guard = guard(&numbers);
    format!("{VERSION}{numbers}{guard}")
}

/// Reads a watermark that [`spell`] spelt.
pub(super) fn read(text: &str) -> Option<AsOf> {
    let rest = text.strip_prefix(VERSION)?;
    let (numbers, given) = rest.split_at_checked(3 * NUMBER_DIGITS)?;
    if guard(numbers) != given {
        return None;
    }
    let number = |index: usize| {
        let digits = numbers.get(index * NUMBER_DIGITS..(index + 1) * NUMBER_DIGITS)?;
        u64::from_str_radix(digits, 16).ok()
    };
    let micros = i64::try_from(number(2)?).ok()?;
    Some(AsOf {
        sequence: number(0)?,
        revision: number(1)?,
        time: Timestamp::from_microsecond(micros).ok()?,
    })
}

fn guard(numbers: &str) -> String {
    let digest = sha256(numbers);
    let digits = digest.map(|byte| format!("{byte:02x}")).concat();
    digits[..GUARD_DIGITS].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watermark_survives_the_wire_and_a_changed_digit_does_not() {
        let as_of = AsOf {
            sequence: 12_345,
            revision: 7,
            time: "2026-06-01T12:00:00.000001Z".parse().unwrap(),
        };
        let text = spell(as_of);
        assert!(text.len() <= 64, "{text}");
        assert_eq!(read(&text), Some(as_of));
        let changed = text.replacen("3039", "3038", 1);
        assert_ne!(changed, text);
        for bad in [changed.as_str(), &text[1..], &text[..56], "", "é", "1"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}

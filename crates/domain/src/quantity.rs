//! Exact decimals: one quantity in 128 bits, sums and products in 256.

mod wire;

use std::fmt;
use std::str::FromStr;

use ethnum::I256;

/// Decimal places a quantity keeps.
pub const PLACES: u32 = 12;

/// `10^24` in units of a quantity: every quantity lies strictly between plus and minus this.
const BOUND: i128 = 10_i128.pow(24 + PLACES);

/// An exact decimal below `10^24` with twelve places.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i128);

/// A quantity together with whether reading it lost places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The value, rounded half away from zero to twelve places.
    pub quantity: Quantity,
    /// Whether the text held more than twelve places.
    pub rounded: bool,
}

/// Says why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// The text is no decimal number; NaN and infinities land here.
    #[error("{0:?} is not a decimal number")]
    Syntax(String),
    /// The number is too large to be held.
    #[error("{0:?} is not below 10^24")]
    TooLarge(String),
}

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self(0);
    /// One.
    pub const ONE: Self = Self(10_i128.pow(PLACES));

    /// Builds from units of `10^-12`; `None` at or beyond `10^24`.
    pub fn from_units(units: i128) -> Option<Self> {
        (units > -BOUND && units < BOUND).then_some(Self(units))
    }

    /// Units of `10^-12`.
    pub fn units(self) -> i128 {
        self.0
    }

    /// Reads a decimal with an optional sign, fraction and exponent.
    ///
    /// Places beyond the twelfth are rounded half away from zero and reported.
    pub fn read(text: &str) -> Result<Reading, QuantityError> {
        let syntax = || QuantityError::Syntax(text.chars().take(64).collect());
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = split_exponent(unsigned).ok_or_else(syntax)?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = || whole.bytes().chain(fraction.bytes());
        if digits().next().is_none() || !digits().all(|byte| byte.is_ascii_digit()) {
            return Err(syntax());
        }
        let point = i64::try_from(whole.len())
            .map_err(|_| syntax())?
            .saturating_add(exponent);
        let (units, rounded) = scale(digits(), point)
            .ok_or_else(|| QuantityError::TooLarge(text.chars().take(64).collect()))?;
        let quantity = Self(if negative { -units } else { units });
        Ok(Reading { quantity, rounded })
    }
}

fn split_exponent(text: &str) -> Option<(&str, i64)> {
    match text.find(['e', 'E']) {
        None => Some((text, 0)),
        Some(at) => {
            let exponent = &text[at + 1..];
            let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            let magnitude = digits.parse::<i64>().unwrap_or(i64::from(i32::MAX));
            let magnitude = magnitude.min(i64::from(i32::MAX));
            Some((
                &text[..at],
                if exponent.starts_with('-') {
                    -magnitude
                } else {
                    magnitude
                },
            ))
        }
    }
}

/// Turns digits with the decimal point before index `point` into units; `None` when too large.
fn scale(digits: impl Iterator<Item = u8>, point: i64) -> Option<(i128, bool)> {
    let mut units: i128 = 0;
    let mut index: i64 = 0;
    let kept = point.saturating_add(i64::from(PLACES));
    let (mut round_up, mut rounded) = (false, false);
    for byte in digits {
        let digit = i128::from(byte - b'0');
        if index < kept {
            units = units * 10 + digit;
            if units >= BOUND {
                return None;
            }
        } else {
            round_up |= index == kept && digit >= 5;
            rounded |= digit != 0;
        }
        index += 1;
    }
    while index < kept && units != 0 {
        units *= 10;
        if units >= BOUND {
            return None;
        }
        index += 1;
    }
    units += i128::from(round_up);
    (units < BOUND).then_some((units, rounded))
}

impl FromStr for Quantity {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        Self::read(text).map(|reading| reading.quantity)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Total::from(*self).fmt(formatter)
    }
}

impl fmt::Debug for Quantity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// An exact sum of quantities: twelve places in 256 bits, which `10^40` quantities cannot overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Total(I256);

impl Total {
    /// Zero.
    pub const ZERO: Self = Self(I256::ZERO);

    /// Builds from units of `10^-12`.
    pub fn from_units(units: I256) -> Self {
        Self(units)
    }

    /// Units of `10^-12`.
    pub fn units(self) -> I256 {
        self.0
    }

    /// Builds a whole number.
    pub fn whole(number: u64) -> Self {
        Self(I256::from(number) * I256::from(Quantity::ONE.0))
    }

    /// Divides by `count`, rounded half away from zero to twelve places; `None` for zero.
    pub fn divide(self, count: u64) -> Option<Self> {
        (count != 0).then(|| Self(divide_rounded(self.0, I256::from(count))))
    }

    /// Spells the total with exactly `decimals` places, rounded half away from zero.
    pub fn fixed(self, decimals: u32) -> String {
        Amount::from(self).fixed(decimals)
    }
}

impl From<Quantity> for Total {
    fn from(quantity: Quantity) -> Self {
        Self(I256::from(quantity.0))
    }
}

impl std::ops::AddAssign for Total {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl std::ops::Add for Total {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl std::ops::Sub for Total {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl fmt::Display for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = spell(self.0, PLACES);
        formatter.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Debug for Total {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// An unrounded product of usage and rate over a whole divisor: `units x 10^-24 / divisor`.
///
/// Amounts with one divisor add exactly; the division happens once, in [`Amount::fixed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    units: I256,
    divisor: u64,
}

impl Amount {
    /// `usage x rate / divisor`; `None` when the divisor is zero or the product overflows.
    pub fn product(usage: Total, rate: Quantity, divisor: u64) -> Option<Self> {
        let units = usage.0.checked_mul(I256::from(rate.0))?;
        (divisor != 0).then_some(Self { units, divisor })
    }

    /// Adds exactly, bringing both to one divisor; `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.divisor == other.divisor {
            let units = self.units.checked_add(other.units)?;
            return Some(Self { units, ..self });
        }
        let divisor = self
            .divisor
            .checked_mul(other.divisor / gcd(self.divisor, other.divisor))?;
        let grow = |amount: Self| {
            amount
                .units
                .checked_mul(I256::from(divisor / amount.divisor))
        };
        Some(Self {
            units: grow(self)?.checked_add(grow(other)?)?,
            divisor,
        })
    }

    /// Whether both are worth exactly the same, whatever their divisors.
    pub fn equals(self, other: Self) -> bool {
        let less = Self {
            units: -other.units,
            ..other
        };
        self.checked_add(less).is_some_and(Self::is_zero)
    }

    /// Whether it is worth nothing at all, before any rounding.
    pub fn is_zero(self) -> bool {
        self.units == I256::ZERO
    }

    /// Spells the amount with exactly `decimals` (at most 24) places, rounded half away from zero.
    pub fn fixed(self, decimals: u32) -> String {
        let shift = I256::from(10).pow(2 * PLACES - decimals.min(2 * PLACES));
        let units = divide_rounded(self.units, shift * I256::from(self.divisor));
        spell(units, decimals.min(2 * PLACES))
    }
}

impl From<Total> for Amount {
    fn from(total: Total) -> Self {
        Self {
            units: total.0 * I256::from(Quantity::ONE.0),
            divisor: 1,
        }
    }
}

fn gcd(left: u64, right: u64) -> u64 {
    if right == 0 {
        left
    } else {
        gcd(right, left % right)
    }
}

fn divide_rounded(units: I256, divisor: I256) -> I256 {
    let (quotient, remainder) = (units / divisor, units % divisor);
    let half_or_more = remainder.abs() >= divisor - remainder.abs();
    if half_or_more && remainder != I256::ZERO {
        quotient + units.signum()
    } else {
        quotient
    }
}

fn spell(units: I256, places: u32) -> String {
    let places = places as usize;
    let digits = format!(
        "{:0>width$}",
        units.unsigned_abs().to_string(),
        width = places + 1
    );
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if units < I256::ZERO { "-" } else { "" };
    if places == 0 {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> String {
        match Quantity::read(text) {
            Ok(Reading {
                quantity,
                rounded: false,
            }) => quantity.to_string(),
            Ok(Reading {
                quantity,
                rounded: true,
            }) => format!("{quantity} rounded"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn decimals_and_exponents_are_read_exactly() {
        assert_eq!(read("0.1"), "0.1");
        assert_eq!(read("-12.50"), "-12.5");
        assert_eq!(read("1e3"), "1000");
        assert_eq!(read("125E-2"), "1.25");
        assert_eq!(read("0e999999999999"), "0");
        assert_eq!(read("999999999999999999999999"), "999999999999999999999999");
    }

    #[test]
    fn places_beyond_the_twelfth_are_rounded_half_away_from_zero_and_marked() {
        assert_eq!(read("0.0000000000005"), "0.000000000001 rounded");
        assert_eq!(read("-0.0000000000005"), "-0.000000000001 rounded");
        assert_eq!(read("0.0000000000004999"), "0 rounded");
        assert_eq!(read("1e-13"), "0 rounded");
        assert_eq!(read("0.1000000000000"), "0.1");
    }

    #[test]
    fn what_is_no_number_or_too_large_is_refused() {
        for text in [
            "",
            ".",
            "NaN",
            "inf",
            "-Infinity",
            "1e",
            "1e+",
            "0x1",
            "1_000",
            "--1",
            "1.2.3",
        ] {
            assert!(
                matches!(Quantity::read(text), Err(QuantityError::Syntax(_))),
                "{text}"
            );
        }
        for text in [
            "1e24",
            "1000000000000000000000000",
            "999999999999999999999999.9999999999999",
        ] {
            assert!(
                matches!(Quantity::read(text), Err(QuantityError::TooLarge(_))),
                "{text}"
            );
        }
    }

    #[test]
    fn a_tenth_added_ten_times_is_one() {
        let mut total = Total::ZERO;
        for _ in 0..10 {
            total += Total::from("0.1".parse::<Quantity>().unwrap());
        }
        assert_eq!(total.to_string(), "1");
    }

    #[test]
    fn output_is_rounded_once_half_away_from_zero() {
        let total = |text: &str| Total::from(text.parse::<Quantity>().unwrap());
        assert_eq!(total("2.5").fixed(0), "3");
        assert_eq!(total("-2.5").fixed(0), "-3");
        assert_eq!(total("2.49").fixed(1), "2.5");
        assert_eq!(total("0").fixed(10), "0.0000000000");
        let third = Amount::product(total("1"), Quantity::ONE, 3).unwrap();
        assert_eq!(third.fixed(12), "0.333333333333");
        assert_eq!(
            third.checked_add(third).unwrap().fixed(12),
            "0.666666666667"
        );
    }

    proptest! {
        #[test]
        fn what_is_spelled_reads_back(units in -BOUND + 1..BOUND) {
            let quantity = Quantity::from_units(units).unwrap();
            prop_assert_eq!(quantity.to_string().parse::<Quantity>().unwrap(), quantity);
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE]{0,40}") {
            let _ = Quantity::read(&text);
        }
    }
}

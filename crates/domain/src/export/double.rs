//! Exact decimals printed in the manner of a Java double, without ever being one.

use crate::quantity::Total;

/// Smallest exponent of ten printed without an exponent.
const PLAIN_MIN: i64 = -3;
/// First exponent of ten printed with one.
const PLAIN_END: i64 = 7;

/// Appends `total` as Java prints a double of that value: `1.0`, `0.1375`, `8.33E-4`, `1.0E7`.
///
/// All digits are kept, however many a double would hold.
pub fn write_double(total: Total, cell: &mut String) {
    let plain = total.to_string();
    let unsigned = plain.strip_prefix('-').unwrap_or(&plain);
    if unsigned.len() < plain.len() {
        cell.push('-');
    }
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = [whole, fraction].concat();
    let significant = digits.trim_start_matches('0');
    let leading = digits.len() - significant.len();
    let exponent = places(whole.len()) - places(leading) - 1;
    if significant.is_empty() || (PLAIN_MIN..PLAIN_END).contains(&exponent) {
        cell.push_str(whole);
        cell.push('.');
        cell.push_str(if fraction.is_empty() { "0" } else { fraction });
        return;
    }
    let (first, rest) = significant.split_at(1);
    let rest = rest.trim_end_matches('0');
    cell.push_str(first);
    cell.push('.');
    cell.push_str(if rest.is_empty() { "0" } else { rest });
    cell.push('E');
    cell.push_str(&exponent.to_string());
}

fn places(count: usize) -> i64 {
    i64::try_from(count).expect("a number has few digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Quantity;

    fn double(text: &str) -> String {
        let mut cell = String::new();
        write_double(text.parse::<Quantity>().unwrap().into(), &mut cell);
        cell
    }

    #[test]
    fn numbers_look_as_java_prints_them() {
        for (exact, printed) in [
            ("0", "0.0"),
            ("1", "1.0"),
            ("-1", "-1.0"),
            ("0.1375", "0.1375"),
            ("0.001", "0.001"),
            ("0.000833", "8.33E-4"),
            ("0.0001", "1.0E-4"),
            ("-0.000000000001", "-1.0E-12"),
            ("10", "10.0"),
            ("9999999.5", "9999999.5"),
            ("10000000", "1.0E7"),
            ("12345678.25", "1.234567825E7"),
            ("-120000000", "-1.2E8"),
            ("100.050", "100.05"),
        ] {
            assert_eq!(double(exact), printed, "{exact}");
        }
    }
}

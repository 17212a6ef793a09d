//! Numbers against a model that writes every digit down.

use proptest::prelude::*;

use super::*;

fn check(expected: &str, spellings: &[&str]) {
    for text in spellings {
        assert!(is_number(text), "{text}");
        assert_eq!(plain(text), expected, "{text}");
    }
}

#[test]
fn numbers_of_one_value_have_one_plain_form() {
    check(
        "42",
        &["42", "42.0", "4.2e1", "4.2E+1", "420e-1", "42.000e0"],
    );
    check(
        "0",
        &[
            "0",
            "-0",
            "0.0",
            "-0.00",
            "0e9",
            "-0e-9",
            "0.0e99999999999999999999",
        ],
    );
    check("3.1", &["3.1", "3.10", "31e-1", "0.31e1", "3.1e+0000"]);
    check("-0.05", &["-0.05", "-5e-2", "-0.5E-1", "-0.050"]);
    check("1", &["1", "1e0", "1E0", "1e+0", "1e-0", "10e-1"]);
    check("1000", &["1000", "1e3", "1000.0", "0.001e6"]);
}

#[test]
fn many_digits_are_kept_and_many_zeros_are_not_written() {
    let forty = "1234567890123456789012345678901234567890";
    check(forty, &[forty, &format!("{forty}.0")]);
    check(
        "1234567890123456789012345678901234567891",
        &["1234567890123456789012345678901234567891"],
    );
    check(
        "1e400",
        &[
            "1e400",
            "10e399",
            "0.1E401",
            &format!("1{}", "0".repeat(400)),
        ],
    );
    check(
        "1.5e-80",
        &["1.5e-80", "15e-81", &format!("0.{}15", "0".repeat(79))],
    );
    check("-2e99999999999", &["-2e99999999999", "-20e99999999998"]);
    let zeros = |count| "0".repeat(count);
    check(&format!("1{}", zeros(ZEROS_MAX)), &["1e64", "0.1e65"]);
    check("1e65", &["1e65", &format!("1{}", zeros(65))]);
    check(&format!("0.{}1", zeros(64)), &["1e-65", "0.1e-64"]);
    check("1e-66", &["1e-66", &format!("0.{}1", zeros(65))]);
}

#[test]
fn an_exponent_beyond_all_use_stays_as_it_was_sent() {
    let digits = "9".repeat(60);
    for text in [format!("10e{digits}"), format!("1.0e-{digits}")] {
        assert_eq!(plain(&text), text);
    }
    assert_eq!(plain(&format!("0e{digits}")), "0");
    let most = i128::MAX;
    check(&format!("1.5e{most}"), &[&format!("1.5e{most}")]);
    assert_eq!(plain(&format!("15e{most}")), format!("15e{most}"));
    assert_eq!(
        plain(&format!("0.1e{}", i128::MIN)),
        format!("0.1e{}", i128::MIN)
    );
}

#[test]
fn what_json_does_not_call_a_number_is_none() {
    for text in [
        "", "007", "+1", ".5", "1.", "1e", "0x10", "1 ", " 1", "NaN", "-", "1_000",
    ] {
        assert!(!is_number(text), "{text}");
    }
}

#[test]
fn identifiers_that_look_almost_like_numbers_are_not_taken_for_respelled_ones() {
    for text in ["1234e567", "12e-34-56", "7e", "e+5", "-e-5", "1.e+5", "42"] {
        assert!(!may_be_respelled(text), "{text}");
    }
    for text in ["1e+0", "-1.50e-7"] {
        assert!(may_be_respelled(text), "{text}");
    }
}

#[test]
fn rules_have_numbers_that_are_stored() {
    let rule = |text: &str| serde_json::from_str::<NumberRule>(text).ok();
    assert_eq!(rule("1"), Some(NumberRule::Spelling));
    assert_eq!(rule("2"), Some(NumberRule::Value));
    assert_eq!(rule("3"), None);
    assert_eq!(serde_json::to_string(&NumberRule::Value).unwrap(), "2");
}

/// Exponents the model goes to, both ways.
const MODEL_PLACES: usize = 300;

/// The digits of a number before and after the point, all of them: long, but plain to see.
fn model(text: &str) -> (bool, String) {
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = "0".repeat(MODEL_PLACES);
    let mut digits: Vec<char> = format!("{zeros}{whole}{fraction}{zeros}").chars().collect();
    let point = MODEL_PLACES + whole.len();
    let point = point.checked_add_signed(exponent as isize).unwrap();
    digits.insert(point, '.');
    let digits: String = digits.into_iter().collect();
    let digits = digits.trim_matches('0').to_owned();
    (negative && digits != ".", digits)
}

fn number() -> impl Strategy<Value = String> {
    let mantissa =
        "-?(0|[1-9][0-9]{0,3}|[1-9]0{0,45}|[1-9][0-9]{38,41})(\\.[05]{1,3}|\\.0{0,30}[0-9])?";
    (
        mantissa,
        prop::option::of(("[eE][+]?", 0..90_u32, any::<bool>())),
    )
        .prop_map(|(mantissa, exponent)| match exponent {
            None => mantissa,
            Some((e, exponent, true)) => format!("{mantissa}{e}{exponent}"),
            Some((e, exponent, false)) => format!("{mantissa}{}-{exponent}", &e[..1]),
        })
}

/// Other spellings of a number.
fn again(text: &str) -> Vec<String> {
    let mut spellings = vec![plain(text).into_owned()];
    if !text.contains(['e', 'E']) {
        let dot = if text.contains('.') { "" } else { "." };
        spellings.push(format!("{text}{dot}0"));
        spellings.push(format!("{text}e0"));
        spellings.push(format!("{text}{dot}00E+00"));
    }
    spellings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn two_numbers_have_one_form_if_and_only_if_they_have_one_value(
        one in number(), other in number(), near in any::<bool>(),
    ) {
        let other = if near { one.replacen('0', "1", 1) } else { other };
        let (left, right) = (plain(&one), plain(&other));
        prop_assert_eq!(left == right, model(&one) == model(&other), "{} {}", one, other);
    }

    #[test]
    fn a_form_has_the_value_it_stands_for_and_is_bounded(text in number()) {
        let form = plain(&text);
        prop_assert!(is_number(&form), "{}", form);
        prop_assert_eq!(model(&form), model(&text));
        prop_assert!(form.len() <= text.len() + ZEROS_MAX + 2, "{}", form);
        for spelling in again(&text) {
            prop_assert_eq!(plain(&spelling), form.clone(), "{}", spelling);
        }
    }

    #[test]
    fn what_was_respelled_is_noticed(text in number()) {
        let spelled = spelled(&text);
        prop_assert!(spelled == text || may_be_respelled(&spelled), "{}", spelled);
    }
}

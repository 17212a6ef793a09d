use super::*;

const NOW: &str = "2026-06-01T00:00:00Z";

fn organization(name: &str) -> OrganizationId {
    OrganizationId::from_random(u128::from(name.len() as u64))
}

fn validate(text: &str) -> Result<Event, Refusal> {
    let receipt = Receipt {
        own: organization(""),
        received: NOW.parse().unwrap(),
        resolve: |name: &str| (name == "child").then(|| organization(name)),
    };
    Draft::parse(text)?.validate(&receipt)
}

fn event(extra: &str) -> String {
    format!(r#"{{"specversion":"1.0","id":"1","source":"s","type":"t","subject":"u"{extra}}}"#)
}

fn refused(extra: &str) -> String {
    let refusal = validate(&event(extra)).unwrap_err();
    format!("{}: {}", refusal.code.as_str(), refusal.message)
}

#[test]
fn a_full_event_keeps_what_was_sent() {
    let text = event(
        r#","time":"2026-05-31T23:00:00.123456789+02:00","organization":"child","data":{"n": 1.50}"#,
    );
    let event = validate(&text).unwrap();
    assert_eq!(event.time.to_string(), "2026-05-31T21:00:00.123456789Z");
    assert_eq!(event.organization, organization("child"));
    assert_eq!(event.texts.data(), Some(r#"{"n": 1.50}"#));
}

#[test]
fn without_time_organization_and_data_the_servers_count() {
    let event = validate(&event(r#","data":null,"ext":{"a":1}"#)).unwrap();
    assert_eq!(event.time.to_string(), NOW);
    assert_eq!(event.organization, organization(""));
    assert_eq!(event.texts.data(), None);
}

#[test]
fn refusals_say_what_was_expected() {
    assert_eq!(
        refused(r#","data":[1]"#),
        "data_not_object: data is [1]: expected an object or null"
    );
    assert_eq!(
        refused(r#","datacontenttype":"text/xml""#),
        "unsupported_datacontenttype: datacontenttype is \"text/xml\": expected \"application/json\""
    );
    assert_eq!(
        refused(r#","time":"yesterday""#),
        "invalid_time: time is \"yesterday\": expected an RFC 3339 instant such as 2026-01-31T12:00:00Z"
    );
    assert_eq!(
        refused(r#","time":"1900-01-01T00:00:00Z""#),
        "invalid_time: time is 1900-01-01T00:00:00Z: expected an instant within 100 years of 2026-06-01T00:00:00Z"
    );
    assert!(refused(r#","organization":"sibling""#).starts_with("unknown_organization: "));
    let missing = validate(r#"{"specversion":"1.0","id":"1","source":"s","type":"t"}"#);
    assert_eq!(missing.unwrap_err().code, RefusalCode::MissingAttribute);
    assert_eq!(validate("{").unwrap_err().code, RefusalCode::MalformedEvent);
    assert_eq!(
        validate(r#"{"id":7}"#).unwrap_err().code,
        RefusalCode::MalformedEvent
    );
}

#[test]
fn an_attribute_in_another_case_is_refused_by_name() {
    let organization = refused(r#","Organization":"child""#);
    let expected = "malformed_event: Organization is no attribute of an event: expected \
                    organization, in lower case";
    assert_eq!(organization, expected);
    assert!(refused(r#","TIME":"2026-01-01T00:00:00Z""#).contains("expected time,"));
    assert!(refused(r#","x":{},"D\u0061ta":{}"#).contains("expected data,"));
    assert!(validate(&event(r#","Other":"x""#)).is_ok());
}

#[test]
fn json_inside_of_base64_is_the_data() {
    let sent = |extra: &str| validate(&event(extra)).unwrap();
    let plain = sent(r#","data":{"n":1}"#);
    let packed = sent(r#","data_base64":"eyJuIjoxfQ==","data":null"#);
    assert_eq!(packed.texts.data(), Some(r#"{"n":1}"#));
    assert!(packed.fingerprint.matches(plain.fingerprint));
    assert_eq!(sent(r#","data_base64":"bnVsbA==""#).texts.data(), None);
    assert_eq!(
        refused(r#","data_base64":"eyJu""#),
        "unsupported_datacontenttype: data_base64 is \"eyJu\": expected base64 of JSON"
    );
    for (extra, code) in [
        (r#","data_base64":"/w==""#, "unsupported_datacontenttype"),
        (
            r#","data_base64":"eyJuIjoxfQ""#,
            "unsupported_datacontenttype",
        ),
        (r#","data_base64":7"#, "unsupported_datacontenttype"),
        (r#","data_base64":"WzFd""#, "data_not_object"),
        (r#","data_base64":"e30=","data":{}"#, "malformed_event"),
    ] {
        assert!(
            refused(extra).starts_with(code),
            "{extra}: {}",
            refused(extra)
        );
    }
}

#[test]
fn a_time_may_have_a_fraction_of_any_length() {
    let time = r#","time":"2026-05-31T23:00:00.12345678987654321Z""#;
    let event = validate(&event(time)).unwrap();
    assert_eq!(event.time.to_string(), "2026-05-31T23:00:00.123456789Z");
}

#[test]
fn gathering_changes_no_hash() {
    let json = Json::parse(r#"{"a":[1.50,-2e3,"x",true,null],"b":{"c":"\u00e9"}}"#).unwrap();
    let (mut gathered, mut direct) = (Gathered::new(), SipHasher13::new());
    for text in ["", "flight", "a longer text of more than eight bytes"] {
        hash_text(b'T', text, &mut gathered);
        hash_text(b'T', text, &mut direct);
        json.hash_canonical(&mut gathered);
        json.hash_canonical(&mut direct);
        assert_eq!(gathered.finish(), direct.finish());
    }
}

#[test]
fn a_fingerprint_sees_content_and_compares_time_only_when_both_carry_one() {
    let print = |extra: &str| validate(&event(extra)).unwrap().fingerprint;
    let timed = print(r#","time":"2026-01-01T00:00:00Z","data":{"a":1,"b":2.0}"#);
    assert!(timed.matches(print(r#","data":{"b":2,"a":1.0}"#)));
    assert!(timed.matches(print(
        r#","time":"2026-01-01T01:00:00+01:00","data":{"b":2,"a":1}"#
    )));
    assert!(!timed.matches(print(
        r#","time":"2026-01-01T00:00:01Z","data":{"a":1,"b":2}"#
    )));
    assert!(!timed.matches(print(r#","data":{"a":1,"b":3}"#)));
    assert!(!timed.matches(print(r#","organization":"child","data":{"a":1,"b":2}"#)));
}
/// Stored keys are compared with these for as long as the data lives.
#[test]
fn fingerprints_are_what_they_have_always_been() {
    let data = concat!(
        r#""data":{"z":[1,-0.50,1e3,12.30E-4,0,-0.0,0.001,100,1e99999999999],"#,
        r#""a":{"b":"\u00e9","a":null},"z2":true,"":false}"#
    );
    let sent = r#""organization":"child","time":"2026-05-31T23:00:00.5+02:00""#;
    let full = validate(&event(&format!(",{sent},{data}"))).unwrap();
    assert_eq!(full.fingerprint.0, 0xad03_5fa9_c774_ec05);
    assert_eq!(
        validate(&event("")).unwrap().fingerprint.0,
        0x618c_3b27_c800_0000
    );
}

//! CloudEvents as a real program sends them: about 450 bytes, ids unique and in no order.

use std::ops::Range;

/// Flights that repeat; ids, times and run numbers do not.
const VARIANTS: u64 = 4096;
/// Events in one second of event time.
const EVENTS_PER_SECOND: u64 = 20;
const SECONDS_PER_DAY: u64 = 86_400;
/// Event times lie in this many days of one month, then start again.
const DAYS: u64 = 31;
const CARRIERS: [&str; 8] = ["UA", "B6", "EV", "DL", "AA", "MQ", "US", "9E"];
const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];
const AIRCRAFT: [&str; 4] = ["A320-232", "B737-824", "EMB-145LR", "CL-600-2D24"];
const HEX: &[u8; 16] = b"0123456789abcdef";

/// Writes event number `n` of a run as often as asked, always the same.
#[derive(Debug, Clone)]
pub(crate) struct Events {
    run: u64,
    variants: Vec<Variant>,
}

#[derive(Debug, Clone)]
struct Variant {
    subject: String,
    data: String,
}

impl Events {
    /// Events whose ids no other run has.
    pub(crate) fn new(run: u64) -> Self {
        Self {
            run,
            variants: (0..VARIANTS).map(Variant::new).collect(),
        }
    }

    /// Appends one JSON object, without a line end.
    pub(crate) fn json(&self, n: u64, out: &mut Vec<u8>) {
        let variant = self.variant(n);
        out.extend_from_slice(br#"{"specversion":"1.0","id":""#);
        self.id(n, out);
        out.extend_from_slice(br#"","source":"bench/flights","type":"flight","time":""#);
        time(n, out);
        out.extend_from_slice(br#"","subject":""#);
        out.extend_from_slice(variant.subject.as_bytes());
        out.extend_from_slice(br#"","datacontenttype":"application/json","data":"#);
        Self::data(variant, n, out);
        out.push(b'}');
    }

    /// The body of one request with these events.
    pub(crate) fn array(&self, numbers: Range<u64>) -> Vec<u8> {
        let mut body = vec![b'['];
        for n in numbers {
            self.json(n, &mut body);
            body.push(b',');
        }
        *body.last_mut().expect("it starts with a bracket") = b']';
        body
    }

    /// Appends one row in the text form of PostgreSQL's COPY.
    pub(crate) fn copy_row(&self, n: u64, out: &mut Vec<u8>) {
        let variant = self.variant(n);
        out.extend_from_slice(b"bench/flights\t");
        self.id(n, out);
        out.extend_from_slice(b"\tflight\t");
        time(n, out);
        out.push(b'\t');
        out.extend_from_slice(variant.subject.as_bytes());
        out.push(b'\t');
        Self::data(variant, n, out);
        out.push(b'\n');
    }

    fn variant(&self, n: u64) -> &Variant {
        let index = usize::try_from(mix(n) % VARIANTS).expect("a small number");
        &self.variants[index]
    }

    /// 32 hexadecimal digits: the run, then a bijection of the number.
    fn id(&self, n: u64, out: &mut Vec<u8>) {
        for half in [mix(self.run), mix(n)] {
            for shift in (0..64).step_by(4).rev() {
                out.push(HEX[(half >> shift & 0xf) as usize]);
            }
        }
    }

    fn data(variant: &Variant, n: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(variant.data.as_bytes());
        out.extend_from_slice(br#","taskRunId":""#);
        digits(n, 10, out);
        out.extend_from_slice(br#""}"#);
    }
}

impl Variant {
    fn new(index: u64) -> Self {
        let pick = |list: &[&'static str], salt: u64| {
            let at = mix(index ^ salt << 32) % list.len() as u64;
            list[usize::try_from(at).expect("a small number")]
        };
        let tail = format!("N{}{}", 10_000 + index % 3322, pick(&CARRIERS, 1));
        let minutes = 30 + mix(index) % 400;
        let data = format!(
            concat!(
                r#"{{"project":"{}","folder":"D{:02}","asset":"{}","assetType":"{}","#,
                r#""environment":"production","taskType":"charter","taskName":"{}","#,
                r#""coresUsed":"2","status":"SUCCESS","#,
                r#""carrier":"{}","hours":{}.{:06},"miles":{}"#,
            ),
            pick(&ORIGINS, 2),
            mix(index ^ 3) % 100,
            tail,
            pick(&AIRCRAFT, 4),
            index + 1,
            pick(&CARRIERS, 1),
            minutes / 60,
            minutes % 60 * 1_000_000 / 60,
            minutes * 7,
        );
        Self {
            subject: tail,
            data,
        }
    }
}

/// A bijection of 64 bits that leaves no order.
fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn time(n: u64, out: &mut Vec<u8>) {
    let second = n / EVENTS_PER_SECOND % (DAYS * SECONDS_PER_DAY);
    out.extend_from_slice(b"2026-01-");
    digits(second / SECONDS_PER_DAY + 1, 2, out);
    out.push(b'T');
    digits(second / 3600 % 24, 2, out);
    out.push(b':');
    digits(second / 60 % 60, 2, out);
    out.push(b':');
    digits(second % 60, 2, out);
    out.push(b'Z');
}

fn digits(number: u64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        let digit = number / 10_u64.pow(place) % 10;
        out.push(b'0' + u8::try_from(digit).expect("one digit"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use serde_json::Value;

    use super::Events;

    fn event(run: u64, n: u64) -> Value {
        let mut line = Vec::new();
        Events::new(run).json(n, &mut line);
        serde_json::from_slice(&line).unwrap()
    }

    #[test]
    fn an_event_is_json_of_the_usual_size() {
        let events = Events::new(1);
        for n in [0, 1, 77_777, 123_456_789] {
            let mut line = Vec::new();
            events.json(n, &mut line);
            assert!((400..500).contains(&line.len()), "{} bytes", line.len());
            let event: Value = serde_json::from_slice(&line).unwrap();
            assert!(event["data"]["hours"].is_number());
            assert_eq!(event["subject"], event["data"]["asset"]);
        }
        assert_eq!(event(1, 20)["time"], "2026-01-01T00:00:01Z");
        assert_eq!(event(1, 20 * 86_400 * 31)["time"], "2026-01-01T00:00:00Z");
    }

    #[test]
    fn ids_differ_between_numbers_and_between_runs() {
        let ids = [event(1, 1), event(1, 2), event(2, 1)].map(|event| event["id"].to_string());
        assert_eq!(HashSet::from(ids).len(), 3);
        assert_eq!(event(3, 4), event(3, 4));
    }

    #[test]
    fn a_copy_row_holds_the_same_event() {
        let mut row = Vec::new();
        Events::new(1).copy_row(5, &mut row);
        let row = String::from_utf8(row).unwrap();
        let fields: Vec<&str> = row.trim_end().split('\t').collect();
        let event = event(1, 5);
        assert_eq!(fields[1], event["id"]);
        assert_eq!(
            serde_json::from_str::<Value>(fields[5]).unwrap(),
            event["data"]
        );
    }
}

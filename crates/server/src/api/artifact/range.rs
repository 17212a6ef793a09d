//! Which bytes of a file a request wants: one range, as RFC 9110 has it.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: there is no header, or one that is to be ignored.
    Whole,
    /// These bytes, inside the file and not empty.
    Part(Range<u64>),
    /// Nothing that is there.
    Nothing,
}

/// Reads a `Range` header for a file of `size_bytes`; several ranges at once are ignored.
pub(super) fn wanted(header: Option<&str>, size_bytes: u64) -> Wanted {
    let spec = header.and_then(|header| header.strip_prefix("bytes="));
    let Some((first, last)) = spec.and_then(|spec| spec.trim().split_once('-')) else {
        return Wanted::Whole;
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => first..last.saturating_add(1).min(size_bytes),
        (Ok(first), Err(_)) if last.is_empty() => first..size_bytes,
        (Err(_), Ok(length)) if first.is_empty() => size_bytes.saturating_sub(length)..size_bytes,
        _ => return Wanted::Whole,
    };
    if range.is_empty() {
        Wanted::Nothing
    } else {
        Wanted::Part(range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_the_file_and_nonsense_is_ignored() {
        let read = |header| match wanted(Some(header), 100) {
            Wanted::Whole => "whole".to_owned(),
            Wanted::Part(range) => format!("{}..{}", range.start, range.end),
            Wanted::Nothing => "nothing".to_owned(),
        };
        let sent = [
            "bytes=0-9",
            "bytes=90-",
            "bytes=-5",
            "bytes=-500",
            "bytes=50-1000",
            "bytes=100-",
            "bytes=-0",
            "bytes=9-0",
            "bytes=0-1,5-6",
            "lines=1-2",
            "bytes=-",
        ];
        let read: Vec<_> = sent.map(read).into_iter().collect();
        insta::assert_debug_snapshot!(read, @r#"
        [
            "0..10",
            "90..100",
            "95..100",
            "0..100",
            "50..100",
            "nothing",
            "nothing",
            "whole",
            "whole",
            "whole",
            "whole",
        ]
        "#);
        assert_eq!(wanted(None, 100), Wanted::Whole);
    }
}

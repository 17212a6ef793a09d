//! Which part of a range is whole UTC hours, and which is left at its edges.

use crate::rollup::{HOUR_NS, hour_of};
use crate::visible::Nanoseconds;

/// The whole hours inside both ranges; open ends stay open.
pub(super) fn whole(range: &Nanoseconds, valid: &Nanoseconds) -> Nanoseconds {
    let (start, end) = (range.start.max(valid.start), range.end.min(valid.end));
    let first = match start {
        i64::MIN => i64::MIN,
        start if hour_of(start) == start => start,
        start => hour_of(start).saturating_add(HOUR_NS),
    };
    let last = if end == i64::MAX { end } else { hour_of(end) };
    first..last.max(first)
}

/// What is inside both ranges before and after the whole hours; possibly empty.
pub(super) fn edges(range: &Nanoseconds, valid: &Nanoseconds) -> [Nanoseconds; 2] {
    let (start, end) = (range.start.max(valid.start), range.end.min(valid.end));
    let whole = whole(range, valid);
    if whole.is_empty() {
        return [start..end, end..end];
    }
    [start..whole.start, whole.end..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(start: i64, end: i64, expected: [(i64, i64); 3]) {
        let always = i64::MIN..i64::MAX;
        let whole = whole(&(start..end), &always);
        let [before, after] = edges(&(start..end), &always);
        let found = [before, whole, after].map(|range| (range.start, range.end));
        assert_eq!(found, expected);
    }

    #[test]
    fn hours_and_edges_make_up_the_range() {
        const H: i64 = HOUR_NS;
        check(0, 2 * H, [(0, 0), (0, 2 * H), (2 * H, 2 * H)]);
        check(-1, 2 * H + 5, [(-1, 0), (0, 2 * H), (2 * H, 2 * H + 5)]);
        check(
            i64::MIN,
            H + 1,
            [(i64::MIN, i64::MIN), (i64::MIN, H), (H, H + 1)],
        );
        check(1, H + 1, [(1, H + 1), (H, H), (H + 1, H + 1)]);
    }
}

//! Windows seen so far: working out a window is slow, finding one again is not.

use std::collections::BTreeMap;

use domain::window::{Window, Windows};

use crate::row::{instant, nanoseconds};

/// A number for each window of a query, in the order they were met.
#[derive(Debug)]
pub(super) struct WindowCache<'q> {
    windows: Option<&'q Windows>,
    /// End and number by start.
    known: BTreeMap<i64, (i64, u32)>,
    list: Vec<Window>,
    last: Option<(i64, i64, u32)>,
}

impl<'q> WindowCache<'q> {
    pub(super) fn new(windows: Option<&'q Windows>) -> Self {
        Self {
            windows,
            known: BTreeMap::new(),
            list: Vec::new(),
            last: None,
        }
    }

    /// Start, end and number of the window around `time`.
    pub(super) fn around(&mut self, time: i64) -> (i64, i64, u32) {
        let Some(windows) = self.windows else {
            return (i64::MIN, i64::MAX, 0);
        };
        if let Some(last) = self
            .last
            .filter(|(start, end, _)| (*start..*end).contains(&time))
        {
            return last;
        }
        let before = self.known.range(..=time).next_back();
        let found = before
            .map(|(start, (end, number))| (*start, *end, *number))
            .filter(|(_, end, _)| time < *end);
        let found = found.unwrap_or_else(|| self.learn(windows, time));
        self.last = Some(found);
        found
    }

    fn learn(&mut self, windows: &Windows, time: i64) -> (i64, i64, u32) {
        let window = windows.around(instant(time));
        let (start, end) = (nanoseconds(window.start), nanoseconds(window.end));
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(window);
        self.known.insert(start, (end, number));
        (start, end, number)
    }

    /// The window with a number; `None` when the query had no windows.
    pub(super) fn get(&self, number: u32) -> Option<Window> {
        self.list.get(number as usize).copied()
    }
}

//! Where a file is cut: a function of its lines and their days, of nothing else.

use jiff::civil::Date;

/// Bytes of a day after which it is cut, at the next line end.
pub(super) const PIECE_BYTES: usize = 1024 * 1024;
/// Bytes from which on a day has pieces of its own.
pub(super) const DAY_BYTES_MIN: usize = 64 * 1024;

/// Cuts lines into pieces.
///
/// A day of 64 KiB or more starts and ends a piece and is cut after each line that completes a
/// MiB; smaller days that follow each other share pieces, cut at the first day border after a MiB.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Whole small days waiting for more.
    run: Vec<u8>,
    /// Lines of the current day since its last cut.
    day: Vec<u8>,
    date: Option<Date>,
    has_own_pieces: bool,
}

impl Cutter {
    /// Takes a line and gives the pieces it completes, in order.
    pub(super) fn line(&mut self, date: Option<Date>, line: &[u8]) -> Vec<Vec<u8>> {
        let mut done = Vec::new();
        if date != self.date {
            self.end_day(&mut done);
            self.date = date;
        }
        self.day.extend_from_slice(line);
        if !self.has_own_pieces && self.day.len() >= DAY_BYTES_MIN {
            self.has_own_pieces = true;
            cut(&mut self.run, &mut done);
        }
        if self.day.len() >= PIECE_BYTES {
            cut(&mut self.day, &mut done);
        }
        done
    }

    /// Gives the last pieces.
    pub(super) fn finish(&mut self) -> Vec<Vec<u8>> {
        let mut done = Vec::new();
        self.end_day(&mut done);
        cut(&mut self.run, &mut done);
        done
    }

    fn end_day(&mut self, done: &mut Vec<Vec<u8>>) {
        if self.has_own_pieces {
            cut(&mut self.day, done);
        } else {
            self.run.append(&mut self.day);
            if self.run.len() >= PIECE_BYTES {
                cut(&mut self.run, done);
            }
        }
        self.has_own_pieces = false;
    }
}

fn cut(bytes: &mut Vec<u8>, done: &mut Vec<Vec<u8>>) {
    if !bytes.is_empty() {
        done.push(std::mem::take(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of the pieces, in KiB, of days with this many lines of 16 KiB.
    fn pieces(days: &[usize]) -> Vec<usize> {
        let line = [b'x'; 16 * 1024];
        let (mut cutter, mut pieces) = (Cutter::default(), Vec::new());
        let mut date = Date::constant(2013, 1, 1);
        for lines in days {
            for _ in 0..*lines {
                pieces.extend(cutter.line(Some(date), &line));
            }
            date = date.tomorrow().unwrap();
        }
        pieces.extend(cutter.finish());
        pieces.iter().map(|piece| piece.len() / 1024).collect()
    }

    #[test]
    fn small_days_share_a_piece_and_larger_ones_do_not() {
        assert_eq!(pieces(&[3, 3, 1]), [112]);
        assert_eq!(pieces(&[3, 4, 3, 3]), [48, 64, 96]);
        assert_eq!(pieces(&[4, 5]), [64, 80]);
        assert_eq!(pieces(&[]), [0; 0]);
    }

    #[test]
    fn a_large_day_is_cut_at_each_mebibyte() {
        assert_eq!(pieces(&[1, 130, 1]), [16, 1024, 1024, 32, 16]);
        assert_eq!(pieces(&[64, 1]), [1024, 16]);
    }

    #[test]
    fn a_long_run_of_small_days_is_cut_at_a_day_border() {
        assert_eq!(pieces(&[3; 25]), [22 * 48, 3 * 48]);
    }
}

//! How far an import came, on a terminal's standard error.

use std::io::{self, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};

use super::Tally;

const TEMPLATE: &str = "{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}";

/// A bar over the bytes of the file; silent where standard error is no terminal.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar as long as the file.
    pub(crate) fn new(path: &Path) -> Self {
        let bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        let bar = ProgressBar::new(bytes);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        Self { bar }
    }

    /// No bar, for input that comes with the program.
    pub(crate) fn none() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// Counts what is read from `input`.
    pub(crate) fn count(&self, input: impl Read + Send + 'static) -> impl Read + Send + 'static {
        Counted {
            input,
            bar: self.bar.clone(),
        }
    }

    /// Shows the outcomes so far.
    pub(crate) fn tell(&self, tally: &Tally) {
        self.bar.set_message(format!("{} events", tally.received));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

struct Counted<R> {
    input: R,
    bar: ProgressBar,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.input.read(buffer)?;
        self.bar.inc(bytes as u64);
        Ok(bytes)
    }
}

//! Counts what passed and failed over all test binaries.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Tests that ran so far.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
}

impl Tally {
    /// Runs `cargo test`, shows its output and counts its verdicts.
    ///
    /// A run that fails without a failed test (it did not build) counts as one failure.
    pub(crate) fn watch(&mut self, command: &mut Command) -> Result<()> {
        println!("+ cargo test --workspace");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().context("the tests have no output")?;
        let failed_before = self.failed;
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            self.read(&line);
        }
        if !child.wait()?.success() && self.failed == failed_before {
            self.failed += 1;
        }
        Ok(())
    }

    /// Counts one step of our own, showing why it failed.
    pub(crate) fn count(&mut self, name: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => {
                println!("{name}: ok");
                self.passed += 1;
            }
            Err(error) => {
                println!("{name}: FAILED: {error:#}");
                self.failed += 1;
            }
        }
    }

    /// An error unless something passed, nothing failed.
    pub(crate) fn verdict(&self) -> Result<()> {
        if self.failed > 0 || self.passed == 0 {
            bail!("not everything passed");
        }
        Ok(())
    }

    fn read(&mut self, line: &str) {
        let Some(verdict) = line.strip_prefix("test result: ") else {
            return;
        };
        self.passed += number_before(verdict, " passed");
        self.failed += number_before(verdict, " failed");
        // An ignored test is a test that did not prove anything, so it counts against the run.
        self.failed += number_before(verdict, " ignored");
    }
}

fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_once(word).map_or("", |(before, _)| before);
    before
        .rsplit(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(0)
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::Tally;

    #[test]
    fn verdicts_of_all_binaries_add_up_and_ignored_tests_fail_the_run() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out");
        tally.read("test result: FAILED. 1 passed; 2 failed; 1 ignored; 0 measured");
        tally.read("test it_says_7_passed ... ok");
        assert_eq!(tally.to_string(), "13 passed, 3 failed");
        assert!(tally.verdict().is_err());
    }

    #[test]
    fn a_run_that_breaks_off_is_a_failure() {
        let mut tally = Tally::default();
        tally
            .watch(Command::new("sh").args(["-c", "exit 101"]))
            .unwrap();
        assert_eq!(tally.to_string(), "0 passed, 1 failed");
    }

    #[test]
    fn nothing_run_is_no_success() {
        assert!(Tally::default().verdict().is_err());
    }
}

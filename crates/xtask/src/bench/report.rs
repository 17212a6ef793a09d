//! Tables of results, in Markdown, under `bench/results`.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::workspace::root;

/// How many events were durable in how long.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
}

impl Rate {
    /// Events per second.
    pub(crate) fn per_second(self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a printed rate has few digits")]
        let events = self.events as f64;
        events / self.seconds
    }
}

/// Lays out a table; the first column is text, the others are numbers.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|---|", head.join(" | "));
    text.push_str(&"---:|".repeat(head.len() - 1));
    for row in rows {
        write!(text, "\n| {} |", row.join(" | ")).expect("a string grows");
    }
    text.push('\n');
    text
}

/// A number without decimals, its thousands apart.
pub(crate) fn thousands(number: f64) -> String {
    apart(&format!("{number:.0}"))
}

/// A count, its thousands apart.
pub(crate) fn count(number: u64) -> String {
    apart(&number.to_string())
}

fn apart(plain: &str) -> String {
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A percentile of sorted times.
pub(crate) fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let last = sorted.len().saturating_sub(1);
    let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at.min(last)).copied().unwrap_or_default()
}

/// Prints the report and writes it as today's.
pub(crate) fn publish(name: &str, text: &str) -> Result<()> {
    println!("\n{text}");
    let today = process::output(Command::new("date").args(["-u", "+%Y-%m-%d"]))?;
    let file = format!("bench/results/{}-{name}.md", today.trim());
    let path = root().join(&file);
    fs::create_dir_all(path.parent().expect("the file lies in a folder"))?;
    fs::write(path, text)?;
    println!("written to {file}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Rate, count, quantile, table, thousands};

    #[test]
    fn a_rate_is_a_number_per_second() {
        let rate = Rate {
            events: 3_000_000,
            seconds: 2.5,
        };
        assert_eq!(thousands(rate.per_second()), "1,200,000");
        assert_eq!(thousands(999.4), "999");
        assert_eq!(count(50_000_000), "50,000,000");
    }

    #[test]
    fn a_table_has_a_line_a_row() {
        let rows = [vec!["one".to_owned(), "1".to_owned()]];
        assert_eq!(
            table(&["what", "n"], &rows),
            "| what | n |\n|---|---:|\n| one | 1 |\n"
        );
    }

    #[test]
    fn a_percentile_is_the_least_time_that_so_many_do_not_pass() {
        let sorted: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 50), Duration::from_millis(100));
        assert_eq!(quantile(&sorted, 99), Duration::from_millis(198));
        assert_eq!(quantile(&sorted[..1], 99), Duration::from_millis(1));
        assert_eq!(quantile(&[], 99), Duration::ZERO);
    }
}

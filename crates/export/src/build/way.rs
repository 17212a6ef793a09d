//! How far the merge of a job-level report is, by organization and time.

use domain::Timestamp;
use domain::export::JobRead;
use domain::ids::OrganizationId;

use super::job_level::Head;

/// Steps of one organization.
const STEPS: usize = 1_000;

/// The way from the first row of a report to the last one possible.
#[derive(Debug)]
pub(super) struct Way {
    organizations: Vec<OrganizationId>,
    start: Timestamp,
    end: Timestamp,
}

impl Way {
    /// The way through all reads of a report.
    pub(super) fn of(meters: &[Vec<JobRead<'_>>]) -> Self {
        let reads = meters.iter().flatten();
        let entries: Vec<_> = reads.flat_map(|read| read.scope.entries()).collect();
        let mut organizations: Vec<_> = entries.iter().map(|entry| entry.organization).collect();
        organizations.sort_unstable();
        organizations.dedup();
        let starts = entries.iter().filter_map(|entry| entry.range.start);
        let ends = entries.iter().filter_map(|entry| entry.range.end);
        Self {
            organizations,
            start: starts.min().unwrap_or(Timestamp::MIN),
            end: ends.max().unwrap_or(Timestamp::MAX),
        }
    }

    /// Steps up to a row.
    pub(super) fn done(&self, (organization, time, _): Head) -> usize {
        let before = self
            .organizations
            .partition_point(|each| *each < organization);
        let seconds = |end: Timestamp| end.as_second().saturating_sub(self.start.as_second());
        let (passed, all) = (seconds(time).max(0), seconds(self.end).max(1));
        let steps = i64::try_from(STEPS).unwrap_or(i64::MAX);
        let share = passed.saturating_mul(steps) / all;
        before * STEPS + usize::try_from(share).unwrap_or(STEPS).min(STEPS)
    }

    /// Steps in all.
    pub(super) fn whole(&self) -> usize {
        self.organizations.len() * STEPS
    }
}

#[cfg(test)]
mod tests {
    use domain::range::TimeRange;
    use domain::tree::Scope;

    use super::*;

    #[test]
    fn the_way_grows_by_organization_and_time() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let organization = |number: u128| OrganizationId::from_random(number);
        let scope = |number| {
            let range = TimeRange::between(at(0), at(100));
            Scope::alone(organization(number)).within(range)
        };
        let entries: Vec<_> = [1, 2]
            .iter()
            .flat_map(|n| scope(*n).entries().to_vec())
            .collect();
        let way = Way {
            organizations: entries.iter().map(|entry| entry.organization).collect(),
            start: at(0),
            end: at(100),
        };
        let done = |number, second| way.done((organization(number), at(second), 1));
        assert_eq!(
            [done(1, 0), done(1, 50), done(2, 0), done(2, 99)],
            [0, 500, 1_000, 1_990]
        );
        assert_eq!(way.whole(), 2_000);
    }
}

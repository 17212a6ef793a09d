//! Plans as small stories: what was declared and used, and the rows that come out.

mod chosen;
mod detail;
mod linked;
mod summary;
mod tiers;
mod usage;
mod zeros;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::*;
use crate::aggregation::{Aggregation, Fold};
use crate::billing::{BillingCycle, CycleLength};
use crate::ids::RateId;
use crate::meter::{JobLevelLayout, Meter, ReadingRule, Scalar};
use crate::quantity::{Amount, Quantity, Total};
use crate::rate::{Rate, RateKind, Tier};
use crate::tree::{Edge, OrganizationKind};

#[derive(Default)]
struct Story {
    control: Control,
    events: Vec<Event>,
}

type Event = (OrganizationId, MeterId, Timestamp, Quantity);

fn id(letter: &str) -> u128 {
    u128::from(letter.bytes().next().unwrap())
}

fn organization_id(letter: &str) -> OrganizationId {
    OrganizationId::from_random(id(letter))
}

fn meter_id(letter: &str) -> MeterId {
    MeterId::from_random(id(letter))
}

fn instant(text: &str) -> Timestamp {
    let full = if text.contains('T') {
        format!("{text}:00Z")
    } else {
        format!("{text}T00:00:00Z")
    };
    full.parse().unwrap()
}

fn range(words: &[&str]) -> TimeRange {
    let bound = |word: &str| words.iter().position(|each| *each == word);
    let at = |word| bound(word).map(|at| instant(words[at + 1]));
    TimeRange {
        start: at("since"),
        end: at("until"),
    }
}

impl Story {
    fn read(text: &str) -> Self {
        let mut story = Self::default();
        for line in text.lines() {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["org", rest @ ..] => story.organization(rest),
                ["under", child, parent, rest @ ..] => story.control.edges.push(Edge {
                    child: organization_id(child),
                    parent: organization_id(parent),
                    valid: range(rest),
                }),
                ["archive", organization, time] => {
                    story.known(organization).archived_at = Some(instant(time));
                }
                ["bill", organization, day, "since", time] => {
                    let since = instant(time);
                    let versions = &mut story.known(organization).versions;
                    let mut version = versions.last().unwrap().clone();
                    versions.last_mut().unwrap().valid.end = Some(since);
                    version.valid = TimeRange::since(since);
                    version.billing.anchor_day = day.parse().unwrap();
                    versions.push(version);
                }
                ["meter", rest @ ..] => story.meter(rest),
                ["rate", rest @ ..] => story.rate(rest),
                ["use", organization, meter, time, quantity] => story.events.push((
                    organization_id(organization),
                    meter_id(meter),
                    instant(time),
                    quantity.parse().unwrap(),
                )),
                other => panic!("unknown line {other:?}"),
            }
        }
        story.control.organizations.sort_by_key(|each| each.id);
        story
    }

    fn known(&mut self, letter: &str) -> &mut Organization {
        let id = organization_id(letter);
        let mut all = self.control.organizations.iter_mut();
        all.find(|organization| organization.id == id).unwrap()
    }

    fn organization(&mut self, words: &[&str]) {
        let kind = match words[1] {
            "production" => OrganizationKind::Production,
            "additional" => OrganizationKind::AdditionalProduction,
            "sandbox" => OrganizationKind::Sandbox,
            _ => OrganizationKind::SubOrganization,
        };
        let annual = words.get(3).map(|month| month.parse().unwrap());
        let billing = BillingCycle {
            anchor_day: words.get(2).map_or(1, |day| day.parse().unwrap()),
            length: annual.map_or(CycleLength::Monthly, CycleLength::Annual),
        };
        self.control.organizations.push(Organization {
            id: organization_id(words[0]),
            kind,
            archived_at: None,
            versions: vec![OrganizationVersion {
                valid: TimeRange::ALWAYS,
                name: format!("Org {}", words[0]),
                billing,
            }],
        });
    }

    fn meter(&mut self, words: &[&str]) {
        let aggregation = match words[1] {
            "max" => Aggregation::Max,
            "unique" => Aggregation::UniqueCount,
            "latest" => Aggregation::Latest,
            _ => Aggregation::Sum,
        };
        self.control.meters.push(Meter {
            id: meter_id(words[0]),
            slug: words[0].to_lowercase(),
            name: format!("Meter {}", words[0]),
            description: String::new(),
            service: String::new(),
            category: String::new(),
            feature: String::new(),
            unit: "h".into(),
            rule: ReadingRule {
                event_type: "t".into(),
                filters: Vec::new(),
                value_property: None,
                aggregation,
                numbers: crate::number::NumberRule::Value,
            },
            group_by: BTreeMap::new(),
            scalar: Scalar {
                name: words[2].into(),
                factor: words[3].parse().unwrap(),
                metric_category: "COMPUTE_UNITS".into(),
            },
            job_level: Some(JobLevelLayout::Generic),
            zero_rows: words.contains(&"zero"),
            valid: range(words),
        });
    }

    fn rate(&mut self, words: &[&str]) {
        let tier = |word: &&str| match word.split_once(':') {
            Some((up_to, price)) => Tier {
                up_to: Some(up_to.parse().unwrap()),
                price: price.parse().unwrap(),
            },
            None => Tier {
                up_to: None,
                price: word.parse().unwrap(),
            },
        };
        let own = words.iter().position(|word| *word == "for");
        let prices = words[1..].iter();
        let prices = prices.take_while(|word| word.as_bytes()[0].is_ascii_digit());
        self.control.rates.push(Rate {
            id: RateId::from_random(self.control.rates.len() as u128),
            meter: words[0].parse().unwrap_or_else(|_| meter_id(words[0])),
            organization: own.map(|at| organization_id(words[at + 1])),
            kind: RateKind::Ipu,
            valid: range(words),
            per: 1,
            unit: String::new(),
            tiers: prices.map(tier).collect(),
            allowance: Quantity::ZERO,
            billable: true,
            list_price: None,
            subscription_id: None,
            charge_number: None,
            currency: None,
        });
    }

    fn request(requester: &str, first: &str, last: &str, linked: bool) -> ExportRequest {
        ExportRequest {
            kind: ExportKind::Summary {
                linked,
                combined: false,
            },
            requester: organization_id(requester),
            first: first.parse().unwrap(),
            last: last.parse().unwrap(),
            parameters: Parameters::default(),
        }
    }

    fn totals<'c>(&self, ledger: &mut Ledger<'c>, read: &UsageRead<'c>) {
        for (index, meter) in read.meters.iter().enumerate() {
            let mut days = BTreeMap::new();
            for (sequence, (organization, of, time, quantity)) in (0..).zip(&self.events) {
                let counts = *of == meter.id && meter.valid.contains(*time);
                if counts && read.scope.contains(*organization, *time) {
                    let fold = || Fold::new(meter.rule.aggregation);
                    let day = days.entry(midnight(utc_date(*time))).or_insert_with(fold);
                    day.add(*quantity, *time, sequence);
                }
            }
            for (day, fold) in days {
                ledger.add(read, index, day, fold);
            }
        }
    }

    /// Reads days with negative readings event by event.
    fn climb<'c>(&self, ledger: &mut Ledger<'c>, reads: &[UsageRead<'c>]) {
        for read in ledger.minima(reads) {
            for (index, meter) in read.meters.iter().enumerate() {
                let mut events: Vec<_> = (0..).zip(&self.events).collect();
                events.retain(|(_, (organization, of, time, _))| {
                    let counts = *of == meter.id && meter.valid.contains(*time);
                    counts && read.scope.contains(*organization, *time)
                });
                events.sort_by_key(|(sequence, (.., time, _))| (*time, *sequence));
                let falls = events
                    .iter()
                    .filter(|(_, (.., fall))| *fall < Quantity::ZERO);
                let mut days: Vec<_> = falls
                    .map(|(_, (_, _, time, _))| midnight(utc_date(*time)))
                    .collect();
                days.dedup();
                let wanted = read.events_on(index, &days).scope;
                for (_, (organization, _, time, quantity)) in events {
                    if wanted.contains(*organization, *time) {
                        ledger.climb(&read, index, *time, (*quantity).into());
                    }
                }
            }
        }
    }

    /// Fails unless usage and worth by meter are what a second reading gives.
    fn recount<'c>(
        &self,
        plan: &SummaryPlan<'c>,
        member: &Member<'c>,
        meter: Option<MeterId>,
        rows: impl Iterator<Item = (MeterId, Total, Amount)>,
    ) {
        let mut recount = plan.recount(member, meter);
        for read in recount.reads() {
            for (place, meter) in read.meters.iter().enumerate() {
                for (sequence, (organization, of, time, quantity)) in (0..).zip(&self.events) {
                    let counts = *of == meter.id && meter.valid.contains(*time);
                    if counts && read.scope.contains(*organization, *time) {
                        let mut fold = Fold::new(meter.rule.aggregation);
                        fold.add(*quantity, *time, sequence);
                        let window = (read.grouping != Grouping::Whole).then_some(*time);
                        recount.add(&read, place, window, fold);
                    }
                }
            }
        }
        let mut sums = BTreeMap::<_, DetailSum>::new();
        for (meter, usage, ipu) in rows {
            sums.entry(meter).or_default().add(usage, ipu).unwrap();
        }
        let found = recount.difference(&member.visible, &sums).unwrap();
        assert!(found.is_none(), "{found:?}");
    }

    fn rows<T>(&self, request: &ExportRequest, print: impl Fn(&SummaryRow<'_>) -> T) -> Vec<T> {
        let as_of = AsOf {
            sequence: 0,
            revision: 0,
            time: instant("2014-01-01"),
        };
        let plan = ExportPlan::new(request, &self.control, as_of).unwrap();
        let ExportPlan::Summary(plan) = plan else {
            unreachable!("a summary was asked for");
        };
        let mut roll_ups = RollUps::default();
        let mut printed = Vec::new();
        for member in &plan.members {
            let (mut ledger, borders) = plan.ledger(member);
            let reads = ledger.reads(&borders);
            for read in &reads {
                self.totals(&mut ledger, read);
            }
            self.climb(&mut ledger, &reads);
            let rows = plan.rows(member, ledger, &mut roll_ups).unwrap();
            if member.is_printed {
                let own = rows.iter().filter(|row| !row.is_linked());
                let own = own.map(|row| (row.meter_id, row.usage.unwrap(), row.ipu));
                self.recount(&plan, member, None, own);
            }
            printed.extend(rows.iter().map(&print));
        }
        printed
    }
}

/// The letter of a story's organization or meter.
fn letter(id: &str) -> &str {
    match id.trim_start_matches('0') {
        "13" => "A",
        "14" => "B",
        "15" => "C",
        "16" => "D",
        "1F" => "M",
        "1G" => "N",
        "1H" => "O",
        "5Ariu53Z8gobF4KYsmTg4Z" => "sub-fee",
        "2z4IqaoycKEextVpoCisuL" => "sandbox-fee",
        "c6ksUl786egib9ZAPb0OYf" => "subs",
        "c6vq9jira786LE0O2UReWT" => "sandboxes",
        _ => "?",
    }
}

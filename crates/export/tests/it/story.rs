//! Worlds told in a few lines of text: who is there, what is metered, what it costs and what was
//! used.
//!
//! ```text
//! org Acme production day 15
//! org Lab sandbox in Acme since 2013-01-10T00:00:00Z
//! move Lab Acme 2013-01-20T12:00:00Z
//! meter 1 Data_Integration SUM HOURS 1 COMPUTE_UNITS data_integration
//! rate 1 100:0.16 0.08 for Lab since 2013-01-05T00:00:00Z
//! use Acme 2013-01-05T10:00:00Z {"n1":1.5}
//! ```
//!
//! A meter `N` reads `$.nN`. A line that starts with `+` goes on with the one before; one that
//! starts with `#` says something to people.

use std::collections::BTreeSet;
use std::fmt::Write;

use domain::Timestamp;
use domain::ids::{OrganizationId, RateId};
use domain::meter::{Meter, Scalar};
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::rate::{Rate, Tier};
use domain::tree::OrganizationKind;
use metadata::{BillingPeriod, Change, NewAccount, NewOrganization, OrganizationAttributes};

use crate::world::{World, meter, meter_id, rate};

/// The id of an organization called so.
pub(crate) fn named(name: &str) -> OrganizationId {
    format!("{name:0>22}").parse().unwrap()
}

/// A JSON word in the form the enum is kept in.
fn word<T: serde::de::DeserializeOwned>(word: &str) -> T {
    serde_json::from_value(word.into()).unwrap()
}

/// The word behind a key.
fn after<'l>(words: &[&'l str], key: &str) -> Option<&'l str> {
    let at = words.iter().position(|each| *each == key)?;
    Some(words[at + 1])
}

fn instant(words: &[&str], key: &str) -> Option<Timestamp> {
    after(words, key).map(|text| text.parse().unwrap())
}

fn valid(words: &[&str]) -> TimeRange {
    TimeRange {
        start: instant(words, "since"),
        end: None,
    }
}

struct Teller<'w> {
    world: &'w World,
    change: Change,
    meters: BTreeSet<u8>,
    rates: BTreeSet<RateId>,
}

/// The world of a story.
pub(crate) async fn told(text: &str) -> World {
    let world = World::empty().await;
    let whole: Vec<_> = text.lines().map(str::trim).collect();
    let whole = whole.join("\n").replace("\n+", "");
    let mut teller = Teller {
        change: world.metadata.begin_change(world.now()).await.unwrap(),
        world: &world,
        meters: BTreeSet::new(),
        rates: BTreeSet::new(),
    };
    let mut used = String::new();
    for line in whole.lines() {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [] | ["#", ..] => {}
            ["org", rest @ ..] => teller.organization(rest).await,
            ["move", child, parent, at] => {
                let at = Some(at.parse().unwrap());
                let moved = teller
                    .change
                    .move_organization(named(child), named(parent), at);
                moved.await.unwrap();
            }
            ["meter", rest @ ..] => teller.meter(rest).await,
            ["rate", rest @ ..] => teller.rate(rest).await,
            ["use", name, ..] => {
                let rest = line.splitn(3, ' ').nth(2).unwrap();
                writeln!(used, "{} {rest}", named(name)).unwrap();
            }
            other => panic!("unknown line {other:?}"),
        }
    }
    teller.change.commit().await.unwrap();
    world.take(&used).await;
    world
}

impl Teller<'_> {
    async fn organization(&mut self, words: &[&str]) {
        let mut attributes = OrganizationAttributes::named(format!("The {}", words[0]));
        if let Some(day) = after(words, "day") {
            attributes.anchor.day = day.parse().unwrap();
        }
        if let Some(month) = after(words, "month") {
            attributes.anchor.month = month.parse().unwrap();
            attributes.anchor.period = BillingPeriod::Annual;
        }
        let parent = after(words, "in").map(named);
        let kind: OrganizationKind = word(words[1]);
        let node = NewOrganization {
            id: Some(named(words[0])),
            kind,
            attributes,
            aliases: Vec::new(),
            parent: parent.map(|parent| (parent, instant(words, "since"))),
        };
        if parent.is_some() {
            let account = self.world.account;
            self.change
                .insert_organization(account, node)
                .await
                .unwrap();
            return;
        }
        let account = NewAccount {
            id: Some(self.world.account),
            root: node,
        };
        self.change.insert_account(account).await.unwrap();
    }

    async fn meter(&mut self, words: &[&str]) {
        let number: u8 = words[0].parse().unwrap();
        let layout = words[6..].iter().find(|each| each.contains("integration"));
        let layout = layout.or(words[6..].iter().find(|each| each.contains("pushdown")));
        let layout = layout.or(words[6..].iter().find(|each| **each == "generic"));
        let mut declared = Meter {
            name: words[1].replace('_', " "),
            scalar: Scalar {
                name: words[3].into(),
                factor: words[4].parse().unwrap(),
                metric_category: words[5].into(),
            },
            zero_rows: words.contains(&"zero"),
            valid: valid(words),
            ..meter(number, layout.map(|layout| word(layout)))
        };
        declared.rule.aggregation = word(words[2]);
        if words[2] == "COUNT" {
            declared.rule.value_property = None;
        }
        let account = self.world.account;
        let made = if self.meters.insert(number) {
            self.change.insert_meter(account, &declared).await
        } else {
            self.change.put_meter(account, &declared).await
        };
        made.unwrap();
    }

    /// Rates of one meter for one organization, or for all, are versions of each other.
    async fn rate(&mut self, words: &[&str]) {
        let number: u8 = words[0].parse().unwrap();
        let tier = |word: &&str| {
            let (up_to, price) = word.split_once(':').unwrap_or(("", word));
            Tier {
                up_to: (!up_to.is_empty()).then(|| up_to.parse().unwrap()),
                price: price.parse().unwrap(),
            }
        };
        let is_number = |word: &&&str| word.as_bytes()[0].is_ascii_digit();
        let owner = after(words, "for").map(named);
        let own = owner.map_or(0, |owner| {
            let bytes = owner.as_str().bytes();
            bytes.fold(0, |sum: u128, byte| sum * 31 % 1_000_003 + u128::from(byte))
        });
        let id = RateId::from_random(u128::from(number) << 32 | own);
        let allowance = after(words, "allowance").map(|text| text.parse().unwrap());
        let declared = Rate {
            id,
            meter: meter_id(number),
            organization: owner,
            valid: valid(words),
            tiers: words[1..].iter().take_while(is_number).map(tier).collect(),
            allowance: allowance.unwrap_or(Quantity::ZERO),
            ..rate(number, "0")
        };
        let account = self.world.account;
        let made = if self.rates.insert(id) {
            self.change.insert_rate(account, &declared).await
        } else {
            self.change.put_rate(&declared).await
        };
        made.unwrap();
    }
}

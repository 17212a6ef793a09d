//! A small account that most stories start from.

use std::collections::BTreeMap;

use domain::Timestamp;
use domain::aggregation::Aggregation;
use domain::ids::{AccountId, MeterId, OrganizationId, RateId, UserId};
use domain::meter::{Filter, JobLevelLayout, Meter, ReadingRule, Scalar};
use domain::number::NumberRule;
use domain::quantity::Quantity;
use domain::range::TimeRange;
use domain::rate::{Rate, RateKind, Tier};
use domain::tree::OrganizationKind;
use metadata::{
    Change, ExportKind, ExportSource, Metadata, NewAccount, NewExport, NewOrganization, NewUser,
    OrganizationAttributes, Result, User, UserProfile,
};

/// Root 1 over additional production 2 and sandbox 3; sub-organization 4 under 2. Meter, rate.
pub(crate) struct World {
    pub(crate) metadata: Metadata,
    pub(crate) account: AccountId,
    pub(crate) root: OrganizationId,
    pub(crate) additional: OrganizationId,
    pub(crate) sandbox: OrganizationId,
    pub(crate) sub: OrganizationId,
    pub(crate) meter: Meter,
    pub(crate) rate: Rate,
}

/// The instant so many seconds into the story.
pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

pub(crate) fn organization(number: u128) -> OrganizationId {
    OrganizationId::from_random(number)
}

impl World {
    /// Writes the account as one change.
    pub(crate) async fn create(metadata: Metadata) -> Self {
        Self::numbered(metadata, 0).await
    }

    /// Another account in the same database; ids start at `offset`.
    pub(crate) async fn numbered(metadata: Metadata, offset: u128) -> Self {
        let id = |number| organization(offset + number);
        let (root, additional, sandbox, sub) = (id(1), id(2), id(3), id(4));
        let meter = meter(offset + 1, "hours");
        let rate = rate(offset + 1, meter.id, None, "0.16");
        let account = AccountId::from_random(offset + 1);
        let mut change = metadata.begin_change(at(0)).await.unwrap();
        let new = NewAccount {
            id: Some(account),
            root: node(root, OrganizationKind::Production, "Root", None),
        };
        change.insert_account(new).await.unwrap();
        let below = [
            node(
                additional,
                OrganizationKind::AdditionalProduction,
                "More",
                Some(root),
            ),
            node(sandbox, OrganizationKind::Sandbox, "Sand", Some(root)),
            node(
                sub,
                OrganizationKind::SubOrganization,
                "Sub",
                Some(additional),
            ),
        ];
        for new in below {
            change.insert_organization(account, new).await.unwrap();
        }
        change.insert_meter(account, &meter).await.unwrap();
        change.insert_rate(account, &rate).await.unwrap();
        change.commit().await.unwrap();
        Self {
            metadata,
            account,
            root,
            additional,
            sandbox,
            sub,
            meter,
            rate,
        }
    }

    /// Makes one change of its own.
    pub(crate) async fn change<T>(&self, steps: impl AsyncFnOnce(&mut Change) -> Result<T>) -> u64 {
        let mut change = self.metadata.begin_change(at(1)).await.unwrap();
        steps(&mut change).await.unwrap();
        change.commit().await.unwrap()
    }

    /// Tries one change, which is expected to be refused, and gives the refusal.
    pub(crate) async fn refused<T>(
        &self,
        steps: impl AsyncFnOnce(&mut Change) -> Result<T>,
    ) -> metadata::Error {
        let mut change = self.metadata.begin_change(at(1)).await.unwrap();
        match steps(&mut change).await {
            Ok(_) => panic!("the change was not refused"),
            Err(error) => error,
        }
    }

    pub(crate) async fn user(&self, name: &str, organization: OrganizationId) -> User {
        let new = NewUser {
            id: None,
            name: name.to_owned(),
            password_hash: "hash".to_owned(),
            organization,
            server_administrator: false,
            profile: UserProfile {
                first_name: "Ada".to_owned(),
                last_name: "Low".to_owned(),
                emails: vec!["ada@example.com".to_owned()],
            },
        };
        self.metadata.insert_user(new, at(0)).await.unwrap()
    }

    /// A request of the vendor's door.
    pub(crate) fn request(&self, organization: OrganizationId, kind: ExportKind) -> NewExport {
        NewExport {
            id: None,
            kind,
            source: ExportSource::Vendor,
            organization,
            user: None::<UserId>,
            start: "2013-01-01T00:00:00Z".to_owned(),
            end: "2013-01-31T23:59:59Z".to_owned(),
            meter: Some(self.meter.id),
            all_meters: false,
            combined: true,
            all_linked_orgs: true,
            parameters: None,
            callback_url: None,
            idempotency_key: None,
            as_of: None,
            request_id: None,
            request_sha256: None,
        }
    }
}

pub(crate) fn node(
    id: OrganizationId,
    kind: OrganizationKind,
    name: &str,
    parent: Option<OrganizationId>,
) -> NewOrganization {
    NewOrganization {
        id: Some(id),
        kind,
        attributes: OrganizationAttributes::named(name),
        aliases: Vec::new(),
        parent: parent.map(|parent| (parent, None)),
    }
}

/// A meter with every field filled.
pub(crate) fn meter(number: u128, slug: &str) -> Meter {
    Meter {
        id: MeterId::from_random(number),
        slug: slug.to_owned(),
        name: "Data Integration\u{a0}Hours".to_owned(),
        description: "Hours of work".to_owned(),
        service: "integration".to_owned(),
        category: "compute".to_owned(),
        feature: slug.to_owned(),
        unit: "hours".to_owned(),
        rule: ReadingRule {
            event_type: "job".to_owned(),
            filters: vec![Filter {
                path: "$.status".parse().unwrap(),
                values: vec!["SUCCESS".to_owned(), "WARNING".to_owned()],
            }],
            value_property: Some("$.hours".parse().unwrap()),
            aggregation: Aggregation::Sum,
            numbers: NumberRule::Value,
        },
        group_by: BTreeMap::from([("zone".to_owned(), "$['time zone']".parse().unwrap())]),
        scalar: Scalar {
            name: "HOURS".to_owned(),
            factor: 1,
            metric_category: "COMPUTE_UNITS".to_owned(),
        },
        job_level: Some(JobLevelLayout::DataIntegration),
        zero_rows: true,
        valid: TimeRange::ALWAYS,
    }
}

/// An IPU rate with two tiers.
pub(crate) fn rate(
    number: u128,
    meter: MeterId,
    organization: Option<OrganizationId>,
    price: &str,
) -> Rate {
    let quantity = |text: &str| text.parse::<Quantity>().unwrap();
    Rate {
        id: RateId::from_random(number),
        meter,
        organization,
        kind: RateKind::Ipu,
        valid: TimeRange::ALWAYS,
        per: 1,
        unit: String::new(),
        tiers: vec![
            Tier {
                up_to: Some(quantity("2000.000000000001")),
                price: quantity(price),
            },
            Tier {
                up_to: None,
                price: quantity("0.000001"),
            },
        ],
        allowance: quantity("0.5"),
        billable: true,
        list_price: Some(quantity("0.2")),
        subscription_id: Some("sub-1".to_owned()),
        charge_number: Some("charge-1".to_owned()),
        currency: None,
    }
}

//! Edits as lines for people: `+` creates, `~` changes.

use std::fmt;

use domain::Timestamp;
use domain::rate::{Rate, RateKind};
use metadata::OrganizationAttributes;

use super::Edit;

impl fmt::Display for Edit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateAccount(new) => {
                write!(out, "+ account with root {:?}", new.root.attributes.name)
            }
            Self::CreateOrganization(new) => {
                let (name, kind) = (&new.attributes.name, new.kind.as_str());
                write!(out, "+ organization {name:?} ({kind})")
            }
            Self::AdoptRoot { name, .. } => {
                write!(
                    out,
                    "~ organization {name:?}: adopted, unused since the first start"
                )
            }
            Self::PutOrganization { before, after, .. } => {
                write!(out, "~ organization {:?}: ", before.name)?;
                out.write_str(&changed(before, after).join(", "))
            }
            Self::PutAliases { name, aliases, .. } => {
                write!(
                    out,
                    "~ organization {name:?}: aliases {}",
                    aliases.join(", ")
                )
            }
            Self::MoveOrganization {
                name,
                parent_name,
                at,
                ..
            } => {
                write!(
                    out,
                    "~ organization {name:?} under {parent_name:?} {}",
                    since(*at)
                )
            }
            Self::CreateMeter(meter) => write!(out, "+ meter {:?}", meter.slug),
            Self::PutMeter(meter) => {
                write!(out, "~ meter {:?} {}", meter.slug, since(meter.valid.start))
            }
            Self::CreateRate { meter, rate } => write!(out, "+ {}", spell(meter, rate)),
            Self::PutRate { meter, rate } => write!(out, "~ {}", spell(meter, rate)),
            Self::CreateUser { name, .. } => write!(out, "+ user {name:?}"),
            Self::PutProfile { name, .. } => write!(out, "~ user {name:?}: names, addresses"),
            Self::GiveRole {
                user,
                organization,
                assignment,
            } => {
                let role = assignment.role.as_str();
                write!(out, "~ user {user:?}: {role} of {organization:?}")
            }
            Self::CreateKey { name, role, .. } => {
                write!(out, "+ key {name:?} ({})", role.as_str())
            }
        }
    }
}

fn since(start: Option<Timestamp>) -> String {
    start.map_or_else(|| "since ever".to_owned(), |start| format!("since {start}"))
}

pub(super) fn spell(meter: &str, rate: &Rate) -> String {
    let kind = match rate.kind {
        RateKind::Ipu => "IPU",
        RateKind::Money => "money",
    };
    let whose = match rate.organization {
        Some(organization) => format!(" for {organization}"),
        None => String::new(),
    };
    let price = match rate.tiers.as_slice() {
        [only] => only.price.to_string(),
        tiers => format!("{} tiers", tiers.len()),
    };
    let since = since(rate.valid.start);
    format!("{kind} rate of meter {meter:?}{whose}: {price} {since}")
}

fn changed(before: &OrganizationAttributes, after: &OrganizationAttributes) -> Vec<String> {
    let anchor = |attributes: &OrganizationAttributes| {
        let anchor = attributes.anchor;
        format!(
            "{} from {}/{}",
            anchor.period.as_str(),
            anchor.month,
            anchor.day
        )
    };
    let or_none = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
    let fields = |attributes: &OrganizationAttributes| {
        [
            ("name", attributes.name.clone()),
            ("realmId", or_none(&attributes.realm_id)),
            ("partnerId", or_none(&attributes.partner_id)),
            ("billing", anchor(attributes)),
            ("currency", attributes.currency.clone()),
            ("meteringEnabled", attributes.metering_enabled.to_string()),
        ]
    };
    let pairs = fields(before).into_iter().zip(fields(after));
    pairs
        .filter(|(before, after)| before != after)
        .map(|((field, before), (_, after))| format!("{field} {before} -> {after}"))
        .collect()
}

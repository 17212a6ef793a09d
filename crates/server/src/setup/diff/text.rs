//! Edits as lines for people: `+` creates, `~` changes, `-` ends. A change names every field with
//! the value it had and the one it gets; one that changes no field has no line.

mod fields;

use std::fmt;

use domain::Timestamp;
use domain::rate::{Rate, RateKind};
use metadata::OrganizationAttributes;

use super::Edit;
use crate::setup::account::TakeOver;
use fields::changed;

impl fmt::Display for Edit {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateAccount { new, replaces, .. } => {
                write!(out, "+ account with root {:?}", new.root.attributes.name)?;
                match replaces {
                    Some((old, name)) => write!(
                        out,
                        ", in place of account {} with root {name:?}, unused since the first start",
                        old.id
                    ),
                    None => Ok(()),
                }
            }
            Self::CreateOrganization(new) => {
                let (name, kind) = (&new.attributes.name, new.kind.as_str());
                write!(out, "+ organization {name:?} ({kind})")
            }
            Self::AdoptRoot {
                before, takes_over, ..
            } => {
                let how = match takes_over {
                    TakeOver::Unused => "unused since the first start",
                    TakeOver::Used => "which the first start made",
                };
                write!(out, "~ organization {before:?}: adopted, {how}")
            }
            Self::MoveOrganization {
                name, names, at, ..
            } => {
                let (before, after) = names;
                if before.as_ref() == Some(after) {
                    return Ok(());
                }
                let before = before.as_ref().map(|before| format!("{before:?} -> "));
                let (before, since) = (before.unwrap_or_default(), since(*at));
                write!(
                    out,
                    "~ organization {name:?} {since}: parent {before}{after:?}"
                )
            }
            Self::CreateMeter(meter) => write!(out, "+ meter {:?}", meter.slug),
            Self::CreateRate { meter, rate } => write!(out, "+ {}", spell(meter, rate)),
            Self::EndVersion { of, since: start } => {
                write!(
                    out,
                    "- {of} {}: what holds before it goes on",
                    since(*start)
                )
            }
            Self::CreateUser { name, .. } => write!(out, "+ user {name:?}"),
            Self::GiveRole {
                user,
                organization,
                assignment,
            } => {
                let role = assignment.role.as_str();
                write!(out, "~ user {user:?}: {role} of {organization:?}")
            }
            Self::CreateKey {
                name,
                organization_name,
                role,
                ..
            } => {
                let role = role.as_str();
                write!(out, "+ key {name:?} ({role} of {organization_name:?})")
            }
            _ => self.write_change(out),
        }
    }
}

impl Edit {
    /// Writes what changes fields; nothing where none does.
    fn write_change(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (of, fields) = match self {
            Self::PutOrganization { before, after, .. } => {
                let of = format!("organization {:?}", before.name);
                (of, changed(before, after))
            }
            Self::PutBilling {
                name,
                since: start,
                before,
                own,
                ..
            } => {
                let mut after: OrganizationAttributes = before.clone();
                own.replace(&mut after);
                let of = format!("organization {name:?} {}", since(*start));
                (of, changed(before, &after))
            }
            Self::PutAliases {
                name,
                before,
                aliases,
                ..
            } => {
                let of = format!("organization {name:?}");
                (of, vec![fields::aliases(before, aliases)])
            }
            Self::PutMeter { before, after } => {
                let of = format!("meter {:?} {}", after.slug, since(after.valid.start));
                (of, changed(&**before, &**after))
            }
            Self::PutRate {
                meter,
                before,
                after,
            } => {
                let of = format!("{} {}", rate_of(meter, after), since(after.valid.start));
                (of, changed(&**before, &**after))
            }
            Self::PutProfile {
                name,
                before,
                after,
                ..
            } => (format!("user {name:?}"), changed(before, after)),
            _ => return Ok(()),
        };
        if fields.is_empty() {
            return Ok(());
        }
        write!(out, "~ {of}: {}", fields.join(", "))
    }
}

pub(super) fn since(start: Option<Timestamp>) -> String {
    start.map_or_else(|| "since ever".to_owned(), |start| format!("since {start}"))
}

/// Which rate it is, without its terms.
pub(super) fn rate_of(meter: &str, rate: &Rate) -> String {
    let kind = match rate.kind {
        RateKind::Ipu => "IPU",
        RateKind::Money => "money",
    };
    let whose = match rate.organization {
        Some(organization) => format!(" for {organization}"),
        None => String::new(),
    };
    format!("{kind} rate of meter {meter:?}{whose}")
}

pub(super) fn spell(meter: &str, rate: &Rate) -> String {
    let price = match rate.tiers.as_slice() {
        [only] => only.price.to_string(),
        tiers => format!("{} tiers", tiers.len()),
    };
    let (of, since) = (rate_of(meter, rate), since(rate.valid.start));
    format!("{of}: {price} {since}")
}

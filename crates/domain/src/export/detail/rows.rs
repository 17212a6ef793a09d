//! Columns and rows of the detailed files.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{DetailLine, Keys};
use crate::export::column::{Column, NULL, Row, column, push, write_fixed};
use crate::export::control::Organization;
use crate::export::summary::organization_type;
use crate::quantity::{Amount, Quantity, Total};

/// What a cell of the file by project and folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProjectCell {
    /// The UTC day.
    Date,
    /// The project.
    Project,
    /// The folder.
    Folder,
    /// The organization's id.
    OrganizationId,
    /// The organization's kind.
    OrganizationType,
    /// Consumption.
    Ipu,
}

/// Columns of the file by project and folder. Order and headers are a public contract.
pub const PROJECT_FOLDER: &[Column<ProjectCell>] = &[
    column("Date", ProjectCell::Date),
    column("Project", ProjectCell::Project),
    column("Folder", ProjectCell::Folder),
    column("Org ID", ProjectCell::OrganizationId),
    column("Org Type", ProjectCell::OrganizationType),
    column("Consumption (IPUs)", ProjectCell::Ipu),
];

/// What a cell of the file by asset holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssetCell {
    /// The meter's id.
    MeterId,
    /// The meter's name.
    MeterName,
    /// The UTC day.
    Date,
    /// One of the group's values, by its place.
    Key(usize),
    /// The organization's id.
    OrganizationId,
    /// The organization's kind.
    OrganizationType,
    /// Bounds of the tier in scalar units.
    Tier,
    /// Price of one unit in the tier.
    Price,
    /// Usage in readings.
    Usage,
    /// Consumption.
    Ipu,
}

/// Columns of the file by asset. Order and headers are a public contract.
pub const ASSET: &[Column<AssetCell>] = &[
    column("Meter ID", AssetCell::MeterId),
    column("Meter Name", AssetCell::MeterName),
    column("Date", AssetCell::Date),
    column("Asset Name", AssetCell::Key(0)),
    column("Asset Type", AssetCell::Key(1)),
    column("Project", AssetCell::Key(2)),
    column("Folder", AssetCell::Key(3)),
    column("Org ID", AssetCell::OrganizationId),
    column("Org Type", AssetCell::OrganizationType),
    column("Environment Name", AssetCell::Key(4)),
    column("Environment Type", AssetCell::Key(5)),
    column("Tier", AssetCell::Tier),
    column("IPU Per Unit", AssetCell::Price),
    column("Usage", AssetCell::Usage),
    column("Consumption (IPUs)", AssetCell::Ipu),
];

pub(crate) const AMOUNT_DECIMALS: u32 = 12;
pub(crate) const PRICE_DECIMALS: u32 = 6;
const TIER_DECIMALS: u32 = 3;

/// Consumption by project, folder and day, of all meters together.
#[derive(Debug, Clone, Default)]
pub struct ProjectDays(BTreeMap<(Keys, Reverse<Date>), Amount>);

/// One line of the file by project and folder.
#[derive(Debug, Clone)]
pub struct ProjectRow<'c> {
    /// Whose consumption.
    pub organization: &'c Organization,
    /// The UTC day.
    pub date: Date,
    /// Consumption, unrounded.
    pub ipu: Amount,
    keys: Keys,
}

impl ProjectDays {
    /// Adds lines; `None` when a sum does not fit 256 bits.
    pub fn add(&mut self, lines: Vec<DetailLine<'_>>) -> Option<()> {
        for line in lines {
            let zero = Amount::from(Total::ZERO);
            let sum = self
                .0
                .entry((line.keys, Reverse(line.date)))
                .or_insert(zero);
            *sum = sum.checked_add(line.ipu)?;
        }
        Some(())
    }

    /// The rows: by project and folder, the newest day first.
    pub fn rows(self, organization: &Organization) -> impl Iterator<Item = ProjectRow<'_>> {
        let days = self.0.into_iter();
        days.map(move |((keys, Reverse(date)), ipu)| ProjectRow {
            organization,
            date,
            ipu,
            keys,
        })
    }
}

fn write_date(date: Date, text: &mut String) {
    push(text, format_args!("{date}T00:00:00Z"));
}

fn write_key(keys: &Keys, place: usize, text: &mut String) {
    let value = keys.get(place).and_then(Option::as_deref);
    text.push_str(value.unwrap_or(NULL));
}

impl Row for ProjectRow<'_> {
    type Cell = ProjectCell;

    fn write(&self, cell: ProjectCell, text: &mut String) {
        match cell {
            ProjectCell::Date => write_date(self.date, text),
            ProjectCell::Project => write_key(&self.keys, 0, text),
            ProjectCell::Folder => write_key(&self.keys, 1, text),
            ProjectCell::OrganizationId => text.push_str(self.organization.id.as_str()),
            ProjectCell::OrganizationType => {
                text.push_str(organization_type(self.organization.kind));
            }
            ProjectCell::Ipu => text.push_str(&self.ipu.fixed(AMOUNT_DECIMALS)),
        }
    }
}

impl DetailLine<'_> {
    /// Where the tier starts, in scalar units; where it ends, if it does; what a unit costs.
    fn tier(&self) -> (Quantity, Option<Quantity>, Quantity) {
        let tiers = self.rate.map_or(&[][..], |rate| &rate.tiers);
        let before = self
            .tier
            .checked_sub(1)
            .and_then(|before| tiers.get(before));
        let start = before.and_then(|tier| tier.up_to).unwrap_or(Quantity::ZERO);
        let tier = tiers.get(self.tier);
        let price = tier.map_or(Quantity::ZERO, |tier| tier.price);
        (start, tier.and_then(|tier| tier.up_to), price)
    }
}

impl Row for DetailLine<'_> {
    type Cell = AssetCell;

    fn write(&self, cell: AssetCell, text: &mut String) {
        let (start, end, price) = self.tier();
        match cell {
            AssetCell::MeterId => text.push_str(self.meter.id.as_str()),
            AssetCell::MeterName => text.push_str(&self.meter.name),
            AssetCell::Date => write_date(self.date, text),
            AssetCell::Key(place) => write_key(&self.keys, place, text),
            AssetCell::OrganizationId => text.push_str(self.organization.id.as_str()),
            AssetCell::OrganizationType => text.push_str(organization_type(self.organization.kind)),
            AssetCell::Tier => {
                write_fixed(start.into(), TIER_DECIMALS, text);
                match end {
                    Some(end) => {
                        text.push_str(" - ");
                        write_fixed(end.into(), TIER_DECIMALS, text);
                    }
                    None => text.push_str(" +"),
                }
            }
            AssetCell::Price => write_fixed(price.into(), PRICE_DECIMALS, text),
            AssetCell::Usage => write_fixed(self.usage, AMOUNT_DECIMALS, text),
            AssetCell::Ipu => text.push_str(&self.ipu.fixed(AMOUNT_DECIMALS)),
        }
    }
}

//! Columns a request chooses: which of a layout's are printed, and in which order.

use super::column::Column;
use super::{ASSET, Detail};
use super::{ExportPlan, FileFormat, PROJECT_FOLDER, Packing, Parameters, PlanError, SUMMARY};

/// The places of the chosen `headers` among `columns`, in the order chosen; all when none is.
pub fn places<C>(columns: &[Column<C>], headers: &[String]) -> Result<Vec<usize>, PlanError> {
    if headers.is_empty() {
        return Ok((0..columns.len()).collect());
    }
    let place = |header: &String| {
        let found = columns.iter().position(|column| column.header == header);
        found.ok_or_else(|| PlanError::UnknownColumn {
            column: header.clone(),
            known: columns.iter().map(|column| column.header).collect(),
        })
    };
    let mut places = Vec::with_capacity(headers.len());
    for header in headers {
        let place = place(header)?;
        if places.contains(&place) {
            return Err(PlanError::RepeatedColumn(header.clone()));
        }
        places.push(place);
    }
    Ok(places)
}

impl ExportPlan<'_> {
    /// Fails unless every file has the columns chosen, and the packing has room for the files.
    pub(super) fn check(&self, parameters: &Parameters) -> Result<(), PlanError> {
        let headers = &parameters.columns;
        match self {
            Self::Summary(_) => drop(places(SUMMARY, headers)?),
            Self::Detail(plan) => match plan.detail {
                Detail::ProjectFolder => drop(places(PROJECT_FOLDER, headers)?),
                Detail::Asset => drop(places(ASSET, headers)?),
            },
            // Its columns are chosen while it is planned.
            Self::Usage(_) => {}
            Self::JobLevel(plans) => {
                for plan in plans {
                    match plan.job_columns() {
                        Some(columns) => drop(places(columns, headers)?),
                        None => drop(places(plan.process_columns(), headers)?),
                    }
                }
            }
        }
        let files = self.file_names().len();
        if parameters.packing == Packing::Gzip && files != 1 {
            return Err(PlanError::NotOneFile { files });
        }
        Ok(())
    }
}

/// The name of a file, which plans give as that of a CSV, in another form.
pub fn file_name(name: &str, format: FileFormat) -> String {
    match (format, name.strip_suffix(".csv")) {
        (FileFormat::Parquet, Some(stem)) => format!("{stem}.parquet"),
        _ => name.to_owned(),
    }
}

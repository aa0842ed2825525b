//! `braintune report`: one self-contained `report.html` from a results folder, each figure as SVG and PNG, each table
//! as CSV.
//!
//! All of it is drawn from a [`StudyResults`]: `study.json`, or what `encode` and `probe` have left in the folder.
//! Figures are means over participants with their standard errors, in r / noise ceiling where every participant has
//! ceilings. Same results, same bytes: no times, no names of machines. Every string out of the data is escaped, and the
//! page's own policy lets a browser load nothing and run nothing but the one script that shows values.
//! Held by `tests/it/report.rs`.

mod alignment;
mod files;
mod finding;
mod impact;
mod page;
mod probes;
mod section;
mod source;
mod table;
mod tables;
mod training;
mod view;
mod voxels;

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::files::write_atomically;
use crate::study::StudyResults;
use section::Report;

/// The results in a folder: `study.json`; without it, a small study of the models in `alignment.csv` (of `encode`) and
/// `probes.csv` (of `probe`).
///
/// # Errors
/// `study.json` is damaged or of another `schema_version`; a table is; the folder has none of them.
pub fn read(dir: &Path) -> Result<StudyResults> {
    source::read(dir)
}

/// The page, without anything beside it. Pictures of surfaces are read from `dir`.
#[must_use]
pub fn html(results: &StudyResults, dir: &Path) -> String {
    let results = completed(results);
    page::html(&Report::new(&results, dir))
}

/// Writes `figures/`, `tables/` and then `report.html` into `dir`; the path of the latter.
///
/// ```
/// use braintune::report;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let dir = folder.path();
/// let table = "subject,model,layer,roi,mean_r\nS1,tiny,0,all,0.05\nS1,tiny,1,all,0.11\n";
/// std::fs::write(dir.join("alignment.csv"), table)?; // as `encode` leaves it
/// let results = report::read(dir)?;
/// assert_eq!(results.curves[0].mean_r[1].value, Some(0.11));
/// let page = report::write(&results, dir)?;
/// assert!(page.ends_with("report.html") && dir.join("figures").is_dir());
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What the file system says, naming the file.
pub fn write(results: &StudyResults, dir: &Path) -> Result<PathBuf> {
    let results = completed(results);
    let report = Report::new(&results, dir);
    files::write(&report.figures(), &report.tables, dir)?;
    let path = dir.join("report.html");
    write_atomically(&path, page::html(&report).as_bytes())?;
    Ok(path)
}

fn completed(results: &StudyResults) -> StudyResults {
    let mut results = results.clone();
    source::complete(&mut results);
    results
}

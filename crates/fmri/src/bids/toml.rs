//! `bids.toml`: the options of a BIDS folder, so that the command line can use it.
//!
//! Every key is listed in the docs of [`BidsOptions::read`]; one that is not known is an error that
//! names its line. Held by `tests/it/open.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::options::{BidsOptions, BidsRuns, Filter};
use crate::files::read_text;
use crate::toml::parse_toml;
use crate::{FmriError, Result, Trim, VoxelOrder};

const TOML: &str = "bids.toml";
const MAX_BYTES: u64 = 1 << 20;
/// More than any run has: a typing error must not ask for memory.
const MOST_TRS: usize = 1_000_000;

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    derivatives: Option<PathBuf>,
    cache: Option<PathBuf>,
    tasks: Vec<String>,
    space: Option<String>,
    desc: Option<String>,
    mask: Option<PathBuf>,
    order: VoxelOrder,
    runs: BidsRuns,
    onset_s: Option<f64>,
    trial_type: Option<String>,
    n_trs: BTreeMap<String, usize>,
    trim: TrimTable,
    smoothing_mm: Option<f64>,
    high_pass_s: Option<f64>,
    detrend: bool,
    z_score: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TrimTable {
    train: [usize; 2],
    test: [usize; 2],
}

impl BidsOptions {
    /// The options that `bids.toml` in the folder `dir` gives; those of [`new`](Self::new) if there
    /// is no such file. Paths are taken from `dir`.
    ///
    /// | key | as |
    /// |---|---|
    /// | `derivatives`, `cache`, `mask` | [`with_derivatives`](Self::with_derivatives), [`with_cache`](Self::with_cache), [`with_mask`](Self::with_mask) |
    /// | `tasks`, `space`, `desc` | [`with_tasks`](Self::with_tasks), [`with_space`](Self::with_space), [`with_desc`](Self::with_desc) |
    /// | `order` | [`with_order`](Self::with_order): `nilearn` or `pycortex` |
    /// | `runs` | [`with_runs`](Self::with_runs): `hearings` or `parts` |
    /// | `onset_s`, `trial_type`, `[n_trs]` | [`with_onset_s`](Self::with_onset_s), [`with_trial_type`](Self::with_trial_type), [`with_n_trs`](Self::with_n_trs) |
    /// | `[trim]` `train`, `test` | [`with_default_trims`](Self::with_default_trims), such as `[5, 5]` |
    /// | `smoothing_mm`, `high_pass_s` | [`with_smoothing_mm`](Self::with_smoothing_mm), [`with_high_pass_s`](Self::with_high_pass_s) |
    /// | `detrend`, `z_score` | `true` as [`with_detrend`](Self::with_detrend), [`with_z_score`](Self::with_z_score) |
    ///
    /// # Errors
    ///
    /// [`FmriError::DatasetToml`] with the key that is wrong, [`FmriError::Io`].
    ///
    /// ```
    /// use braintune_fmri::BidsOptions;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let root = dir.path();
    /// std::fs::write(root.join("bids.toml"), "space = \"T1w\"\nhigh_pass_s = 140.0\nz_score = true\n")?;
    /// let options = BidsOptions::read(root)?;
    /// assert_eq!(options, BidsOptions::new().with_space("T1w").with_high_pass_s(140.0).with_z_score());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(TOML);
        if path.symlink_metadata().is_err() {
            return Ok(Self::new());
        }
        let text = read_text(&path, "options of the dataset", MAX_BYTES)?;
        let refuse = |reason| FmriError::DatasetToml {
            path: path.clone(),
            reason,
        };
        let config: Config = parse_toml(&text).map_err(refuse)?;
        config.check().map_err(refuse)?;
        Ok(config.options(dir))
    }
}

impl Config {
    fn check(&self) -> Result<(), String> {
        for (key, value) in [
            ("smoothing_mm", self.smoothing_mm),
            ("high_pass_s", self.high_pass_s),
        ] {
            if let Some(value) = value
                && !(value.is_finite() && value > 0.0)
            {
                return Err(format!("`{key}` = {value}, expected a positive number"));
            }
        }
        let mut lengths = self.n_trs.iter();
        if let Some((story, n_trs)) = lengths.find(|(_, n_trs)| !(1..=MOST_TRS).contains(*n_trs)) {
            return Err(format!(
                "`n_trs.{story}` = {n_trs}, expected 1 to {MOST_TRS}"
            ));
        }
        match self.onset_s {
            Some(onset_s) if !onset_s.is_finite() => Err(format!(
                "`onset_s` = {onset_s}, expected a number of seconds"
            )),
            _ => Ok(()),
        }
    }

    fn options(self, dir: &Path) -> BidsOptions {
        let trim = |[start, end]: [usize; 2]| Trim::new(start, end);
        let inside = |path: Option<PathBuf>| path.map(|path| dir.join(path));
        BidsOptions {
            derivatives: inside(self.derivatives),
            cache: inside(self.cache),
            tasks: self.tasks,
            space: self.space,
            desc: self.desc,
            mask: inside(self.mask),
            order: self.order,
            runs: self.runs,
            onset_s: self.onset_s,
            trial_type: self.trial_type,
            n_trs: self.n_trs,
            trims: (trim(self.trim.train), trim(self.trim.test)),
            filter: Filter {
                smoothing_mm: self.smoothing_mm,
                high_pass_s: self.high_pass_s,
                detrend: self.detrend,
                z_score: self.z_score,
            },
        }
    }
}

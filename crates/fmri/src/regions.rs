//! Regions of interest as named lists of voxels, and where they come from.
//!
//! Voxels are numbered from 0 in the order of the responses' columns. [`Regions`] are written by
//! hand as `{"name": [voxel, …], …}`, or made from a `Parcellation`: of a label volume on the
//! voxels of a mask, or of a `FreeSurfer` annotation or a GIFTI label file on the vertices of a
//! surface, which a `SurfaceMapper` brings to the voxels. Held by `tests/it/regions.rs`.

pub(crate) mod annot;
pub(crate) mod gifti;
pub(crate) mod hcp;
pub(crate) mod label_table;
mod label_volume;
pub(crate) mod mapper;
pub(crate) mod means;
pub(crate) mod mesh;
pub(crate) mod parcellation;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::files::{read_bytes, write_atomically};
use crate::json::every_entry;
use crate::{FmriError, Result};

/// Lists of all voxels of a large brain in a hundred regions are shorter.
const MAX_BYTES: u64 = 256 << 20;

/// Regions by name, each a list of voxel indices from 0. `all` always stands for every voxel and
/// is not listed.
///
/// ```
/// use braintune_fmri::{Regions, voxel_mean};
///
/// let regions = Regions::new([("auditory".to_owned(), vec![0, 2])])?;
/// regions.check(3)?;
/// let correlations = [0.25, f32::NAN, 0.75];
/// let mean = voxel_mean(&correlations, regions.get("auditory").unwrap_or_default())?;
/// assert_eq!(mean, Some(0.5));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Regions(BTreeMap<String, Vec<usize>>);

impl Regions {
    /// Regions of these names and voxels.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`]: an empty region, a region without a name or one called `all`, a
    /// name that is there twice, a voxel that is there twice in one region.
    pub fn new(regions: impl IntoIterator<Item = (String, Vec<usize>)>) -> Result<Self> {
        let mut checked = BTreeMap::new();
        for (name, voxels) in regions {
            let distinct: HashSet<_> = voxels.iter().collect();
            let problem = match () {
                () if name == "all" => {
                    "region `all` always stands for every voxel, call it something else".to_owned()
                }
                () if name.trim().is_empty() => "a region has no name".to_owned(),
                () if checked.contains_key(&name) => format!("region {name} is there twice"),
                () if voxels.is_empty() => format!("region {name} is empty"),
                () if distinct.len() != voxels.len() => {
                    format!("region {name} names a voxel twice")
                }
                () => {
                    checked.insert(name, voxels);
                    continue;
                }
            };
            return Err(FmriError::Regions { reason: problem });
        }
        Ok(Self(checked))
    }

    /// Reads `{"name": [voxel, …], …}`.
    ///
    /// # Errors
    ///
    /// [`FmriError::RegionFile`] if it is no such file or as for [`new`](Self::new),
    /// [`FmriError::Missing`], [`FmriError::Pointer`], [`FmriError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let wrong = |reason| FmriError::RegionFile {
            path: path.into(),
            format: "regions file",
            reason,
        };
        let bytes = read_bytes(path, "regions file", MAX_BYTES)?;
        let expected = "expected {\"region\": [voxel indices from 0, …], …}";
        let regions = every_entry(&bytes).map_err(|error| wrong(format!("{expected}: {error}")))?;
        Self::new(regions).map_err(|error| wrong(error.to_string()))
    }

    /// Writes what [`read`](Self::read) reads, under a temporary name first.
    ///
    /// # Errors
    ///
    /// [`FmriError::Io`] if the file cannot be written; nothing is left behind then.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_atomically(path, |partial| {
            let io_error = |source| FmriError::Io {
                doing: "write",
                path: path.into(),
                source,
            };
            let json = serde_json::to_string(self).map_err(|error| io_error(error.into()))?;
            fs::write(partial, json).map_err(io_error)
        })
    }

    /// Checks that every voxel is one of `n_voxels`.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`]: a voxel that the participant does not have.
    pub fn check(&self, n_voxels: usize) -> Result<()> {
        for (name, voxels) in self.iter() {
            if let Some(voxel) = voxels.iter().find(|&&voxel| voxel >= n_voxels) {
                return Err(FmriError::Regions {
                    reason: format!(
                        "region {name} names voxel {voxel}, the participant has voxels 0 to {}",
                        n_voxels.saturating_sub(1)
                    ),
                });
            }
        }
        Ok(())
    }

    /// The voxels of one region.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[usize]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Names of the regions, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The regions and their voxels, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[usize])> {
        self.0
            .iter()
            .map(|(name, voxels)| (name.as_str(), voxels.as_slice()))
    }

    /// `all` and every region, with their voxels.
    #[must_use]
    pub fn with_all(&self, n_voxels: usize) -> Vec<(&str, Vec<usize>)> {
        let all = std::iter::once(("all", (0..n_voxels).collect()));
        all.chain(self.iter().map(|(name, voxels)| (name, voxels.to_vec())))
            .collect()
    }
}

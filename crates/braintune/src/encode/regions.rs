//! Regions of interest as named lists of voxels.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::path::Path;

use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::Value;

use crate::error::{BraintuneError, Result, file_error, io_error};

/// Regions by name, each a list of voxel indices from 0. `all` always stands for every voxel and
/// is not listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Regions(BTreeMap<String, Vec<usize>>);

impl Regions {
    /// Reads `{"name": [voxel, …], …}`.
    ///
    /// # Errors
    /// Not such a file, an empty region, a region without a name or one called `all`, a name that
    /// is there twice, a voxel that is there twice in one region.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(io_error("read", path))?;
        let expected = "expected {\"region\": [voxel indices from 0, …], …}";
        let regions = serde_json::Deserializer::from_str(&text)
            .deserialize_map(EveryRegion)
            .map_err(|e| file_error(path, format!("{expected}: {e}")))?;
        let mut names = HashSet::new();
        for (name, voxels) in &regions {
            let distinct: HashSet<_> = voxels.iter().collect();
            let problem = match () {
                () if name == "all" => {
                    "region `all` always stands for every voxel, call it something else".to_owned()
                }
                () if name.trim().is_empty() => "a region has no name".to_owned(),
                () if !names.insert(name) => format!("region {name} is there twice"),
                () if voxels.is_empty() => format!("region {name} is empty"),
                () if distinct.len() != voxels.len() => {
                    format!("region {name} names a voxel twice")
                }
                () => continue,
            };
            return Err(file_error(path, problem));
        }
        Ok(Self(regions.into_iter().collect()))
    }

    /// # Errors
    /// A voxel that the participant does not have.
    pub(super) fn check(&self, n_voxels: usize) -> Result<()> {
        for (name, voxels) in &self.0 {
            if let Some(voxel) = voxels.iter().find(|&&voxel| voxel >= n_voxels) {
                return Err(BraintuneError::Input(format!(
                    "region {name} names voxel {voxel}, the participant has voxels 0 to {}",
                    n_voxels.saturating_sub(1)
                )));
            }
        }
        Ok(())
    }

    /// `all` and every region, with their voxels.
    pub(super) fn with_all(&self, n_voxels: usize) -> Vec<(&str, Vec<usize>)> {
        let all = std::iter::once(("all", (0..n_voxels).collect()));
        let named = self
            .0
            .iter()
            .map(|(name, voxels)| (name.as_str(), voxels.clone()));
        all.chain(named).collect()
    }

    pub(super) fn to_json(&self) -> Value {
        serde_json::to_value(&self.0).unwrap_or_default()
    }
}

/// Keeps names that are there twice, which a map would lose.
struct EveryRegion;

impl<'de> Visitor<'de> for EveryRegion {
    type Value = Vec<(String, Vec<usize>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of lists of voxels")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut regions = Vec::new();
        while let Some(region) = map.next_entry()? {
            regions.push(region);
        }
        Ok(regions)
    }
}

//! Parcels of a volume whose values are labels, at the voxels of a mask.
//!
//! Labels `[x, y, z]` become one parcel per voxel, in the order in which the mask numbers voxels,
//! which must be that of the responses' columns. Held by `tests/it/regions/label_volume.rs` against
//! numpy.

use std::collections::HashMap;

use crate::{FmriError, LabelTable, NiftiFile, Parcellation, Result, VoxelMask};

impl Parcellation {
    /// The parcel of each voxel of `mask`, from a volume of labels on the grid of the mask and the
    /// names of the labels. A voxel whose label is not in the table, as 0 mostly is not, belongs to
    /// none.
    ///
    /// # Errors
    ///
    /// [`FmriError::VoxelGrid`] if the volume lies on another grid than the mask,
    /// [`FmriError::RegionFile`] if no voxel of the mask has a label of the table, and those of
    /// [`NiftiFile::read_labels`].
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use braintune_fmri::{LabelTable, NiftiFile, Parcellation, VoxelMask, VoxelOrder};
    ///
    /// let mask = VoxelMask::read(Path::new("mask.nii.gz"), VoxelOrder::LastAxisFastest)?;
    /// let labels = NiftiFile::open(Path::new("space-T1w_atlas-HCPMMP1_dseg.nii.gz"))?;
    /// let names = LabelTable::read(Path::new("atlas-HCPMMP1_dseg.tsv"))?;
    /// let regions = Parcellation::of_volume(&labels, &names, &mask)?.regions()?;
    /// # Ok::<(), braintune_fmri::FmriError>(())
    /// ```
    pub fn of_volume(labels: &NiftiFile, names: &LabelTable, mask: &VoxelMask) -> Result<Self> {
        mask.check_grid(labels)?;
        let values = mask.select(labels.read_labels()?.view())?;
        let numbered = names.iter().zip(0_u32..);
        let index_of: HashMap<i64, u32> =
            numbered.map(|((label, _), index)| (label, index)).collect();
        let parcels: Vec<_> = values
            .iter()
            .map(|label| index_of.get(label).copied())
            .collect();
        if parcels.iter().all(Option::is_none) {
            let found = values.iter().find(|&&label| label != 0);
            return Err(FmriError::RegionFile {
                path: labels.path().into(),
                format: "volume of labels",
                reason: format!(
                    "no voxel of the mask has a label of the table, one has {}; is the table that \
                     of this volume?",
                    found.unwrap_or(&0)
                ),
            });
        }
        Self::new(names.iter().map(|(_, name)| name.into()).collect(), parcels)
    }
}

//! Which voxels of an image are analysed, in which order, and their time series.
//!
//! A mask is a volume `[x, y, z]`; voxels inside it are the columns of `[n_trs, n_voxels]`. Agrees
//! with `nilearn.masking.apply_mask` in the order [`VoxelOrder::LastAxisFastest`], except that NaN
//! and infinite values are kept (nilearn makes them 0). Held by `tests/it/voxel_mask.rs`.

use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView3};
use serde::Deserialize;

use crate::selection::check_selection;
use crate::{FmriError, NiftiFile, Result};

/// In which order the voxels inside a mask are numbered.
///
/// Arrays are `[x, y, z]` as nibabel gives them. The same mask in the other order is the same set of
/// voxels with other numbers: responses and masks must agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
pub enum VoxelOrder {
    /// z changes fastest, x slowest: `img.get_fdata()[mask]` in `NumPy`, and all of nilearn.
    #[default]
    #[serde(rename = "nilearn")]
    LastAxisFastest,
    /// x changes fastest, z slowest, as values lie in the file: pycortex, whose arrays are
    /// `[z, y, x]`, and with it ds003020.
    #[serde(rename = "pycortex")]
    FirstAxisFastest,
}

/// The voxels inside a mask.
///
/// ```
/// use braintune_fmri::{VoxelMask, VoxelOrder};
/// use ndarray::Array3;
///
/// let mut inside = Array3::from_elem((4, 3, 2), false);
/// for voxel in [[0, 0, 1], [3, 0, 0], [1, 2, 1]] {
///     inside[voxel] = true;
/// }
/// let affine = [[2.0, 0.0, 0.0, 0.0], [0.0, 2.0, 0.0, 0.0], [0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 0.0, 1.0]];
/// let mask = VoxelMask::from_array(inside.view(), affine, VoxelOrder::LastAxisFastest)?;
/// assert_eq!(mask.n_voxels(), 3);
/// assert_eq!(mask.voxel(2), Some([3, 0, 0]));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct VoxelMask {
    source: PathBuf,
    shape: [usize; 3],
    affine: [[f64; 4]; 4],
    order: VoxelOrder,
    /// Where the voxels lie in a volume with x fastest.
    offsets: Vec<usize>,
}

impl VoxelMask {
    /// Reads a mask from a NIfTI file of one volume: voxels whose value is finite and not 0 are inside.
    ///
    /// # Errors
    ///
    /// As [`NiftiFile::open`] and [`NiftiFile::read_volume`]; [`FmriError::Nifti`] if there are several
    /// volumes or no voxel is inside.
    pub fn read(path: &Path, order: VoxelOrder) -> Result<Self> {
        let file = NiftiFile::open(path)?;
        file.expect_one_volume("a mask")?;
        let values = file.read_volume(0)?;
        let inside = values.mapv(is_inside);
        Self::build(path, inside.view(), file.header().affine(), order)
    }

    /// A mask from an array `[x, y, z]` and the affine from voxel indices to millimetres.
    ///
    /// # Errors
    ///
    /// [`FmriError::Nifti`] if no voxel is inside.
    pub fn from_array(
        inside: ArrayView3<'_, bool>,
        affine: [[f64; 4]; 4],
        order: VoxelOrder,
    ) -> Result<Self> {
        Self::build(Path::new("the mask"), inside, affine, order)
    }

    fn build(
        source: &Path,
        inside: ArrayView3<'_, bool>,
        affine: [[f64; 4]; 4],
        order: VoxelOrder,
    ) -> Result<Self> {
        let (x, y, _) = inside.dim();
        let offset = |[i, j, k]: [usize; 3]| i + x * (j + y * k);
        // ndarray iterates with the last axis fastest, whatever the memory layout.
        let voxels = inside.indexed_iter().filter(|(_, inside)| **inside);
        let mut offsets: Vec<usize> = voxels.map(|((i, j, k), _)| offset([i, j, k])).collect();
        if order == VoxelOrder::FirstAxisFastest {
            offsets.sort_unstable();
        }
        if offsets.is_empty() {
            return Err(FmriError::Nifti {
                path: source.into(),
                reason: "no voxel is inside the mask, expected values other than 0".into(),
            });
        }
        Ok(Self {
            source: source.into(),
            shape: inside.dim().into(),
            affine,
            order,
            offsets,
        })
    }

    /// Lengths of the axes x, y and z.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// From voxel indices (x, y, z, 1) to millimetres.
    #[must_use]
    pub fn affine(&self) -> [[f64; 4]; 4] {
        self.affine
    }

    /// How voxels are numbered.
    #[must_use]
    pub fn order(&self) -> VoxelOrder {
        self.order
    }

    /// Number of voxels inside.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.offsets.len()
    }

    /// Indices `[x, y, z]` of the voxel at column `column`; `None` past the last.
    #[must_use]
    pub fn voxel(&self, column: usize) -> Option<[usize; 3]> {
        let offset = *self.offsets.get(column)?;
        let [x, y, _] = self.shape;
        Some([offset % x, offset / x % y, offset / x / y])
    }

    /// The values of `volume`, `[x, y, z]`, inside the mask, `[n_voxels]`.
    ///
    /// # Errors
    ///
    /// [`FmriError::VoxelGrid`] if the shape is not that of the mask.
    pub fn select<T: Copy>(&self, volume: ArrayView3<'_, T>) -> Result<Vec<T>> {
        if volume.dim() != self.shape.into() {
            let (x, y, z) = volume.dim();
            return Err(self.mismatch(Path::new("the volume"), &[x, y, z]));
        }
        Ok(self.values(&volume, 0..self.n_voxels()).collect())
    }

    /// Time series of the voxels at columns `voxels`, `[n_trs, voxels.len()]`, in one pass over the
    /// file. Values are as stored and scaled: NaN stays NaN.
    ///
    /// # Errors
    ///
    /// [`FmriError::VoxelGrid`] if the image lies on another grid than the mask,
    /// [`FmriError::Selection`] if there are fewer voxels, and as [`NiftiFile::for_each_volume`].
    #[tracing::instrument(skip_all, fields(n_voxels = voxels.len()))]
    pub fn read_series(&self, image: &NiftiFile, voxels: Range<usize>) -> Result<Array2<f32>> {
        self.check_grid(image)?;
        check_selection(&self.source, "mask", "voxels", &voxels, self.n_voxels())?;
        let n_trs = image.header().n_volumes();
        let mut series = Vec::new();
        // Taken at once where there is room, for values that the file may turn out not to have.
        let _ = series.try_reserve_exact(n_trs.saturating_mul(voxels.len()));
        image.for_each_volume(&mut |_, volume| {
            series.extend(self.values(&volume, voxels.clone()));
            ControlFlow::Continue(())
        })?;
        Array2::from_shape_vec((n_trs, voxels.len()), series)
            .map_err(|source| image.unusable(format!("its series is misshapen: {source}")))
    }

    /// Checks that the voxels of `image` are where those of the mask are: the same lengths of x, y and
    /// z, and no voxel centre further off than 1 % of a voxel.
    ///
    /// # Errors
    ///
    /// [`FmriError::VoxelGrid`].
    pub fn check_grid(&self, image: &NiftiFile) -> Result<()> {
        let header = image.header();
        if header.volume_shape() != self.shape {
            return Err(self.mismatch(image.path(), header.shape()));
        }
        if agree(self.shape, &self.affine, &header.affine()) {
            return Ok(());
        }
        Err(FmriError::VoxelGrid {
            mask: self.source.clone(),
            image: image.path().into(),
            reason: format!(
                "affine {:?} against {:?}",
                &self.affine[..3],
                &header.affine()[..3]
            ),
        })
    }

    /// The values at `columns` of a volume of the mask's shape.
    fn values<'v, T: Copy>(
        &'v self,
        volume: &'v ArrayView3<'_, T>,
        columns: Range<usize>,
    ) -> impl Iterator<Item = T> + 'v {
        let [x, y, _] = self.shape;
        let offsets = self.offsets[columns].iter();
        offsets.map(move |&offset| volume[[offset % x, offset / x % y, offset / x / y]])
    }

    fn mismatch(&self, image: &Path, shape: &[usize]) -> FmriError {
        FmriError::VoxelGrid {
            mask: self.source.clone(),
            image: image.into(),
            reason: format!("shape {:?} against {shape:?}", self.shape),
        }
    }
}

/// Whether a voxel of this value is inside a mask.
pub(crate) fn is_inside(value: f32) -> bool {
    value.is_finite() && value != 0.0
}

/// Whether two affines put every voxel centre within 1 % of the smallest voxel step.
fn agree(shape: [usize; 3], a: &[[f64; 4]; 4], b: &[[f64; 4]; 4]) -> bool {
    let step = |axis: usize| {
        a[..3]
            .iter()
            .map(|row| row[axis].powi(2))
            .sum::<f64>()
            .sqrt()
    };
    let smallest = step(0).min(step(1)).min(step(2));
    // The distance is convex in the indices, so it is largest at a corner.
    (0..8).all(|corner| {
        let at = [0, 1, 2].map(|axis| {
            let last = shape[axis].saturating_sub(1) as f64;
            if corner >> axis & 1 == 1 { last } else { 0.0 }
        });
        let squared: f64 = (0..3)
            .map(|row| {
                let d: [f64; 4] = std::array::from_fn(|k| a[row][k] - b[row][k]);
                (d[0] * at[0] + d[1] * at[1] + d[2] * at[2] + d[3]).powi(2)
            })
            .sum();
        squared.sqrt() <= 0.01 * smallest
    })
}

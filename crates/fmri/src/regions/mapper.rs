//! Sparse matrices from voxels to vertices of a surface, as pycortex makes them.
//!
//! `[n_vertices, n_voxels]` in compressed rows: arrays `NAME_data`, `NAME_indices`, `NAME_indptr`
//! and `NAME_shape` at the root of an HDF5 file, as in the mapper files of the Gallant lab's data
//! (`voxel_to_fsaverage`, the left hemisphere's vertices first), or one such matrix for each
//! hemisphere, `NAME_left_…` and `NAME_right_…` or `NAME_lh_…` and `NAME_rh_…`. `OpenNeuro` ds003020
//! comes without such files. Held by `tests/it/regions/mapper.rs` against scipy.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{FmriError, Parcellation, ResponseFile, Result};

/// More voxels than a volume at half a millimetre has.
const MAX_VOXELS: usize = 1 << 24;
/// What the matrices of the hemispheres are called, left before right.
const HEMISPHERES: [[&str; 2]; 2] = [["_left", "_right"], ["_lh", "_rh"]];

/// A linear map from voxels to vertices.
///
/// ```
/// use braintune_fmri::{Parcellation, SurfaceMapper};
///
/// // The first vertex sees voxel 0, the second one voxel 1 most; none sees voxel 2.
/// let rows = [vec![(0, 1.0)], vec![(0, 0.25), (1, 0.75)]];
/// let mapper = SurfaceMapper::from_rows(3, &rows)?;
/// assert_eq!(mapper.to_surface(&[4.0, 8.0, 1.0])?, [4.0, 7.0]);
///
/// let names = vec!["A1".to_owned(), "V1".to_owned()];
/// let of_vertices = Parcellation::new(names, vec![Some(0), Some(1)])?;
/// let of_voxels = mapper.to_voxels(&of_vertices)?;
/// assert_eq!(of_voxels.parcels(), [Some(0), Some(1), None]);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceMapper {
    n_voxels: usize,
    /// Where each vertex' weights end.
    ends: Vec<usize>,
    voxels: Vec<usize>,
    weights: Vec<f64>,
}

impl SurfaceMapper {
    /// Reads the matrix `name` of a file, such as `voxel_to_fsaverage`; of two hemispheres the
    /// left one's vertices come first.
    ///
    /// # Errors
    ///
    /// [`FmriError::NoKey`] if an array is not there, [`FmriError::Shape`],
    /// [`FmriError::DataType`], [`FmriError::RegionFile`] if the arrays are no matrix in
    /// compressed rows, and those of [`ResponseFile::open`].
    ///
    /// ```no_run
    /// use std::path::Path;
    /// use braintune_fmri::{HcpRegion, Parcellation, ParcelLists, SurfaceMapper, hcp_regions, read_annot};
    ///
    /// let mapper = SurfaceMapper::open(Path::new("S01_mapper.hdf"), "voxel_to_fsaverage")?;
    /// let left = read_annot(Path::new("lh.HCP-MMP1.annot"))?;
    /// let right = read_annot(Path::new("rh.HCP-MMP1.annot"))?;
    /// let parcels = mapper.to_voxels(&Parcellation::join(left, right)?)?;
    /// let regions = hcp_regions(&parcels, ParcelLists::Paper)?;
    /// let auditory = regions.get(HcpRegion::PrimaryAuditory.name());
    /// # Ok::<(), braintune_fmri::FmriError>(())
    /// ```
    pub fn open(path: &Path, name: &str) -> Result<Self> {
        let file = open_file(path)?;
        let keys = file.keys()?;
        let is_there = |name: &str| keys.contains(&format!("{name}_data"));
        let pairs = HEMISPHERES.map(|ends| ends.map(|end| format!("{name}{end}")));
        if !is_there(name)
            && let Some([left, right]) = pairs.iter().find(|pair| is_there(&pair[0]))
        {
            return read(&file, left)?.stack(read(&file, right)?, &file);
        }
        read(&file, name)
    }

    /// Names of the matrices of a file, sorted, without the end that says which hemisphere one is of.
    ///
    /// # Errors
    ///
    /// Those of [`ResponseFile::open`].
    pub fn names(path: &Path) -> Result<Vec<String>> {
        let keys = open_file(path)?.keys()?;
        let bare = |name: &str| {
            let mut ends = HEMISPHERES.iter().flatten();
            let found = ends.find_map(|end| name.strip_suffix(end));
            found.unwrap_or(name).to_owned()
        };
        let names = keys.iter().filter_map(|key| key.strip_suffix("_indptr"));
        let names: BTreeSet<String> = names.map(bare).collect();
        Ok(names.into_iter().collect())
    }

    /// From the voxels that reach each vertex and their weights.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`] if one of the voxels is not below `n_voxels`, a weight is not finite, or
    /// there are more than 2^24 voxels.
    pub fn from_rows(n_voxels: usize, rows: &[Vec<(usize, f64)>]) -> Result<Self> {
        let mut mapper = Self {
            n_voxels,
            ends: Vec::with_capacity(rows.len()),
            voxels: Vec::new(),
            weights: Vec::new(),
        };
        for row in rows {
            mapper.voxels.extend(row.iter().map(|&(voxel, _)| voxel));
            mapper.weights.extend(row.iter().map(|&(_, weight)| weight));
            mapper.ends.push(mapper.weights.len());
        }
        let Self {
            ends,
            voxels,
            weights,
            ..
        } = &mapper;
        match problem_of(rows.len(), n_voxels, ends, voxels, weights) {
            Some(reason) => Err(FmriError::Regions { reason }),
            None => Ok(mapper),
        }
    }

    /// Number of vertices, of both hemispheres if the file has both.
    #[must_use]
    pub fn n_vertices(&self) -> usize {
        self.ends.len()
    }

    /// Number of voxels.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.n_voxels
    }

    /// One value per voxel, `[n_voxels]`, to one per vertex, `[n_vertices]`: the sum of the values
    /// by their weights. A vertex that no voxel reaches is NaN, not 0, and so is one that a voxel
    /// without a value reaches.
    ///
    /// # Errors
    ///
    /// [`FmriError::PlaceCount`] if there are not as many values as voxels.
    #[expect(clippy::cast_possible_truncation, reason = "maps are f32")]
    pub fn to_surface(&self, values: &[f32]) -> Result<Vec<f32>> {
        check_count("values of a voxel map", self.n_voxels, values.len())?;
        let add = |sum: Option<f64>, (voxel, weight): (usize, f64)| {
            Some(sum.unwrap_or_default() + weight * f64::from(values[voxel]))
        };
        let vertices = self.rows().map(|row| row.fold(None, add));
        Ok(vertices
            .map(|sum| sum.map_or(f32::NAN, |sum| sum as f32))
            .collect())
    }

    /// The parcel of each voxel, from that of each vertex: a voxel belongs to a parcel if more than
    /// half of its total weight lies in it. Weights count without their sign, and those in vertices
    /// of no parcel count in the total.
    ///
    /// # Errors
    ///
    /// [`FmriError::PlaceCount`] if the parcellation has another number of vertices: both
    /// hemispheres of it must be [joined](Parcellation::join) for a map to both.
    pub fn to_voxels(&self, parcellation: &Parcellation) -> Result<Parcellation> {
        let n_places = parcellation.n_places();
        check_count("vertices of a parcellation", self.n_vertices(), n_places)?;
        let weighted = || {
            let rows = self.rows().zip(parcellation.parcels());
            rows.flat_map(|(row, &parcel)| {
                row.map(move |(voxel, weight)| (voxel, parcel, weight.abs()))
            })
        };
        // The majority vote of Boyer and Moore, with weights: if a parcel has more than half, it is
        // the one that is left. A second pass says whether it has.
        let mut votes = vec![(None, 0.0); self.n_voxels];
        for (voxel, parcel, weight) in weighted() {
            let (leader, lead) = &mut votes[voxel];
            if *leader == parcel {
                *lead += weight;
            } else if *lead >= weight {
                *lead -= weight;
            } else {
                *lead = weight - *lead;
                *leader = parcel;
            }
        }
        let mut sums = vec![[0.0; 2]; self.n_voxels];
        for (voxel, parcel, weight) in weighted() {
            let [total, of_leader] = &mut sums[voxel];
            *total += weight;
            if votes[voxel].0 == parcel {
                *of_leader += weight;
            }
        }
        let voxels = votes.into_iter().zip(sums);
        let parcels =
            voxels.map(|((leader, _), [total, part])| leader.filter(|_| part > total / 2.0));
        Parcellation::new(parcellation.names().to_vec(), parcels.collect())
    }

    /// For each vertex the voxels that reach it and their weights, none of them 0.
    fn rows(&self) -> impl Iterator<Item = impl Iterator<Item = (usize, f64)> + '_> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| {
            let voxels = self.voxels[start..end].iter().copied();
            let row = voxels.zip(self.weights[start..end].iter().copied());
            row.filter(|&(_, weight)| weight != 0.0)
        })
    }

    /// The vertices of `self`, then those of `other`.
    fn stack(mut self, other: Self, file: &ResponseFile) -> Result<Self> {
        if self.n_voxels != other.n_voxels {
            let reason = format!(
                "the left hemisphere's matrix has {} voxels, the right one's {}",
                self.n_voxels, other.n_voxels
            );
            return Err(wrong(file, reason));
        }
        let offset = self.weights.len();
        self.ends
            .extend(other.ends.into_iter().map(|end| end + offset));
        self.voxels.extend(other.voxels);
        self.weights.extend(other.weights);
        Ok(self)
    }
}

fn open_file(path: &Path) -> Result<ResponseFile> {
    ResponseFile::open(path).map_err(|error| match error {
        FmriError::Missing { path, .. } => FmriError::Missing {
            what: "surface mapper".into(),
            path,
        },
        error => error,
    })
}

fn read(file: &ResponseFile, name: &str) -> Result<SurfaceMapper> {
    let key = |end: &str| format!("{name}_{end}");
    let indices = |end: &str| {
        let key = key(end);
        let values = file.read_list(&key)?.into_indices();
        values.ok_or_else(|| {
            wrong(
                file,
                format!("`{key}` holds other than whole numbers from 0"),
            )
        })
    };
    let shape = indices("shape")?;
    let weights = file.read_list(&key("data"))?.into_f64();
    let voxels = indices("indices")?;
    let ends = indices("indptr")?;
    let problem = match (&shape[..], &ends[..]) {
        (&[n_vertices, n_voxels], &[0, ref ends @ ..]) => {
            problem_of(n_vertices, n_voxels, ends, &voxels, &weights)
        }
        ([_, _], _) => Some("`indptr` does not begin with 0".into()),
        _ => Some(format!(
            "`shape` is {shape:?}, expected [n_vertices, n_voxels]"
        )),
    };
    if let Some(reason) = problem {
        return Err(wrong(file, format!("matrix `{name}`: {reason}")));
    }
    Ok(SurfaceMapper {
        n_voxels: shape[1],
        ends: ends[1..].to_vec(),
        voxels,
        weights,
    })
}

/// Why the arrays are no matrix in compressed rows.
fn problem_of(
    n_vertices: usize,
    n_voxels: usize,
    ends: &[usize],
    voxels: &[usize],
    weights: &[f64],
) -> Option<String> {
    if ends.len() != n_vertices {
        let n_ends = ends.len();
        return Some(format!(
            "`shape` says {n_vertices} vertices, `indptr` {n_ends}"
        ));
    }
    if n_voxels > MAX_VOXELS {
        return Some(format!(
            "`shape` says {n_voxels} voxels, no volume has so many"
        ));
    }
    if !ends.is_sorted() {
        return Some("`indptr` falls".into());
    }
    let n_weights = weights.len();
    let last_end = ends.last().copied().unwrap_or(0);
    if voxels.len() != n_weights || last_end != n_weights {
        return Some(format!(
            "`data` has {n_weights} values, `indices` {} and `indptr` ends at {last_end}",
            voxels.len()
        ));
    }
    if let Some(voxel) = voxels.iter().find(|&&voxel| voxel >= n_voxels) {
        return Some(format!(
            "`indices` names voxel {voxel}, `shape` says {n_voxels}"
        ));
    }
    let infinite = weights.iter().find(|weight| !weight.is_finite());
    infinite.map(|weight| format!("`data` holds {weight}"))
}

fn check_count(what: &'static str, expected: usize, got: usize) -> Result<()> {
    if expected == got {
        return Ok(());
    }
    Err(FmriError::PlaceCount {
        what,
        expected,
        got,
    })
}

fn wrong(file: &ResponseFile, reason: String) -> FmriError {
    FmriError::RegionFile {
        path: file.path().into(),
        format: "surface mapper",
        reason,
    }
}

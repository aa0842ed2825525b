//! The shape of a cortical surface: where its vertices are and which of them make triangles.
//!
//! `.surf.gii`, `.flat.gii`, `.inflated.gii` and the like after the GIFTI specification 1.0: an array
//! `NIFTI_INTENT_POINTSET` of FLOAT32 `[n_vertices, 3]` and one `NIFTI_INTENT_TRIANGLE` of INT32
//! `[n_triangles, 3]`. Coordinates are as stored; transforms are passed over. Held by
//! `tests/it/regions/mesh.rs` against nibabel.

use ndarray::{Array2, ArrayD, ArrayView2, Ix2};

use super::gifti::{Gifti, GiftiArray, GiftiData};
use crate::{FmriError, Result};

/// Vertices and triangles of a surface.
///
/// Read from a file by [`Gifti::mesh`].
///
/// ```
/// use braintune_fmri::SurfaceMesh;
/// use ndarray::array;
///
/// let corners = array![[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]];
/// let square = SurfaceMesh::new(corners.clone(), vec![[0, 1, 2], [0, 2, 3]])?;
/// assert_eq!((square.n_vertices(), square.triangles().len()), (4, 2));
/// assert!(SurfaceMesh::new(corners, vec![[0, 1, 4]]).is_err());
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SurfaceMesh {
    points: Array2<f32>,
    triangles: Vec<[usize; 3]>,
}

impl SurfaceMesh {
    /// From coordinates, `[n_vertices, 3]`, and the vertices of each triangle.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`] if there are not three finite coordinates per vertex, no triangle, or
    /// one of a vertex that is not there.
    pub fn new(points: Array2<f32>, triangles: Vec<[usize; 3]>) -> Result<Self> {
        Self::checked(points, triangles).map_err(|reason| FmriError::Regions { reason })
    }

    fn checked(points: Array2<f32>, triangles: Vec<[usize; 3]>) -> Result<Self, String> {
        let n_vertices = points.nrows();
        if points.ncols() != 3 {
            let shape = points.dim();
            return Err(format!(
                "its points have shape {shape:?}, expected [n_vertices, 3]"
            ));
        }
        if let Some(((vertex, _), value)) = points.indexed_iter().find(|(_, x)| !x.is_finite()) {
            return Err(format!("vertex {vertex} has the coordinate {value}"));
        }
        if triangles.is_empty() {
            return Err("it has no triangle".into());
        }
        let outside = triangles
            .iter()
            .flatten()
            .find(|&&vertex| vertex >= n_vertices);
        match outside {
            Some(vertex) => Err(format!(
                "a triangle names vertex {vertex}, there are {n_vertices}"
            )),
            None => Ok(Self { points, triangles }),
        }
    }

    /// Coordinates of the vertices, `[n_vertices, 3]`, as a rule in mm: to the right, to the front, up.
    #[must_use]
    pub fn points(&self) -> ArrayView2<'_, f32> {
        self.points.view()
    }

    /// The vertices of each triangle.
    #[must_use]
    pub fn triangles(&self) -> &[[usize; 3]] {
        &self.triangles
    }

    /// Number of vertices, those of no triangle included.
    #[must_use]
    pub fn n_vertices(&self) -> usize {
        self.points.nrows()
    }
}

impl Gifti {
    /// The shape of a surface file.
    ///
    /// # Errors
    ///
    /// [`FmriError::RegionFile`] if there is not one array of points
    /// and one of triangles, of these types and shapes, or they are no surface.
    pub fn mesh(&self) -> Result<SurfaceMesh> {
        let points = match &self.only("NIFTI_INTENT_POINTSET")?.data {
            GiftiData::F32(points) => self.three_columns(points)?,
            _ => return Err(self.wrong("its points are not NIFTI_TYPE_FLOAT32".into())),
        };
        let triangles = match &self.only("NIFTI_INTENT_TRIANGLE")?.data {
            GiftiData::I32(triangles) => self.three_columns(triangles)?,
            _ => return Err(self.wrong("its triangles are not NIFTI_TYPE_INT32".into())),
        };
        let vertex = |&vertex: &i32| {
            let found = usize::try_from(vertex);
            found.map_err(|_| self.wrong(format!("a triangle names vertex {vertex}")))
        };
        let corners = triangles.iter().map(vertex).collect::<Result<Vec<_>>>()?;
        let (triangles, _) = corners.as_chunks();
        SurfaceMesh::checked(points.to_owned(), triangles.to_vec())
            .map_err(|reason| self.wrong(reason))
    }

    fn only(&self, intent: &str) -> Result<&GiftiArray> {
        let found: Vec<&GiftiArray> = self.arrays.iter().filter(|a| a.intent == intent).collect();
        match found[..] {
            [array] => Ok(array),
            _ => Err(self.wrong(format!(
                "it has {} arrays {intent}, expected one",
                found.len()
            ))),
        }
    }

    fn three_columns<'a, T>(&self, array: &'a ArrayD<T>) -> Result<ArrayView2<'a, T>> {
        let shape = array.shape().to_vec();
        let matrix = array.view().into_dimensionality::<Ix2>().ok();
        let matrix = matrix.filter(|matrix| matrix.ncols() == 3);
        matrix.ok_or_else(|| {
            self.wrong(format!(
                "an array has shape {shape:?}, expected three columns"
            ))
        })
    }
}

//! Values of voxels drawn on the cortex: a picture of both hemispheres with a colour bar.
//!
//! `[n_voxels]` → a value per vertex (a [`SurfaceMapper`], both hemispheres one after the other) → triangles of a flat
//! map as it lies, or of an inflated surface from the side → PNG. Grey is cortex that no voxel reaches. The same values
//! give the same bytes. Held by `tests/it/surface.rs`.

mod colours;
mod frame;
mod raster;

use std::path::Path;

use braintune_fmri::{Gifti, SurfaceMapper, SurfaceMesh};
use ndarray::ArrayView1;

use self::colours::Colours;
use self::raster::Picture;
use crate::error::{BraintuneError, Result, file_error};
use crate::files::write_atomically;

/// Folder of a dataset in which surfaces are looked for.
const FOLDER: &str = "surfaces";
/// The matrix that is taken where a mapper file has several.
const MATRIX: &str = "voxel_to_fsaverage";

/// How a surface is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum View {
    /// A flat map from above: x to the right, y up.
    Flat,
    /// From the side that lies outside: the left hemisphere from the left, the right one from the right.
    Lateral,
}

/// Both hemispheres of a participant, and the way from voxels to their vertices.
#[derive(Debug, Clone)]
pub struct Surfaces {
    left: SurfaceMesh,
    right: SurfaceMesh,
    view: View,
    mapper: SurfaceMapper,
}

/// Which colours values get.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Scale {
    /// From 0 up, such as correlations; what is below 0 has the colour of 0. None: up to the 99th percentile.
    Sequential(Option<f32>),
    /// As far below 0 as above, such as differences. None: up to the 99th percentile of absolute values.
    Diverging(Option<f32>),
}

impl Surfaces {
    /// Surfaces and the mapper from voxels to their vertices, the left hemisphere's first.
    ///
    /// # Errors
    /// The mapper leads to another number of vertices than the hemispheres have.
    pub fn new(
        left: SurfaceMesh,
        right: SurfaceMesh,
        view: View,
        mapper: SurfaceMapper,
    ) -> Result<Self> {
        let n_vertices = left.n_vertices() + right.n_vertices();
        if mapper.n_vertices() != n_vertices {
            return Err(BraintuneError::Input(format!(
                "the mapper leads to {} vertices, the surfaces have {} on the left and {} on the right",
                mapper.n_vertices(),
                left.n_vertices(),
                right.n_vertices()
            )));
        }
        Ok(Self {
            left,
            right,
            view,
            mapper,
        })
    }

    /// What the folder `surfaces` of a dataset has for a participant: `lh.flat.gii` and `rh.flat.gii`, else
    /// `lh.inflated.gii` and `rh.inflated.gii`, with `<subject>.` before them where they are the participant's own, and
    /// `<subject>.mapper.hdf5`. None where one of these is not there.
    ///
    /// # Errors
    /// Files that cannot be read or do not fit each other.
    pub fn find(dataset: &Path, subject: &str) -> Result<Option<Self>> {
        let folder = dataset.join(FOLDER);
        let there = |name: String| Some(folder.join(name)).filter(|path| path.is_file());
        let Some(mapper) = there(format!("{subject}.mapper.hdf5")) else {
            return Ok(None);
        };
        for (kind, view) in [("flat", View::Flat), ("inflated", View::Lateral)] {
            for prefix in [format!("{subject}."), String::new()] {
                let side = |side: &str| there(format!("{prefix}{side}.{kind}.gii"));
                if let (Some(left), Some(right)) = (side("lh"), side("rh")) {
                    return Self::read(&left, &right, view, &mapper).map(Some);
                }
            }
        }
        Ok(None)
    }

    fn read(left: &Path, right: &Path, view: View, mapper: &Path) -> Result<Self> {
        let names = SurfaceMapper::names(mapper)?;
        let name = match &names[..] {
            [only] => only.as_str(),
            _ if names.iter().any(|name| name == MATRIX) => MATRIX,
            _ => {
                let found = names.join(", ");
                let problem = format!("holds the matrices {found}: expected one, or {MATRIX}");
                return Err(file_error(mapper, problem));
            }
        };
        let matrix = SurfaceMapper::open(mapper, name)?;
        let mesh = |path: &Path| -> Result<SurfaceMesh> { Ok(Gifti::read(path)?.mesh()?) };
        Self::new(mesh(left)?, mesh(right)?, view, matrix).map_err(|e| file_error(mapper, e))
    }

    /// Voxels that the mapper takes.
    #[must_use]
    pub fn n_voxels(&self) -> usize {
        self.mapper.n_voxels()
    }
}

/// Draws `values`, `[n_voxels]`, NaN where a voxel has none, into a PNG at `path`. `label` stands beside the colour bar.
///
/// # Errors
/// Another number of values than the mapper takes, no finite value, an upper end that is not above 0; what the file
/// system says.
pub fn draw(
    values: ArrayView1<'_, f32>,
    surfaces: &Surfaces,
    scale: Scale,
    label: &str,
    path: &Path,
) -> Result<()> {
    let on_vertices = surfaces.mapper.to_surface(&values.to_vec())?;
    let colours = Colours::new(scale, &on_vertices)?;
    let (left, right) = on_vertices.split_at(surfaces.left.n_vertices());
    let view = surfaces.view;
    let picture = Picture::new(
        [(&surfaces.left, left), (&surfaces.right, right)],
        view,
        &colours,
    );
    let png = picture.and_then(|picture| frame::png(&picture, &colours, label));
    write_atomically(path, &png.map_err(|problem| file_error(path, problem))?)
}

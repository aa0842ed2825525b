//! GIFTI files: labels, shapes, functional maps and coordinates on the vertices of a surface.
//!
//! `.label.gii`, `.shape.gii` and `.func.gii` after the GIFTI specification 1.0: arrays of UINT8,
//! INT32 and FLOAT32 as ASCII, `Base64Binary` or `GZipBase64Binary`, either byte order, row-major
//! and column-major. Surfaces are made of them in `mesh.rs`. Not read: `ExternalFileBinary` and other
//! types; metadata and transforms are passed over. Held by `tests/it/regions/gifti.rs` against nibabel.

mod data;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD, ArrayView1};
use roxmltree::{Document, Node, ParsingOptions};

use self::data::Budget;
use crate::files::read_bytes;
use crate::{FmriError, Parcellation, Result};

const FORMAT: &str = "GIFTI file";
/// Memory of the text and of what it decodes to: 1,600 maps on fsaverage, or twice that in ASCII.
const MAX_BYTES: u64 = 1 << 30;
/// More than 10,000 arrays have.
const MAX_NODES: u32 = 1 << 20;
/// More than 10,000 arrays have.
const MAX_ATTRIBUTES: usize = 1 << 18;
/// Of one element, with the text after it; the parser compares its attributes with each other.
const MAX_ATTRIBUTES_EACH: usize = 1 << 10;

/// What a GIFTI file holds.
///
/// ```no_run
/// use std::path::Path;
/// use braintune_fmri::Gifti;
///
/// let left = Gifti::read(Path::new("lh.HCP-MMP1.label.gii"))?.parcellation()?;
/// let curvature = Gifti::read(Path::new("lh.curv.shape.gii"))?.values()?;
/// assert_eq!(curvature.ncols(), left.n_places());
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Gifti {
    /// The arrays in the order of the file.
    pub arrays: Vec<GiftiArray>,
    /// Names by label; empty if the file has no table of labels.
    pub labels: BTreeMap<i32, String>,
    path: PathBuf,
}

/// One array of a GIFTI file.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct GiftiArray {
    /// What it is for, such as `NIFTI_INTENT_LABEL`.
    pub intent: String,
    /// Its values; most have the one axis `[n_vertices]`.
    pub data: GiftiData,
}

/// Values of a GIFTI array, in the type they are stored in.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GiftiData {
    /// `NIFTI_TYPE_UINT8`.
    U8(ArrayD<u8>),
    /// `NIFTI_TYPE_INT32`.
    I32(ArrayD<i32>),
    /// `NIFTI_TYPE_FLOAT32`.
    F32(ArrayD<f32>),
}

impl Gifti {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`FmriError::RegionFile`] if it is damaged, or has an encoding or a type that is not read,
    /// [`FmriError::Missing`], [`FmriError::Pointer`], [`FmriError::Io`].
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_bytes(path, FORMAT, MAX_BYTES)?;
        let wrong = |reason| FmriError::RegionFile {
            path: path.into(),
            format: FORMAT,
            reason,
        };
        let text = std::str::from_utf8(&bytes);
        let text = text.map_err(|error| wrong(format!("it is not text in UTF-8: {error}")))?;
        let (arrays, labels) = parse(text).map_err(wrong)?;
        Ok(Self {
            arrays,
            labels,
            path: path.into(),
        })
    }

    /// The parcel of each vertex, from the array of labels and the table of their names. A vertex
    /// whose label is not in the table belongs to none.
    ///
    /// # Errors
    ///
    /// [`FmriError::RegionFile`] if there is not one array of labels, it is not INT32 with one
    /// value per vertex, or no label has a name.
    pub fn parcellation(&self) -> Result<Parcellation> {
        let is_label = |array: &&GiftiArray| array.intent == "NIFTI_INTENT_LABEL";
        let labels: Vec<&GiftiArray> = self.arrays.iter().filter(is_label).collect();
        let [array] = labels[..] else {
            return Err(self.wrong(format!(
                "it has {} arrays of labels (NIFTI_INTENT_LABEL), expected one",
                labels.len()
            )));
        };
        let GiftiData::I32(values) = &array.data else {
            return Err(self.wrong("its labels are not NIFTI_TYPE_INT32".into()));
        };
        if self.labels.is_empty() {
            return Err(self.wrong("it has no table of labels".into()));
        }
        let index_of: BTreeMap<i32, u32> = self.labels.keys().copied().zip(0..).collect();
        let parcels = self.per_vertex(values)?;
        let parcels = parcels.iter().map(|label| index_of.get(label).copied());
        Parcellation::new(self.labels.values().cloned().collect(), parcels.collect())
    }

    /// The maps of a shape or functional file, `[n_arrays, n_vertices]`, whatever type is stored.
    ///
    /// # Errors
    ///
    /// [`FmriError::RegionFile`] if there is no array, or they differ in the number of vertices.
    #[expect(clippy::cast_precision_loss, reason = "maps are f32")]
    pub fn values(&self) -> Result<Array2<f32>> {
        let mut all = Vec::new();
        for array in &self.arrays {
            match &array.data {
                GiftiData::U8(data) => {
                    all.extend(self.per_vertex(data)?.iter().copied().map(f32::from));
                }
                GiftiData::I32(data) => {
                    all.extend(self.per_vertex(data)?.iter().map(|&value| value as f32));
                }
                GiftiData::F32(data) => all.extend(self.per_vertex(data)?),
            }
        }
        let n_vertices = self.arrays.first().map_or(0, |array| array.data.len());
        if n_vertices == 0 || self.arrays.iter().any(|a| a.data.len() != n_vertices) {
            let reason = "expected arrays of the same number of values, at least one";
            return Err(self.wrong(reason.into()));
        }
        Array2::from_shape_vec((self.arrays.len(), n_vertices), all)
            .map_err(|error| self.wrong(error.to_string()))
    }

    /// An array with one value per vertex: one axis, or further ones of length 1.
    fn per_vertex<'a, T>(&self, array: &'a ArrayD<T>) -> Result<ArrayView1<'a, T>> {
        if array.len() != array.shape().first().copied().unwrap_or_default() {
            return Err(self.wrong(format!(
                "an array has shape {:?}, expected [n_vertices]",
                array.shape()
            )));
        }
        array
            .view()
            .into_shape_with_order(array.len())
            .map_err(|error| self.wrong(error.to_string()))
    }

    pub(super) fn wrong(&self, reason: String) -> FmriError {
        FmriError::RegionFile {
            path: self.path.clone(),
            format: FORMAT,
            reason,
        }
    }
}

impl GiftiData {
    /// Number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::U8(data) => data.len(),
            Self::I32(data) => data.len(),
            Self::F32(data) => data.len(),
        }
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

fn parse(text: &str) -> Result<(Vec<GiftiArray>, BTreeMap<i32, String>), String> {
    check_text(text)?;
    let options = ParsingOptions {
        allow_dtd: true,
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options)
        .map_err(|error| format!("it is not XML that can be read: {error}"))?;
    let root = document.root_element();
    if !root.has_tag_name("GIFTI") {
        return Err(format!(
            "its root element is `{}`, expected GIFTI",
            root.tag_name().name()
        ));
    }
    let mut budget = Budget::new(MAX_BYTES);
    let arrays = root
        .children()
        .filter(|node| node.has_tag_name("DataArray"));
    let arrays = arrays.enumerate().map(|(place, node)| {
        let array = data::read_array(node, &mut budget);
        array.map_err(|reason| format!("array {place}: {reason}"))
    });
    let arrays = arrays.collect::<Result<_, _>>()?;
    Ok((arrays, label_table(root)?))
}

/// Refuses what lets a small file take much memory or time in the parser, and no GIFTI file has.
fn check_text(text: &str) -> Result<(), String> {
    if text.contains("<!ENTITY") {
        return Err("it defines entities, which no GIFTI file needs".into());
    }
    let mut n_attributes = 0;
    for element in text.split('<') {
        let here = element.bytes().filter(|&byte| byte == b'=').count();
        n_attributes += here;
        if here > MAX_ATTRIBUTES_EACH || n_attributes > MAX_ATTRIBUTES {
            return Err(format!(
                "it has more than {MAX_ATTRIBUTES_EACH} attributes in an element or \
                 {MAX_ATTRIBUTES} in all"
            ));
        }
    }
    Ok(())
}

fn label_table(root: Node<'_, '_>) -> Result<BTreeMap<i32, String>, String> {
    let mut names = BTreeMap::new();
    let table = root.children().find(|node| node.has_tag_name("LabelTable"));
    let labels = table.into_iter().flat_map(|table| table.children());
    for label in labels.filter(|node| node.has_tag_name("Label")) {
        // Files from before the specification write `Index`.
        let key = label.attribute("Key").or(label.attribute("Index"));
        let key = key.and_then(|key| key.trim().parse().ok());
        let key: i32 = key.ok_or("a label has no number")?;
        let name = text_of(label)?.trim().to_owned();
        if names.insert(key, name).is_some() {
            return Err(format!("label {key} is there twice"));
        }
    }
    Ok(names)
}

/// The text of an element that has nothing else in it.
fn text_of<'a>(node: Node<'a, '_>) -> Result<&'a str, String> {
    let mut children = node.children();
    match (children.next(), children.next()) {
        (None, _) => Ok(""),
        (Some(only), None) if only.is_text() => Ok(only.text().unwrap_or_default()),
        _ => Err(format!("`{}` holds more than text", node.tag_name().name())),
    }
}

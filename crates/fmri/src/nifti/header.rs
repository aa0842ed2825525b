//! The header of a NIfTI-1 (348 bytes) or NIfTI-2 (540 bytes) file, in either byte order.
//!
//! Fields and offsets follow `nifti1.h` and `nifti2.h`. What is missing or out of range is settled as
//! nibabel 5.4 does when it loads a file: a slope of 0, NaN or infinity is no scaling, codes of
//! transforms beyond 5 are 0, voxel sizes lose their sign and are 1 where 0, and the two shapes that
//! FreeSurfer writes for long vectors are undone. Held by `tests/it/nifti.rs`.

use super::affine::{self, Transforms};
use super::dtype::NumberType;

/// Bytes of the longer header.
pub(super) const HEADER_BYTES: u64 = 540;
const NIFTI1_BYTES: usize = 348;
const NIFTI2_BYTES: usize = 540;

/// Why bytes are no header that can be read.
pub(super) enum HeaderError {
    /// They do not begin as a header does.
    NotNifti(String),
    /// They hold something impossible, or something that is not read.
    Unusable(String),
}

/// What the header of a NIfTI file says.
#[derive(Clone, Debug, PartialEq)]
pub struct NiftiHeader {
    pub(super) single_file: bool,
    pub(super) big_endian: bool,
    pub(super) data_offset: u64,
    pub(super) number_type: NumberType,
    /// Slope and intercept, `None` where the stored values are meant.
    pub(super) scaling: Option<(f64, f64)>,
    shape: Vec<usize>,
    affine: [[f64; 4]; 4],
    pixdim: [f64; 8],
    tr_s: Option<f64>,
    intent_code: i32,
    intent_name: String,
}

impl NiftiHeader {
    /// Lengths of the axes, the one that varies fastest in the file first: x, y, z, time.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Lengths of the three axes in space; 1 for those the file lacks.
    #[must_use]
    pub fn volume_shape(&self) -> [usize; 3] {
        [0, 1, 2].map(|axis| self.shape.get(axis).copied().unwrap_or(1))
    }

    /// Number of volumes: the product of all axes beyond the third.
    #[must_use]
    pub fn n_volumes(&self) -> usize {
        self.shape.iter().skip(3).product()
    }

    /// From voxel indices (x, y, z, 1) to millimetres: the sform if there is one, else the qform,
    /// else voxel sizes around the centre with x flipped, as nibabel chooses.
    #[must_use]
    pub fn affine(&self) -> [[f64; 4]; 4] {
        self.affine
    }

    /// The field `pixdim`: steps along the axes at 1 to 7, in the units of the file.
    #[must_use]
    pub fn pixdim(&self) -> [f64; 8] {
        self.pixdim
    }

    /// Seconds from one volume to the next; `None` if the file has no fourth axis, no unit of time,
    /// or a step that is not a positive number.
    #[must_use]
    pub fn tr_s(&self) -> Option<f64> {
        self.tr_s
    }

    /// Type of the stored numbers, as `NumPy` names it.
    #[must_use]
    pub fn dtype(&self) -> &'static str {
        self.number_type.name()
    }

    /// Code of what the values mean (`NIFTI_INTENT_*`); 0 is none.
    #[must_use]
    pub fn intent_code(&self) -> i32 {
        self.intent_code
    }

    /// Name of what the values mean, often empty.
    #[must_use]
    pub fn intent_name(&self) -> &str {
        &self.intent_name
    }

    /// Bytes of all values.
    pub(super) fn data_bytes(&self) -> u64 {
        let sizes = self.shape.iter().map(|&size| size as u64);
        sizes.fold(self.number_type.size() as u64, u64::saturating_mul)
    }

    /// Reads a header from the first bytes of a file.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let fields = Fields::find(bytes).ok_or_else(|| HeaderError::NotNifti(begins(bytes)))?;
        let single_file = fields.single_file()?;
        let raw = if fields.version == 1 {
            fields.nifti1()
        } else {
            fields.nifti2()
        };
        raw.interpret(single_file, fields.big_endian)
            .map_err(HeaderError::Unusable)
    }
}

/// The fields that both versions have, in the types that hold either.
struct RawHeader {
    version: u8,
    dim: [i64; 8],
    datatype: i16,
    pixdim: [f64; 8],
    vox_offset: f64,
    slope: f64,
    inter: f64,
    xyzt_units: i32,
    glmin: i32,
    intent_code: i32,
    intent_name: String,
    qform_code: i32,
    sform_code: i32,
    quaternion: [f64; 3],
    offset: [f64; 3],
    sform: [[f64; 4]; 3],
}

impl RawHeader {
    fn interpret(mut self, single_file: bool, big_endian: bool) -> Result<NiftiHeader, String> {
        let number_type = NumberType::from_code(self.datatype).map_err(|holds| {
            format!("it holds {holds}, expected integers or floats: convert it to float32")
        })?;
        for size in &mut self.pixdim[1..4] {
            *size = if *size == 0.0 { 1.0 } else { size.abs() };
        }
        let header = NiftiHeader {
            single_file,
            big_endian,
            data_offset: self.data_offset(single_file)?,
            number_type,
            scaling: self.scaling()?,
            shape: self.shape()?,
            affine: affine::best(&self.transforms())?,
            pixdim: self.pixdim,
            tr_s: self.tr_s(),
            intent_code: self.intent_code,
            intent_name: self.intent_name,
        };
        if header.data_bytes() > i64::MAX.unsigned_abs() {
            return Err(format!("a shape of {:?} is impossible", header.shape));
        }
        Ok(header)
    }

    fn shape(&self) -> Result<Vec<usize>, String> {
        let dim = self.dim;
        let axes = usize::try_from(dim[0]).ok().and_then(|n| dim.get(1..=n));
        let axes = axes.filter(|axes| !axes.is_empty());
        let axes = axes.ok_or_else(|| format!("it has {} axes, expected 1 to 7", dim[0]))?;
        let mut axes = axes.to_vec();
        if self.version == 1 && axes.len() >= 3 {
            match axes[..3] {
                [-1, 1, 1] => axes[0] = i64::from(self.glmin),
                [27307, 1, 6] => axes[..3].copy_from_slice(&[163_842, 1, 1]),
                _ => (),
            }
        }
        let sizes = axes.iter().map(|&size| usize::try_from(size).ok());
        let sizes = sizes.map(|size| size.filter(|&size| size > 0));
        sizes
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| format!("its shape is {axes:?}, expected positive lengths"))
    }

    fn data_offset(&self, single_file: bool) -> Result<u64, String> {
        let least = match (single_file, self.version) {
            (false, _) => 0.0,
            (true, 1) => 352.0,
            (true, _) => 544.0,
        };
        let offset = self.vox_offset;
        // Beyond 2^53 no file reaches, and a float no longer names single bytes.
        if !(least..9e15).contains(&offset) {
            return Err(format!(
                "its values begin at byte {offset}, expected {least} or more"
            ));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range was checked, and nibabel drops a fraction too"
        )]
        let offset = offset as u64;
        Ok(offset)
    }

    fn scaling(&self) -> Result<Option<(f64, f64)>, String> {
        if self.slope == 0.0 || !self.slope.is_finite() {
            return Ok(None);
        }
        if !self.inter.is_finite() {
            return Err(format!(
                "its slope is {} but its intercept {}, expected a number",
                self.slope, self.inter
            ));
        }
        #[expect(clippy::float_cmp, reason = "exactly these two change nothing")]
        let identity = self.slope == 1.0 && self.inter == 0.0;
        // nibabel adds no intercept of 0, which would make 0 of -0; adding -0 changes nothing.
        let inter = if self.inter == 0.0 { -0.0 } else { self.inter };
        Ok((!identity).then_some((self.slope, inter)))
    }

    fn tr_s(&self) -> Option<f64> {
        let second = match self.xyzt_units & 0x38 {
            8 => 1.0,
            16 => 1e3,
            24 => 1e6,
            _ => return None,
        };
        let tr_s = self.pixdim[4] / second;
        (self.dim[0] >= 4 && tr_s.is_finite() && tr_s > 0.0).then_some(tr_s)
    }

    fn transforms(&self) -> Transforms {
        let known = |code: i32| (1..=5).contains(&code);
        Transforms {
            dim: self.dim,
            pixdim: self.pixdim,
            sform: known(self.sform_code).then_some(self.sform),
            has_qform: known(self.qform_code),
            quaternion: self.quaternion,
            offset: self.offset,
            // nibabel's: three times the spacing of the stored floats.
            quaternion_threshold: if self.version == 1 {
                f64::from(f32::EPSILON) * 3.0
            } else {
                f64::EPSILON * 3.0
            },
        }
    }
}

/// The bytes of a header whose version and byte order are known.
struct Fields<'a> {
    bytes: &'a [u8],
    version: u8,
    big_endian: bool,
}

impl<'a> Fields<'a> {
    /// The header that `bytes` begin with, told by its length field.
    fn find(bytes: &'a [u8]) -> Option<Self> {
        let length = *bytes.first_chunk::<4>()?;
        for big_endian in [false, true] {
            let length = if big_endian {
                u32::from_be_bytes(length)
            } else {
                u32::from_le_bytes(length)
            };
            let (version, length) = match length {
                348 => (1, NIFTI1_BYTES),
                540 => (2, NIFTI2_BYTES),
                _ => continue,
            };
            let bytes = bytes.get(..length)?;
            return Some(Self {
                bytes,
                version,
                big_endian,
            });
        }
        None
    }

    /// Whether the values are in the file of the header, from the magic string.
    fn single_file(&self) -> Result<bool, HeaderError> {
        let at = if self.version == 1 { 344 } else { 4 };
        let magic: [u8; 4] = self.raw(at);
        match (self.version, &magic) {
            (1, b"n+1\0") | (2, b"n+2\0") => Ok(true),
            (1, b"ni1\0") | (2, b"ni2\0") => Ok(false),
            _ => Err(HeaderError::NotNifti(format!(
                "its magic string is {:?}, an Analyze file has none",
                String::from_utf8_lossy(&magic)
            ))),
        }
    }

    fn nifti1(&self) -> RawHeader {
        let f = |at| f64::from(f32::from_le_bytes(self.ordered(at)));
        let i = |at| i16::from_le_bytes(self.ordered(at));
        RawHeader {
            version: 1,
            dim: spread(40, 2, |at| i64::from(i(at))),
            datatype: i(70),
            pixdim: spread(76, 4, f),
            vox_offset: f(108),
            slope: f(112),
            inter: f(116),
            xyzt_units: i32::from(self.raw::<1>(123)[0]),
            glmin: i32::from_le_bytes(self.ordered(144)),
            intent_code: i32::from(i(68)),
            intent_name: self.text(328),
            qform_code: i32::from(i(252)),
            sform_code: i32::from(i(254)),
            quaternion: spread(256, 4, f),
            offset: spread(268, 4, f),
            sform: spread(280, 16, |at| spread(at, 4, f)),
        }
    }

    fn nifti2(&self) -> RawHeader {
        let f = |at| f64::from_le_bytes(self.ordered(at));
        let i = |at| i32::from_le_bytes(self.ordered(at));
        let long = |at| i64::from_le_bytes(self.ordered(at));
        RawHeader {
            version: 2,
            dim: spread(16, 8, long),
            datatype: i16::from_le_bytes(self.ordered(12)),
            pixdim: spread(104, 8, f),
            vox_offset: long(168) as f64,
            slope: f(176),
            inter: f(184),
            xyzt_units: i(500),
            glmin: 0,
            intent_code: i(504),
            intent_name: self.text(508),
            qform_code: i(344),
            sform_code: i(348),
            quaternion: spread(352, 8, f),
            offset: spread(376, 8, f),
            sform: spread(400, 32, |at| spread(at, 8, f)),
        }
    }

    /// `N` bytes, lowest first.
    fn ordered<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = self.raw(at);
        if self.big_endian {
            bytes.reverse();
        }
        bytes
    }

    /// `N` bytes as they are stored. All offsets are within the length that `find` checked.
    fn raw<const N: usize>(&self, at: usize) -> [u8; N] {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        bytes.copied().unwrap_or([0; N])
    }

    fn text(&self, at: usize) -> String {
        let bytes: [u8; 16] = self.raw(at);
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        String::from_utf8_lossy(text).trim().to_owned()
    }
}

/// `N` values that lie `step` bytes apart.
fn spread<T, const N: usize>(at: usize, step: usize, read: impl Fn(usize) -> T) -> [T; N] {
    std::array::from_fn(|k| read(at + k * step))
}

fn begins(bytes: &[u8]) -> String {
    match bytes {
        [] => "it is empty".into(),
        bytes if bytes.len() < NIFTI1_BYTES => {
            format!("it has {} bytes, a header has 348 or 540", bytes.len())
        }
        bytes => format!(
            "it begins with {:?}",
            String::from_utf8_lossy(&bytes[..bytes.len().min(16)])
        ),
    }
}

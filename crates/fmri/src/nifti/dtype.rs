//! Number types of NIfTI files: their codes, their names, and values out of bytes.
//!
//! Codes follow `nifti1.h` (`DT_*`). Every value becomes f64, which holds all of them but integers
//! beyond 2^53. Held by `tests/it/nifti.rs`.

/// A number type that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl NumberType {
    /// The type of a `datatype` code, or what the code stands for if it cannot be read.
    pub(super) fn from_code(code: i16) -> Result<Self, String> {
        Ok(match code {
            2 => Self::U8,
            256 => Self::I8,
            512 => Self::U16,
            4 => Self::I16,
            768 => Self::U32,
            8 => Self::I32,
            1280 => Self::U64,
            1024 => Self::I64,
            16 => Self::F32,
            64 => Self::F64,
            1 => return Err("single bits".into()),
            32 => return Err("complex64".into()),
            1792 => return Err("complex128".into()),
            2048 => return Err("complex256".into()),
            1536 => return Err("float128".into()),
            128 => return Err("RGB colours".into()),
            2304 => return Err("RGBA colours".into()),
            code => return Err(format!("the unknown type {code}")),
        })
    }

    /// The name `NumPy` has for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Bytes of a value.
    pub(super) fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Calls `with` for each whole value in `bytes`.
    pub(super) fn decode(self, bytes: &[u8], big_endian: bool, with: &mut impl FnMut(f64)) {
        match self {
            Self::U8 => each(bytes, big_endian, |b| with(f64::from(u8::from_le_bytes(b)))),
            Self::I8 => each(bytes, big_endian, |b| with(f64::from(i8::from_le_bytes(b)))),
            Self::U16 => each(bytes, big_endian, |b| {
                with(f64::from(u16::from_le_bytes(b)));
            }),
            Self::I16 => each(bytes, big_endian, |b| {
                with(f64::from(i16::from_le_bytes(b)));
            }),
            Self::U32 => each(bytes, big_endian, |b| {
                with(f64::from(u32::from_le_bytes(b)));
            }),
            Self::I32 => each(bytes, big_endian, |b| {
                with(f64::from(i32::from_le_bytes(b)));
            }),
            Self::U64 => each(bytes, big_endian, |b| with(u64::from_le_bytes(b) as f64)),
            Self::I64 => each(bytes, big_endian, |b| with(i64::from_le_bytes(b) as f64)),
            Self::F32 => each(bytes, big_endian, |b| {
                with(f64::from(f32::from_le_bytes(b)));
            }),
            Self::F64 => each(bytes, big_endian, |b| with(f64::from_le_bytes(b))),
        }
    }
}

fn each<const N: usize>(bytes: &[u8], big_endian: bool, mut with: impl FnMut([u8; N])) {
    let (values, _) = bytes.as_chunks::<N>();
    for &value in values {
        let mut value = value;
        if big_endian {
            value.reverse();
        }
        with(value);
    }
}

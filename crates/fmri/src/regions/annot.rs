//! `FreeSurfer` annotations: the parcel of each vertex of one hemisphere.
//!
//! Big-endian integers of 32 bits: pairs of vertex and colour, then a table of colours and names in
//! the old or the new version. A vertex of colour 0 belongs to no parcel, nor does one whose colour
//! is not in the table. Of two entries of the same colour the first counts, as in `FreeSurfer`.
//! Written after the format's description in `FreeSurfer`'s wiki (`LabelsClutsAnnotationFiles`).
//! Held by `tests/it/regions/annot.rs` against nibabel.

use std::collections::HashMap;
use std::path::Path;

use crate::files::read_bytes;
use crate::{FmriError, Parcellation, Result};

const FORMAT: &str = "FreeSurfer annotation";
/// A hundred times what a hemisphere of fsaverage takes.
const MAX_BYTES: u64 = 256 << 20;
/// What stands before a table of colours.
const COLOUR_TABLE: i32 = 1;
/// Number of entries of a table in the new version.
const NEW_VERSION: i32 = -2;

/// Reads a `FreeSurfer` annotation, `.annot`; places are the vertices of one hemisphere.
///
/// # Errors
///
/// [`FmriError::RegionFile`] if the file is damaged or has no table of names,
/// [`FmriError::Missing`], [`FmriError::Pointer`], [`FmriError::Io`].
pub fn read_annot(path: &Path) -> Result<Parcellation> {
    let bytes = read_bytes(path, FORMAT, MAX_BYTES)?;
    parse(&bytes).map_err(|reason| FmriError::RegionFile {
        path: path.into(),
        format: FORMAT,
        reason,
    })
}

fn parse(bytes: &[u8]) -> Result<Parcellation, String> {
    let mut input = Input { bytes };
    let colours = vertices(&mut input)?;
    let entries = table(&mut input)?;
    let mut index_of = HashMap::new();
    let mut names = Vec::with_capacity(entries.len());
    for (index, (name, colour)) in (0_u32..).zip(entries) {
        index_of.entry(colour).or_insert(index);
        names.push(name);
    }
    let parcel = |colour: i32| match colour {
        0 => None,
        colour => index_of.get(&colour).copied(),
    };
    Parcellation::new(names, colours.into_iter().map(parcel).collect())
        .map_err(|error| error.to_string())
}

/// The colour of each vertex.
fn vertices(input: &mut Input<'_>) -> Result<Vec<i32>, String> {
    let n_vertices = input.count("vertices", 8)?;
    let mut colours = vec![None; n_vertices];
    for _ in 0..n_vertices {
        let vertex = input.int("a vertex")?;
        let colour = input.int("a colour")?;
        let place = usize::try_from(vertex).ok();
        match place.and_then(|place| colours.get_mut(place)) {
            Some(place @ None) => *place = Some(colour),
            Some(_) => return Err(format!("vertex {vertex} is there twice")),
            None => return Err(format!("it names vertex {vertex} of {n_vertices}")),
        }
    }
    // As many pairs as vertices and none twice: every vertex has one.
    Ok(colours.into_iter().flatten().collect())
}

/// Names and colours, in the order of the table.
fn table(input: &mut Input<'_>) -> Result<Vec<(String, i32)>, String> {
    if input.bytes.is_empty() || input.int("the tag of the table")? != COLOUR_TABLE {
        return Err("it has no table of colours and names".into());
    }
    let n_entries = input.int("the version of the table")?;
    if n_entries > 0 {
        input.string("the name of the table")?;
        return (0..n_entries).map(|_| entry(input)).collect();
    }
    if n_entries != NEW_VERSION {
        return Err(format!(
            "its table of colours has version {}, only version 2 and the one before it are read",
            n_entries.unsigned_abs()
        ));
    }
    let highest = input.int("the number of parcels")?;
    input.string("the name of the table")?;
    let n_entries = input.int("the number of entries")?;
    if n_entries < 1 {
        return Err(format!(
            "its table of colours and names has {n_entries} entries, expected 1 or more; fetch it again"
        ));
    }
    (0..n_entries)
        .map(|_| match input.int("the number of a parcel")? {
            index if (0..highest).contains(&index) => entry(input),
            index => Err(format!("it names parcel {index} of {highest}")),
        })
        .collect()
}

/// One name and colour.
fn entry(input: &mut Input<'_>) -> Result<(String, i32), String> {
    let name = input.string("the name of a parcel")?;
    let mut colour = 0;
    for shift in [0, 8, 16] {
        match input.int("a colour")? {
            part @ 0..=255 => colour |= part << shift,
            part => {
                return Err(format!(
                    "parcel {name} has a colour of {part}, 0 to 255 can be"
                ));
            }
        }
    }
    input.int("a transparency")?;
    Ok((name, colour))
}

/// What is left of the file.
struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    fn take(&mut self, n: usize, what: &str) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(n)
            .ok_or_else(|| format!("it ends within {what}; fetch it again"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn int(&mut self, what: &str) -> Result<i32, String> {
        let bytes = self.take(4, what)?;
        Ok(bytes
            .iter()
            .fold(0, |value, &byte| value << 8 | i32::from(byte)))
    }

    /// A number of things of `size` bytes each, all of which the file has.
    fn count(&mut self, what: &str, size: usize) -> Result<usize, String> {
        let claimed = self.int(what)?;
        let count = usize::try_from(claimed).ok();
        count
            .filter(|count| {
                count
                    .checked_mul(size)
                    .is_some_and(|n| n <= self.bytes.len())
            })
            .ok_or_else(|| {
                let n_bytes = self.bytes.len();
                format!("it says {claimed} {what} and has {n_bytes} bytes; fetch it again")
            })
    }

    /// A length and a string up to its first zero.
    fn string(&mut self, what: &str) -> Result<String, String> {
        let n = self.count("bytes of a name", 1)?;
        let bytes = self.take(n, what)?;
        let text = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
        Ok(String::from_utf8_lossy(text).into_owned())
    }
}

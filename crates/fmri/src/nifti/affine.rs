//! From voxel indices to millimetres: which of a header's transforms, as nibabel chooses.
//!
//! The sform if its code is set, else the qform (a quaternion, voxel sizes and an offset), else voxel
//! sizes around the centre of the image with x flipped. Follows `Nifti1Header.get_best_affine` of
//! nibabel 5.4 and method 2 of `nifti1.h`. Held by `tests/it/nifti.rs`.

/// The fields of a header that say where voxels are.
pub(super) struct Transforms {
    pub(super) dim: [i64; 8],
    pub(super) pixdim: [f64; 8],
    /// The first three rows, if the code is set.
    pub(super) sform: Option<[[f64; 4]; 3]>,
    pub(super) has_qform: bool,
    pub(super) quaternion: [f64; 3],
    pub(super) offset: [f64; 3],
    /// How far the length of the quaternion may miss 1 before its real part is not 0.
    pub(super) quaternion_threshold: f64,
}

pub(super) fn best(transforms: &Transforms) -> Result<[[f64; 4]; 4], String> {
    let rows = match transforms.sform {
        Some(rows) => rows,
        None if transforms.has_qform => from_quaternion(transforms)?,
        None => from_sizes(transforms),
    };
    let [x, y, z] = rows;
    Ok([x, y, z, [0.0, 0.0, 0.0, 1.0]])
}

fn from_quaternion(transforms: &Transforms) -> Result<[[f64; 4]; 3], String> {
    let [b, c, d] = transforms.quaternion;
    let rest = 1.0 - (b * b + c * c + d * d);
    let a = if rest.abs() < transforms.quaternion_threshold {
        0.0
    } else if rest > 0.0 {
        rest.sqrt()
    } else {
        return Err(format!(
            "its qform is no rotation: quaternion {:?}, expected a length of at most 1",
            transforms.quaternion
        ));
    };
    // Not quite a unit quaternion where `a` was set to 0.
    let s = 2.0 / (a * a + b * b + c * c + d * d);
    let rotation = [
        [
            1.0 - s * (c * c + d * d),
            s * (b * c - a * d),
            s * (b * d + a * c),
        ],
        [
            s * (b * c + a * d),
            1.0 - s * (b * b + d * d),
            s * (c * d - a * b),
        ],
        [
            s * (b * d - a * c),
            s * (c * d + a * b),
            1.0 - s * (b * b + c * c),
        ],
    ];
    let [first, x, y, z, ..] = transforms.pixdim;
    // Any other value than -1 stands for 1.
    #[expect(clippy::float_cmp, reason = "the format says exactly -1")]
    let sizes = [x, y, if first == -1.0 { -z } else { z }];
    Ok(std::array::from_fn(|row| {
        let [x, y, z] = rotation[row];
        let offset = transforms.offset[row];
        [x * sizes[0], y * sizes[1], z * sizes[2], offset]
    }))
}

fn from_sizes(transforms: &Transforms) -> [[f64; 4]; 3] {
    let mut rows = [[0.0; 4]; 3];
    for (axis, row) in rows.iter_mut().enumerate() {
        let held = usize::try_from(transforms.dim[0]).is_ok_and(|n_axes| axis < n_axes);
        let (size, length) = if held {
            (transforms.pixdim[axis + 1], transforms.dim[axis + 1])
        } else {
            (1.0, 1)
        };
        let size = if axis == 0 { -size } else { size };
        row[axis] = size;
        row[3] = -(length as f64 - 1.0) / 2.0 * size;
    }
    rows
}

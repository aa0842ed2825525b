use braintune_fmri::{FmriError, GaussianSmoother};
use ndarray::{Array3, ShapeBuilder};
use proptest::prelude::*;

use super::tensors::Tensors;

const MM_2: [[f64; 4]; 4] = [
    [-2.0, 0.0, 0.0, 90.0],
    [0.0, 2.0, 0.0, -126.0],
    [0.0, 0.0, 2.0, -72.0],
    [0.0, 0.0, 0.0, 1.0],
];

#[test]
fn volumes_are_smoothed_as_nilearn_does() {
    let tensors = Tensors::open("smoothing");
    let affine = tensors.f64s("affine");
    let affine: [[f64; 4]; 4] =
        std::array::from_fn(|row| std::array::from_fn(|k| affine[4 * row + k]));
    let volume = Array3::from_shape_vec((9, 7, 5), tensors.f32s("volume")).unwrap();
    // As read from a file, with the first axis fastest in memory.
    let mut as_read = Array3::zeros((9, 7, 5).f());
    as_read.assign(&volume);
    let widths = tensors.names("smooth.");
    assert_eq!(widths.len(), 4);
    for width in widths {
        let smoother = GaussianSmoother::new(width.parse().unwrap(), &affine).unwrap();
        let smooth = smoother.smooth(volume.view());
        let expected = tensors.f32s(&format!("smooth.{width}"));
        for (&got, &expected) in smooth.iter().zip(&expected) {
            // Both sum in f64 and round to f32 after each of three axes; a last bit of f64 that
            // differs can turn one rounding.
            assert!(
                (got - expected).abs() <= 3e-7 * expected.abs(),
                "{width}: {got} {expected}"
            );
        }
        assert_eq!(smoother.smooth(as_read.view()), smooth);
    }
}

#[test]
fn impossible_widths_are_refused() {
    let mut flat = MM_2;
    flat[1][1] = 0.0;
    let metres = MM_2.map(|row| row.map(|value| value / 1000.0));
    let cases = [
        (0.0, MM_2, "expected a positive number"),
        (f64::NAN, MM_2, "expected a positive number"),
        (-6.0, MM_2, "expected a positive number"),
        (6.0, flat, "voxels of 0 mm"),
        (6.0, metres, "are those millimetres?"),
    ];
    for (fwhm_mm, affine, reason) in cases {
        let error = GaussianSmoother::new(fwhm_mm, &affine).unwrap_err();
        assert!(matches!(error, FmriError::Smoothing { .. }));
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[test]
fn a_volume_without_voxels_stays_one() {
    let smoother = GaussianSmoother::new(6.0, &MM_2).unwrap();
    for shape in [(0, 4, 4), (4, 0, 4), (4, 4, 0), (0, 0, 0)] {
        assert_eq!(smoother.smooth(Array3::zeros(shape).view()).dim(), shape);
    }
}

proptest! {
    #[test]
    fn the_sum_of_a_volume_is_kept_and_a_constant_too(
        shape in (1_usize..9, 1_usize..9, 1_usize..9),
        fwhm_mm in 0.1_f64..40.0,
        seed in 0_u32..1000,
    ) {
        let volume = Array3::from_shape_fn(shape, |(x, y, z)| {
            ((x * 7 + y * 31 + z * 17) as f32 + seed as f32).sin() + 2.0
        });
        let smoother = GaussianSmoother::new(fwhm_mm, &MM_2).unwrap();
        // Mirrored at the faces, nothing is lost there; f32 rounds each value to 6e-8 of it.
        let (before, after) = (volume.sum(), smoother.smooth(volume.view()).sum());
        prop_assert!((before - after).abs() <= 1e-5 * before, "{} {}", before, after);
        let constant = Array3::from_elem(shape, 3.0);
        let smooth = smoother.smooth(constant.view());
        prop_assert!(smooth.iter().all(|value| (value - 3.0).abs() < 1e-6));
    }
}

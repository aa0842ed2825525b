use braintune_fmri::{Drift, DriftFilter, FmriError, zscore_run};
use ndarray::{Array2, ArrayView2, Axis, concatenate, s};
use proptest::prelude::*;

use super::tensors::Tensors;

const LINE: Drift = Drift::Polynomial { degree: 1 };

/// Each run of the fixture: its case, TR and cutoff in seconds, and responses.
fn runs(tensors: &Tensors) -> Vec<(char, f64, f64, Array2<f32>)> {
    let settings = tensors.f64s("settings");
    let cases = settings.chunks(3).zip('a'..);
    cases
        .map(|(setting, case)| {
            let bold = tensors.f32s(&format!("bold.{case}"));
            let bold = Array2::from_shape_vec((bold.len() / 5, 5), bold).unwrap();
            assert_eq!(bold.nrows() as f64, setting[0]);
            (case, setting[1], setting[2], bold)
        })
        .collect()
}

fn assert_equal(got: ArrayView2<'_, f32>, expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len());
    for (&got, &expected) in got.iter().zip(expected) {
        // Both fit in f64, to 1e-10 of values around 800; the result is rounded to f32.
        let tolerance = 6e-8 * expected.abs() + 1e-7;
        assert!(
            (f64::from(got) - expected).abs() <= tolerance,
            "{what}: {got} {expected}"
        );
    }
}

#[test]
fn drifts_are_taken_out_as_nilearn_does() {
    let tensors = Tensors::open("drift");
    for (case, tr_s, cutoff_s, bold) in runs(&tensors) {
        let cosines = Drift::Cosines { tr_s, cutoff_s };
        let filters: [(&str, &[Drift]); 5] = [
            ("line", &[LINE]),
            ("line_cosines", &[LINE, cosines]),
            ("line_cosines", &[cosines, LINE, LINE]),
            ("cosines", &[cosines]),
            ("cubic", &[Drift::Polynomial { degree: 3 }]),
        ];
        for (name, drifts) in filters {
            let filter = DriftFilter::new(bold.nrows(), drifts).unwrap();
            let clean = filter.clean(bold.view()).unwrap();
            let name = format!("{name}.{case}");
            assert_equal(clean.view(), &tensors.f64s(&name), &name);
        }
    }
}

#[test]
fn the_cosines_are_counted_as_in_spm() {
    // floor(2 * 300 * 2 / 128), and a whole number that 1 / cutoff in floats would miss.
    for (n_trs, tr_s, cutoff_s, n) in [
        (300, 2.0, 128.0, 9),
        (147, 1.0, 98.0, 3),
        (30, 2.0, 128.0, 0),
    ] {
        let filter = DriftFilter::new(n_trs, &[Drift::Cosines { tr_s, cutoff_s }]).unwrap();
        assert_eq!(filter.n_regressors(), n);
        assert_eq!(filter.n_trs(), n_trs);
    }
}

#[test]
fn scores_are_scipys() {
    let tensors = Tensors::open("drift");
    for (case, .., bold) in runs(&tensors) {
        let name = format!("z.{case}");
        assert_equal(zscore_run(bold.view()).view(), &tensors.f64s(&name), &name);
    }
}

#[test]
fn nothing_but_drift_is_zero_and_not_noise() {
    // 0.1 has no exact sum: its mean is not quite it.
    let bold = Array2::from_shape_fn((200, 3), |(t, voxel)| match voxel {
        0 => 0.1,
        1 => 3.0 + 2.0 * t as f32,
        _ => 0.0,
    });
    let filter = DriftFilter::new(200, &[LINE]).unwrap();
    let clean = filter.clean(bold.view()).unwrap();
    assert!(clean.iter().all(|&value| value == 0.0));
    assert!(zscore_run(clean.view()).iter().all(|&value| value == 0.0));
    let constant = Array2::from_elem((200, 1), 0.1);
    assert!(
        zscore_run(constant.view())
            .iter()
            .all(|&value| value == 0.0)
    );
}

#[test]
fn the_smallest_signal_beside_a_large_mean_is_kept() {
    let mut bold = Array2::from_elem((600, 1), 1000.0_f32);
    bold[[300, 0]] = 1000.0_f32.next_up();
    let clean = DriftFilter::new(600, &[LINE])
        .unwrap()
        .clean(bold.view())
        .unwrap();
    assert!(clean[[300, 0]] > 5e-5);
}

#[test]
fn a_nan_stays_in_its_voxel() {
    let mut bold = Array2::from_shape_fn((50, 3), |(t, voxel)| (t * t * voxel) as f32);
    bold[[7, 1]] = f32::NAN;
    let clean = DriftFilter::new(50, &[LINE])
        .unwrap()
        .clean(bold.view())
        .unwrap();
    for array in [&clean, &zscore_run(bold.view())] {
        assert!(array.column(1).iter().all(|value| value.is_nan()));
        assert!(array.column(2).iter().all(|value| value.is_finite()));
    }
}

#[test]
fn impossible_filters_are_refused() {
    let cosines = |tr_s, cutoff_s| Drift::Cosines { tr_s, cutoff_s };
    let cases: [(usize, &[Drift], &str); 6] = [
        (100, &[cosines(0.0, 128.0)], "a TR of 0 s"),
        (100, &[cosines(f64::NAN, 128.0)], "a TR of NaN s"),
        (100, &[cosines(2.0, f64::INFINITY)], "a cutoff of inf s"),
        (100, &[cosines(2.0, 4.0)], "takes out every period"),
        (
            5,
            &[Drift::Polynomial { degree: 4 }],
            "nothing of a run of 5 TRs",
        ),
        (0, &[], "has 5"),
    ];
    let bold = Array2::zeros((5, 2));
    for (n_trs, drifts, reason) in cases {
        let cleaned = DriftFilter::new(n_trs, drifts).and_then(|filter| filter.clean(bold.view()));
        let error = cleaned.unwrap_err();
        assert!(matches!(error, FmriError::Drift { .. }));
        assert!(error.to_string().contains(reason), "{error}");
    }
}

proptest! {
    #[test]
    fn blocks_of_voxels_are_cleaned_as_all_at_once(
        n_trs in 12_usize..40,
        n_voxels in 1_usize..400,
        cut in 0_usize..400,
        seed in 0_u32..1000,
    ) {
        let bold = Array2::from_shape_fn((n_trs, n_voxels), |(t, voxel)| {
            ((t * 31 + voxel * 17) as f32 + seed as f32).sin() * 40.0 + voxel as f32
        });
        let drifts = [LINE, Drift::Cosines { tr_s: 2.0, cutoff_s: 20.0 }];
        let filter = DriftFilter::new(n_trs, &drifts).unwrap();
        let cut = cut.min(n_voxels);
        let blocks = [bold.slice(s![.., ..cut]), bold.slice(s![.., cut..])]
            .map(|block| filter.clean(block).unwrap());
        let blocks = concatenate(Axis(1), &[blocks[0].view(), blocks[1].view()]).unwrap();
        let whole = filter.clean(bold.view()).unwrap();
        prop_assert_eq!(&blocks, &whole);
        // Once they are out, there is nothing more to take out but the rounding to f32.
        let again = filter.clean(whole.view()).unwrap();
        prop_assert!((&again - &whole).iter().all(|difference| difference.abs() < 1e-4));
    }
}

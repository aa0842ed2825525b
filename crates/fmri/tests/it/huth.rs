//! From windows of features to the design matrix, against numpy in f64.

use braintune_encoding::{Delays, zscore};
use braintune_fmri::{Lanczos, Trim};
use ndarray::{Array2, ArrayView2, Axis, Slice, concatenate};
use safetensors::SafeTensors;

use super::fixture;

/// Relative to the largest value of a column: both sides are f64 and sum up to 121 products, in an
/// order of their own.
const TOLERANCE: f64 = 1e-10;

struct Fixture(Vec<u8>);

impl Fixture {
    fn read() -> Self {
        Self(std::fs::read(fixture("huth/data.safetensors")).unwrap())
    }

    fn vector(&self, name: &str) -> Vec<f64> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let (values, _) = tensors.tensor(name).unwrap().data().as_chunks::<8>();
        values
            .iter()
            .map(|&bytes| f64::from_le_bytes(bytes))
            .collect()
    }

    fn matrix(&self, name: &str) -> Array2<f64> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let shape = tensors.tensor(name).unwrap().shape().to_vec();
        Array2::from_shape_vec((shape[0], shape[1]), self.vector(name)).unwrap()
    }
}

/// Each column relative to its own largest value.
fn assert_close(ours: ArrayView2<'_, f64>, theirs: &Array2<f64>, what: &str) {
    assert_eq!(ours.dim(), theirs.dim(), "{what}");
    for (column, (ours, theirs)) in ours.columns().into_iter().zip(theirs.columns()).enumerate() {
        let largest = theirs
            .iter()
            .fold(f64::MIN_POSITIVE, |most, x| x.abs().max(most));
        for (ours, theirs) in ours.iter().zip(theirs) {
            let difference = (ours - theirs).abs() / largest;
            assert!(
                difference < TOLERANCE,
                "{what}, column {column}: {ours} {theirs}"
            );
        }
    }
}

/// A story as it enters the design matrix: resampled, trimmed, standardised.
fn standardised(fixture: &Fixture, story: &str) -> Array2<f64> {
    let name = |part: &str| format!("{story}.{part}");
    let tr_times = fixture.vector(&name("tr_times"));
    let resampled = Lanczos::for_tr_times(&tr_times)
        .unwrap()
        .matrix(&fixture.vector(&name("frame_times")), &tr_times)
        .and_then(|lanczos| lanczos.apply_f64(fixture.matrix(&name("features")).view()))
        .unwrap();
    assert_close(
        resampled.view(),
        &fixture.matrix(&name("resampled")),
        &name("resampled"),
    );
    let kept = Trim::new(10, 5).rows(tr_times.len()).unwrap();
    let z = zscore(resampled.slice_axis(Axis(0), Slice::from(kept)));
    assert_close(z.view(), &fixture.matrix(&name("z")), &name("z"));
    z
}

#[test]
fn the_arithmetic_is_that_of_the_reference() {
    let fixture = Fixture::read();
    let stories = ["one", "two"].map(|story| standardised(&fixture, story));
    let views = [stories[0].view(), stories[1].view()];
    let delays: Delays = "1,2,3,4".parse().unwrap();
    let apart = delays.apply_stories(&views).unwrap();
    assert_close(
        apart.view(),
        &fixture.matrix("delayed_stories"),
        "delayed story by story",
    );
    // The reference's leak over the border of stories.
    let together = delays.apply(concatenate(Axis(0), &views).unwrap().view());
    assert_close(
        together.view(),
        &fixture.matrix("delayed"),
        "delayed as one",
    );
    assert_ne!(apart, together);
}

//! Public behaviour of the crate.
#![allow(clippy::unwrap_used, clippy::float_cmp, missing_docs)]
#![allow(clippy::cast_possible_truncation)] // f32 is what the crate takes

mod acoustic;
mod adam;
mod corpora;
mod errors;
mod evidence;
mod fixture;
mod linfa_traits;
mod logistic;
mod metrics;
mod probe;
mod problem;
mod properties;
mod regression;
mod select;
mod story;
mod threads;

#[test]
fn autotraits() {
    fn sendable<T: Send + Sync>() {}
    sendable::<braintune_probing::ProbingError>();
    sendable::<braintune_probing::LinearProbe<ndarray::Array1<usize>>>();
    sendable::<braintune_probing::FittedMlp<ndarray::Array2<bool>>>();
    sendable::<braintune_probing::FittedRidgeProbe>();
    sendable::<braintune_probing::GroupSums>();
    sendable::<braintune_probing::FrameFeatures>();
    sendable::<Box<dyn braintune_probing::ProbeTask>>();
}

const _: fn(&dyn braintune_probing::GroupScore) = |_| {};

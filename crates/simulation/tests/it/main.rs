//! Everything public, on simulations in temporary folders.

#![allow(clippy::unwrap_used, missing_docs)]
// Times come from the same samples on both sides, so they must agree bit for bit.
#![allow(clippy::float_cmp)]

mod dataset;
mod reproducible;
mod ridge;
mod truth;

use std::ops::ControlFlow;
use std::path::Path;

use braintune_simulation::{
    SimulatedDataset, SimulatedParticipant, SimulationConfig, SimulationError, SimulationEvent,
    simulate,
};

/// As small as makes sense: seconds of work become tenths.
fn small() -> SimulationConfig {
    SimulationConfig::default()
        .with_n_train_stories(2)
        .with_story_s(41.3)
        .with_test_story_s(60.0)
        .with_n_voxels(11)
        .with_n_repeats(3)
}

fn run(config: &SimulationConfig, out: &Path) -> SimulatedDataset {
    simulate(config, out, &mut |_| ControlFlow::Continue(())).unwrap()
}

#[test]
fn autotraits() {
    fn all<T: Send + Sync + Unpin + std::fmt::Debug>() {}
    all::<SimulationConfig>();
    all::<SimulatedDataset>();
    all::<SimulatedParticipant>();
    all::<SimulationEvent>();
    all::<SimulationError>();
}

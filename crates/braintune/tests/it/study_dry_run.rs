//! `study --dry-run`: what there is to do, and what it will take.

use std::ops::ControlFlow;

use braintune::study::{Cluster, StepState};
use burn::tensor::Device;

use crate::study::{Place, STUDY};

#[test]
fn a_dry_run_says_what_there_is_to_do_and_writes_nothing() {
    let place = Place::new();
    let dry = || {
        let study = place.study(STUDY).unwrap();
        study
            .dry_run(&place.path("out"), &Device::flex(), None, &mut |_| {
                ControlFlow::Continue(())
            })
            .unwrap()
    };
    let before = dry();
    assert!(!place.path("out").exists() && !place.path("cache").exists());
    assert!(before.seconds() > 0.0);
    assert!(before.steps.iter().all(|step| step.state == StepState::New));
    let encode = before
        .steps
        .iter()
        .find(|step| step.name == "encode tiny pretrained SIM01");
    let encode = encode.unwrap();
    assert_eq!((encode.n_voxels, encode.result_bytes), (12, 3 * 12 * 12));
    assert!(encode.n_windows > 100 && encode.cache_bytes == encode.n_windows as u64 * 3 * 16 * 4);
    assert!(
        before
            .steps
            .iter()
            .all(|step| step.memory_bytes > 1_000_000)
    );
    assert_eq!(encode.unit, "tiny pretrained");
    // Tuning and what reads its weights are one unit of work.
    let unit = |name: &str| {
        before
            .steps
            .iter()
            .find(|s| s.name == name)
            .unwrap()
            .unit
            .clone()
    };
    assert_eq!(
        unit("tune tiny brain-tuned SIM01"),
        unit("encode tiny brain-tuned SIM01")
    );
    let on = |nodes| before.on_nodes(&Cluster::new(nodes, 0, 1.0));
    let (one, two) = (on(1), on(2));
    assert!(two.seconds <= one.seconds && two.seconds >= two.longest.clone().unwrap().1);
    assert!((one.seconds - before.start_s - before.seconds()).abs() < 1e-6);
    let outcome = place.run(STUDY, "out").unwrap();
    let after = dry();
    assert_eq!(after.steps.len(), outcome.n_run);
    assert!(after.steps.iter().all(|step| step.state == StepState::Done));
    assert!(after.seconds() < 1e-9 && after.memory_bytes() == 0);
    assert!(after.on_nodes(&Cluster::new(2, 1, 20.0)).seconds < 1e-9);
}

//! Arrays of a folder in place of responses.

use braintune::arrays::read_vector;
use braintune::fmri::StoryDataset;
use braintune::tune::{StoryRoles, targets_from_folder};
use braintune::tuning::TargetDataset;
use ndarray::{Array2, Array3};

use crate::tune::{Setup, setup};

/// Sines of `n` targets for every story but the test story.
fn write_targets(setup: &Setup, n: usize) -> std::path::PathBuf {
    let folder = setup.out("targets");
    std::fs::create_dir_all(&folder).unwrap();
    for story in setup
        .settings()
        .stories
        .train
        .iter()
        .chain(&setup.settings().stories.validation)
    {
        let n_trs = setup.dataset.timing(story).unwrap().stored().len();
        let value = |(i, j)| (0.3 * i as f64 + j as f64).sin();
        let path = folder.join(format!("{story}.npy"));
        ndarray_npy::write_npy(&path, &Array2::from_shape_fn((n_trs, n), value)).unwrap();
    }
    folder
}

#[test]
fn a_model_is_tuned_to_the_arrays_of_a_folder() {
    let setup = setup();
    let folder = write_targets(&setup, 3);
    std::fs::write(folder.join("README"), "not a target").unwrap();
    let targets = targets_from_folder(&setup.dataset, &folder).unwrap();
    let subject = TargetDataset::SUBJECT;
    let story = &setup.settings().stories.train[0];
    assert_eq!(targets.response_shape(subject, story).unwrap().1, 3);

    let roles = setup.settings().stories;
    let chosen = StoryRoles::choose_for_targets(&targets, None, None, None).unwrap();
    assert_eq!(chosen, roles, "as for the responses");
    let mut settings = setup.settings();
    settings.subjects = vec![subject.to_owned()];
    settings.config.epochs = 1;
    settings.voxels.threshold = None;
    setup.run_on(&targets, &settings, "tuned").unwrap();
    let head = std::fs::read(setup.out("tuned/head.safetensors")).unwrap();
    let head = String::from_utf8_lossy(&head).into_owned();
    assert!(head.contains("\"shape\":[3,16]"), "{head}");
    assert!(
        read_vector(&setup.out("tuned/mask-targets.npy")).is_err(),
        "all are learnt"
    );
}

#[test]
fn a_folder_that_does_not_fit_is_refused_with_the_file_and_both_numbers() {
    let setup = setup();
    let refused = |folder: &std::path::Path| {
        targets_from_folder(&setup.dataset, folder)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&setup.out("nowhere")).contains("nowhere"));
    std::fs::create_dir(setup.out("empty")).unwrap();
    assert!(refused(&setup.out("empty")).contains("expected STORY.npy"));

    let folder = write_targets(&setup, 3);
    let story = setup.settings().stories.train[0].clone();
    let path = folder.join(format!("{story}.npy"));
    let write = |shape| ndarray_npy::write_npy(&path, &Array2::<f32>::ones(shape)).unwrap();
    let n_trs = setup.dataset.timing(&story).unwrap().stored().len();
    for shape in [(n_trs + 1, 3), (n_trs, 4)] {
        write(shape);
        // Which story is the odd one depends on their order; both numbers are said either way.
        let error = refused(&folder);
        assert!(error.contains("/targets: targets of"), "{error}");
        let said = |n: usize| error.contains(&n.to_string());
        assert!(said(n_trs) && said(shape.0) && said(shape.1), "{error}");
    }
    ndarray_npy::write_npy(&path, &Array3::<f32>::ones((2, 2, 2))).unwrap();
    assert!(refused(&folder).contains(&story));
    write((n_trs, 3));
    std::fs::rename(&path, folder.join("misspelt.npy")).unwrap();
    let error = refused(&folder);
    assert!(
        error.contains("misspelt.npy") && error.contains(&story),
        "{error}"
    );
    std::fs::remove_file(folder.join("misspelt.npy")).unwrap();

    let targets = targets_from_folder(&setup.dataset, &folder).unwrap();
    let error = StoryRoles::choose_for_targets(&targets, Some(vec![story.clone()]), None, None);
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&format!("{story}.npy")), "{error}");
}

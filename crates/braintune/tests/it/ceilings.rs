//! Noise ceilings that `encode` takes from the repeats of the test story.

use braintune::encode::{EncodeConfig, Regions};
use braintune::encoding::LowCeiling::{Exclude, Zero};
use braintune::encoding::{
    NoiseCeiling, TotalPower, normalized_alignment, normalized_mean, pearson_r,
};
use braintune::fmri::{Ds003020, InMemoryDataset, StoryDataset};
use ndarray::{Array1, Array2, Array3, Axis, Ix1, s, stack};

use crate::simulated::{array, config, correlations, go_on, means, participant, run, run_on};

/// The kept rows of each repeat of the simulated test story, `[n_repeats, n_trs, n_voxels]`.
fn repeats(dataset: &dyn StoryDataset, config: &EncodeConfig) -> Array3<f32> {
    let story = &config.test_stories[0];
    let timing = dataset.timing(story).unwrap();
    let rows = config.test_trim.rows(timing.n_trs()).unwrap();
    let repeats = dataset.repeats(&config.subject, story).unwrap();
    let kept: Vec<_> = repeats
        .iter()
        .map(|repeat| repeat.rows(rows.clone()).unwrap().into_bold())
        .collect();
    let views: Vec<_> = kept.iter().map(Array2::view).collect();
    stack(Axis(0), &views).unwrap()
}

#[test]
fn ceilings_are_those_of_the_encoding_crate_and_low_ones_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let config = EncodeConfig {
        regions: Regions::read(&participant.rois_path()).unwrap(),
        ..config(&participant)
    };
    let rows = means(run(folder.path(), &config, &mut go_on).unwrap());
    let dataset = Ds003020::open(&folder.path().join("dataset")).unwrap();
    let repeats = repeats(&dataset, &config);
    let expected = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Measured).unwrap();
    let expected = expected.cc_max().mapv(|c| c as f32);
    let ceiling: Array1<f32> = array::<_, Ix1>(folder.path(), "noise_ceiling").unwrap();
    assert_eq!(ceiling, expected);
    // Near the truth, which the simulation knows: five repeats of 75 TRs scatter by about 0.05.
    let truth = participant.participants()[0].noise_ceiling();
    for (voxel, (got, truth)) in ceiling.iter().zip(truth).enumerate() {
        assert!(
            *truth == 0.0 || (got - truth).abs() < 0.2,
            "{voxel}: {got}, {truth}"
        );
    }
    let driven = || ceiling.iter().zip(truth).filter(|(_, truth)| **truth > 0.0);
    let miss: f32 = driven().map(|(got, truth)| got - truth).sum();
    assert!((miss / driven().count() as f32).abs() < 0.03, "{miss}");
    let r = correlations(folder.path());
    for row in &rows {
        let normalized =
            normalized_alignment(r.row(row.layer), ceiling.view(), 0.05, Exclude).unwrap();
        let voxels: Vec<usize> = match row.roi.as_str() {
            "all" => (0..r.ncols()).collect(),
            roi => participant.rois()[roi].clone(),
        };
        let mean = normalized_mean(normalized.view(), &voxels).unwrap();
        assert_eq!(row.mean_r_normalized, mean.mean);
        // Noise voxels have ceilings near the threshold.
        let is_noise = row.roi == "noise";
        assert!(
            is_noise || mean.mean.is_none_or(|mean| mean.abs() < 1.0),
            "{row:?}"
        );
    }
}

#[test]
fn under_compat_power_is_one_and_low_ceilings_are_zeros() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let config = config(&participant).huth();
    let rows = means(run(folder.path(), &config, &mut go_on).unwrap());
    let dataset = Ds003020::open(&folder.path().join("dataset")).unwrap();
    let repeats = repeats(&dataset, &config);
    let expected = NoiseCeiling::from_repeats(repeats.view(), TotalPower::Unit).unwrap();
    let expected = expected.cc_max().mapv(|c| c as f32);
    let ceiling: Array1<f32> = array::<_, Ix1>(folder.path(), "noise_ceiling").unwrap();
    assert_eq!(ceiling, expected);
    let r = correlations(folder.path());
    let zeros = normalized_alignment(r.row(1), ceiling.view(), 0.05, Zero).unwrap();
    let mean = zeros.sum() / zeros.len() as f64;
    let got = rows[1].mean_r_normalized.unwrap();
    assert!((got - mean).abs() < 1e-12, "{got} {mean}");
    assert!(zeros.iter().any(|&a| a == 0.0), "some voxel is noise");
}

/// The simulated participant in memory, with the test story under these responses and repeats.
fn in_memory(
    stored: &Ds003020,
    config: &EncodeConfig,
    test: &Array2<f32>,
    repeats: Option<Vec<Array2<f32>>>,
) -> InMemoryDataset {
    let (train, trim) = stored.default_trims();
    let mut dataset = InMemoryDataset::new("memory").with_default_trims(train, trim);
    let subject = &config.subject;
    for story in stored.stories() {
        let name = story.name();
        dataset
            .add_story(story.clone(), stored.timing(name).unwrap())
            .unwrap();
        let bold = if config.test_stories[0] == name {
            test.clone()
        } else {
            stored.responses(subject, name).unwrap().into_bold()
        };
        dataset.add_responses(subject, name, bold).unwrap();
    }
    if let Some(repeats) = repeats {
        dataset
            .add_repeats(subject, &config.test_stories[0], repeats)
            .unwrap();
    }
    dataset
}

#[test]
fn r_is_with_the_mean_of_the_repeats_whatever_is_stored_beside_them() {
    let (stored, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = config(&participant(stored.path()));
    run(stored.path(), &config, &mut go_on).unwrap();
    let dataset = Ds003020::open(&stored.path().join("dataset")).unwrap();
    let story = &config.test_stories[0];
    let repeats: Vec<Array2<f32>> = dataset
        .repeats(&config.subject, story)
        .unwrap()
        .into_iter()
        .map(braintune::fmri::Responses::into_bold)
        .collect();
    // A single hearing in the place of the mean.
    let single = in_memory(&dataset, &config, &repeats[0], Some(repeats.clone()));
    run_on(&single, other.path(), &config, &mut go_on).unwrap();
    let (a, b) = (correlations(stored.path()), correlations(other.path()));
    assert_eq!(a, b);
    // Without repeats: the stored mean, which is the same but for its scale, and no ceiling.
    let mean = dataset.responses(&config.subject, story).unwrap();
    let bare = in_memory(&dataset, &config, &mean.into_bold(), None);
    let without = tempfile::tempdir().unwrap();
    let rows = means(run_on(&bare, without.path(), &config, &mut go_on).unwrap());
    let same = pearson_r(correlations(without.path()).t(), a.t()).unwrap();
    assert!(same.iter().all(|&r| r > 0.999_999), "{same}");
    assert!(array::<f32, Ix1>(without.path(), "noise_ceiling").is_none());
    assert!(rows.iter().all(|row| row.mean_r_normalized.is_none()));
}

#[test]
fn a_ceiling_that_is_given_goes_before_one_from_repeats() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let config = EncodeConfig {
        noise_ceiling: Some(participant.participants()[0].noise_ceiling().to_owned()),
        ceiling_threshold: 0.4,
        ..config(&participant)
    };
    run(folder.path(), &config, &mut go_on).unwrap();
    let ceiling: Array1<f32> = array::<_, Ix1>(folder.path(), "noise_ceiling").unwrap();
    assert_eq!(ceiling, participant.participants()[0].noise_ceiling());
}

#[test]
fn damaged_repeats_are_named_before_anything_long_begins() {
    let folder = tempfile::tempdir().unwrap();
    let participant = participant(folder.path());
    let config = config(&participant);
    let stored = Ds003020::open(&folder.path().join("dataset")).unwrap();
    let story = &config.test_stories[0];
    let mean = stored
        .responses(&config.subject, story)
        .unwrap()
        .into_bold();
    let mut repeats = vec![mean.clone(); 3];
    repeats[1][[7, 5]] = f32::NAN;
    let dataset = in_memory(&stored, &config, &mean, Some(repeats.clone()));
    let refused = run_on(&dataset, folder.path(), &config, &mut go_on).unwrap_err();
    let message = refused.to_string();
    for part in [
        story.as_str(),
        "repeat 1",
        "row 7, voxel 5",
        "--bad-voxels zero",
    ] {
        assert!(message.contains(part), "expected `{part}` in: {message}");
    }
    let zero = EncodeConfig {
        bad_voxels: braintune::encode::BadVoxels::Zero,
        ..config.clone()
    };
    run_on(&dataset, folder.path(), &zero, &mut go_on).unwrap();
    // Fewer voxels than the responses have.
    let narrow: Vec<Array2<f32>> = repeats
        .iter()
        .map(|repeat| repeat.slice(s![.., 1..]).to_owned())
        .collect();
    let mut dataset = in_memory(&stored, &config, &mean, None);
    let refused = dataset.add_repeats(&config.subject, story, narrow);
    let refused = refused.unwrap_err();
    assert!(refused.to_string().contains("voxels"), "{refused}");
}

//! Does brain-tuning give late layers meaning? A whole study for each seed: a language, a participant, a tuned backbone
//! and one tuned to permuted responses.
//!
//! What is asked for: the last layer's alignment with the `semantic` region of held-out stories rises above the
//! pretrained backbone's and above the control's (exact sign test over seeds), the `auditory` region's stays, and the
//! layer where a probe reads meaning best comes later.

use std::ops::ControlFlow;
use std::path::Path;

use braintune::Folders;
use braintune::simulation::{SimulationConfig, write_tiny_hubert};
use braintune::study::{self, Study, StudyResults};
use burn::tensor::Device;

use crate::{AnyError, dataset, header, line, mean};

const SEEDS: std::ops::Range<u64> = 1..9;
const STUDY: &str = include_str!("tuning.toml");
const CONDITIONS: [&str; 3] = ["pretrained", "brain-tuned", "block-permuted"];
const REGIONS: [&str; 3] = ["auditory", "phonetic", "semantic"];

/// What a seed's study found.
struct Found {
    /// r / ceiling of the last layer, of each region under each condition.
    last: [[f64; 3]; 3],
    /// The layer that is best aligned with the `semantic` region, under each condition.
    best: [f64; 3],
    /// The layer where meaning is read best, under each condition.
    peak: [f64; 3],
    /// How well the probe reads meaning from the last layer, under each condition.
    probe: [f64; 3],
}

pub(crate) fn table(out: &Path) -> Result<(), AnyError> {
    let mut found = Vec::new();
    for seed in SEEDS {
        found.push(of_seed(seed, &out.join(seed.to_string()))?);
    }
    let conditions = "pretrained, brain-tuned, block-permuted";
    println!(
        "\nLast layer, {conditions}; r / ceiling on held-out stories, and accuracy of the probe of meaning."
    );
    header(&[
        "seed",
        "auditory",
        "phonetic",
        "semantic",
        "layer best aligned with semantic",
        "probe, last layer",
        "layer of the best probe",
    ]);
    let three = |values: [f64; 3]| values.map(|value| format!("{value:.2}")).join(", ");
    let layers = |values: [f64; 3]| values.map(|layer| format!("{layer:.1}")).join(", ");
    let row = |name: String, found: &Found| {
        let mut cells = vec![name];
        cells.extend(found.last.map(three));
        cells.extend([layers(found.best), three(found.probe), layers(found.peak)]);
        line(&cells);
    };
    for (seed, found) in SEEDS.zip(&found) {
        row(seed.to_string(), found);
    }
    let of = |value: &dyn Fn(&Found) -> f64| mean(&found.iter().map(value).collect::<Vec<f64>>());
    let all = [0, 1, 2];
    row(
        "mean".to_owned(),
        &Found {
            last: all.map(|region| all.map(|condition| of(&|seed| seed.last[region][condition]))),
            best: all.map(|condition| of(&|seed| seed.best[condition])),
            peak: all.map(|condition| of(&|seed| seed.peak[condition])),
            probe: all.map(|condition| of(&|seed| seed.probe[condition])),
        },
    );
    signs(&found);
    let changes = found
        .iter()
        .map(|seed| 100.0 * (seed.last[0][1] / seed.last[0][0] - 1.0));
    let (low, high) = changes.fold((f64::MAX, f64::MIN), |(low, high), change| {
        (low.min(change), high.max(change))
    });
    println!("\n`auditory`, last layer: {low:+.1} % to {high:+.1} % after brain-tuning.");
    Ok(())
}

/// A number under each condition.
type Measure = fn(&Found) -> [f64; 3];

/// Exact sign tests over seeds.
fn signs(found: &[Found]) {
    header(&[
        "brain-tuned against",
        "measure",
        "seeds with more",
        "with less",
        "p (one-sided sign test)",
    ]);
    let measures: [(&str, Measure); 4] = [
        ("semantic, last layer", |seed| seed.last[2]),
        ("layer best aligned with semantic", |seed| seed.best),
        ("probe of meaning, last layer", |seed| seed.probe),
        ("layer where meaning is read best", |seed| seed.peak),
    ];
    for (against, name) in [(0, CONDITIONS[0]), (2, CONDITIONS[2])] {
        for (measure, of) in measures {
            let differences: Vec<f64> = found
                .iter()
                .map(|seed| of(seed)[1] - of(seed)[against])
                .collect();
            let n_more = differences.iter().filter(|d| **d > 0.0).count();
            let n_less = differences.iter().filter(|d| **d < 0.0).count();
            line(&[
                name.to_owned(),
                measure.to_owned(),
                n_more.to_string(),
                n_less.to_string(),
                format!("{:.4}", at_least(n_more, n_more + n_less)),
            ]);
        }
    }
}

/// Chance of `k` heads or more of `n` throws; ties are left out before.
fn at_least(k: usize, n: usize) -> f64 {
    let mut term = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let mut sum = 0.0;
    for heads in 0..=n {
        if heads >= k {
            sum += term;
        }
        term *= (n - heads) as f64 / (heads + 1) as f64;
    }
    sum
}

fn of_seed(seed: u64, folder: &Path) -> Result<Found, AnyError> {
    let config = SimulationConfig::default()
        .with_seed(seed)
        .with_n_train_stories(10)
        .with_n_test_stories(3)
        .with_story_s(180.0)
        .with_test_story_s(180.0)
        .with_n_voxels(100);
    dataset(&config, &folder.join("dataset"))?;
    write_tiny_hubert(&folder.join("model"))?;
    let file = folder.join("study.toml");
    std::fs::write(&file, STUDY)?;
    let (cache, out) = (folder.join("cache"), folder.join("results"));
    let mut go_on = |_: braintune::Event<'_>| ControlFlow::Continue(());
    let outcome = study::run(
        &Study::read(&file)?,
        Folders {
            cache: &cache,
            out: &out,
        },
        &Device::flex(),
        &[],
        &mut go_on,
    )?;
    // States of tuning and kept features of a seed are not needed any more.
    std::fs::remove_dir_all(&cache).ok();
    read(&outcome.results)
}

fn read(results: &StudyResults) -> Result<Found, AnyError> {
    let last = |region: &str, condition: &str| {
        let mut curves = results.curves.iter();
        let curve = curves.find(|curve| curve.roi == region && curve.condition == condition);
        curve.and_then(|curve| *curve.normalized.last()?)
    };
    let best = |condition: &str| {
        let mut curves = results.curves.iter();
        let curve = curves.find(|curve| curve.roi == REGIONS[2] && curve.condition == condition)?;
        let layers = curve.normalized.iter().enumerate();
        let layers = layers.filter_map(|(layer, value)| Some((layer, (*value)?)));
        let best = layers.max_by(|a, b| a.1.total_cmp(&b.1));
        best.map(|(layer, _)| layer as f64)
    };
    let probe = |condition: &str| {
        results
            .probes
            .iter()
            .find(|probe| probe.condition == condition)
    };
    let (mut found, mut n_missing) = (
        Found {
            last: [[f64::NAN; 3]; 3],
            best: [f64::NAN; 3],
            peak: [f64::NAN; 3],
            probe: [f64::NAN; 3],
        },
        0,
    );
    let mut put = |place: &mut f64, value: Option<f64>| {
        n_missing += usize::from(value.is_none());
        *place = value.unwrap_or(f64::NAN);
    };
    for (c, condition) in CONDITIONS.into_iter().enumerate() {
        for (r, region) in REGIONS.into_iter().enumerate() {
            put(&mut found.last[r][c], last(region, condition));
        }
        put(&mut found.best[c], best(condition));
        let probe = probe(condition);
        put(
            &mut found.peak[c],
            probe.and_then(|probe| probe.peak.as_ref()?.value),
        );
        put(
            &mut found.probe[c],
            probe.and_then(|probe| probe.scores.last()?.value),
        );
    }
    if n_missing > 0 {
        return Err(format!("{n_missing} numbers are missing: {:?}", results.warnings).into());
    }
    Ok(found)
}

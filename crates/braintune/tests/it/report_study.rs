//! Made-up studies of any size, with the shapes that curves of real ones have; nothing in them was measured.

use braintune::study::{
    AlignmentCurve, BaselineAlignment, Comparison, Condition, ConditionKind, DataSharing, Estimate,
    Excluded, LowLevelImpact, Measure, ProbeCurve, Setting, StepRecord, StepStatus, StudyResults,
    TrainingCurve, Unit, VoxelChange,
};

/// 8 participants, 13 hidden states, 20 regions, 2 models, 5 conditions.
pub(crate) fn large() -> StudyResults {
    study(8, 13, 20, &["wav2vec2-base", "hubert-base"])
}

/// 2 participants, 7 hidden states, 4 regions, a model.
pub(crate) fn small() -> StudyResults {
    study(2, 7, 4, &["tiny"])
}

const CONDITIONS: [(&str, ConditionKind, f64); 5] = [
    ("pretrained", ConditionKind::Pretrained, 0.0),
    ("brain-tuned", ConditionKind::Tuned, 1.0),
    ("block-permuted", ConditionKind::Control, -0.25),
    ("stimulus", ConditionKind::Control, 0.2),
    ("random-weights", ConditionKind::Random, 0.0),
];
const ROIS: [&str; 20] = [
    "all",
    "auditory",
    "semantic",
    "phonetic",
    "primary auditory",
    "late language",
    "angular gyrus",
    "lateral temporal",
    "inferior frontal",
    "middle frontal",
    "posterior cingulate",
    "dorsomedial prefrontal",
    "A1",
    "LBelt",
    "MBelt",
    "PBelt",
    "STSda",
    "STSdp",
    "TPOJ1",
    "precuneus",
];
const LOW_LEVEL: [&str; 2] = ["power-spectrum", "articulation"];
const TASKS: [(&str, &str, f64, f64); 4] = [
    ("mfcc", "r2", 0.1, 0.0),
    ("story-phonemes", "accuracy", 0.5, 0.12),
    ("word-rate", "r2", 0.55, 0.0),
    ("sentence-type", "accuracy", 0.75, 0.5),
];

/// A number between -1 and 1 that depends on nothing but its arguments.
fn noise(seed: &[usize]) -> f64 {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for &part in seed {
        state = (state ^ part as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state ^= state >> 29;
    }
    (state % 20_001) as f64 / 10_000.0 - 1.0
}

fn with_interval(value: f64, half: f64) -> Estimate {
    Estimate {
        value: Some(value),
        low: Some(value - half),
        high: Some(value + half),
    }
}

/// Pearson r of a region at a depth from 0 to 1.
fn r(condition: usize, roi: usize, depth: f64) -> f64 {
    let (_, kind, gain) = CONDITIONS[condition];
    let ceiling = 0.06 + 0.12 * ((roi * 7 % 11) as f64 / 11.0);
    if kind == ConditionKind::Random {
        return ceiling * (0.35 - 0.1 * depth);
    }
    let peak = if roi % 3 == 1 { 0.35 } else { 0.68 };
    let bell = 1.0 - 1.3 * (depth - peak).powi(2);
    let language = if roi % 3 == 1 { 0.1 } else { 0.45 };
    ceiling * (bell + gain * language * depth.powi(2))
}

fn study(n_participants: usize, n_states: usize, n_rois: usize, models: &[&str]) -> StudyResults {
    let mut study = StudyResults::new(
        "Made-up study: brain-tuning and late layers",
        "Does tuning a speech model to fMRI responses raise the alignment of its late layers with language regions, and what do those layers tell afterwards?",
    );
    study.settings = settings();
    study.models = models.iter().map(|&name| name.to_owned()).collect();
    study.participants = (1..=n_participants).map(|i| format!("SIM{i:02}")).collect();
    study.rois = ROIS[..n_rois].iter().map(|&name| name.to_owned()).collect();
    study.conditions = CONDITIONS
        .map(|(name, kind, _)| Condition {
            name: name.to_owned(),
            kind,
        })
        .to_vec();
    for model in 0..models.len() {
        for participant in 0..n_participants {
            for condition in 0..CONDITIONS.len() {
                curves(&mut study, [model, participant, condition], n_states);
                if condition > 0 {
                    changed(&mut study, [model, participant, condition], n_states);
                }
            }
        }
        for condition in 0..CONDITIONS.len() {
            probes(&mut study, model, condition, n_states);
            compared(&mut study, model, condition, n_states);
        }
    }
    baselines(&mut study);
    told(&mut study);
    study
}

fn settings() -> Vec<Setting> {
    let settings = [
        (
            "Features",
            "windows of 16 s, every 0.1 s, resampled to TRs of 2.0045 s (Lanczos, 3 lobes)",
        ),
        ("FIR delays", "1, 2, 3, 4 TRs"),
        (
            "Penalties",
            "15 from 10 to 10,000 (penalty alpha²), chosen per voxel by leaving a story out",
        ),
        (
            "Noise ceiling",
            "voxels above 0.15, from 10 repeats of the test story",
        ),
        (
            "Tuning",
            "LoRA of rank 8, 20 epochs, learning rate 1e-4, mean squared error",
        ),
        (
            "Tests",
            "paired over participants and test stories, sign flips, 5,000 draws",
        ),
    ];
    let settings = settings.into_iter().map(|(name, value)| Setting {
        name: name.to_owned(),
        value: value.to_owned(),
    });
    settings.collect()
}

fn curves(study: &mut StudyResults, [model, participant, condition]: [usize; 3], n_states: usize) {
    for roi in 0..study.rois.len() {
        let own = 1.0 + 0.25 * noise(&[participant, roi, 5]);
        let values: Vec<f64> = (0..n_states)
            .map(|layer| {
                let depth = layer as f64 / (n_states - 1) as f64;
                own * r(condition, roi, depth)
                    + 0.004 * noise(&[model, participant, condition, roi, layer])
            })
            .collect();
        study.curves.push(AlignmentCurve {
            model: study.models[model].clone(),
            condition: CONDITIONS[condition].0.to_owned(),
            participant: study.participants[participant].clone(),
            roi: study.rois[roi].clone(),
            n_voxels: if roi == 0 {
                9_000
            } else {
                240 + 83 * (roi * 5 % 13)
            } + participant * 11,
            normalized: values.iter().map(|r| Some(r / 0.31)).collect(),
            q_value: values
                .iter()
                .map(|r| Some((0.05 - r).max(0.0004)))
                .collect(),
            mean_r: values.iter().map(|&r| with_interval(r, 0.012)).collect(),
        });
        for (i, feature) in LOW_LEVEL.iter().enumerate() {
            for layer in [n_states / 3, 2 * n_states / 3, n_states - 1] {
                let tuned = if condition == 1 { 0.75 } else { 1.0 };
                let impact = tuned * (60.0 - 4.0 * (roi % 5) as f64 - 25.0 * i as f64)
                    + 4.0 * noise(&[model, participant, condition, roi, layer, i]);
                study.low_level.push(LowLevelImpact {
                    feature: (*feature).to_owned(),
                    model: study.models[model].clone(),
                    condition: CONDITIONS[condition].0.to_owned(),
                    participant: study.participants[participant].clone(),
                    roi: study.rois[roi].clone(),
                    layer,
                    full: Some(values[layer]),
                    residual: Some(values[layer] * (1.0 - impact / 100.0)),
                    impact: Some(impact),
                });
            }
        }
    }
}

/// Voxels and losses of a run.
fn changed(study: &mut StudyResults, [model, participant, condition]: [usize; 3], n_states: usize) {
    let edges: Vec<f64> = (0..=50).map(|i| f64::from(i) * 0.02 - 0.4).collect();
    let (mut before, mut after) = (vec![0; 50], vec![0; 50]);
    let mut joint = std::collections::BTreeMap::new();
    for voxel in 0..3000 {
        let spread = |k: usize| {
            let draws = (0..6).map(|i| noise(&[participant, voxel, i, k]));
            draws.sum::<f64>() / 6.0
        };
        let was = 0.12 + 0.3 * spread(1) + 0.08 * spread(2).abs();
        let gain = CONDITIONS[condition].2;
        let random = CONDITIONS[condition].1 == ConditionKind::Random;
        let share = if random { 0.4 } else { 1.0 + 0.15 * gain };
        let is = was * share + 0.05 * spread(7 + condition);
        let bin = |r: f64| (((r + 0.4) / 0.02).floor().clamp(0.0, 49.0)) as usize;
        before[bin(was)] += 1;
        after[bin(is)] += 1;
        *joint.entry((bin(was), bin(is))).or_insert(0) += 1;
    }
    let (model_name, name) = (
        study.models[model].clone(),
        CONDITIONS[condition].0.to_owned(),
    );
    study.voxels.push(VoxelChange {
        model: model_name.clone(),
        condition: name.clone(),
        reference: CONDITIONS[0].0.to_owned(),
        participant: study.participants[participant].clone(),
        layer: n_states - 1,
        edges,
        before,
        after,
        joint: joint.into_iter().map(|((x, y), n)| (x, y, n)).collect(),
    });
    if CONDITIONS[condition].1 == ConditionKind::Random {
        return;
    }
    let losses = (0..400).map(|step| {
        let loss = 0.9 + 0.4 * (-f64::from(step) / 90.0).exp();
        let at = [model, participant, condition, step as usize];
        let validation =
            (step % 20 == 19).then(|| loss + 0.02 * f64::from(step) / 100.0 + 0.01 * noise(&at));
        (
            step as usize + 1,
            Some(loss + 0.06 * noise(&at)),
            validation,
        )
    });
    study.training.push(TrainingCurve {
        model: model_name,
        condition: name,
        participant: study.participants[participant].clone(),
        points: losses.collect(),
        kept_step: Some(240),
    });
}

fn probes(study: &mut StudyResults, model: usize, condition: usize, n_states: usize) {
    let (name, kind, gain) = CONDITIONS[condition];
    let n_models = match kind {
        ConditionKind::Tuned | ConditionKind::Control => study.participants.len(),
        _ => 1,
    };
    for (task, &(task_name, metric, peak, baseline)) in TASKS.iter().enumerate() {
        for participant in 0..n_models {
            let score = |layer: usize| {
                let depth = layer as f64 / (n_states - 1) as f64;
                let random = if kind == ConditionKind::Random {
                    0.4
                } else {
                    1.0
                };
                let late = 0.2 * gain * depth * depth * if task == 0 { 0.0 } else { 1.0 };
                let bell = 0.75 - 0.6 * (depth - peak).powi(2) + late;
                baseline
                    + (1.0 - baseline) * random * bell
                    + 0.008 * noise(&[model, condition, task, participant, layer])
            };
            let scores: Vec<f64> = (0..n_states).map(score).collect();
            let best = (0..n_states).max_by(|a, b| scores[*a].total_cmp(&scores[*b]));
            study.probes.push(ProbeCurve {
                task: task_name.to_owned(),
                model: study.models[model].clone(),
                condition: name.to_owned(),
                participant: (n_models > 1).then(|| study.participants[participant].clone()),
                metric: metric.to_owned(),
                scores: scores.iter().map(|&s| with_interval(s, 0.02)).collect(),
                baseline: (baseline > 0.0).then_some(baseline),
                peak: best.map(|best| with_interval(best as f64, 1.0)),
                n_test: 1344,
            });
        }
    }
}

fn compared(study: &mut StudyResults, model: usize, condition: usize, n_states: usize) {
    if condition == 0 {
        return;
    }
    let n = study.participants.len();
    for roi in 0..study.rois.len() {
        for layer in 0..n_states {
            let depth = layer as f64 / (n_states - 1) as f64;
            let difference = (r(condition, roi, depth) - r(0, roi, depth)) / 0.31;
            let p = (0.5 * (-30.0 * difference.abs()).exp()).max(0.0002);
            study.comparisons.push(Comparison {
                model: study.models[model].clone(),
                layer,
                roi: study.rois[roi].clone(),
                condition: CONDITIONS[condition].0.to_owned(),
                reference: CONDITIONS[0].0.to_owned(),
                measure: Measure::Normalized,
                difference: with_interval(difference, 0.02),
                unit: Unit::Participants,
                n_units: n,
                n_positive: if difference > 0.0 { n } else { n / 3 },
                p_value: (n > 5).then_some(p),
                q_value: (n > 5).then_some((1.6 * p).min(1.0)),
            });
        }
    }
}

fn baselines(study: &mut StudyResults) {
    for (i, baseline) in ["acoustic", "word-rate"].iter().enumerate() {
        for (k, participant) in study.participants.iter().enumerate() {
            for (roi, name) in study.rois.iter().enumerate() {
                let value = r(0, roi, 0.3) * (0.55 - 0.2 * i as f64) + 0.004 * noise(&[i, k, roi]);
                study.baselines.push(BaselineAlignment {
                    baseline: (*baseline).to_owned(),
                    participant: participant.clone(),
                    roi: name.clone(),
                    mean_r: with_interval(value, 0.01),
                    normalized: Some(value / 0.31),
                });
            }
        }
    }
}

/// What was left out, what is to be known, what was done.
fn told(study: &mut StudyResults) {
    study.excluded = vec![
        Excluded {
            what: "SIM02, precuneus".to_owned(),
            why: "no voxel of the region is above the noise ceiling of 0.15".to_owned(),
        },
        Excluded {
            what: "story undertheinfluence of SIM01".to_owned(),
            why: "its responses have 3 TRs fewer than its sound".to_owned(),
        },
    ];
    study.warnings = vec![
        "The noise ceiling of SIM02 is from 2 repeats: it is uncertain by about 0.05.".to_owned(),
        "Tuning has read 62 % of the TRs that encoding models were fitted on: differences on training stories would be in favour of tuning.".to_owned(),
    ];
    let story = |i: usize| format!("story{i:02}");
    for participant in &study.participants {
        study.sharing.push(DataSharing {
            participant: participant.clone(),
            tuning: (1..=14).map(story).collect(),
            validation: vec![story(15)],
            encoding: (1..=22).map(story).collect(),
            test: vec!["wheretheressmoke".to_owned()],
            shared: 0.62,
        });
        for step in ["tune", "extract", "encode", "probe"] {
            for model in &study.models {
                for (condition, ..) in CONDITIONS {
                    study.steps.push(StepRecord {
                        name: format!("{step} {model} {condition} {participant}"),
                        status: StepStatus::Done,
                        problem: None,
                    });
                }
            }
        }
    }
    if let Some(step) = study.steps.last_mut() {
        step.status = StepStatus::Failed;
        step.problem = Some("audio/story22.wav: ends after 3.1 s of 612 s".to_owned());
    }
    study.provenance = serde_json::json!({
        "command": ["braintune", "study", "study.toml"],
        "seed": 42,
        "weights_sha256": { "tiny": "b1946ac92492d2347c6235b4d2611184" },
        "responses_sha256": { "SIM01": "591785b794601e212b260e25925636fd" },
    });
}

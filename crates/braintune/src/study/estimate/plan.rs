//! Sizes of every step of a study, from its inputs: what [`cost`](super::cost) asks for.
//!
//! Windows that an earlier step leaves in the cache are counted once; what the cache holds from before is not looked at.

use std::collections::BTreeSet;
use std::time::Instant;

use braintune_audio::{load_audio, probe_audio};
use braintune_fmri::LowLevelFeature;
use braintune_probing::{LabelSet, Part, Recording, Rows, Split};
use burn::tensor::Device;

use super::StepEstimate;
use super::cost::{
    self, Cost, ModelCost, ProbeSizes, ProbedTask, RidgeSizes, StorySizes, TuneSizes, Windowed,
};
use super::speed::Speed;
use crate::encode::EncodeConfig;
use crate::error::Result;
use crate::event::{Event, OnEvent, tell};
use crate::lowlevel::LowLevelSpace;
use crate::provenance::{file_sha256, values_sha256};
use crate::study::file::Study;
use crate::study::inputs::Inputs;
use crate::study::marker::StepState;
use crate::study::results::ConditionKind;
use crate::study::steps::{Case, Step, Work};

/// What steps cost, one after the other.
pub(super) struct Costs<'a> {
    study: &'a Study,
    inputs: &'a Inputs,
    pub(super) speed: Speed,
    models: Vec<ModelCost>,
    /// Checkpoints and stories whose windows an earlier step has put into the cache.
    extracted: BTreeSet<(String, String)>,
    /// Models and stories whose frozen parts an earlier step has kept.
    frozen: BTreeSet<(usize, Vec<String>)>,
    /// Sizes of probes, which are those of every model.
    probes: Option<ProbeSizes>,
}

impl<'a> Costs<'a> {
    /// Times the models, the arithmetic and the reading of a story.
    pub(super) fn measure(
        study: &'a Study,
        inputs: &'a Inputs,
        device: &Device,
        on: &mut OnEvent<'_>,
    ) -> Result<Self> {
        let mut say = |stage| tell(on, Event::Stage(stage));
        let part = &study.file.encoding;
        say("timing the ridge")?;
        let n_folds = inputs
            .participants
            .iter()
            .map(|who| who.encoding.len())
            .max();
        let mut speed = Speed::measure(&part.alphas()?, n_folds.unwrap_or(2))?;
        say("timing reading")?;
        time_reading(inputs, &mut speed)?;
        let conditions = &study.file.conditions;
        let is_tuned = conditions.tuned || !conditions.controls.is_empty();
        let n_voxels = inputs.participants.iter().map(|who| who.n_voxels).max();
        let tuning = is_tuned.then_some((&study.tuning.config, n_voxels.unwrap_or(1)));
        let windows = (study.windows()?, part.share_convolutions);
        let mut models = Vec::with_capacity(inputs.models.len());
        for model in &inputs.models {
            say("timing the models")?;
            models.push(ModelCost::measure(&model.folder, windows, tuning, device)?);
        }
        Ok(Self {
            study,
            inputs,
            speed,
            models,
            extracted: BTreeSet::new(),
            frozen: BTreeSet::new(),
            probes: None,
        })
    }

    /// What a step takes; nothing if it is done.
    pub(super) fn of(&mut self, step: &Step, state: StepState) -> Result<StepEstimate> {
        let mut estimate = StepEstimate {
            name: step.name.clone(),
            unit: self.unit(step),
            state,
            ..StepEstimate::default()
        };
        let cost = match step.work {
            Work::Random { model } => cost::random(&self.models[model]),
            Work::Tune(case) => self.tune(case, &mut estimate)?,
            Work::Encode(case) => self.encode(case, &mut estimate)?,
            Work::LowLevel { space, case } => {
                let cost = self.encode(case, &mut estimate)?;
                if is_sound(&self.inputs.low_level[space]) {
                    self.without_sounds(case, cost)?
                } else {
                    cost
                }
            }
            Work::Baseline { space, participant } => {
                self.baseline(space, participant, &mut estimate)?
            }
            Work::Probe(case) => self.probe(case, &mut estimate)?,
        };
        estimate.take(&cost);
        if state == StepState::Done {
            (estimate.seconds, estimate.pass_s) = (0.0, 0.0);
        }
        Ok(estimate)
    }

    /// The unit of work that a step is part of (`share.rs`), by name.
    fn unit(&self, step: &Step) -> String {
        let inputs = self.inputs;
        match step.work {
            Work::Random { model } => {
                let mut conditions = inputs.conditions.iter();
                let random = conditions.find(|c| c.kind == ConditionKind::Random);
                let name = random.map_or("random-weights", |condition| &condition.name);
                format!("{} {name}", inputs.models[model].name)
            }
            Work::Tune(case)
            | Work::Encode(case)
            | Work::Probe(case)
            | Work::LowLevel { case, .. } => inputs.state_of(case).join(" "),
            Work::Baseline { .. } => step.name.clone(),
        }
    }

    fn stories(&self, participant: usize) -> Result<StorySizes> {
        let who = &self.inputs.participants[participant];
        let (train, test) = (&who.encoding, &who.roles.test);
        let n_trs = |stories: &[String]| -> usize {
            let of = stories.iter().filter_map(|story| who.n_trs.get(story));
            of.sum()
        };
        let mut sizes = StorySizes::new(
            train.len() + test.len(),
            self.audio_s(train.iter().chain(test))?,
            (n_trs(train), n_trs(test)),
            who.n_voxels,
        );
        let repeats = |story: &String| {
            who.responses.get(story)?["repeats"]
                .as_array()
                .map(Vec::len)
        };
        sizes.n_repeats = test.iter().filter_map(repeats).max().unwrap_or(0);
        Ok(sizes)
    }

    fn audio_s<'s>(&self, stories: impl Iterator<Item = &'s String>) -> Result<f64> {
        let mut seconds = 0.0;
        for story in stories {
            seconds += self.inputs.dataset.timing(story)?.end_s().max(0.0);
        }
        Ok(seconds)
    }

    fn ridge(&self, participant: usize, n_layers: usize, width: usize) -> Result<RidgeSizes> {
        let who = &self.inputs.participants[participant];
        let part = &self.study.file.encoding;
        let rows: Vec<usize> = who
            .encoding
            .iter()
            .filter_map(|story| who.n_trs.get(story).copied())
            .collect();
        let folds = part.cv().folds(&rows, self.study.file.seed)?;
        let mut sizes = RidgeSizes::new(
            n_layers,
            (width, part.delays()?.as_slice().len()),
            folds.n_folds(),
            part.alphas()?,
            part.permutations + part.bootstraps,
        );
        sizes.n_regions = who.regions.with_all(0).len();
        let config = EncodeConfig::new(&who.name, who.roles.test.clone())?;
        sizes.memory_budget = config.memory_budget as f64;
        Ok(sizes)
    }

    fn encode(&mut self, case: Case, estimate: &mut StepEstimate) -> Result<Cost> {
        let windows = self.windows(case)?;
        let model = &self.models[case.model];
        let stories = self.stories(case.participant)?;
        let width = self.inputs.models[case.model].width;
        let ridge = self.ridge(case.participant, model.n_states, width)?;
        estimate.n_trs = stories.n_train + stories.n_test;
        estimate.n_voxels = stories.n_voxels;
        estimate.n_windows = windows.n_new;
        cost::encode(&self.speed, (model, windows), &stories, &ridge)
    }

    fn without_sounds(&self, case: Case, encoded: Cost) -> Result<Cost> {
        let (model, stories) = (&self.models[case.model], self.stories(case.participant)?);
        let width = self.inputs.models[case.model].width;
        let ridge = self.ridge(case.participant, model.n_states, width)?;
        let speed = &self.speed;
        Ok(cost::without_sounds(
            speed, encoded, model, &stories, &ridge,
        ))
    }

    /// Windows of stories that no earlier step extracts, and the others.
    fn windows(&mut self, case: Case) -> Result<Windowed> {
        let who = &self.inputs.participants[case.participant];
        let stride_s = self.study.windows()?.stride_s();
        let checkpoint = self.inputs.checkpoint(case).unwrap_or_default();
        let checkpoint = format!(
            "{} {}",
            self.inputs.models[case.model].name,
            checkpoint.display()
        );
        let mut windows = Windowed::default();
        for story in who.encoding.iter().chain(&who.roles.test) {
            let n = whole(self.inputs.dataset.timing(story)?.end_s() / stride_s);
            if self.extracted.insert((checkpoint.clone(), story.clone())) {
                windows.n_new += n;
            } else {
                windows.n_kept += n;
            }
        }
        Ok(windows)
    }

    fn baseline(
        &self,
        space: usize,
        participant: usize,
        estimate: &mut StepEstimate,
    ) -> Result<Cost> {
        let space = &self.inputs.baselines[space];
        let width = space.features().iter().copied().map(n_columns).sum();
        let mut stories = self.stories(participant)?;
        estimate.n_trs = stories.n_train + stories.n_test;
        estimate.n_voxels = stories.n_voxels;
        if !is_sound(space) {
            stories.audio_s = 0.0;
        }
        cost::baseline(&self.speed, &stories, &self.ridge(participant, 1, width)?)
    }

    fn tune(&mut self, case: Case, estimate: &mut StepEstimate) -> Result<Cost> {
        let who = &self.inputs.participants[case.participant];
        let config = &self.study.tuning.config;
        let n_trs = |stories: &[String]| -> usize {
            let of = stories.iter().filter_map(|story| who.n_trs.get(story));
            of.sum()
        };
        let (train, validation) = (n_trs(&who.roles.train), n_trs(&who.roles.validation));
        let mut sizes = TuneSizes::new(train, validation, config.epochs, config.batch_size);
        sizes.micro_batch = config.micro_batch;
        sizes.clip_s = config.clip_s;
        sizes.checkpoint_every = config.checkpoint_every;
        let used: Vec<String> = who
            .roles
            .train
            .iter()
            .chain(&who.roles.validation)
            .cloned()
            .collect();
        if self.study.tuning.keep_frozen {
            sizes.keeps_frozen = true;
            sizes.has_frozen = !self.frozen.insert((case.model, used.clone()));
        }
        estimate.n_trs = train + validation;
        estimate.n_voxels = who.n_voxels;
        estimate.n_windows = estimate.n_trs * config.epochs;
        let mut stories = StorySizes::new(
            used.len(),
            self.audio_s(used.iter())?,
            (train, validation),
            who.n_voxels,
        );
        stories.n_test = validation;
        Ok(cost::tune(
            &self.speed,
            &self.models[case.model],
            &sizes,
            &stories,
        ))
    }

    fn probe(&mut self, case: Case, estimate: &mut StepEstimate) -> Result<Cost> {
        let sizes = match self.probes.take() {
            Some(sizes) => sizes,
            None => self.probe_sizes()?,
        };
        estimate.n_windows = sizes.n_recordings;
        let cost = cost::probe(&self.speed, &self.models[case.model], &sizes);
        self.probes = Some(sizes);
        Ok(cost)
    }

    /// Recordings of all tasks, those that several share once.
    fn probe_sizes(&self) -> Result<ProbeSizes> {
        let settings = self.study.probe_settings();
        let mut sizes = ProbeSizes {
            n_fits: 1 + usize::from(settings.control),
            ..ProbeSizes::default()
        };
        let model = self.inputs.models.first();
        let frame_s = model.map_or(0.02, |model| model.frame_s);
        let mut heard = BTreeSet::new();
        for task in self.study.probe_tasks(self.inputs)? {
            let mut probed = ProbedTask {
                n_outputs: task.labels().names().len(),
                is_numbers: matches!(task.labels(), LabelSet::Values(_)),
                ..ProbedTask::default()
            };
            let mut file = None;
            for recording in task.recordings()? {
                let length_s = length_s(&recording)?;
                let span = recording.span_s.as_ref();
                let span = span.map(|span| (whole(1e3 * span.start), whole(1e3 * span.end)));
                if heard.insert((recording.audio.clone(), span)) {
                    sizes.n_recordings += 1;
                    sizes.audio_s += length_s;
                    sizes.longest_s = sizes.longest_s.max(length_s);
                }
                if file.as_ref() != Some(&recording.audio) {
                    let found = probe_audio(&recording.audio)?.duration_s();
                    let file_s = found.unwrap_or(length_s);
                    sizes.files_s += file_s;
                    sizes.longest_file_s = sizes.longest_file_s.max(file_s);
                    file = Some(recording.audio.clone());
                }
                let n_rows = n_rows(&recording, task.rows(), length_s / frame_s, frame_s);
                let is_train = recording.split == Split::Train;
                probed.n_rows += n_rows;
                probed.n_train += if is_train { n_rows } else { 0 };
            }
            sizes.tasks.push(probed);
        }
        Ok(sizes)
    }
}

/// Rows that a task has of a recording of `n_frames`.
fn n_rows(recording: &Recording, rows: Rows, n_frames: f64, frame_s: f64) -> usize {
    match rows {
        Rows::Mean => recording.parts.len(),
        Rows::Frames => {
            let of = |part: &Part| {
                let span = part.span_s.as_ref();
                span.map_or(n_frames, |span| (span.end - span.start) / frame_s)
            };
            whole(recording.parts.iter().map(of).sum())
        }
    }
}

/// Seconds of a recording.
fn length_s(recording: &Recording) -> Result<f64> {
    if let Some(length_s) = recording.length_s {
        return Ok(length_s);
    }
    if let Some(span) = &recording.span_s {
        return Ok((span.end - span.start).max(0.0));
    }
    let found = probe_audio(&recording.audio)?;
    Ok(found.duration_s().unwrap_or(3.0))
}

fn is_sound(space: &LowLevelSpace) -> bool {
    space.features().iter().any(|feature| feature.is_acoustic())
}

/// Columns of a low-level feature; of diphones and triphones about as many as hours of speech have.
fn n_columns(feature: LowLevelFeature) -> usize {
    match feature {
        LowLevelFeature::PowerSpectrum => 448,
        LowLevelFeature::Mfcc => 40,
        LowLevelFeature::Energy | LowLevelFeature::WordRate | LowLevelFeature::PhonemeRate => 1,
        LowLevelFeature::Phonemes => 39,
        LowLevelFeature::Articulation => 22,
        LowLevelFeature::Diphones => 1_100,
        _ => 10_000,
    }
}

/// Reading of the shortest story: its sound and its responses, as a step reads them.
fn time_reading(inputs: &Inputs, speed: &mut Speed) -> Result<()> {
    let Some(who) = inputs.participants.first() else {
        return Ok(());
    };
    let used = who.used();
    let Some(story) = used.iter().min_by_key(|story| who.n_trs.get(*story)) else {
        return Ok(());
    };
    let dataset = &*inputs.dataset;
    let audio = dataset.story(story)?.require_audio()?;
    let begun = Instant::now();
    file_sha256(audio)?;
    let seconds = load_audio(audio)?.duration_s();
    speed.decode_s = begun.elapsed().as_secs_f64() / seconds.max(0.1);
    let begun = Instant::now();
    let all = dataset.responses(&who.name, story)?;
    let bytes = (all.bold().len() * size_of::<f32>()).max(1) as f64;
    std::hint::black_box(values_sha256(all.bold()));
    std::hint::black_box(all.bad_values());
    speed.check_bytes_s = bytes / begun.elapsed().as_secs_f64().max(1e-9);
    let begun = Instant::now();
    let some = dataset.responses_columns(&who.name, story, 0..who.n_voxels.min(4096))?;
    let bytes = (some.bold().len() * size_of::<f32>()).max(1) as f64;
    speed.read_bytes_s = bytes / begun.elapsed().as_secs_f64().max(1e-9);
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of things"
)]
fn whole(n: f64) -> usize {
    n.max(0.0) as usize
}

//! The layout of BIDS with images that fMRIPrep preprocessed, such as `OpenNeuro` ds002345
//! (Narratives, Nastase et al. 2021, Scientific Data 8, 250).
//!
//! ```text
//! [sub-*/[ses-*/]func/]*task-<task>*_events.tsv     onset, trial_type, stim_file
//! [sub-*/[ses-*/]func/]*task-<task>*_bold.json      RepetitionTime
//! stimuli/<stim_file>, stimuli/[textgrids/]<story>.TextGrid or stimuli/gentle/<story>/align.json
//! derivatives/fmriprep/sub-*/[ses-*/]func/*task-<task>*_desc-preproc_bold.nii.gz, .json
//! derivatives/fmriprep/sub-*/[ses-*/]func/*task-<task>*_desc-brain_mask.nii.gz
//! derivatives/braintune/*.hf5                       responses, once taken out of the images
//! ```
//!
//! A task is a story. Where its runs heard different sounds (`stim_file`), each sound is one, named
//! after the file. The sound begins at the first event of it; TR k is at `k tr + tr/2 - onset`, with
//! `StartTime` of the image's sidecar in place of `tr/2` where it says that slices were brought to that
//! moment. `[n_trs, n_voxels]`, columns are the voxels of a mask. Held by `tests/it/bids.rs`.

mod cache;
mod events;
mod filter;
mod names;
mod options;
mod run;
mod stories;
mod toml;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use ndarray::Array2;

use self::cache::Recipe;
pub use self::options::{BidsOptions, BidsRuns};
use self::run::{Run, RunTiming, find_runs};
use self::stories::{Heard, stories_of_task};
use crate::dataset::RowCheck;
use crate::files::{read_text, require_dir};
use crate::selection::check_selection;
use crate::voxel_mask::is_inside;
use crate::{
    DatasetFiles, FmriError, NiftiFile, ResponseFile, Responses, Result, StoredAs, Story,
    StoryDataset, StoryTiming, Trim, VoxelMask,
};

/// A BIDS folder of people who heard stories in the scanner.
///
/// Subjects are called as their folders, `sub-001`. A subject who heard a story several times has the
/// mean of all hearings as responses and each of them as a repeat; [`BidsRuns::Parts`] makes every run
/// a story of its own.
///
/// A story has one grid, that of its first run: the sound of other runs must begin within a tenth of a
/// TR of the same moment. The grid has as many TRs as most runs; longer runs lose their end, shorter
/// ones are an error where they are read.
///
/// Confounds are not regressed out: do that before, or see what smoothing, detrending, high-pass
/// filtering and z-scoring of [`BidsOptions`] leave.
///
/// Each run is prepared once, when it is first asked for, and kept as HDF5; after that a range of
/// voxels is read without the others.
///
/// ```no_run
/// use std::path::Path;
/// use braintune_fmri::{BidsDataset, BidsOptions, StoryDataset};
///
/// let options = BidsOptions::new()
///     .with_space("MNI152NLin2009cAsym")
///     .with_high_pass_s(140.0)
///     .with_z_score();
/// let dataset = BidsDataset::open(Path::new("ds002345"), options)?;
/// let responses = dataset.responses("sub-001", "pieman")?;
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BidsDataset {
    dir: PathBuf,
    name: String,
    options: BidsOptions,
    derivatives: PathBuf,
    subjects: Vec<String>,
    stories: Vec<Story>,
    heard: BTreeMap<String, Heard>,
    left_out: Vec<(String, String)>,
    masks: Arc<Mutex<BTreeMap<String, Arc<SubjectMask>>>>,
}

/// The voxels of a subject, and the files that say so.
#[derive(Debug)]
struct SubjectMask {
    mask: VoxelMask,
    paths: Vec<PathBuf>,
}

impl BidsDataset {
    /// Opens the folder `dir`: lists images, and reads their headers, sidecars and events.
    ///
    /// A task of which no run was fetched, or without a sound (rest), is no story:
    /// [`left_out`](DatasetFiles::left_out) tells why. If it was named by
    /// [`with_tasks`](BidsOptions::with_tasks), it is an error.
    ///
    /// # Errors
    ///
    /// [`FmriError::Missing`] if there is no folder of derivatives or no image in it,
    /// [`FmriError::Bids`] if two images are of one run, and what is wrong with the first task if none
    /// can be used.
    pub fn open(dir: &Path, options: BidsOptions) -> Result<Self> {
        let derivatives = options.derivatives.clone();
        let derivatives = derivatives.unwrap_or_else(|| dir.join("derivatives/fmriprep"));
        require_dir(dir, "dataset folder")?;
        require_dir(&derivatives, "folder of derivatives")?;
        let mut by_task: BTreeMap<String, Vec<Run>> = BTreeMap::new();
        for run in find_runs(&derivatives, &options)? {
            by_task.entry(run.task.clone()).or_default().push(run);
        }
        for task in &options.tasks {
            let part = format!("{task}_run-");
            if !by_task
                .keys()
                .any(|other| other == task || other.starts_with(&part))
            {
                return Err(no_image(&derivatives, &options, task));
            }
        }
        let mut dataset = Self {
            dir: dir.into(),
            name: dataset_name(dir),
            derivatives,
            subjects: Vec::new(),
            stories: Vec::new(),
            heard: BTreeMap::new(),
            left_out: Vec::new(),
            masks: Arc::default(),
            options,
        };
        dataset.add_tasks(by_task)?;
        Ok(dataset)
    }

    fn add_tasks(&mut self, by_task: BTreeMap<String, Vec<Run>>) -> Result<()> {
        let (mut failure, mut subjects) = (None, BTreeSet::new());
        for (task, runs) in by_task {
            match stories_of_task(&self.dir, &task, runs, &self.options) {
                Ok((stories, unknown)) => {
                    let reasons = unknown.iter().map(|(run, error)| {
                        (format!("{} of {}", task, run.subject), error.to_string())
                    });
                    self.left_out.extend(reasons);
                    for heard in stories {
                        if self.heard.contains_key(heard.story.name()) {
                            return Err(FmriError::Bids {
                                path: heard.runs[0].bold.clone(),
                                reason: format!(
                                    "another task has a story {} too",
                                    heard.story.name()
                                ),
                            });
                        }
                        subjects.extend(heard.runs.iter().map(|run| run.subject.clone()));
                        self.stories.push(heard.story.clone());
                        self.heard.insert(heard.story.name().into(), heard);
                    }
                }
                Err(error) if !self.options.tasks.is_empty() => return Err(error),
                Err(error) => {
                    self.left_out.push((task, error.to_string()));
                    failure = failure.or(Some(error));
                }
            }
        }
        if self.stories.is_empty() {
            let missing = || no_image(&self.derivatives, &self.options, "*");
            return Err(failure.unwrap_or_else(missing));
        }
        self.subjects = subjects.into_iter().collect();
        Ok(())
    }

    /// The voxels of a subject: the mask given, or those inside the brain masks of all of the
    /// subject's runs that were fetched.
    ///
    /// # Errors
    ///
    /// [`FmriError::UnknownSubject`], [`FmriError::Bids`] if there is no mask,
    /// [`FmriError::VoxelGrid`] if masks lie on different grids, and what a NIfTI file can cause.
    pub fn mask(&self, subject: &str) -> Result<VoxelMask> {
        Ok(self.subject_mask(subject)?.mask.clone())
    }

    fn subject_mask(&self, subject: &str) -> Result<Arc<SubjectMask>> {
        self.check_subject(subject)?;
        let key = match self.options.mask {
            Some(_) => String::new(),
            None => subject.to_owned(),
        };
        let mut masks = self.masks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mask) = masks.get(&key) {
            return Ok(Arc::clone(mask));
        }
        let mask = Arc::new(self.read_mask(subject)?);
        masks.insert(key, Arc::clone(&mask));
        Ok(mask)
    }

    fn read_mask(&self, subject: &str) -> Result<SubjectMask> {
        let order = self.options.order;
        if let Some(path) = &self.options.mask {
            let (mask, paths) = (VoxelMask::read(path, order)?, vec![path.clone()]);
            return Ok(SubjectMask { mask, paths });
        }
        let runs = self.heard.values().flat_map(|heard| &heard.runs);
        let runs = runs.filter(|run| run.subject == subject && run.is_fetched());
        let paths = runs.map(|run| {
            run.mask.clone().ok_or_else(|| FmriError::Bids {
                path: run.bold.clone(),
                reason: "no brain mask (desc-brain_mask) beside it: give a mask file".into(),
            })
        });
        let paths = paths.collect::<Result<Vec<_>>>()?;
        let Some((first, others)) = paths.split_first() else {
            return Err(FmriError::Bids {
                path: self.derivatives.join(subject),
                reason: "no run of this subject was fetched".into(),
            });
        };
        let grid = VoxelMask::read(first, order)?;
        let mut inside = NiftiFile::open(first)?.read_volume(0)?.mapv(is_inside);
        for path in others {
            let file = NiftiFile::open(path)?;
            grid.check_grid(&file)?;
            file.expect_one_volume("a mask")?;
            let other = file.read_volume(0)?;
            inside.zip_mut_with(&other, |inside, &value| *inside &= is_inside(value));
        }
        Ok(SubjectMask {
            mask: VoxelMask::from_array(inside.view(), grid.affine(), order)?,
            paths,
        })
    }

    /// The runs in which a subject heard a story.
    fn runs(&self, subject: &str, story: &str) -> Vec<&Run> {
        let runs = self
            .heard
            .get(story)
            .into_iter()
            .flat_map(|heard| &heard.runs);
        runs.filter(|run| run.subject == subject).collect()
    }

    /// The same, with known names and at least one.
    fn known_runs(&self, subject: &str, story: &str) -> Result<Vec<&Run>> {
        self.check_subject(subject)?;
        self.story(story)?;
        let runs = self.runs(subject, story);
        if runs.is_empty() {
            return Err(FmriError::NoResponses {
                dataset: self.name.clone(),
                subject: subject.into(),
                story: story.into(),
            });
        }
        Ok(runs)
    }

    /// Checks a run against the story's grid.
    fn check_run(&self, run: &Run, story: &str, n_voxels: usize) -> Result<RunTiming> {
        let heard = &self.heard[story];
        let timing = run.timing(&self.dir, &self.options)?;
        heard.check(run, &timing)?;
        let n_trs = heard.timing.n_trs();
        let check = RowCheck {
            subject: &run.subject,
            story,
            timing: format!("most runs, or n_trs: {n_trs}"),
            source_name: run.bold.display().to_string(),
        };
        // Longer runs lose their end.
        check.check(&heard.timing, (timing.n_trs.min(n_trs), n_voxels))?;
        Ok(timing)
    }

    /// The kept responses of a run.
    fn response_file(&self, run: &Run, tr_s: f64, mask: &SubjectMask) -> Result<ResponseFile> {
        let recipe = Recipe {
            bold: &run.bold,
            mask: &mask.mask,
            mask_paths: &mask.paths,
            filter: &self.options.filter,
            stem: run.file_stem(),
            tr_s,
        };
        recipe.responses(&self.cache_dir().unwrap_or_default())
    }

    /// Each of a subject's runs of a story, `[n_trs, voxels.len()]`.
    fn hearings(
        &self,
        runs: &[&Run],
        story: &str,
        voxels: &Range<usize>,
        on_hearing: &mut dyn FnMut(Array2<f32>) -> Result<()>,
    ) -> Result<()> {
        let Some(first) = runs.first() else {
            return Ok(());
        };
        let n_trs = self.heard[story].timing.n_trs();
        let mask = self.subject_mask(&first.subject)?;
        let n_voxels = mask.mask.n_voxels();
        check_selection(&first.bold, "bold", "voxels", voxels, n_voxels)?;
        // All are checked before the first is prepared, which takes a while.
        let timings = runs.iter().map(|run| self.check_run(run, story, n_voxels));
        for (run, timing) in runs.iter().zip(timings.collect::<Result<Vec<_>>>()?) {
            if voxels.is_empty() {
                on_hearing(Array2::zeros((n_trs, 0)))?;
                continue;
            }
            let file = self.response_file(run, timing.tr_s, &mask)?;
            on_hearing(file.read(0..n_trs, voxels.clone())?)?;
        }
        Ok(())
    }
}

impl StoryDataset for BidsDataset {
    fn name(&self) -> &str {
        &self.name
    }

    fn subjects(&self) -> &[String] {
        &self.subjects
    }

    fn stories(&self) -> &[Story] {
        &self.stories
    }

    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.story(story)?;
        Ok(self.heard[story].timing.clone())
    }

    /// Whether there is an image, or a pointer to it.
    fn has_responses(&self, subject: &str, story: &str) -> bool {
        !self.runs(subject, story).is_empty()
    }

    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        let runs = self.known_runs(subject, story)?;
        let n_voxels = self.subject_mask(subject)?.mask.n_voxels();
        for run in runs {
            self.check_run(run, story, n_voxels)?;
        }
        Ok((self.heard[story].timing.n_trs(), n_voxels))
    }

    fn responses_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Responses> {
        let runs = self.known_runs(subject, story)?;
        let mut sum: Option<Array2<f32>> = None;
        self.hearings(&runs, story, &voxels, &mut |hearing| {
            sum = Some(match sum.take() {
                Some(sum) => sum + hearing,
                None => hearing,
            });
            Ok(())
        })?;
        let n_trs = self.heard[story].timing.n_trs();
        let mut mean = sum.unwrap_or_else(|| Array2::zeros((n_trs, voxels.len())));
        if runs.len() > 1 {
            let n_runs = runs.len() as f32;
            mean.mapv_inplace(|value| value / n_runs);
        }
        Responses::from_bold(mean, &self.timing(story)?)
    }

    fn repeats_columns(
        &self,
        subject: &str,
        story: &str,
        voxels: Range<usize>,
    ) -> Result<Vec<Responses>> {
        let runs = self.known_runs(subject, story)?;
        if runs.len() == 1 {
            return Err(FmriError::NoRepeats {
                subject: subject.into(),
                story: story.into(),
                reason: format!("heard once, in {}", runs[0].bold.display()),
            });
        }
        let timing = self.timing(story)?;
        let mut repeats = Vec::with_capacity(runs.len());
        self.hearings(&runs, story, &voxels, &mut |hearing| {
            repeats.push(Responses::from_bold(hearing, &timing)?);
            Ok(())
        })?;
        Ok(repeats)
    }

    fn default_trims(&self) -> (Trim, Trim) {
        self.options.trims
    }
}

impl DatasetFiles for BidsDataset {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn audio_dir(&self) -> PathBuf {
        self.dir.join("stimuli")
    }

    /// The image of a subject's first hearing of a story, or where one would be.
    fn response_path(&self, subject: &str, story: &str) -> PathBuf {
        match self.runs(subject, story).first() {
            Some(run) => run.bold.clone(),
            None => image_path(&self.derivatives, &self.options, subject, story),
        }
    }

    fn textgrid_path(&self, story: &str) -> PathBuf {
        match self.heard.get(story) {
            Some(heard) => heard.textgrid.clone(),
            None => self.dir.join("stimuli").join(format!("{story}.TextGrid")),
        }
    }

    fn cache_dir(&self) -> Option<PathBuf> {
        let cache = self.options.cache.clone();
        Some(cache.unwrap_or_else(|| self.dir.join("derivatives/braintune")))
    }

    fn left_out(&self) -> &[(String, String)] {
        &self.left_out
    }

    fn timing_source(&self) -> &'static str {
        "events.tsv and the images"
    }

    /// The first hearing's image, `[x, y, z, n_trs]`.
    fn stored_as(&self, subject: &str, story: &str) -> Result<StoredAs> {
        let runs = self.known_runs(subject, story)?;
        let file = NiftiFile::open(&runs[0].bold)?;
        let header = file.header();
        Ok(StoredAs::new(
            header.shape().to_vec(),
            header.dtype(),
            "NIfTI",
        ))
    }
}

/// Where the image of a task would be.
fn image_path(derivatives: &Path, options: &BidsOptions, subject: &str, task: &str) -> PathBuf {
    let space = options.space.as_ref();
    let space = space.map_or_else(String::new, |space| format!("_space-{space}"));
    let desc = options.desc.as_deref().unwrap_or("preproc");
    let file = format!("{subject}_task-{task}{space}_desc-{desc}_bold.nii.gz");
    derivatives.join(subject).join("func").join(file)
}

fn no_image(derivatives: &Path, options: &BidsOptions, task: &str) -> FmriError {
    FmriError::Missing {
        what: "image of a task".into(),
        path: image_path(derivatives, options, "sub-*", task),
    }
}

/// `Name` of `dataset_description.json`, else the name of the folder.
fn dataset_name(dir: &Path) -> String {
    let path = dir.join("dataset_description.json");
    let text = read_text(&path, "description of the dataset", 1 << 20).ok();
    let described = text.and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let name = described
        .as_ref()
        .and_then(|value| value.get("Name")?.as_str());
    let folder = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    let name = name.map(ToOwned::to_owned).or(folder);
    name.unwrap_or_else(|| "BIDS".into())
}

//! A dataset of one's own: a folder of `STORY.csv`, a row per TR of 2 s and a column per voxel; checked against the
//! contract, then encoded as any other. `cargo run -p examples --example own_dataset`
#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use std::{ops::Range, path::PathBuf};

use braintune::fmri::{FmriError, InMemoryDataset, Responses, Result};
use braintune::fmri::{Story, StoryDataset, StoryTiming, Trim, check_story_dataset};
use braintune::simulation::SimulationConfig;
use examples::Simulated;

struct CsvFolder {
    folder: PathBuf,
    subjects: [String; 1],
    stories: Vec<Story>,
}

impl CsvFolder {
    /// One story, read when it is asked for.
    fn read(&self, story: &str) -> Result<InMemoryDataset> {
        let story = self.story(story)?;
        let path = self.folder.join(story.name()).with_extension("csv");
        let bold = examples::read_csv(&path).map_err(|error| FmriError::Other(error.into()))?;
        // The first row was measured 11 s after the sound began.
        let timing = StoryTiming::new(bold.nrows(), 2.0, 11.0, 0..bold.nrows())?;
        let mut read = InMemoryDataset::new(self.name());
        read.add_story(story.clone(), timing)?;
        read.add_responses(&self.subjects[0], story.name(), bold)?;
        Ok(read)
    }
}

impl StoryDataset for CsvFolder {
    fn name(&self) -> &'static str {
        "folder of CSV files"
    }
    fn subjects(&self) -> &[String] {
        &self.subjects
    }
    fn stories(&self) -> &[Story] {
        &self.stories
    }
    fn timing(&self, story: &str) -> Result<StoryTiming> {
        self.read(story)?.timing(story)
    }
    fn has_responses(&self, subject: &str, story: &str) -> bool {
        self.check_subject(subject).is_ok() && self.story(story).is_ok()
    }
    fn response_shape(&self, subject: &str, story: &str) -> Result<(usize, usize)> {
        self.read(story)?.response_shape(subject, story)
    }
    fn responses_columns(&self, subject: &str, story: &str, of: Range<usize>) -> Result<Responses> {
        self.read(story)?.responses_columns(subject, story, of)
    }
    fn default_trims(&self) -> (Trim, Trim) {
        (Trim::default(), Trim::default())
    }
}

#[cfg_attr(test, test)]
fn main() -> anyhow::Result<()> {
    let simulated = Simulated::new(&SimulationConfig::default().with_n_train_stories(2))?;
    let dataset = CsvFolder {
        folder: simulated.csv_files()?,
        subjects: [simulated.truth.subject().to_owned()],
        stories: simulated.dataset.stories().to_vec(),
    };
    check_story_dataset(&dataset);
    let mean_r = simulated.encode(&dataset, "csv", simulated.hubert_windows()?)?;
    println!("mean r of each layer, by region: {mean_r:.2?}");
    assert!(mean_r["phonetic"].iter().all(|&r| r > 0.3));
    Ok(())
}

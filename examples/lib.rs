//! What the example programs share: simulated participants, in place of data of one's own, and a small model.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow::Continue;
use std::path::{Path, PathBuf};

use anyhow::bail;
use braintune::backbone::{FeatureExtractor, PretrainedModel, WindowFeature, Windows};
use braintune::encode::{self, EncodeConfig, ModelFeatures, Outcome, Regions};
use braintune::fmri::{Ds003020, StoryDataset};
use braintune::simulation::{SimulatedDataset, SimulationConfig, simulate, write_tiny_hubert};
use burn::tensor::Device;
use ndarray::{Array2, Axis};
use tempfile::TempDir;

/// Simulated participants in a folder that goes away.
#[derive(Debug)]
pub struct Simulated {
    /// Where everything is; removed when this is dropped.
    pub folder: TempDir,
    /// Names of participants and stories, and the truth about them.
    pub truth: SimulatedDataset,
    /// The same as a dataset to read.
    pub dataset: Ds003020,
}

impl Simulated {
    /// Simulates what `config` asks for.
    ///
    /// # Errors
    /// Settings that are out of range; what the file system says.
    pub fn new(config: &SimulationConfig) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let truth = simulate(
            config,
            &folder.path().join("dataset"),
            &mut |_| Continue(()),
        )?;
        Ok(Self {
            dataset: Ds003020::open(truth.dataset_dir())?,
            truth,
            folder,
        })
    }

    /// The checkpoint folder of a small `HuBERT` that knows the sounds of simulated stories, as the hub has larger ones.
    ///
    /// # Errors
    /// What the file system says.
    pub fn tiny_hubert(&self) -> anyhow::Result<PathBuf> {
        let model = self.folder.path().join("tiny-hubert");
        write_tiny_hubert(&model)?;
        Ok(model)
    }

    /// That model in windows of 4 s, one for each TR of 2 s.
    ///
    /// # Errors
    /// What the file system says.
    pub fn hubert_windows(&self) -> anyhow::Result<Box<dyn FeatureExtractor>> {
        let windows = Windows::new(4.0, 2.0)?.with_feature(WindowFeature::StrideMean);
        let model = PretrainedModel::load(&self.tiny_hubert()?, Device::flex())?;
        Ok(model.into_windowed(windows))
    }

    /// Responses of the first participant to `stories`, one after the other, `[n_trs, n_voxels]`, and the number of the
    /// story that each row is of.
    ///
    /// # Errors
    /// Stories that there are not.
    pub fn responses(&self, stories: &[String]) -> anyhow::Result<(Array2<f32>, Vec<i64>)> {
        let (mut bold, mut story_of_row) = (Vec::new(), Vec::new());
        for (number, story) in (0..).zip(stories) {
            let of_story = self.dataset.responses(self.truth.subject(), story)?;
            story_of_row.extend(std::iter::repeat_n(number, of_story.bold().nrows()));
            bold.push(of_story.into_bold());
        }
        let views: Vec<_> = bold.iter().map(Array2::view).collect();
        Ok((ndarray::concatenate(Axis(0), &views)?, story_of_row))
    }

    /// Mean r of each region of the first participant on the test story, by layer; `encode_story` has the steps.
    ///
    /// # Errors
    /// What encoding can cause; a second run of one name.
    pub fn encode(
        &self,
        dataset: &dyn StoryDataset,
        name: &str,
        model: impl FeatureExtractor + 'static,
    ) -> anyhow::Result<BTreeMap<String, Vec<f64>>> {
        let (trim, test_trim) = dataset.default_trims();
        let test = vec![self.truth.test_story().to_owned()];
        let config = EncodeConfig {
            regions: Regions::read(&self.truth.rois_path())?,
            trim,
            test_trim,
            ..EncodeConfig::new(self.truth.subject(), test)?
        };
        let model = ModelFeatures::new(name, name.to_owned(), model);
        let folder = self.folder.path();
        let (cache, out) = (folder.join("cache"), folder.join(name));
        let on = &mut |_: braintune::Event<'_>| Continue(());
        let folders = braintune::Folders {
            cache: &cache,
            out: &out,
        };
        let outcome = encode::run(dataset, model, &config, folders, &[], on)?;
        let Outcome::Computed(rows) = outcome else {
            bail!("{name} was encoded before");
        };
        let mut found: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for row in rows {
            found.entry(row.roi).or_default().push(row.mean_r);
        }
        Ok(found)
    }

    /// A folder of `STORY.csv`, a row for each TR and a column for each voxel of the first participant, as somebody might
    /// have them.
    ///
    /// # Errors
    /// What the file system says.
    pub fn csv_files(&self) -> anyhow::Result<PathBuf> {
        let folder = self.folder.path().join("csv");
        fs::create_dir(&folder)?;
        for story in self.dataset.stories() {
            let bold = self.dataset.responses(self.truth.subject(), story.name())?;
            let mut text = String::new();
            for row in bold.bold().rows() {
                let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
                text += &(cells.join(",") + "\n");
            }
            fs::write(folder.join(story.name()).with_extension("csv"), text)?;
        }
        Ok(folder)
    }
}

/// The numbers of a file as [`Simulated::csv_files`] writes them, `[n_trs, n_voxels]`.
///
/// # Errors
/// A file that cannot be read, cells that are no numbers, lines of unequal length.
pub fn read_csv(path: &Path) -> anyhow::Result<Array2<f32>> {
    let text = fs::read_to_string(path)?;
    let cells = text.lines().flat_map(|line| line.split(','));
    let values = cells.map(str::parse).collect::<Result<Vec<f32>, _>>()?;
    let n_trs = text.lines().count().max(1);
    Ok(Array2::from_shape_vec(
        (n_trs, values.len() / n_trs),
        values,
    )?)
}

//! Another model's features, or any other arrays, in place of responses.
//!
//! `STORY.npy` files `[n_trs, n_targets]` of a folder -> a [`TargetDataset`]. Held by `tests/it/targets.rs`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use braintune_encoding::ResponseSource;
use braintune_fmri::StoryDataset;
use braintune_tuning::TargetDataset;

use crate::error::{BraintuneError, Result, file_error, io_error};
use crate::npy_responses::NpyResponses;

/// `dataset`'s stories with the targets in `folder`: for each story one `STORY.npy`, `[n_trs, n_targets]`, a
/// row for each TR that a response of the story has, read when they are needed; other files than `.npy` are left alone.
///
/// # Errors
/// A folder without such files, a file that is named after no story, that is no array of numbers, or that
/// has other numbers of rows or targets.
pub fn targets_from_folder<'a>(
    dataset: &'a dyn StoryDataset,
    folder: &Path,
) -> Result<TargetDataset<'a>> {
    let mut targets = BTreeMap::new();
    for entry in std::fs::read_dir(folder).map_err(io_error("list", folder))? {
        let path = entry.map_err(io_error("list", folder))?.path();
        if path.extension().is_none_or(|extension| extension != "npy") {
            continue;
        }
        let story = path.file_stem().unwrap_or_default().to_string_lossy();
        // A misspelt name would silently be one story less.
        if let Err(error) = dataset.story(&story) {
            return Err(file_error(
                &path,
                format!("is named after no story: {error}"),
            ));
        }
        targets.insert(story.into_owned(), NpyResponses::open(&path)?);
    }
    if targets.is_empty() {
        let problem = "holds no targets: expected STORY.npy, [n_trs, n_targets], for each story";
        return Err(file_error(folder, problem));
    }
    let shape = |file: &NpyResponses| (file.n_samples(), file.n_voxels());
    let shapes = targets
        .iter()
        .map(|(story, file)| (story.clone(), shape(file)))
        .collect();
    let read = move |story: &str, columns: Range<usize>| targets[story].read(columns);
    TargetDataset::new(dataset, shapes, read)
        .map_err(|error| BraintuneError::Input(format!("{}: {error}", folder.display())))
}

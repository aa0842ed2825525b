//! Which kind of dataset a folder is.
//!
//! Held by `tests/it/open.rs`.

use std::path::Path;

use crate::files::{list_dir, require_dir};
use crate::{BidsDataset, BidsOptions, DatasetFiles, Ds003020, FmriError, FolderDataset, Result};

/// Opens a folder as the dataset that it is.
///
/// | what the folder has | what it is |
/// |---|---|
/// | `dataset.toml` | [`FolderDataset`] |
/// | `derivative/respdict.json` or `derivative/preprocessed_data` | [`Ds003020`] |
/// | `dataset_description.json` or folders `sub-*` | [`BidsDataset`], with the options of [`bids.toml`](BidsOptions::read) where that is there |
///
/// # Errors
///
/// [`FmriError::Missing`] if there is no such folder, [`FmriError::UnknownLayout`] if it has none of
/// these, and what the dataset it is can cause.
///
/// ```no_run
/// use std::path::Path;
/// use braintune_fmri::open_dataset;
///
/// let dataset = open_dataset(Path::new("alice-eeg"))?;
/// println!("{} stories of {}", dataset.stories().len(), dataset.name());
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
pub fn open_dataset(dir: &Path) -> Result<Box<dyn DatasetFiles>> {
    require_dir(dir, "dataset folder")?;
    let has = |file: &str| dir.join(file).symlink_metadata().is_ok();
    if has("dataset.toml") {
        return Ok(Box::new(FolderDataset::open(dir)?));
    }
    if has("derivative/respdict.json") || has("derivative/preprocessed_data") {
        return Ok(Box::new(Ds003020::open(dir)?));
    }
    if has("dataset_description.json") || has_subjects(dir)? {
        let options = BidsOptions::read(dir)?;
        return Ok(Box::new(BidsDataset::open(dir, options)?));
    }
    Err(FmriError::UnknownLayout { path: dir.into() })
}

fn has_subjects(dir: &Path) -> Result<bool> {
    let is_subject = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("sub-")) && path.is_dir()
    };
    Ok(list_dir(dir)?.iter().any(|path| is_subject(path)))
}

//! Names of BIDS files, `sub-01_ses-2_task-tale_run-1_bold.nii.gz`, and the sidecars that belong to
//! them by the inheritance principle.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::files::list_dir;

/// Entities of derivatives, which names of raw files lack.
const DERIVED: [&str; 6] = ["space", "res", "den", "desc", "hemi", "cohort"];

/// A file name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BidsName {
    /// Keys and labels in the order of the name.
    entities: Vec<(String, String)>,
    /// The last part, such as `bold`.
    pub(super) suffix: String,
    /// What comes after the first dot, such as `nii.gz`.
    pub(super) extension: String,
}

impl BidsName {
    pub(super) fn parse(path: &Path) -> Option<Self> {
        let (stem, extension) = path.file_name()?.to_str()?.split_once('.')?;
        let mut parts: Vec<&str> = stem.split('_').collect();
        let suffix = parts.pop().filter(|suffix| !suffix.contains('-'))?;
        let entities = parts.into_iter().map(|part| {
            let (key, label) = part.split_once('-')?;
            Some((key.to_owned(), label.to_owned()))
        });
        Some(Self {
            entities: entities.collect::<Option<_>>()?,
            suffix: suffix.into(),
            extension: extension.into(),
        })
    }

    /// The label of an entity.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let mut entities = self.entities.iter();
        let found = entities.find(|(other, _)| other == key);
        found.map(|(_, label)| &**label)
    }

    /// Whether this is an image of volumes.
    pub(super) fn is_nifti(&self) -> bool {
        matches!(&*self.extension, "nii" | "nii.gz")
    }

    /// Whether both names have the same entities but for `desc`.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        let rest = |name: &Self| -> Vec<(String, String)> {
            let mut entities = name.entities.clone();
            entities.retain(|(key, _)| key != "desc");
            entities
        };
        rest(self) == rest(other)
    }

    /// Whether a sidecar called `self` holds for the raw file of `other`: it has no entity that the
    /// other lacks or has another label of.
    fn holds_for(&self, other: &Self) -> bool {
        let mut entities = self.entities.iter();
        entities.all(|(key, label)| other.get(key) == Some(label) && !DERIVED.contains(&&**key))
    }
}

/// Sidecars of the raw file that `name` was derived from, nearest first: `suffix` and `extension` as
/// in `events` and `tsv`, in the subject's folders and above them up to `root`.
pub(super) fn sidecars(
    root: &Path,
    name: &BidsName,
    suffix: &str,
    extension: &str,
) -> Result<Vec<PathBuf>> {
    let mut dirs = vec![root.to_owned()];
    let mut dir = root.to_owned();
    let labels = ["sub", "ses"].map(|key| name.get(key).map(|label| format!("{key}-{label}")));
    for part in labels.into_iter().flatten().chain([String::from("func")]) {
        dir.push(part);
        dirs.push(dir.clone());
    }
    let mut found = Vec::new();
    for dir in dirs.iter().rev() {
        let mut here: Vec<(usize, PathBuf)> = Vec::new();
        for path in list_dir(dir)? {
            let Some(sidecar) = BidsName::parse(&path) else {
                continue;
            };
            if sidecar.suffix == suffix && sidecar.extension == extension && sidecar.holds_for(name)
            {
                here.push((sidecar.entities.len(), path));
            }
        }
        // The one that says most is the nearest.
        here.sort_by_key(|(n_entities, _)| std::cmp::Reverse(*n_entities));
        found.extend(here.into_iter().map(|(_, path)| path));
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn name(text: &str) -> BidsName {
        BidsName::parse(Path::new(text)).unwrap()
    }

    #[test]
    fn names_are_taken_apart() {
        let bold = name("sub-01_task-tale_run-1_space-MNI_desc-preproc_bold.nii.gz");
        assert_eq!((bold.get("run"), bold.get("ses")), (Some("1"), None));
        assert_eq!((&*bold.suffix, bold.is_nifti()), ("bold", true));
        let mask = name("sub-01_task-tale_run-1_space-MNI_desc-brain_mask.nii.gz");
        assert!(mask.is_beside(&bold));
        assert!(!mask.is_beside(&name(
            "sub-01_task-tale_run-2_space-MNI_desc-preproc_bold.nii.gz"
        )));
        assert!(name("task-tale_bold.json").holds_for(&bold));
        assert!(!name("task-other_bold.json").holds_for(&bold));
        assert!(!name("sub-01_task-tale_ses-1_bold.json").holds_for(&bold));
        for bad in [
            "README",
            "sub-01_task-tale",
            "sub-01_tale_bold.nii",
            "sub-01_x-y.nii",
        ] {
            assert_eq!(BidsName::parse(Path::new(bad)), None, "{bad}");
        }
    }
}

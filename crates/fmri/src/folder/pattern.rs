//! Paths with `{subject}` and `{story}` in them.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::files::{is_plain_name, list_dir};

const SUBJECT: &str = "{subject}";
const STORY: &str = "{story}";
const EXTENSIONS: [&str; 2] = ["npy", "npz"];

/// A path of each subject and story, with or without an extension.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// Without the extension.
    stem: String,
    /// The extension, or those that are tried.
    extensions: &'static [&'static str],
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let known = EXTENSIONS.iter().position(|extension| {
            text.strip_suffix(extension)
                .is_some_and(|stem| stem.ends_with('.'))
        });
        let (stem, extensions) = match known {
            Some(k) => (
                &text[..text.len() - EXTENSIONS[k].len() - 1],
                &EXTENSIONS[k..=k],
            ),
            None => (text, &EXTENSIONS[..]),
        };
        let rest = stem.replace(SUBJECT, "").replace(STORY, "");
        let has_both = stem.contains(SUBJECT) && stem.contains(STORY);
        let is_stem = known.is_some() || Path::new(stem).extension().is_none();
        if !has_both || rest.contains(['{', '}']) || !is_stem {
            return Err(format!(
                "`responses` = {text:?}, expected a path with {SUBJECT} and {STORY} that ends in \
                 .npy, in .npz, or without an extension if both may be there"
            ));
        }
        Ok(Self {
            stem: stem.into(),
            extensions,
        })
    }

    /// The file in `dir`: the first that is there, or the first that would do. `suffix` comes after
    /// the name.
    pub(super) fn path(&self, dir: &Path, subject: &str, story: &str, suffix: &str) -> PathBuf {
        let mut paths = self.paths(dir, subject, story, suffix);
        let there = paths
            .iter()
            .position(|path| path.symlink_metadata().is_ok());
        paths.swap_remove(there.unwrap_or(0))
    }

    fn paths(&self, dir: &Path, subject: &str, story: &str, suffix: &str) -> Vec<PathBuf> {
        // The story last: a subject could be called {story}, a story that is put in is left alone.
        let parts = self
            .stem
            .split(SUBJECT)
            .map(|part| part.replace(STORY, story));
        let stem = parts.collect::<Vec<_>>().join(subject);
        let paths = self.extensions.iter();
        paths
            .map(|extension| dir.join(format!("{stem}{suffix}.{extension}")))
            .collect()
    }

    /// The subjects that have a folder in `dir`; `None` if they cannot be told from stories.
    pub(super) fn find_subjects(&self, dir: &Path) -> Result<Option<Vec<String>>> {
        let parts: Vec<&str> = self.stem.split('/').collect();
        let place = parts.iter().position(|part| part.contains(SUBJECT));
        let Some(place) = place.filter(|&k| !parts[..=k].iter().any(|part| part.contains(STORY)))
        else {
            return Ok(None);
        };
        let Some((before, after)) = parts[place].split_once(SUBJECT) else {
            return Ok(None);
        };
        if after.contains(SUBJECT) {
            return Ok(None);
        }
        let parent = dir.join(parts[..place].join("/"));
        let folders = list_dir(&parent)?.into_iter().filter(|path| path.is_dir());
        let names = folders.filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            let name = name.strip_prefix(before)?.strip_suffix(after)?;
            is_plain_name(name).then(|| name.to_owned())
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        Ok(Some(names))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_filled_in_once() {
        let pattern = Pattern::parse("r/{subject}/{subject}_{story}.npz").unwrap();
        let paths = pattern.paths(Path::new("d"), "{story}", "{subject}", "_repeats");
        assert_eq!(
            paths,
            [Path::new("d/r/{story}/{story}_{subject}_repeats.npz")]
        );
        let both = Pattern::parse("{subject}/{story}").unwrap();
        assert_eq!(both.paths(Path::new("d"), "S1", "v1.2", "").len(), 2);
        for bad in [
            "",
            "{subject}.npy",
            "{story}",
            "{subject}/{story}/{run}",
            "{subject}/{story}.mat",
        ] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }
}

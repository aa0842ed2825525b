//! Lists of stories on the command line: names, and published lists by theirs.

use anyhow::bail;
use braintune::fmri::{StoryDataset, StoryPreset};

/// The stories that `names` stand for: a published list (`first-27`, …) for those of it that the
/// dataset has and all of `subjects` heard, every other name for itself.
pub(crate) fn expand(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    names: &[String],
) -> anyhow::Result<Vec<String>> {
    let mut stories = Vec::new();
    for name in names {
        let preset = name.parse::<StoryPreset>();
        let Some(preset) = preset.ok().filter(|_| dataset.story(name).is_err()) else {
            stories.push(name.clone());
            continue;
        };
        let is_heard = |story: &&str| {
            let mut subjects = subjects.iter();
            dataset.story(story).is_ok()
                && subjects.all(|subject| dataset.has_responses(subject, story))
        };
        let (heard, others): (Vec<_>, Vec<_>) = preset.stories().into_iter().partition(is_heard);
        if heard.is_empty() {
            bail!(
                "no story of the list {name} has responses of {} in {}",
                subjects.join(" and "),
                dataset.name()
            );
        }
        if !others.is_empty() {
            say!("{name}: left out, without responses: {}", others.join(", "));
        }
        stories.extend(heard.into_iter().map(ToOwned::to_owned));
    }
    Ok(stories)
}

/// The same for a flag that may be absent.
pub(crate) fn expand_given(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    names: Option<&Vec<String>>,
) -> anyhow::Result<Option<Vec<String>>> {
    names
        .map(|names| expand(dataset, subjects, names))
        .transpose()
}

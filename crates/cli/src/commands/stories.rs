//! Lists of stories on the command line: names, and published lists by theirs.

use anyhow::bail;
use braintune::fmri::{StoryDataset, StoryPreset};

/// The stories that `names` stand for: a published list (`first-27`, …) for those of it that one of
/// `subjects` heard and that have no other part, as `taken` have; every other name for itself.
pub(crate) fn expand(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    names: &[String],
    taken: &[String],
) -> anyhow::Result<Vec<String>> {
    let mut stories: Vec<String> = Vec::new();
    for name in names {
        let preset = name.parse::<StoryPreset>();
        let Some(preset) = preset.ok().filter(|_| dataset.story(name).is_err()) else {
            stories.push(name.clone());
            continue;
        };
        let mut left_out = Vec::new();
        for story in preset.stories() {
            if !is_heard(dataset, subjects, story) || taken.iter().any(|name| name == story) {
                left_out.push(story);
            } else if !stories.iter().any(|name| name == story) {
                stories.push(story.to_owned());
            }
        }
        if left_out.len() == preset.stories().len() {
            bail!(
                "no story of the list {name} can be used: {} has no responses of {} to any, or they are to be tested on",
                dataset.name(),
                subjects.join(" or ")
            );
        }
        if !left_out.is_empty() {
            let names = left_out.join(", ");
            say!("{name}: left out, without responses or with another part: {names}");
        }
    }
    Ok(stories)
}

fn is_heard(dataset: &dyn StoryDataset, subjects: &[String], story: &str) -> bool {
    let mut subjects_heard = subjects
        .iter()
        .map(|subject| dataset.has_responses(subject, story));
    dataset.story(story).is_ok() && (subjects.is_empty() || subjects_heard.any(|heard| heard))
}

/// The same for a flag that may be absent.
pub(crate) fn expand_given(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    names: Option<&Vec<String>>,
    taken: &[String],
) -> anyhow::Result<Option<Vec<String>>> {
    names
        .map(|names| expand(dataset, subjects, names, taken))
        .transpose()
}

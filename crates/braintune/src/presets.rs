//! Lists of stories as people write them: names, and published lists by theirs.

use braintune_fmri::{StoryDataset, StoryPreset};

use crate::error::{BraintuneError, Result};

/// What a list of names stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Expanded {
    /// The stories.
    pub stories: Vec<String>,
    /// Of each published list, by its name, the stories that cannot be used: nobody has responses to them, or they have
    /// another part.
    pub left_out: Vec<(String, Vec<String>)>,
}

/// The stories that `names` stand for: a published list (`first-27`, …) for those of it that one of
/// `subjects` heard and that have no other part, as `taken` have; every other name for itself.
///
/// # Errors
/// A list of which no story can be used.
pub fn expand(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    names: &[String],
    taken: &[String],
) -> Result<Expanded> {
    let mut expanded = Expanded::default();
    let stories = &mut expanded.stories;
    for name in names {
        // Whoever writes a list on a command line puts blanks after commas.
        let is_there = dataset.story(name).is_ok();
        let name = if is_there { name } else { name.trim() };
        let preset = name.parse::<StoryPreset>();
        let Some(preset) = preset.ok().filter(|_| dataset.story(name).is_err()) else {
            stories.push(name.to_owned());
            continue;
        };
        let mut left_out = Vec::new();
        for story in preset.stories() {
            if !is_heard(dataset, subjects, story) || taken.iter().any(|name| name == story) {
                left_out.push(story.to_owned());
            } else if !stories.iter().any(|name| name == story) {
                stories.push(story.to_owned());
            }
        }
        if left_out.len() == preset.stories().len() {
            return Err(BraintuneError::Input(format!(
                "no story of the list {name} can be used: {} has no responses of {} to any, or they are to be tested on",
                dataset.name(),
                subjects.join(" or ")
            )));
        }
        if !left_out.is_empty() {
            expanded.left_out.push((name.to_owned(), left_out));
        }
    }
    Ok(expanded)
}

fn is_heard(dataset: &dyn StoryDataset, subjects: &[String], story: &str) -> bool {
    let mut subjects_heard = subjects
        .iter()
        .map(|subject| dataset.has_responses(subject, story));
    dataset.story(story).is_ok() && (subjects.is_empty() || subjects_heard.any(|heard| heard))
}

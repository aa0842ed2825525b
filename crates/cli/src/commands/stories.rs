//! Lists of stories on the command line: names, and published lists by theirs.

use braintune::fmri::StoryDataset;

/// As [`braintune::presets::expand`]; says what is left out of a published list.
pub(crate) fn expand(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    names: &[String],
    taken: &[String],
) -> anyhow::Result<Vec<String>> {
    let expanded = braintune::presets::expand(dataset, subjects, names, taken)?;
    for (name, left_out) in expanded.left_out {
        let names = left_out.join(", ");
        say!("{name}: left out, without responses or with another part: {names}");
    }
    Ok(expanded.stories)
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

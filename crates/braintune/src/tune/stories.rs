//! Which stories are tuned on, which choose among the states of a run, and which are left alone.

use braintune_fmri::{Story, StoryDataset};
use braintune_tuning::TargetDataset;

use crate::error::{BraintuneError, Result};
use crate::names::repeated;

/// The published splits: validation and test stories of ds003020 (Moussa & Toneva 2025).
const VALIDATION: [&str; 2] = ["stagefright", "life"];
const TEST: &str = "wheretheressmoke";

/// Stories by role; no story has two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoryRoles {
    /// Tuned on.
    pub train: Vec<String>,
    /// Choose among the states of a run.
    pub validation: Vec<String>,
    /// Left for the evaluation; never read.
    pub test: Vec<String>,
}

impl StoryRoles {
    /// Roles as given. Test stories default to `wheretheressmoke`, validation stories to `stagefright` and
    /// `life`, where the dataset has them, else to its last and last but one; training stories are all others
    /// that a subject heard.
    ///
    /// # Errors
    /// Unknown subjects and stories, a story with two roles, nothing left to tune on.
    pub fn choose(
        dataset: &dyn StoryDataset,
        subjects: &[String],
        train: Option<Vec<String>>,
        validation: Option<Vec<String>>,
        test: Option<Vec<String>>,
    ) -> Result<Self> {
        let stories = [&train, &validation, &test];
        let heard = heard(dataset, subjects, stories.into_iter().flatten().flatten())?;
        Self::among(&heard, dataset.name(), [train, validation, test])
    }

    fn among(
        heard: &Heard,
        dataset: &str,
        [train, validation, test]: [Option<Vec<String>>; 3],
    ) -> Result<Self> {
        let test = test.unwrap_or_else(|| {
            let preset = heard.named(&[TEST]);
            let given = [&train, &validation];
            let is_taken = |story: &String| given.iter().any(|role| is_in(role.as_ref(), story));
            heard.or_last(preset, is_taken)
        });
        let validation = validation.unwrap_or_else(|| {
            let is_taken = |story: &String| test.contains(story) || is_in(train.as_ref(), story);
            let mut preset = heard.named(&VALIDATION);
            preset.retain(|story| !is_taken(story));
            heard.or_last(preset, is_taken)
        });
        let train = train.unwrap_or_else(|| {
            let others = heard.0.iter();
            let others = others.filter(|s| !validation.contains(s) && !test.contains(s));
            others.cloned().collect()
        });
        let roles = Self {
            train,
            validation,
            test,
        };
        roles.check(dataset)?;
        Ok(roles)
    }

    /// Roles for probes: those of [`choose`](Self::choose) for all subjects, and stories that nobody heard but that have
    /// audio and a `TextGrid` for training as well. A dataset without subjects has roles by the same rules.
    ///
    /// # Errors
    /// Nothing left to train on.
    pub fn for_probes(dataset: &dyn StoryDataset) -> Result<Self> {
        let is_told = |story: &&Story| story.audio().is_some() && story.textgrid().is_some();
        let told = dataset.stories().iter().filter(is_told);
        let told: Vec<String> = told.map(|story| story.name().to_owned()).collect();
        if dataset.subjects().is_empty() {
            return Self::among(&Heard(told), dataset.name(), [None, None, None]);
        }
        let mut roles = Self::choose(dataset, dataset.subjects(), None, None, None)?;
        let has_role = |story: &String| {
            let all = [&roles.train, &roles.validation, &roles.test];
            all.into_iter().any(|role| role.contains(story))
        };
        let unheard: Vec<String> = told.into_iter().filter(|s| !has_role(s)).collect();
        roles.train.extend(unheard);
        Ok(roles)
    }

    /// Roles as [`choose`](Self::choose) gives them for all subjects of the dataset, so that a run on targets has the
    /// stories of the run on responses; training stories without targets are left out, and that is said. Of a dataset
    /// that nobody's responses are there of, those with targets have roles by the same rules.
    ///
    /// # Errors
    /// As [`choose`](Self::choose); a validation story, or one that is named, without targets.
    pub fn choose_for_targets(
        targets: &TargetDataset<'_>,
        train: Option<Vec<String>>,
        validation: Option<Vec<String>>,
        test: Option<Vec<String>>,
    ) -> Result<Self> {
        let has_targets = |story: &String| targets.has_responses(TargetDataset::SUBJECT, story);
        let named = [&train, &validation].into_iter().flatten().flatten();
        for story in named {
            targets.story(story)?;
            if !has_targets(story) {
                return Err(input(format!(
                    "there are no targets for story {story}: expected {story}.npy in the folder of targets"
                )));
            }
        }
        let inner = targets.inner();
        if inner.subjects().is_empty() {
            let subjects = [TargetDataset::SUBJECT.to_owned()];
            return Self::choose(targets, &subjects, train, validation, test);
        }
        let is_chosen = train.is_none();
        let mut roles = Self::choose(inner, inner.subjects(), train, validation, test)?;
        if let Some(story) = roles.validation.iter().find(|story| !has_targets(story)) {
            return Err(input(format!(
                "there are no targets for validation story {story}: expected {story}.npy in the folder of targets, or other --val-stories"
            )));
        }
        if is_chosen {
            let without: Vec<String>;
            (roles.train, without) = roles.train.into_iter().partition(has_targets);
            if !without.is_empty() {
                tracing::warn!(
                    stories = without.join(", "),
                    "no targets for these training stories: they are left out"
                );
            }
            roles.check(targets.name())?;
        }
        Ok(roles)
    }

    fn check(&self, dataset: &str) -> Result<()> {
        if self.train.is_empty() {
            return Err(input(format!(
                "{dataset} has no story left to tune on: {} for validation, {} for the test",
                self.validation.join(", "),
                self.test.join(", ")
            )));
        }
        for (role, stories) in [
            ("training", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
        ] {
            if let Some(story) = repeated(stories.iter().map(String::as_str)) {
                return Err(input(format!(
                    "{role} story {story} is named twice: once is enough"
                )));
            }
        }
        for (first, a, second, b) in [
            ("training", &self.train, "validation", &self.validation),
            ("training", &self.train, "test", &self.test),
            ("validation", &self.validation, "test", &self.test),
        ] {
            if let Some(story) = a.iter().find(|story| b.contains(story)) {
                return Err(input(format!(
                    "story {story} is both a {first} and a {second} story: it can be one only"
                )));
            }
        }
        Ok(())
    }
}

/// Stories that a subject heard, in the dataset's order.
struct Heard(Vec<String>);

/// Stories that one of `subjects` heard; all of them, and the stories that are `named`, are known.
fn heard<'s>(
    dataset: &dyn StoryDataset,
    subjects: &[String],
    mut named: impl Iterator<Item = &'s String>,
) -> Result<Heard> {
    if subjects.is_empty() {
        let known = dataset.subjects().join(", ");
        return Err(input(format!(
            "no subject is given; the dataset has {known}"
        )));
    }
    for subject in subjects {
        dataset.check_subject(subject)?;
    }
    if let Some(subject) = repeated(subjects.iter().map(String::as_str)) {
        return Err(input(format!(
            "subject {subject} is named twice: once is enough"
        )));
    }
    named.try_for_each(|story| dataset.story(story).map(|_| ()))?;
    let all = dataset
        .stories()
        .iter()
        .map(|story| story.name().to_owned());
    let is_heard = |story: &String| subjects.iter().any(|who| dataset.has_responses(who, story));
    Ok(Heard(all.filter(is_heard).collect()))
}

impl Heard {
    /// Those of `names` that were heard, in the order of `names`.
    fn named(&self, names: &[&str]) -> Vec<String> {
        let names = names.iter().map(|name| (*name).to_owned());
        names.filter(|name| self.0.contains(name)).collect()
    }

    /// `preset`, or if there is none of it the last story that is not taken.
    fn or_last(&self, preset: Vec<String>, is_taken: impl Fn(&String) -> bool) -> Vec<String> {
        if !preset.is_empty() {
            return preset;
        }
        let last = self.0.iter().rev().find(|story| !is_taken(story));
        last.cloned().into_iter().collect()
    }
}

fn is_in(role: Option<&Vec<String>>, story: &str) -> bool {
    role.is_some_and(|stories| stories.iter().any(|other| other == story))
}

fn input(problem: String) -> BraintuneError {
    BraintuneError::Input(problem)
}

//! Which stories are tuned on, which choose among the states of a run, and which are left alone.

use braintune_fmri::StoryDataset;

use crate::error::{BraintuneError, Result};

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
        if subjects.is_empty() {
            let known = dataset.subjects().join(", ");
            return Err(input(format!(
                "no subject is given; the dataset has {known}"
            )));
        }
        for subject in subjects {
            dataset.check_subject(subject)?;
        }
        for story in [&train, &validation, &test].into_iter().flatten().flatten() {
            dataset.story(story)?;
        }
        let heard: Vec<String> = dataset
            .stories()
            .iter()
            .map(|story| story.name().to_owned())
            .filter(|story| subjects.iter().any(|who| dataset.has_responses(who, story)))
            .collect();
        let named = |names: &[&str]| -> Vec<String> {
            let names = names.iter().map(|name| (*name).to_owned());
            names.filter(|name| heard.contains(name)).collect()
        };
        let taken = |roles: &[&Option<Vec<String>>], story: &String| {
            roles
                .iter()
                .any(|role| role.as_ref().is_some_and(|r| r.contains(story)))
        };
        let last = |but: &dyn Fn(&String) -> bool| -> Vec<String> {
            heard
                .iter()
                .rev()
                .find(|story| !but(story))
                .cloned()
                .into_iter()
                .collect()
        };
        let test = test.unwrap_or_else(|| match named(&[TEST]) {
            preset if preset.is_empty() => last(&|story| taken(&[&train, &validation], story)),
            preset => preset,
        });
        let validation = validation.unwrap_or_else(|| {
            let preset: Vec<String> = named(&VALIDATION)
                .into_iter()
                .filter(|s| !test.contains(s) && !taken(&[&train], s))
                .collect();
            if preset.is_empty() {
                last(&|story| test.contains(story) || taken(&[&train], story))
            } else {
                preset
            }
        });
        let others = heard
            .iter()
            .filter(|s| !validation.contains(s) && !test.contains(s));
        let train = train.unwrap_or_else(|| others.cloned().collect());
        let roles = Self {
            train,
            validation,
            test,
        };
        roles.check(dataset.name())?;
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

fn input(problem: String) -> BraintuneError {
    BraintuneError::Input(problem)
}

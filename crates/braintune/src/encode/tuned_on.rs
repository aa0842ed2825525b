//! What a model was tuned on, as `tune` left it beside the weights: a test story must not be among it.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::inputs::Inputs;
use crate::error::{BraintuneError, Result, file_error, io_error};

/// Stories of the run that tuned a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TunedOn {
    /// Tuned on.
    pub train_stories: Vec<String>,
    /// Chose among the states of the run.
    pub validation_stories: Vec<String>,
}

#[derive(Deserialize)]
struct Record {
    inputs: Value,
}

impl TunedOn {
    /// What `provenance.json` in `folder` says; none where there is none, or where it is not of `tune`.
    ///
    /// # Errors
    /// The file cannot be read or is damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join("provenance.json");
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path).map_err(io_error("read", &path))?;
        let broken = |e: serde_json::Error| {
            file_error(
                &path,
                format!(
                    "does not say what the model was tuned on: {e}; restore it, or remove it if the model was not tuned here"
                ),
            )
        };
        let Record { inputs } = serde_json::from_str(&text).map_err(broken)?;
        if inputs.get("train_stories").is_none() {
            return Ok(None);
        }
        serde_json::from_value(inputs).map(Some).map_err(broken)
    }

    /// Refuses a test story that the model was tuned on, and warns of one that chose among its states.
    pub(super) fn check(&self, test_stories: &[String]) -> Result<()> {
        for story in test_stories {
            if self.train_stories.contains(story) {
                return Err(BraintuneError::Input(format!(
                    "the model was tuned on test story {story} (its provenance.json): how it predicts that story would prove nothing; choose other --test-stories"
                )));
            }
            if self.validation_stories.contains(story) {
                tracing::warn!(
                    story,
                    "this test story chose among the states of the tuned model: its scores are a little too high"
                );
            }
        }
        Ok(())
    }

    /// For provenance: what tuning and the encoding model have both learnt from.
    pub(super) fn record(&self, inputs: &Inputs) -> Value {
        let train = inputs.train.iter().map(|story| &story.name);
        let shared: Vec<_> = train
            .filter(|name| self.train_stories.contains(name))
            .collect();
        json!({
            "tuning_train_stories": self.train_stories,
            "tuning_validation_stories": self.validation_stories,
            "train_stories_shared_with_tuning": shared,
        })
    }
}

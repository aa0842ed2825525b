//! Which utterances are for training, validation and test.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::error::{ProbingError, Result};
use crate::task::Split;
use crate::tasks::TimitUtterance;

/// Part of the training groups, or items, that become validation where a corpus has none.
const VALIDATION: f64 = 0.1;
/// The paper's random split of pooled utterances.
const PAPER: [usize; 3] = [2688, 336, 336];

/// How TIMIT is split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TimitSplit {
    /// Its own TRAIN and TEST, which share no speaker; a tenth of the training speakers validate. The two SA sentences
    /// are read by all.
    Official,
    /// The paper's for phonemes: 2688, 336 and 336 utterances drawn from all (8 : 1 : 1 of what there is, if less).
    /// Speakers and sentences are shared.
    Paper,
    /// The official one without training and validation utterances whose sentence is read in the test.
    TextDisjoint,
}

/// Splits utterances; what a split leaves out is not there any more.
///
/// # Errors
/// A split that has nothing to train on, to validate or to test.
pub(crate) fn split_timit(
    mut utterances: Vec<TimitUtterance>,
    split: TimitSplit,
    seed: u64,
) -> Result<Vec<(TimitUtterance, Split)>> {
    let found = match split {
        TimitSplit::Paper => {
            utterances.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
            let total: usize = PAPER.iter().sum();
            let n = utterances.len().min(total);
            let [n_train, n_validation, _] = PAPER.map(|part| part * n / total);
            let kept = utterances.into_iter().take(n).enumerate();
            kept.map(|(i, utterance)| {
                let split = match i {
                    i if i < n_train => Split::Train,
                    i if i < n_train + n_validation => Split::Validation,
                    _ => Split::Test,
                };
                (utterance, split)
            })
            .collect()
        }
        TimitSplit::Official => by_speaker(utterances, seed),
        TimitSplit::TextDisjoint => {
            let all = by_speaker(utterances, seed);
            let tested: BTreeSet<String> = all
                .iter()
                .filter(|(_, split)| *split == Split::Test)
                .map(|(utterance, _)| utterance.sentence.clone())
                .collect();
            let is_kept = |(utterance, split): &(TimitUtterance, Split)| {
                *split == Split::Test || !tested.contains(&utterance.sentence)
            };
            all.into_iter().filter(is_kept).collect::<Vec<_>>()
        }
    };
    check(found.iter().map(|(_, split)| *split), "TIMIT")?;
    Ok(found)
}

fn by_speaker(utterances: Vec<TimitUtterance>, seed: u64) -> Vec<(TimitUtterance, Split)> {
    let speakers = utterances
        .iter()
        .filter(|u| !u.is_test)
        .map(|u| u.speaker.clone());
    let held = held_out(speakers.collect(), seed);
    let split = |utterance: TimitUtterance| {
        let split = if utterance.is_test {
            Split::Test
        } else if held.contains(&utterance.speaker) {
            Split::Validation
        } else {
            Split::Train
        };
        (utterance, split)
    };
    utterances.into_iter().map(split).collect()
}

/// A tenth of the groups, at least one, by the seed.
pub(crate) fn held_out(groups: BTreeSet<String>, seed: u64) -> BTreeSet<String> {
    let mut groups: Vec<String> = groups.into_iter().collect();
    groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "few groups"
    )]
    let n = (VALIDATION * groups.len() as f64).round().max(1.0) as usize;
    groups.into_iter().take(n).collect()
}

/// Every split has something.
pub(crate) fn check(found: impl Iterator<Item = Split>, corpus: &str) -> Result<()> {
    let found: Vec<Split> = found.collect();
    for (wanted, name) in [
        (Split::Train, "train on"),
        (Split::Validation, "validate on"),
        (Split::Test, "test on"),
    ] {
        if !found.contains(&wanted) {
            return Err(ProbingError::Task {
                task: corpus.to_owned(),
                problem: format!(
                    "this split of {} items leaves nothing to {name}",
                    found.len()
                ),
            });
        }
    }
    Ok(())
}

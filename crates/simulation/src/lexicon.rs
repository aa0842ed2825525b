//! The words of the synthetic language, and what they mean.
//!
//! A word is a consonant and a vowel. What a content word means follows from both together and from neither alone: of
//! four consonants and four vowels every pair is a word, and the classes of meaning are the diagonals of that square.
//! So each phone is as frequent in one class as in another, and counting sounds says nothing of meaning; who knows the
//! words can tell. Function words mean nothing.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::phones::{CONSONANTS, Phone, VOWELS};

/// Classes of meaning.
pub(crate) const MEANINGS: [&str; 4] = ["animal", "food", "place", "tool"];
/// Consonants of content words, and as many vowels.
const N_SIDE: usize = MEANINGS.len();
const N_FUNCTION_WORDS: usize = 6;

/// A word.
#[derive(Debug)]
pub(crate) struct Word {
    /// Upper case, as in the `TextGrids` of ds003020.
    pub(crate) spelling: String,
    pub(crate) phones: Vec<&'static Phone>,
    /// Its place in [`MEANINGS`], if it means anything.
    pub(crate) meaning: Option<usize>,
}

/// The words of a language.
#[derive(Debug)]
pub(crate) struct Lexicon {
    pub(crate) words: Vec<Word>,
}

impl Lexicon {
    /// Draws a language, no two words spelled alike.
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        let mut onsets: Vec<&'static Phone> = CONSONANTS.iter().collect();
        let mut vowels: Vec<&'static Phone> = VOWELS.iter().collect();
        onsets.shuffle(rng);
        vowels.shuffle(rng);
        let mut words = Vec::new();
        let mut others = Vec::new();
        for (i, onset) in onsets.iter().enumerate() {
            for (j, vowel) in vowels.iter().enumerate() {
                if i < N_SIDE && j < N_SIDE {
                    words.push(word(onset, vowel, Some((i + j) % N_SIDE)));
                } else {
                    others.push(word(onset, vowel, None));
                }
            }
        }
        others.shuffle(rng);
        words.extend(others.into_iter().take(N_FUNCTION_WORDS));
        Self { words }
    }

    /// A word of this meaning, or one without meaning.
    pub(crate) fn draw_word(&self, meaning: Option<usize>, rng: &mut impl Rng) -> Option<&Word> {
        let of_meaning: Vec<&Word> = self
            .words
            .iter()
            .filter(|word| word.meaning == meaning)
            .collect();
        of_meaning.choose(rng).copied()
    }

    /// `word_classes.csv`: the words that mean something and what they mean.
    pub(crate) fn classes_csv(&self) -> Vec<u8> {
        let mut lines: Vec<String> = self
            .words
            .iter()
            .filter_map(|word| Some(format!("{},{}\n", word.spelling, MEANINGS[word.meaning?])))
            .collect();
        lines.sort();
        ["word,class\n".to_owned(), lines.concat()]
            .concat()
            .into_bytes()
    }
}

fn word(onset: &'static Phone, vowel: &'static Phone, meaning: Option<usize>) -> Word {
    Word {
        spelling: [onset.letters, vowel.letters].concat(),
        phones: vec![onset, vowel],
        meaning,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn sounds_say_nothing_of_meaning() {
        for seed in 0..20 {
            let lexicon = Lexicon::draw(&mut ChaCha8Rng::seed_from_u64(seed));
            assert_eq!(lexicon.words.len(), 22);
            let mut counts = BTreeMap::<(&str, usize), [usize; 4]>::new();
            for word in &lexicon.words {
                let Some(meaning) = word.meaning else {
                    continue;
                };
                for (place, phone) in word.phones.iter().enumerate() {
                    counts.entry((phone.label, place)).or_default()[meaning] += 1;
                }
            }
            // Each of 4 consonants and 4 vowels is in four content words, one of each class.
            assert_eq!(counts.len(), 8);
            assert!(
                counts.values().all(|counts| *counts == [1; 4]),
                "{counts:?}"
            );
        }
    }
}

//! The words of the synthetic language, and what they mean.
//!
//! Content words are a consonant and a vowel, and their meaning follows from both together and from neither alone: of
//! four consonants and four vowels every pair is a word, and the classes of meaning are the diagonals of that square.
//! So each phone is as frequent in one class as in another, and counting sounds says nothing of meaning. Function words
//! are made of the other phones and mean nothing.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::phones::{CONSONANTS, Phone, VOWELS};

/// Classes of meaning.
pub(crate) const MEANINGS: [&str; 4] = ["animal", "food", "place", "tool"];
/// Consonants of content words, and as many vowels.
const N_PHONES: usize = MEANINGS.len();
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
    /// Draws a language: which phones content words are made of, and which pair means what.
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        let (mut onsets, mut vowels): (Vec<_>, Vec<_>) =
            (CONSONANTS.iter().collect(), VOWELS.iter().collect());
        onsets.shuffle(rng);
        vowels.shuffle(rng);
        let mut words = Vec::new();
        for (i, onset) in onsets[..N_PHONES].iter().enumerate() {
            for (j, vowel) in vowels[..N_PHONES].iter().enumerate() {
                words.push(word([*onset, *vowel], Some((i + j) % N_PHONES)));
            }
        }
        let mut others: Vec<_> = onsets[N_PHONES..]
            .iter()
            .flat_map(|onset| vowels[N_PHONES..].iter().map(move |vowel| [*onset, *vowel]))
            .collect();
        others.shuffle(rng);
        let function_words = others.iter().take(N_FUNCTION_WORDS);
        words.extend(function_words.map(|phones| word(*phones, None)));
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

fn word(phones: [&'static Phone; 2], meaning: Option<usize>) -> Word {
    Word {
        spelling: phones.iter().map(|phone| phone.letters).collect(),
        phones: phones.to_vec(),
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
            // Each of the 8 phones is in four words, one of each class.
            assert_eq!(counts.len(), 8);
            assert!(
                counts.values().all(|counts| *counts == [1; 4]),
                "{counts:?}"
            );
        }
    }
}

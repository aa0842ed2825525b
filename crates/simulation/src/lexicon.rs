//! The words of the synthetic language, and what they mean.
//!
//! Content words have two syllables, and their meaning follows from both together and from neither alone: of four
//! first and four second syllables every pair is a word, and the classes of meaning are the diagonals of that square.
//! So each syllable and each phone is as frequent in one class as in another, and counting sounds says nothing of
//! meaning. Function words have one syllable and mean nothing.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::phones::{CONSONANTS, Phone, VOWELS};

/// Classes of meaning.
pub(crate) const MEANINGS: [&str; 4] = ["animal", "food", "place", "tool"];
/// First syllables of content words, and as many second ones.
const N_SYLLABLES: usize = MEANINGS.len();
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
    /// Draws a language, no two words spelled alike. Each consonant and each vowel is in one syllable of content
    /// words only.
    pub(crate) fn draw(rng: &mut impl Rng) -> Self {
        let syllables = draw_syllables(rng);
        let (first, second) = syllables.split_at(N_SYLLABLES);
        let mut words: Vec<Word> = Vec::new();
        for (i, a) in first.iter().enumerate() {
            for (j, b) in second.iter().enumerate() {
                words.push(word([*a, *b].concat(), Some((i + j) % N_SYLLABLES)));
            }
        }
        while words.len() < N_SYLLABLES * N_SYLLABLES + N_FUNCTION_WORDS {
            let (Some(onset), Some(vowel)) = (CONSONANTS.choose(rng), VOWELS.choose(rng)) else {
                break;
            };
            let drawn = word(vec![onset, vowel], None);
            let is_new = words.iter().all(|other| other.spelling != drawn.spelling);
            // A syllable of content words would be half a word.
            let is_part = syllables
                .iter()
                .any(|s| std::ptr::eq(s[0], onset) && std::ptr::eq(s[1], vowel));
            if is_new && !is_part {
                words.push(drawn);
            }
        }
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

fn draw_syllables(rng: &mut impl Rng) -> Vec<[&'static Phone; 2]> {
    let mut onsets: Vec<&'static Phone> = CONSONANTS.iter().collect();
    let mut vowels: Vec<&'static Phone> = VOWELS.iter().collect();
    onsets.shuffle(rng);
    vowels.shuffle(rng);
    onsets
        .into_iter()
        .zip(vowels)
        .map(|(onset, vowel)| [onset, vowel])
        .collect()
}

fn word(phones: Vec<&'static Phone>, meaning: Option<usize>) -> Word {
    Word {
        spelling: phones.iter().map(|phone| phone.letters).collect(),
        phones,
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
            // Each of the 16 phones is in one place of four words, one of each class.
            assert_eq!(counts.len(), 16);
            assert!(
                counts.values().all(|counts| *counts == [1; 4]),
                "{counts:?}"
            );
        }
    }
}

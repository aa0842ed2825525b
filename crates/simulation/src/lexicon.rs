//! The words of the synthetic language.

use rand::Rng;
use rand::seq::IndexedRandom;

use crate::phones::{CONSONANTS, Phone, VOWELS};

/// Words of the language: enough that none comes in every sentence.
const N_WORDS: usize = 60;

/// A word.
#[derive(Debug)]
pub(crate) struct Word {
    /// Upper case, as in the `TextGrids` of ds003020.
    pub(crate) spelling: String,
    pub(crate) phones: Vec<&'static Phone>,
}

/// Draws the words of a language, no two spelled alike: one to three syllables, each a consonant and
/// a vowel, some of them closed by a second consonant.
pub(crate) fn draw_lexicon(rng: &mut impl Rng) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::with_capacity(N_WORDS);
    while words.len() < N_WORDS {
        let word = draw_word(rng);
        if words.iter().all(|other| other.spelling != word.spelling) {
            words.push(word);
        }
    }
    words
}

fn draw_word(rng: &mut impl Rng) -> Word {
    let n_syllables = rng.random_range(1..=3);
    let mut phones: Vec<&'static Phone> = Vec::new();
    for _ in 0..n_syllables {
        phones.extend(CONSONANTS.choose(rng));
        phones.extend(VOWELS.choose(rng));
    }
    if rng.random_bool(0.3) {
        phones.extend(CONSONANTS.choose(rng));
    }
    Word {
        spelling: phones.iter().map(|phone| phone.letters).collect(),
        phones,
    }
}

//! TIMIT's 61 phones folded to 39 classes.
//!
//! Lee & Hon (1989), "Speaker-independent phone recognition using hidden Markov models", table 3: closures, pauses and
//! silence are one class, here `h#`; `q`, which they leave out, belongs to it as in Moussa & Toneva's code.

/// Number of classes.
pub(crate) const N_CLASSES: usize = 39;

/// The classes, by number.
pub(crate) const CLASSES: [&str; N_CLASSES] = [
    "aa", "ae", "ah", "aw", "ay", "b", "ch", "d", "dh", "dx", "eh", "er", "ey", "f", "g", "h#",
    "hh", "ih", "iy", "jh", "k", "l", "m", "n", "ng", "ow", "oy", "p", "r", "s", "sh", "t", "th",
    "uh", "uw", "v", "w", "y", "z",
];

/// The class of one of the 61 phones, any case; none for any other label.
pub(crate) fn class_of(phone: &str) -> Option<usize> {
    let phone = phone.to_lowercase();
    let folded = match phone.as_str() {
        "ao" => "aa",
        "ax" | "ax-h" => "ah",
        "axr" => "er",
        "hv" => "hh",
        "ix" => "ih",
        "el" => "l",
        "em" => "m",
        "en" | "nx" => "n",
        "eng" => "ng",
        "zh" => "sh",
        "ux" => "uw",
        "pcl" | "tcl" | "kcl" | "bcl" | "dcl" | "gcl" | "pau" | "epi" | "q" => "h#",
        other => other,
    };
    CLASSES.iter().position(|class| *class == folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixty_one_phones_make_all_classes() {
        let phones = "b d g p t k dx q jh ch s sh z zh f th v dh m n ng em en eng nx l r w y hh hv el iy ih eh ey ae aa aw ay ah ao oy ow uh uw ux er ax ix axr ax-h pau epi h# bcl dcl gcl pcl tcl kcl";
        let classes: Vec<_> = phones
            .split(' ')
            .map(|phone| class_of(phone).expect(phone))
            .collect();
        assert_eq!(classes.len(), 61);
        for (class, name) in CLASSES.iter().enumerate() {
            assert!(classes.contains(&class), "{name}");
        }
        assert_eq!(class_of("KCL"), class_of("h#"));
        assert_eq!(class_of("sil"), None);
    }
}

//! TIMIT (LDC93S1): phonemes per utterance and per frame, and the type of a sentence.
//!
//! `TRAIN` and `TEST` / dialect / speaker / `SA1.WAV`, `.PHN`, `.TXT`; upper or lower case, RIFF or NIST SPHERE,
//! also one folder down (`data/`, `TIMIT/`). `.PHN` holds `first last phone` in samples. Held by `tests/it/corpora.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{child, cut, data_problem, files, folders, name_of, text_of};
use crate::error::Result;
use crate::phones::{CLASSES, N_CLASSES, class_of};
use crate::splits::{TimitSplit, split_timit};
use crate::task::{LabelSet, Part, ProbeTask, Recording, Rows, Split, Target};

const SAMPLE_RATE: f64 = 16_000.0;
const WHERE: &str = "TIMIT is LDC93S1 of the Linguistic Data Consortium (catalog.ldc.upenn.edu/LDC93S1); its folder holds TRAIN and TEST";

/// An utterance as the folders have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimitUtterance {
    /// Its audio.
    pub audio: PathBuf,
    /// Speaker, e.g. `MAWB3`.
    pub speaker: String,
    /// Sentence, e.g. `SX16`: speakers that read the same share it.
    pub sentence: String,
    /// Whether it lies in `TEST`.
    pub is_test: bool,
}

impl TimitUtterance {
    /// Number of its type: 0 dialect (SA), 1 diverse (SI), 2 compact (SX).
    fn kind(&self) -> Option<usize> {
        ["SA", "SI", "SX"]
            .iter()
            .position(|kind| self.sentence.starts_with(kind))
    }

    /// Its phones, folded to 39 classes: seconds and class.
    ///
    /// # Errors
    /// No `.PHN` beside the audio, a line that is none, intervals that overlap or go back, a phone that is none of the 61.
    pub fn phones(&self) -> Result<Vec<Part>> {
        let path = beside(&self.audio, "PHN")?;
        let text = text_of(&path)?;
        let problem = |line: usize, problem: String| {
            data_problem(&path, format!("line {}: {problem}", line + 1))
        };
        let (mut phones, mut end) = (Vec::new(), 0);
        let lines = text.lines().enumerate();
        for (i, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let (samples, class) = phone_in(line, end).map_err(|what| problem(i, what))?;
            end = samples.end;
            let span = samples.start as f64 / SAMPLE_RATE..samples.end as f64 / SAMPLE_RATE;
            phones.push(Part::within(span, Target::Class(class)));
        }
        if phones.is_empty() {
            return Err(problem(0, "no phones: the file is empty".to_owned()));
        }
        Ok(phones)
    }
}

/// Samples and class of a line of a `.PHN`, the one before which ends at sample `end`; the error is what is wrong.
fn phone_in(line: &str, end: u64) -> Result<(Range<u64>, usize), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let parsed = match words.as_slice() {
        [first, last, phone] => first.parse().ok().zip(last.parse().ok()).zip(Some(*phone)),
        _ => None,
    };
    let Some(((first, last), phone)) = parsed else {
        return Err(format!(
            "expected `first last phone` in samples, found `{}`",
            cut(line)
        ));
    };
    if first < end || last < first {
        return Err(format!(
            "{first} to {last} overlaps or goes back before {end}"
        ));
    }
    let class = class_of(phone);
    let class = class.ok_or_else(|| format!("`{}` is none of TIMIT's 61 phones", cut(phone)))?;
    Ok((first..last, class))
}

/// Whether a folder has TIMIT's `TRAIN` and `TEST`.
#[must_use]
pub fn is_timit(folder: &Path) -> bool {
    root_of(folder).is_some()
}

/// The folder that holds `TRAIN` and `TEST`.
fn root_of(folder: &Path) -> Option<PathBuf> {
    ["", "data", "TIMIT", "timit"]
        .iter()
        .map(|below| folder.join(below))
        .find(|root| child(root, "TRAIN").is_some() && child(root, "TEST").is_some())
}

/// Utterances of a TIMIT folder, by path.
///
/// # Errors
/// No `TRAIN` or `TEST` there (the message says where TIMIT is to be had), no utterances.
pub fn timit_utterances(folder: &Path) -> Result<Vec<TimitUtterance>> {
    let root = root_of(folder);
    let Some(root) = root else {
        return Err(data_problem(
            folder,
            format!("no TRAIN and TEST in it; {WHERE}"),
        ));
    };
    let mut utterances = Vec::new();
    for (part, is_test) in [("TRAIN", false), ("TEST", true)] {
        let part = child(&root, part).unwrap_or_default();
        for dialect in folders(&part)? {
            for speaker in folders(&dialect)? {
                add_speaker(&speaker, is_test, &mut utterances)?;
            }
        }
    }
    if utterances.is_empty() {
        return Err(data_problem(
            &root,
            format!("no dialect/speaker/*.WAV in TRAIN and TEST; {WHERE}"),
        ));
    }
    Ok(utterances)
}

fn add_speaker(folder: &Path, is_test: bool, utterances: &mut Vec<TimitUtterance>) -> Result<()> {
    for audio in files(folder)? {
        let name = name_of(&audio).to_uppercase();
        // Copies in circulation hold `SA1.WAV.wav` beside `SA1.WAV`: one of them is enough.
        let Some(sentence) = name.strip_suffix(".WAV").filter(|stem| !stem.contains('.')) else {
            continue;
        };
        utterances.push(TimitUtterance {
            speaker: name_of(folder).to_uppercase(),
            sentence: sentence.to_owned(),
            is_test,
            audio,
        });
    }
    Ok(())
}

/// The file of the same name with another extension, in any case.
fn beside(audio: &Path, extension: &str) -> Result<PathBuf> {
    let stem = name_of(audio)
        .chars()
        .take_while(|c| *c != '.')
        .collect::<String>();
    let name = format!("{stem}.{extension}");
    let folder = audio.parent().unwrap_or(Path::new("."));
    child(folder, &name).ok_or_else(|| data_problem(audio, format!("no {name} beside it")))
}

/// Phonemes of TIMIT: 39 classes after Lee & Hon (1989), silence and closures being one of them.
#[derive(Debug, Clone)]
pub struct TimitPhonemes {
    utterances: Vec<(TimitUtterance, Split)>,
    labels: LabelSet,
    rows: Rows,
}

impl TimitPhonemes {
    /// Which phonemes an utterance has (any of 39), from the mean over its frames: the paper's task.
    ///
    /// # Errors
    /// As [`timit_utterances`]; too few speakers to split.
    pub fn of_utterances(folder: &Path, split: TimitSplit, seed: u64) -> Result<Self> {
        Self::new(folder, split, seed, Rows::Mean)
    }

    /// The phoneme of each frame (one of 39).
    ///
    /// # Errors
    /// As [`of_utterances`](Self::of_utterances).
    pub fn of_frames(folder: &Path, split: TimitSplit, seed: u64) -> Result<Self> {
        Self::new(folder, split, seed, Rows::Frames)
    }

    fn new(folder: &Path, split: TimitSplit, seed: u64, rows: Rows) -> Result<Self> {
        let classes: Vec<String> = CLASSES.iter().map(|&class| class.to_owned()).collect();
        Ok(Self {
            utterances: split_timit(timit_utterances(folder)?, split, seed)?,
            labels: match rows {
                Rows::Mean => LabelSet::AnyOf(classes),
                Rows::Frames => LabelSet::OneOf(classes),
            },
            rows,
        })
    }
}

impl ProbeTask for TimitPhonemes {
    fn name(&self) -> &str {
        match self.rows {
            Rows::Mean => "phonemes",
            Rows::Frames => "phoneme-frames",
        }
    }

    fn labels(&self) -> &LabelSet {
        &self.labels
    }

    fn rows(&self) -> Rows {
        self.rows
    }

    fn recordings(&self) -> Result<Vec<Recording>> {
        let one = |(utterance, split): &(TimitUtterance, Split)| {
            let phones = utterance.phones()?;
            let parts = match self.rows {
                Rows::Frames => phones,
                Rows::Mean => vec![Part::whole(Target::Classes(present(&phones)))],
            };
            Ok(recording(utterance, *split, parts))
        };
        self.utterances.iter().map(one).collect()
    }
}

/// Classes that occur, each once, in order.
fn present(phones: &[Part]) -> Vec<usize> {
    let mut seen = [false; N_CLASSES];
    for phone in phones {
        if let Target::Class(class) = phone.target {
            seen[class] = true;
        }
    }
    (0..N_CLASSES).filter(|&class| seen[class]).collect()
}

/// The type of a TIMIT sentence (dialect SA, diverse SI, compact SX), from the mean over its frames.
#[derive(Debug, Clone)]
pub struct TimitSentenceType {
    utterances: Vec<(TimitUtterance, Split)>,
    labels: LabelSet,
}

impl TimitSentenceType {
    /// With one of the splits; the paper's is [`TimitSplit::Official`].
    ///
    /// # Errors
    /// As [`timit_utterances`]; a file that is none of the three types.
    pub fn new(folder: &Path, split: TimitSplit, seed: u64) -> Result<Self> {
        let utterances = timit_utterances(folder)?;
        if let Some(other) = utterances
            .iter()
            .find(|utterance| utterance.kind().is_none())
        {
            return Err(data_problem(
                &other.audio,
                "is none of SA, SI, SX by its name".to_owned(),
            ));
        }
        Ok(Self {
            utterances: split_timit(utterances, split, seed)?,
            labels: LabelSet::OneOf(["SA", "SI", "SX"].map(str::to_owned).to_vec()),
        })
    }
}

impl ProbeTask for TimitSentenceType {
    fn paper_epochs(&self) -> usize {
        100
    }

    fn name(&self) -> &'static str {
        "sentence-type"
    }

    fn labels(&self) -> &LabelSet {
        &self.labels
    }

    fn rows(&self) -> Rows {
        Rows::Mean
    }

    fn recordings(&self) -> Result<Vec<Recording>> {
        let one = |(utterance, split): &(TimitUtterance, Split)| {
            let target = Target::Class(utterance.kind().unwrap_or_default());
            recording(utterance, *split, vec![Part::whole(target)])
        };
        Ok(self.utterances.iter().map(one).collect())
    }
}

fn recording(utterance: &TimitUtterance, split: Split, parts: Vec<Part>) -> Recording {
    Recording {
        audio: utterance.audio.clone(),
        span_s: None,
        length_s: None,
        split,
        group: utterance.speaker.clone(),
        text: Some(utterance.sentence.clone()),
        parts,
    }
}

//! The stories of ds003020 and the lists of them that published analyses use, by name.
//!
//! Sessions are those of the BIDS folders of UTS01 to UTS03 (session 1 is localizers, 13, 16, 17 and
//! 19 hold no story); those of UTS04 to UTS08 end with session 6. `HuthLab/deep-fMRI-dataset:
//! sess_to_story.json` (b5113d7) numbers sessions 2 to 6 as 1 to 5. Names and order are those of
//! `OpenNeuroDatasets/ds003020:derivatives/respdict.json` (386cdcc), the sessions of the later
//! stories those of its file names. Held by `tests/it/presets.rs`.

use std::fmt;
use std::str::FromStr;

use crate::names::by_name;
use crate::{Ds003020, FmriError, Result, Trim};

/// The story every subject heard in every session, which is tested on.
const TEST_STORY: &str = "wheretheressmoke";
/// Sessions that all eight subjects have.
const LAST_COMMON_SESSION: u8 = 6;

/// Stories by the session they were played in; `wheretheressmoke` was played in each.
const SESSIONS: [(u8, &str); 15] = [
    (2, "alternateithicatom souls avatar legacy odetostepfather"),
    (
        3,
        "undertheinfluence howtodraw myfirstdaywiththeyankees naked life",
    ),
    (
        4,
        "stagefright tildeath fromboyhoodtofatherhood sloth exorcism",
    ),
    (
        5,
        "haveyoumethimyet adollshouse inamoment theclosetthatateeverything \
         adventuresinsayingyes buck",
    ),
    (
        6,
        "swimmingwithastronauts thatthingonmyarm eyespy itsabox hangtime",
    ),
    (
        7,
        "breakingupintheageofgoogle treasureisland shoppinginchina onlyonewaytofindout penpal",
    ),
    (
        8,
        "goingthelibertyway kiksuya thepostmanalwayscalls backsideofthestorm sweetaspie \
         thetiniestbouquet",
    ),
    (
        9,
        "lifeanddeathontheoregontrail thefreedomridersandme thumbsup becomingindian waitingtogo",
    ),
    (
        10,
        "singlewomanseekingmanwich whenmothersbullyback superheroesjustforeachother \
         gpsformylostidentity catfishingstrangerstofindmyself christmas1940",
    ),
    (
        11,
        "stumblinginthedark forgettingfear bluehope lifereimagined ifthishaircouldtalk \
         againstthewind",
    ),
    (
        12,
        "goldiethegoldfish quietfire cocoonoflove comingofageondeathrow leavingbaghdad",
    ),
    (
        14,
        "mybackseatviewofagreatromance reachingoutbetweenthebars afatherscover \
         wildwomenanddancingqueens notontheusualtour food",
    ),
    (
        15,
        "vixenandtheussr golfclubbing beneaththemushroomcloud threemonths gangstersandcookies \
         metsmagic",
    ),
    (
        18,
        "myfathershands theadvancedbeginner firetestforlove theshower birthofanation listo",
    ),
    (
        20,
        "thecurse thetriangleshirtwaistconnection mayorofthefreaks cautioneating theinterview \
         jugglingandjesus",
    ),
];

/// A published list of stories of ds003020.
///
/// Not every subject heard every story of a list ([`known_defect`](crate::known_defect)), and a
/// folder may hold only some: intersect with the dataset's stories.
///
/// ```
/// use braintune_fmri::StoryPreset;
///
/// let preset: StoryPreset = "tuning-train".parse()?;
/// assert_eq!(preset.stories().len(), 24);
/// assert_eq!(StoryPreset::Test.stories(), ["wheretheressmoke"]);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoryPreset {
    /// `all`: the 84 stories that UTS01 to UTS03 heard, by session, the test story last.
    All,
    /// `first-27`: the 27 stories of the five sessions that all subjects had, the test story last.
    First27,
    /// `tuning-train`: the 24 stories of `first-27` that brain-tuning trains on (Moussa, Klakow &
    /// Toneva 2025).
    TuningTrain,
    /// `tuning-validation`: `stagefright` and `life`.
    TuningValidation,
    /// `encoding-train`: the 24 stories that encoding models of tuned models train on (Moussa &
    /// Toneva 2025): those of `first-27` but the test story, `life` and `myfirstdaywiththeyankees`.
    EncodingTrain,
    /// `residual-train`: the 10 stories of the first two sessions, on which low-level features are
    /// removed.
    ResidualTrain,
    /// `multi-tuning-train`: the 82 stories that tuning on several participants trains on, as the
    /// released code has them. The paper says 81 and two for validation, the second of which is not
    /// named.
    MultiTuningTrain,
    /// `multi-tuning-validation`: `itsabox`.
    MultiTuningValidation,
    /// `test`: `wheretheressmoke`.
    Test,
}

impl StoryPreset {
    /// Every preset.
    pub const ALL: &'static [Self] = &[
        Self::All,
        Self::First27,
        Self::TuningTrain,
        Self::TuningValidation,
        Self::EncodingTrain,
        Self::ResidualTrain,
        Self::MultiTuningTrain,
        Self::MultiTuningValidation,
        Self::Test,
    ];

    /// The name, which [`FromStr`] reads.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::First27 => "first-27",
            Self::TuningTrain => "tuning-train",
            Self::TuningValidation => "tuning-validation",
            Self::EncodingTrain => "encoding-train",
            Self::ResidualTrain => "residual-train",
            Self::MultiTuningTrain => "multi-tuning-train",
            Self::MultiTuningValidation => "multi-tuning-validation",
            Self::Test => "test",
        }
    }

    /// The stories, in the order of their sessions.
    #[must_use]
    pub fn stories(self) -> Vec<&'static str> {
        match self {
            Self::All => [played_until(u8::MAX), vec![TEST_STORY]].concat(),
            Self::First27 => [played_until(LAST_COMMON_SESSION), vec![TEST_STORY]].concat(),
            Self::TuningTrain => without(LAST_COMMON_SESSION, &["stagefright", "life"]),
            Self::TuningValidation => vec!["stagefright", "life"],
            Self::EncodingTrain => {
                without(LAST_COMMON_SESSION, &["life", "myfirstdaywiththeyankees"])
            }
            Self::ResidualTrain => played_until(3),
            Self::MultiTuningTrain => without(u8::MAX, &["itsabox"]),
            Self::MultiTuningValidation => vec!["itsabox"],
            Self::Test => vec![TEST_STORY],
        }
    }
}

impl fmt::Display for StoryPreset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for StoryPreset {
    type Err = FmriError;

    fn from_str(text: &str) -> Result<Self> {
        by_name("preset of stories", Self::ALL, Self::name, text)
    }
}

/// The sessions in which a story of ds003020 was played, as UTS01 to UTS03 number them; empty for
/// other names.
///
/// ```
/// use braintune_fmri::story_sessions;
///
/// assert_eq!(story_sessions("life"), [3]);
/// assert_eq!(story_sessions("wheretheressmoke")[..3], [2, 3, 4]);
/// ```
#[must_use]
pub fn story_sessions(story: &str) -> Vec<u8> {
    /// The ten sessions in which the repeated story was played.
    const OF_TEST_STORY: [u8; 10] = [2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    if story == TEST_STORY {
        return OF_TEST_STORY.to_vec();
    }
    let played = |names: &str| names.split(' ').any(|name| name == story);
    let sessions = SESSIONS.iter().filter(|(_, names)| played(names));
    sessions.map(|(session, _)| *session).collect()
}

/// Which rows of the test story are scored.
///
/// ```
/// use braintune_fmri::{TestConvention, Trim};
///
/// let convention = TestConvention::default();
/// assert_eq!(convention.trim(), Trim::new(50, 5));
/// assert_eq!(convention.first_response_row(), 40);
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TestConvention {
    /// `from-tr-50`: rows `[50:-5]` of the grid, the responses from row 40 of the file on: 251 of
    /// `wheretheressmoke`. What encoding models are scored on.
    #[default]
    FromTr50,
    /// `from-tr-10`: rows `[10:-5]` of the grid, all responses of the file: 291 rows. As training
    /// stories are kept.
    FromTr10,
}

impl TestConvention {
    /// The rows of the grid that are left out.
    #[must_use]
    pub const fn trim(self) -> Trim {
        match self {
            Self::FromTr50 => Trim::new(50, 5),
            Self::FromTr10 => Ds003020::STORED,
        }
    }

    /// The row of the response file that is the first one scored.
    #[must_use]
    pub const fn first_response_row(self) -> usize {
        self.trim().start() - Ds003020::STORED.start()
    }

    fn name(self) -> &'static str {
        match self {
            Self::FromTr50 => "from-tr-50",
            Self::FromTr10 => "from-tr-10",
        }
    }
}

impl fmt::Display for TestConvention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TestConvention {
    type Err = FmriError;

    fn from_str(text: &str) -> Result<Self> {
        let all = [Self::FromTr50, Self::FromTr10];
        by_name("convention for test rows", &all, Self::name, text)
    }
}

/// Stories up to a session, the test story apart.
fn played_until(last: u8) -> Vec<&'static str> {
    let sessions = SESSIONS.iter().filter(|(session, _)| *session <= last);
    sessions.flat_map(|(_, names)| names.split(' ')).collect()
}

fn without(last: u8, left_out: &[&str]) -> Vec<&'static str> {
    let mut stories = played_until(last);
    stories.retain(|story| !left_out.contains(story));
    stories
}

//! Naturalistic fMRI for encoding models: stories, responses, and the time that joins them.
//!
//! A [`StoryDataset`] knows subjects, [`Story`]s with their audio and [`TextGrid`], the
//! [`StoryTiming`] of each, and gives [`Responses`] `[n_trs, n_voxels]`. [`Ds003020`] reads the
//! layout of `OpenNeuro` ds003020 through [`ResponseFile`]; [`InMemoryDataset`] is made of arrays.
//! [`Lanczos`] brings features onto the grid of TRs, a [`Trim`] says which rows of that grid an
//! analysis keeps, and [`check_dataset`] tells beforehand what is wrong with the files.
//! [`LowLevelExtractor`] makes the features that models of speech are compared with, from spectra to
//! triphones.
//!
//! ```
//! use braintune_fmri::{InMemoryDataset, Lanczos, Story, StoryDataset, StoryTiming};
//! use ndarray::Array2;
//!
//! let mut dataset = InMemoryDataset::new("example");
//! dataset.add_story(Story::new("tale"), StoryTiming::new(40, 2.0, -9.0, 10..35)?)?;
//! dataset.add_responses("S1", "tale", Array2::zeros((25, 3)))?;
//!
//! let frame_times: Vec<f64> = (1..=700).map(|k| f64::from(k) * 0.1).collect();
//! let features = Array2::ones((700, 16));
//! let tr_times = dataset.timing("tale")?.tr_times().to_vec();
//! let lanczos = Lanczos::for_tr_times(&tr_times)?;
//! let on_grid = lanczos.resample(features.view(), &frame_times, &tr_times)?;
//!
//! let kept = "10,5".parse::<braintune_fmri::Trim>()?.rows(tr_times.len())?;
//! let bold = dataset.responses("S1", "tale")?.rows(kept.clone())?;
//! assert_eq!(on_grid.nrows(), 40);
//! assert_eq!(bold.bold().nrows(), kept.len());
//! # Ok::<(), braintune_fmri::FmriError>(())
//! ```
//!
//! | feature | what it adds |
//! |---|---|
//! | `libhdf5` | responses are read by the HDF5 C library, which must be installed |
//! | `testing` | `check_story_dataset`, the contract that implementers of [`StoryDataset`] test against |

mod check;
#[cfg(feature = "testing")]
mod contract;
mod dataset;
mod ds003020;
mod error;
mod files;
mod hdf5;
mod in_memory;
mod lanczos;
mod lowlevel;
mod response_file;
mod responses;
mod textgrid;
mod time;
mod tr_report;

pub use check::{
    CheckDetails, CheckEntry, CheckEvent, CheckReport, CheckStatus, FileKind, check_dataset,
};
#[cfg(feature = "testing")]
pub use contract::check_story_dataset;
pub use dataset::{Story, StoryDataset};
pub use ds003020::{
    Ds003020, KNOWN_DEFECTS, KnownDefect, StoryPreset, TestConvention, known_defect, story_sessions,
};
pub use error::{FmriError, Result};
pub use hdf5::ArrayInfo;
pub use in_memory::InMemoryDataset;
pub use lanczos::{Lanczos, LanczosMatrix};
pub use lowlevel::{
    ARTICULATION, LowLevelExtractor, LowLevelFeature, PHONEMES, Stimulus, articulation,
};
pub use response_file::{ResponseFile, write_responses};
pub use responses::{BadValues, Responses};
pub use textgrid::{Interval, TextGrid, Tier, read_textgrid, write_textgrid};
pub use time::{StoryTiming, Tr, Trim};
pub use tr_report::{MissingTriggers, TrReport};

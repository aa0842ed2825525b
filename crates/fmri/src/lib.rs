//! Naturalistic fMRI for encoding models: stories, responses, and the time that joins them.
//!
//! A [`StoryDataset`] knows subjects, [`Story`]s with their audio and [`TextGrid`], the
//! [`StoryTiming`] of each, and gives [`Responses`] `[n_trs, n_voxels]`. [`Ds003020`] reads the
//! layout of `OpenNeuro` ds003020 through [`ResponseFile`], [`FolderDataset`] any folder of NumPy arrays
//! with a `dataset.toml`, EEG and MEG as well; [`InMemoryDataset`] is made of arrays.
//! [`Lanczos`] brings features onto the grid of TRs, a [`Trim`] says which rows of that grid an
//! analysis keeps, and [`check_dataset`] tells beforehand what is wrong with the files. [`Regions`]
//! name voxels, by hand or by the [`Parcellation`] of an atlas.
//!
//! Where responses are still images, a [`NiftiFile`] is read a volume at a time and a [`VoxelMask`]
//! makes time series of it; [`GaussianSmoother`], [`DriftFilter`] and [`zscore_run`] clean them.
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

mod bids;
mod check;
#[cfg(feature = "testing")]
mod contract;
mod dataset;
mod dataset_files;
mod drift;
mod ds003020;
mod error;
mod files;
mod folder;
mod hdf5;
mod in_memory;
mod json;
mod lanczos;
mod large;
mod lowlevel;
mod modality;
mod names;
mod nifti;
mod open;
mod regions;
mod response_file;
mod responses;
mod selection;
mod smoothing;
mod textgrid;
mod time;
mod toml;
mod tr_report;
mod voxel_mask;
mod zscore;

pub use bids::{BidsDataset, BidsOptions, BidsRuns};
pub use check::{
    CheckDetails, CheckEntry, CheckEvent, CheckReport, CheckStatus, FileKind, Fix, check_dataset,
    fix_dataset,
};
#[cfg(feature = "testing")]
pub use contract::check_story_dataset;
pub use dataset::{Story, StoryDataset};
pub use dataset_files::{DatasetFiles, StoredAs};
pub use drift::{Drift, DriftFilter};
pub use ds003020::{
    Ds003020, KNOWN_DEFECTS, KnownDefect, StoryPreset, TestConvention, known_defect, story_sessions,
};
pub use error::{FmriError, Result};
pub use folder::{FolderDataset, npy_shape};
pub use hdf5::ArrayInfo;
pub use in_memory::InMemoryDataset;
pub use lanczos::{Lanczos, LanczosMatrix};
pub use lowlevel::{
    ARTICULATION, LowLevelExtractor, LowLevelFeature, PHONEMES, Stimulus, articulation,
};
pub use modality::Modality;
pub use nifti::{NiftiFile, NiftiHeader};
pub use open::open_dataset;
pub use regions::Regions;
pub use regions::annot::read_annot;
pub use regions::gifti::{Gifti, GiftiArray, GiftiData};
pub use regions::hcp::{HcpRegion, ParcelLists, hcp_parcels, hcp_regions};
pub use regions::label_table::LabelTable;
pub use regions::mapper::SurfaceMapper;
pub use regions::means::{mean_of_parcels, voxel_mean};
pub use regions::mesh::SurfaceMesh;
pub use regions::parcellation::Parcellation;
pub use response_file::{ResponseFile, write_responses};
pub use responses::{BadValues, Responses};
pub use smoothing::GaussianSmoother;
pub use textgrid::{Interval, TextGrid, Tier, read_textgrid, write_textgrid};
pub use time::{StoryTiming, Tr, Trim};
pub use tr_report::{MissingTriggers, TrReport};
pub use voxel_mask::{VoxelMask, VoxelOrder};
pub use zscore::zscore_run;

/// The version of ndarray whose arrays this crate takes and gives.
pub use ndarray;

// The examples of the README are compiled with those of the docs.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

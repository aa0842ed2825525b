//! How sure a score, a difference of scores or a peak over layers is; and controls.
//!
//! Items of one speaker or story are alike, so that whole groups of them ([`Groups`]) are drawn with
//! replacement. A score to resample is a [`GroupScore`]: [`GroupSums`] for what is a function of sums over
//! items, [`RowScore`] for any function of rows. Draws are made from the seed one at a time, the same
//! for all models and layers; what is kept is one score per draw. Intervals are percentiles. Held by
//! `tests/it/evidence.rs`.

mod control;
mod groups;
mod resample;

pub use self::{
    control::ControlLabels,
    groups::{GroupScore, GroupSums, Groups, RowScore},
    resample::{
        Bootstrap, Interval, LayerPeak, PairedDifference, bootstrap, layer_peak, paired_bootstrap,
        selectivity,
    },
};

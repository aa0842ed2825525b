//! How the brain was recorded: a property of a dataset, for messages and labels of axes.
//!
//! Nothing is computed differently for it; rates and shapes come from the data. Held by
//! `tests/it/time.rs`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A way to record a brain.
///
/// Responses are `[n_trs, n_voxels]` in the names of this crate, whatever the modality;
/// [`column_name`](Self::column_name) says what a reader of that field calls a column.
///
/// ```
/// use braintune_fmri::Modality;
///
/// let modality = Modality::Meg;
/// assert_eq!(format!("{modality}: 306 {}s", modality.column_name()), "MEG: 306 sensors");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Modality {
    /// Functional magnetic resonance imaging: voxels or vertices, a volume every second or two.
    #[default]
    Fmri,
    /// Electroencephalography: electrodes on the scalp.
    Eeg,
    /// Magnetoencephalography: sensors outside the head.
    Meg,
    /// Electrocorticography and depth electrodes: electrodes on or in the brain.
    Ecog,
    /// Functional near-infrared spectroscopy: pairs of a source and a detector.
    Fnirs,
}

impl Modality {
    /// The name as it is written: `fMRI`, `EEG`, `MEG`, `ECoG`, `fNIRS`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fmri => "fMRI",
            Self::Eeg => "EEG",
            Self::Meg => "MEG",
            Self::Ecog => "ECoG",
            Self::Fnirs => "fNIRS",
        }
    }

    /// What one column of responses is: `voxel`, `sensor`, `electrode`, `channel`.
    #[must_use]
    pub const fn column_name(self) -> &'static str {
        match self {
            Self::Fmri => "voxel",
            Self::Meg => "sensor",
            Self::Ecog => "electrode",
            Self::Eeg | Self::Fnirs => "channel",
        }
    }
}

impl fmt::Display for Modality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

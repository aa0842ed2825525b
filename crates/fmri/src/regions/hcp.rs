//! The regions of the brain-tuning papers, by names of parcels of HCP-MMP1 (Glasser et al. 2016).
//!
//! Two lists that differ: [`ParcelLists::Paper`] is Table 1 of the paper on pretraining by brain
//! responses (also in Oota et al. 2025), [`ParcelLists::Code`] what the code published with it
//! averages over. Parcels are looked up by name: the code's indices into MNE's sorted labels give
//! VMV1 and VMV2 where V1 and V2 are meant. Held by `tests/it/regions/hcp.rs`.

use std::collections::BTreeSet;

use crate::{FmriError, Parcellation, Regions, Result};

/// What annotation files and atlases write before the name of a parcel, in lower case.
const PREFIXES: [&str; 10] = [
    "ctx-lh-", "ctx-rh-", "ctx_lh_", "ctx_rh_", "lh.", "rh.", "lh_", "rh_", "l_", "r_",
];
/// What they write after it.
const SUFFIXES: [&str; 7] = ["_roi", "-lh", "-rh", "_lh", "_rh", "_l", "_r"];

/// Which parcels a region is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ParcelLists {
    /// As the paper's table says.
    Paper,
    /// As the published code does.
    Code,
}

/// A region of the brain-tuning papers, in both hemispheres.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HcpRegion {
    /// Angular gyrus.
    AngularGyrus,
    /// Lateral temporal cortex.
    LateralTemporal,
    /// Inferior frontal gyrus.
    InferiorFrontal,
    /// Middle frontal gyrus; the code has no such region.
    MiddleFrontal,
    /// Primary auditory cortex.
    PrimaryAuditory,
    /// Early auditory cortex.
    EarlyAuditory,
    /// Late language regions: the first four for the paper, a list of its own for the code.
    LateLanguage,
    /// Early visual cortex, the negative control.
    EarlyVisual,
}

impl HcpRegion {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::AngularGyrus,
        Self::LateralTemporal,
        Self::InferiorFrontal,
        Self::MiddleFrontal,
        Self::PrimaryAuditory,
        Self::EarlyAuditory,
        Self::LateLanguage,
        Self::EarlyVisual,
    ];

    /// Its name in [`Regions`], such as `angular_gyrus`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::AngularGyrus => "angular_gyrus",
            Self::LateralTemporal => "lateral_temporal",
            Self::InferiorFrontal => "inferior_frontal",
            Self::MiddleFrontal => "middle_frontal",
            Self::PrimaryAuditory => "primary_auditory",
            Self::EarlyAuditory => "early_auditory",
            Self::LateLanguage => "late_language",
            Self::EarlyVisual => "early_visual",
        }
    }

    /// Names of its parcels, without hemisphere; none for the middle frontal gyrus of the code.
    ///
    /// ```
    /// use braintune_fmri::{HcpRegion, ParcelLists};
    ///
    /// assert_eq!(HcpRegion::MiddleFrontal.parcels(ParcelLists::Paper), ["55b"]);
    /// assert_eq!(HcpRegion::LateLanguage.parcels(ParcelLists::Paper).len(), 23);
    /// ```
    #[must_use]
    #[rustfmt::skip]
    pub fn parcels(self, lists: ParcelLists) -> &'static [&'static str] {
        use ParcelLists::{Code, Paper};
        match (self, lists) {
            (Self::AngularGyrus, Paper) => &["PFm", "PGs", "PGi", "TPOJ2", "TPOJ3"],
            (Self::AngularGyrus, Code) => &["PGi", "PGp", "PGs", "TPOJ2", "TPOJ3"],
            (Self::LateralTemporal, Paper) => &[
                "STSda", "STSva", "STGa", "TE1a", "TE2a", "TGv", "TGd", "A5", "STSdp", "STSvp",
                "PSL", "STV", "TPOJ1",
            ],
            (Self::LateralTemporal, Code) => &["TPOJ1", "STGa", "STSda", "STSdp", "A5", "STSva"],
            (Self::InferiorFrontal, _) => &["44", "45", "IFJa", "IFSp"],
            (Self::MiddleFrontal, Paper) => &["55b"],
            (Self::MiddleFrontal, Code) => &[],
            (Self::PrimaryAuditory, _) => &["A1"],
            (Self::EarlyAuditory, _) => &["A1", "PBelt", "MBelt", "LBelt", "RI", "A4"],
            (Self::LateLanguage, Paper) => &[
                "PFm", "PGs", "PGi", "TPOJ2", "TPOJ3",
                "STSda", "STSva", "STGa", "TE1a", "TE2a", "TGv", "TGd", "A5", "STSdp", "STSvp",
                "PSL", "STV", "TPOJ1",
                "44", "45", "IFJa", "IFSp",
                "55b",
            ],
            (Self::LateLanguage, Code) => &[
                "A5", "44", "45", "IFJa", "IFSp", "PGi", "PGp", "PGs", "TPOJ1", "TPOJ2", "TPOJ3",
                "STGa", "STSda", "STSdp", "TA2", "STSva",
            ],
            (Self::EarlyVisual, _) => &["V1", "V2"],
        }
    }
}

/// All of the papers' regions by their [`name`](HcpRegion::name), from the parcel of each voxel:
/// a region holds every voxel of its parcels, in both hemispheres.
///
/// A parcel is found however the files write it: `A1`, `L_A1_ROI`, `lh.L_A1_ROI`, `R_A1_ROI-rh`.
/// Left out is a region none of whose parcels has a voxel.
///
/// # Errors
///
/// [`FmriError::MissingParcels`] with every parcel that the parcellation has no name for.
pub fn hcp_regions(parcellation: &Parcellation, lists: ParcelLists) -> Result<Regions> {
    let all = HcpRegion::ALL.iter();
    let parcels: Vec<_> = all.clone().map(|region| region.parcels(lists)).collect();
    let voxels = named(parcellation, &parcels.concat())?;
    let regions = all.map(|region| {
        let parcels = region.parcels(lists).iter();
        let mut voxels: Vec<usize> = parcels
            .flat_map(|parcel| voxels.get(parcel).unwrap_or_default().iter().copied())
            .collect();
        voxels.sort_unstable();
        (region.name().to_owned(), voxels)
    });
    Regions::new(regions.filter(|(_, voxels)| !voxels.is_empty()))
}

/// The parcels of one region, each by its name without hemisphere and with its voxels of both; for
/// [`mean_of_parcels`](crate::mean_of_parcels). Left out are parcels without a voxel.
///
/// # Errors
///
/// [`FmriError::MissingParcels`] with every parcel that the parcellation has no name for.
pub fn hcp_parcels(
    parcellation: &Parcellation,
    region: HcpRegion,
    lists: ParcelLists,
) -> Result<Regions> {
    named(parcellation, region.parcels(lists))
}

fn named(parcellation: &Parcellation, wanted: &[&'static str]) -> Result<Regions> {
    let known: BTreeSet<&str> = parcellation
        .names()
        .iter()
        .map(|name| bare_name(name))
        .collect();
    let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
    let missing: Vec<String> = wanted.difference(&known).map(|&name| name.into()).collect();
    if !missing.is_empty() {
        return Err(FmriError::MissingParcels {
            missing,
            known: parcellation.names().to_vec(),
        });
    }
    parcellation.regions_by(|name| Some(bare_name(name)).filter(|name| wanted.contains(name)))
}

/// The name without hemisphere and `ROI`. No parcel of HCP-MMP1 begins or ends with what is taken
/// off.
fn bare_name(written: &str) -> &str {
    let mut name = written.trim();
    loop {
        let lower = name.to_ascii_lowercase();
        if let Some(prefix) = PREFIXES.iter().find(|&&prefix| lower.starts_with(prefix)) {
            name = &name[prefix.len()..];
        } else if let Some(suffix) = SUFFIXES.iter().find(|&&suffix| lower.ends_with(suffix)) {
            name = &name[..name.len() - suffix.len()];
        } else {
            return name;
        }
    }
}

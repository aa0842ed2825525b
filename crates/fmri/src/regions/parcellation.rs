//! Which parcel each voxel of a brain, or each vertex of a surface, belongs to.
//!
//! Held by `tests/it/regions/parcellation.rs`.

use std::collections::{BTreeMap, HashMap};

use crate::{FmriError, Regions, Result};

/// Names that atlases give to what belongs to no parcel, in lower case.
const NO_PARCEL: [&str; 2] = ["???", "unknown"];

/// Parcels by name, and the one that each place belongs to. Places are voxels in the order of the
/// responses' columns, or vertices of a surface; for both hemispheres the left one's come first.
///
/// ```
/// use braintune_fmri::Parcellation;
///
/// let names = vec!["A1".to_owned(), "V1".to_owned()];
/// let parcels = Parcellation::new(names, vec![Some(0), None, Some(1), Some(0)])?;
/// assert_eq!(parcels.name_of(2), Some("V1"));
/// assert_eq!(parcels.regions()?.get("A1"), Some(&[0, 3][..]));
/// # Ok::<(), braintune_fmri::FmriError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcellation {
    names: Vec<String>,
    parcels: Vec<Option<u32>>,
}

impl Parcellation {
    /// Parcels of these names; `parcels` holds for each place its index in `names`. Entries of the
    /// same name are one parcel.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`] if a place names a parcel that has no name.
    pub fn new(names: Vec<String>, parcels: Vec<Option<u32>>) -> Result<Self> {
        let mut first = HashMap::new();
        let mut distinct = Vec::new();
        let mut index_of = Vec::with_capacity(names.len());
        for name in names {
            let next = u32::try_from(distinct.len()).map_err(|_| FmriError::Regions {
                reason: "there are more than 2^32 parcels".into(),
            })?;
            let index = *first.entry(name.clone()).or_insert(next);
            if index == next {
                distinct.push(name);
            }
            index_of.push(index);
        }
        let rename = |(place, parcel): (usize, Option<u32>)| {
            let Some(parcel) = parcel else {
                return Ok(None);
            };
            let index = index_of.get(parcel as usize).copied();
            index.map(Some).ok_or_else(|| FmriError::Regions {
                reason: format!(
                    "place {place} belongs to parcel {parcel}, there are names of {}",
                    index_of.len()
                ),
            })
        };
        let parcels = parcels.into_iter().enumerate().map(rename);
        Ok(Self {
            parcels: parcels.collect::<Result<_>>()?,
            names: distinct,
        })
    }

    /// The left hemisphere's places, then the right one's. Parcels of the same name become one.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`] for more than 2^32 parcels.
    pub fn join(left: Self, right: Self) -> Result<Self> {
        let offset = left.names.len();
        let shift = |parcel: u32| u32::try_from(offset + parcel as usize).unwrap_or(u32::MAX);
        let right_parcels = right.parcels.into_iter().map(|parcel| parcel.map(shift));
        let parcels = left.parcels.into_iter().chain(right_parcels).collect();
        Self::new(left.names.into_iter().chain(right.names).collect(), parcels)
    }

    /// Number of places.
    #[must_use]
    pub fn n_places(&self) -> usize {
        self.parcels.len()
    }

    /// Names of the parcels, also of those that no place belongs to.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// For each place the index of its parcel in [`names`](Self::names).
    #[must_use]
    pub fn parcels(&self) -> &[Option<u32>] {
        &self.parcels
    }

    /// Name of the parcel that a place belongs to.
    #[must_use]
    pub fn name_of(&self, place: usize) -> Option<&str> {
        let parcel = (*self.parcels.get(place)?)?;
        self.names.get(parcel as usize).map(String::as_str)
    }

    /// Each parcel as a region. Left out are parcels without a place and those named `???` or
    /// `unknown`, which is how atlases say that a place belongs to none.
    ///
    /// # Errors
    ///
    /// [`FmriError::Regions`] if a parcel has no name or is called `all`.
    pub fn regions(&self) -> Result<Regions> {
        self.regions_by(|name| (!NO_PARCEL.contains(&&*name.to_lowercase())).then_some(name))
    }

    /// Regions of the parcels that `rename` gives a name to; those that it gives the same become
    /// one. A region without a place is left out.
    pub(super) fn regions_by<'a>(
        &'a self,
        rename: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Result<Regions> {
        let names: Vec<Option<&str>> = self.names.iter().map(|name| rename(name)).collect();
        let mut regions: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (place, parcel) in self.parcels.iter().enumerate() {
            if let Some(name) = parcel.and_then(|parcel| names[parcel as usize]) {
                regions.entry(name).or_default().push(place);
            }
        }
        Regions::new(
            regions
                .into_iter()
                .map(|(name, places)| (name.to_owned(), places)),
        )
    }
}

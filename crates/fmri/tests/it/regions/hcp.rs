//! The papers' regions by name of parcel.

use braintune_fmri::{
    FmriError, HcpRegion, ParcelLists, Parcellation, hcp_parcels, hcp_regions, mean_of_parcels,
};

const LISTS: [ParcelLists; 2] = [ParcelLists::Paper, ParcelLists::Code];

fn all_parcels() -> Vec<&'static str> {
    let all = HcpRegion::ALL.iter();
    let lists = all.map(|region| LISTS.map(|lists| region.parcels(lists)).concat());
    let mut parcels = lists.collect::<Vec<_>>().concat();
    parcels.sort_unstable();
    parcels.dedup();
    parcels
}

/// One voxel for each parcel of each hemisphere, left first, with the names that `write` gives.
fn brain(write: impl Fn(char, &str) -> String) -> Parcellation {
    let parcels = all_parcels();
    let mut names = vec!["???".to_owned(), "L_V3_ROI".to_owned()];
    for side in ['L', 'R'] {
        names.extend(parcels.iter().map(|parcel| write(side, parcel)));
    }
    let n_names = u32::try_from(names.len()).unwrap();
    Parcellation::new(names, (2..n_names).map(Some).collect()).unwrap()
}

fn annot(side: char, parcel: &str) -> String {
    format!("{side}_{parcel}_ROI")
}

#[test]
fn lists_are_those_of_the_paper_and_of_the_code() {
    let sizes = |lists| {
        let all = HcpRegion::ALL.iter();
        all.map(|region| region.parcels(lists).len())
            .collect::<Vec<_>>()
    };
    assert_eq!(sizes(ParcelLists::Paper), [5, 13, 4, 1, 1, 6, 23, 2]);
    assert_eq!(sizes(ParcelLists::Code), [5, 6, 4, 0, 1, 6, 16, 2]);
    let union = HcpRegion::ALL[..4]
        .iter()
        .flat_map(|region| region.parcels(ParcelLists::Paper));
    let late = HcpRegion::LateLanguage.parcels(ParcelLists::Paper);
    assert!(union.eq(late));
    for region in HcpRegion::ALL {
        for lists in LISTS {
            let mut parcels = region.parcels(lists).to_vec();
            parcels.sort_unstable();
            parcels.dedup();
            assert_eq!(parcels.len(), region.parcels(lists).len(), "{region:?}");
        }
    }
}

#[test]
fn names_are_found_however_they_are_written() {
    // `@` stands for the hemisphere as l or r, `#` for it as L or R, `%` for the parcel.
    let patterns = [
        "@h.#_%_ROI",
        "#_%_ROI-@h",
        "ctx-@h-#_%_ROI",
        "#_%",
        "%_#",
        " @h_% ",
        // Files of one hemisphere may leave it out.
        "%",
    ];
    for lists in LISTS {
        let expected = hcp_regions(&brain(annot), lists).unwrap();
        for pattern in patterns {
            let write = |side: char, parcel: &str| {
                pattern
                    .replace('@', &side.to_lowercase().to_string())
                    .replace('#', &side.to_string())
                    .replace('%', parcel)
            };
            let read = hcp_regions(&brain(write), lists).unwrap();
            assert_eq!(read, expected, "{pattern}");
        }
    }
}

#[test]
fn regions_hold_both_hemispheres() {
    let parcels = all_parcels();
    let brain = brain(annot);
    for lists in LISTS {
        let regions = hcp_regions(&brain, lists).unwrap();
        for region in HcpRegion::ALL {
            let mut expected = Vec::new();
            for (place, parcel) in parcels.iter().enumerate() {
                if region.parcels(lists).contains(parcel) {
                    expected.extend([place, place + parcels.len()]);
                }
            }
            expected.sort_unstable();
            let got = regions.get(region.name());
            assert_eq!(got.unwrap_or_default(), expected, "{region:?} {lists:?}");
        }
    }
    let code = hcp_regions(&brain, ParcelLists::Code).unwrap();
    assert_eq!(code.get("middle_frontal"), None);
}

#[test]
fn means_are_over_parcels_of_both_hemispheres() {
    // 44 has three voxels, 45 one, IFJa none, IFSp two.
    let names = [
        "L_44_ROI",
        "R_44_ROI",
        "L_45_ROI",
        "R_IFJa_ROI",
        "L_IFSp_ROI",
        "R_IFSp_ROI",
    ];
    let places = [0, 0, 1, 2, 4, 5].map(Some).to_vec();
    let brain = Parcellation::new(names.map(String::from).to_vec(), places).unwrap();
    let region = HcpRegion::InferiorFrontal;
    let parcels = hcp_parcels(&brain, region, ParcelLists::Paper).unwrap();
    assert_eq!(parcels.names().collect::<Vec<_>>(), ["44", "45", "IFSp"]);
    assert_eq!(parcels.get("44"), Some(&[0, 1, 2][..]));
    let values = [3.0, 0.0, 6.0, 1.0, f32::NAN, 5.0];
    let mean = mean_of_parcels(&values, &parcels).unwrap();
    assert_eq!(mean, Some((3.0 + 1.0 + 5.0) / 3.0));
}

#[test]
fn parcels_that_are_not_there_are_listed() {
    let names = ["L_A1_ROI", "L_V1_ROI", "L_VMV2_ROI", "L_2_ROI"].map(String::from);
    let brain = Parcellation::new(names.to_vec(), vec![Some(0), Some(1)]).unwrap();
    let visual = hcp_parcels(&brain, HcpRegion::EarlyVisual, ParcelLists::Code);
    let message = visual.unwrap_err().to_string();
    assert!(message.contains("has no parcel V2:"), "{message}");
    assert!(message.contains("found L_A1_ROI, L_V1_ROI"), "{message}");
    let Err(FmriError::MissingParcels { missing, .. }) = hcp_regions(&brain, ParcelLists::Paper)
    else {
        panic!("parcels are missing");
    };
    // 23 of late language, 5 more of early auditory and V2.
    assert_eq!(missing.len(), 29);
    let auditory = hcp_parcels(&brain, HcpRegion::PrimaryAuditory, ParcelLists::Code).unwrap();
    assert_eq!(auditory.get("A1"), Some(&[0][..]));
}

//! Regions and what they are made of: lists in JSON, tables of labels in three formats, annotations.

#![no_main]

use braintune_fmri::{HcpRegion, LabelTable, ParcelLists, Regions, hcp_parcels, read_annot};
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(parcels) = read_annot(&file("lh.annot", data)) {
        let _ = parcels.regions();
        let _ = hcp_parcels(&parcels, HcpRegion::PrimaryAuditory, ParcelLists::Paper);
    }
    let _ = Regions::read(&file("labels.json", data)).and_then(|regions| regions.check(3));
    let _ = LabelTable::read(&file("labels.json", data));
    let _ = LabelTable::read(&file("labels.tsv", data));
    let _ = LabelTable::read(&file("labels.txt", data));
});

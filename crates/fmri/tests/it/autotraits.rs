//! Types that cross threads may.

use braintune_fmri::{
    BidsDataset, CheckReport, DriftFilter, Ds003020, FmriError, FolderDataset, GaussianSmoother,
    InMemoryDataset, Lanczos, LanczosMatrix, NiftiFile, ResponseFile, Responses, Story,
    StoryDataset, TextGrid, VoxelMask,
};

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<BidsDataset>();
    check::<CheckReport>();
    check::<DriftFilter>();
    check::<Ds003020>();
    check::<FmriError>();
    check::<FolderDataset>();
    check::<GaussianSmoother>();
    check::<InMemoryDataset>();
    check::<Lanczos>();
    check::<LanczosMatrix>();
    check::<NiftiFile>();
    check::<ResponseFile>();
    check::<Responses>();
    check::<Story>();
    check::<TextGrid>();
    check::<VoxelMask>();
    check::<Box<dyn StoryDataset>>();
}

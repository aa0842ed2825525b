//! Types that cross threads may.

use braintune_fmri::{
    BidsDataset, CheckReport, DriftFilter, Ds003020, FmriError, FolderDataset, GaussianSmoother,
    Gifti, InMemoryDataset, LabelTable, Lanczos, LanczosMatrix, LowLevelExtractor, NiftiFile,
    Parcellation, Regions, ResponseFile, Responses, Story, StoryDataset, SurfaceMapper, TextGrid,
    TrReport, VoxelMask,
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
    check::<Gifti>();
    check::<GaussianSmoother>();
    check::<InMemoryDataset>();
    check::<LabelTable>();
    check::<Lanczos>();
    check::<LanczosMatrix>();
    check::<NiftiFile>();
    check::<Parcellation>();
    check::<Regions>();
    check::<LowLevelExtractor>();
    check::<ResponseFile>();
    check::<Responses>();
    check::<Story>();
    check::<SurfaceMapper>();
    check::<TextGrid>();
    check::<VoxelMask>();
    check::<TrReport>();
    check::<Box<dyn StoryDataset>>();
}

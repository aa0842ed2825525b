//! Types that cross threads may.

use braintune_fmri::{
    CheckReport, Ds003020, FmriError, Gifti, InMemoryDataset, LabelTable, Lanczos, LanczosMatrix,
    NiftiFile, Parcellation, Regions, ResponseFile, Responses, Story, StoryDataset, SurfaceMapper,
    TextGrid, VoxelMask,
};

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<CheckReport>();
    check::<Ds003020>();
    check::<FmriError>();
    check::<Gifti>();
    check::<InMemoryDataset>();
    check::<LabelTable>();
    check::<Lanczos>();
    check::<LanczosMatrix>();
    check::<NiftiFile>();
    check::<Parcellation>();
    check::<Regions>();
    check::<ResponseFile>();
    check::<Responses>();
    check::<Story>();
    check::<SurfaceMapper>();
    check::<TextGrid>();
    check::<VoxelMask>();
    check::<Box<dyn StoryDataset>>();
}

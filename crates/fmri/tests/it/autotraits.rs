//! Types that cross threads may.

use braintune_fmri::{
    CheckReport, Ds003020, FmriError, FolderDataset, InMemoryDataset, Lanczos, LanczosMatrix, ResponseFile,
    Responses, Story, StoryDataset, TextGrid,
};

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<CheckReport>();
    check::<Ds003020>();
    check::<FmriError>();
    check::<FolderDataset>();
    check::<InMemoryDataset>();
    check::<Lanczos>();
    check::<LanczosMatrix>();
    check::<ResponseFile>();
    check::<Responses>();
    check::<Story>();
    check::<TextGrid>();
    check::<Box<dyn StoryDataset>>();
}

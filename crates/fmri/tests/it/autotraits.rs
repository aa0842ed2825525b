//! Types that cross threads may.

use braintune_fmri::{
    CheckReport, Ds003020, FmriError, InMemoryDataset, Lanczos, LanczosMatrix, LowLevelExtractor,
    ResponseFile, Responses, Story, StoryDataset, TextGrid, TrReport,
};

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<CheckReport>();
    check::<Ds003020>();
    check::<FmriError>();
    check::<InMemoryDataset>();
    check::<Lanczos>();
    check::<LanczosMatrix>();
    check::<LowLevelExtractor>();
    check::<ResponseFile>();
    check::<Responses>();
    check::<Story>();
    check::<TextGrid>();
    check::<TrReport>();
    check::<Box<dyn StoryDataset>>();
}

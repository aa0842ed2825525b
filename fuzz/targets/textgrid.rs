//! TextGrids in any encoding, and alignments of gentle.

#![no_main]

use braintune_fmri::read_textgrid;
use braintune_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(grid) = read_textgrid(&file("story.TextGrid", data)) {
        let _ = grid.words();
        let _ = grid.phones();
        let _ = grid.duration_s();
    }
});

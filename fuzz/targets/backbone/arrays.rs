//! NumPy files of the command line: matrices, labels, masks, folds, responses, units of stories.

#![no_main]

use braintune::NpyResponses;
use braintune::arrays::{read_folds, read_labels, read_mask, read_matrix, read_vector};
use braintune::backbone::Wav2Vec2Config;
use braintune::encoding::ResponseSource;
use braintune::tuning::StoryUnits;
use braintune_fuzz::{file, folder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = file("tale.npy", data);
    let _ = read_matrix(&path);
    let _ = read_vector(&path);
    let _ = read_labels(&path);
    let _ = read_mask(&path);
    let _ = read_folds(&path);
    if let Ok(responses) = NpyResponses::open(&path) {
        let n_voxels = responses.n_voxels();
        let _ = responses.read(0..n_voxels);
        let _ = responses.read(n_voxels / 2..n_voxels);
    }
    let stories = ["tale".to_owned()];
    let _ = StoryUnits::from_folder(folder(), &stories, &Wav2Vec2Config::default());
});

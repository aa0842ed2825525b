//! Writes small folders in the ds003020 layout.

use std::fs;
use std::path::{Path, PathBuf};

use braintune_audio::{SampleRate, Waveform, write_wav};
use braintune_fmri::{Interval, TextGrid, Tier, write_responses, write_textgrid};
use ndarray::Array2;

pub(crate) const SUBJECTS: [&str; 2] = ["UTS01", "UTS02"];
/// Stories and how many TRs `respdict.json` gives them.
pub(crate) const STORIES: [(&str, usize); 3] = [("souls", 31), ("avatar", 40), ("legacy", 24)];
pub(crate) const N_VOXELS: usize = 6;

/// A healthy dataset of [`STORIES`] heard by [`SUBJECTS`].
pub(crate) fn write_dataset(dir: &Path) {
    for folder in ["stimuli", "derivative/TextGrids"] {
        fs::create_dir_all(dir.join(folder)).unwrap();
    }
    write_respdict(dir, &STORIES);
    for (name, n_acquired) in STORIES {
        let sound_s = 2.0 * n_acquired as f64 - 20.0;
        write_sound(dir, name, sound_s);
        let words = vec![
            Interval::new(0.0, 0.5, "sp"),
            Interval::new(0.5, sound_s, "once"),
        ];
        let tier = Tier::new("word", words);
        let path = dir.join(format!("derivative/TextGrids/{name}.TextGrid"));
        write_textgrid(&path, &TextGrid::new(vec![tier])).unwrap();
        for subject in SUBJECTS {
            let path = response_path(dir, subject, name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write_responses(&path, bold(n_acquired - 20).view()).unwrap();
        }
    }
}

pub(crate) fn write_respdict(dir: &Path, stories: &[(&str, usize)]) {
    let entries = stories.iter().map(|(name, n)| format!("\"{name}\": {n}"));
    let json = format!("{{{}}}", entries.collect::<Vec<_>>().join(", "));
    fs::write(dir.join("derivative/respdict.json"), json).unwrap();
}

pub(crate) fn write_sound(dir: &Path, story: &str, sound_s: f64) {
    let rate = SampleRate::from_hz(4000).unwrap();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let n_samples = (sound_s * 4000.0) as usize;
    let samples = (0..n_samples).map(|k| (k as f32 * 0.1).sin() * 0.5);
    let waveform = Waveform::from_samples(samples.collect(), rate).unwrap();
    write_wav(&dir.join(format!("stimuli/{story}.wav")), &waveform).unwrap();
}

pub(crate) fn response_path(dir: &Path, subject: &str, story: &str) -> PathBuf {
    dir.join(format!(
        "derivative/preprocessed_data/{subject}/{story}.hf5"
    ))
}

/// `[n_trs, N_VOXELS]` in which every voxel varies.
pub(crate) fn bold(n_trs: usize) -> Array2<f32> {
    Array2::from_shape_fn((n_trs, N_VOXELS), |(row, voxel)| {
        ((row * 7 + voxel * 3) % 11) as f32 - 5.0
    })
}

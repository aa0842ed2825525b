//! Lists and labels of corpora: SLURP, Speech Commands, TIMIT, classes of words.

#![no_main]

use braintune_fuzz::{file, folder};
use braintune_probing::{CorpusTask, ProbeTask, TimitPhonemes, TimitSplit, WordClasses};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        file("slurp/slurp_real/audio.flac", b"");
        for name in ["a_nohash_0.wav", "b_nohash_0.wav", "c_nohash_0.wav"] {
            file(&format!("words/yes/{name}"), b"");
        }
        for part in ["TRAIN", "TEST"] {
            for speaker in ["MAAA0", "MBBB0", "FCCC0"] {
                file(&format!("timit/{part}/DR1/{speaker}/SX1.WAV"), b"");
                file(&format!("timit/{part}/DR1/{speaker}/SX1.PHN"), b"0 9 h#\n");
            }
        }
    },
    |data: &[u8]| {
        for name in ["train", "devel", "test"] {
            file(&format!("slurp/{name}.jsonl"), data);
        }
        let _ = CorpusTask::slurp(&folder().join("slurp"), true);
        file("words/testing_list.txt", data);
        file("words/validation_list.txt", b"yes/b_nohash_0.wav\n");
        let _ = CorpusTask::speech_commands(&folder().join("words"));
        file("timit/TEST/DR1/MAAA0/SX1.PHN", data);
        if let Ok(task) = TimitPhonemes::of_frames(&folder().join("timit"), TimitSplit::Official, 1) {
            let _ = task.recordings();
        }
        let _ = WordClasses::read(&file("word_classes.csv", data));
    }
);

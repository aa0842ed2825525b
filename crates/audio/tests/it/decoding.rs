//! Decoded audio against libsndfile's.

use std::fs;

use braintune_audio::{
    SampleRate, WhisperLogMel, decode_audio, load_audio, probe_audio, write_wav,
};

use crate::fixtures::{Tensors, max_abs_diff, path, shared};

/// `(name, rate, channels, tolerance)`: half a step of the stored reference, and for the lossy codecs
/// what two floating-point decoders differ by.
const FILES: [(&str, u32, usize, f32); 19] = [
    ("u8.wav", 8_000, 1, HALF_STEP),
    ("i16.wav", 16_000, 1, HALF_STEP),
    ("i16_stereo.wav", 44_100, 2, HALF_STEP),
    ("i24_3ch.wav", 22_050, 3, HALF_STEP),
    ("i32_6ch.wav", 48_000, 6, HALF_STEP),
    ("f32.wav", 16_000, 2, HALF_STEP),
    ("f64.wav", 11_025, 1, HALF_STEP),
    ("f32_extensible.wav", 16_000, 1, HALF_STEP),
    ("alaw.wav", 8_000, 1, HALF_STEP),
    ("ulaw_stereo.wav", 8_000, 2, HALF_STEP),
    ("i16_40ch.wav", 8_000, 40, HALF_STEP),
    ("i16.flac", 16_000, 1, HALF_STEP),
    ("i24_stereo.flac", 44_100, 2, HALF_STEP),
    ("mono.ogg", 16_000, 1, 2.0 * HALF_STEP),
    ("stereo.ogg", 44_100, 2, 2.0 * HALF_STEP),
    ("short.ogg", 16_000, 1, 2.0 * HALF_STEP),
    ("mono.mp3", 16_000, 1, 2.0 * HALF_STEP),
    ("stereo.mp3", 44_100, 2, 2.0 * HALF_STEP),
    ("low.mp3", 11_025, 1, 2.0 * HALF_STEP),
];
const HALF_STEP: f32 = 0.501 / 32_768.0;

#[test]
fn every_format_decodes_as_libsndfile_does() {
    let decoded = Tensors::read(&path("codecs/decoded.safetensors"));
    let mut wrong = Vec::new();
    for (name, hz, _, tolerance) in FILES {
        let wave = match decode_audio(&path("codecs").join(name)) {
            Ok(wave) => wave,
            Err(e) => {
                wrong.push(format!("{name}: {e}"));
                continue;
            }
        };
        assert_eq!(wave.sample_rate().as_hz(), hz, "{name}");
        let reference = decoded.vector(name);
        if wave.samples().len() != reference.len() {
            wrong.push(format!(
                "{name}: {} of {}",
                wave.samples().len(),
                reference.len()
            ));
            continue;
        }
        let difference = max_abs_diff(wave.samples().iter(), reference.iter());
        if difference > tolerance {
            wrong.push(format!(
                "{name}: differs by {:.2} steps",
                difference * 32768.0
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn probing_says_what_decoding_finds() {
    let decoded = Tensors::read(&path("codecs/decoded.safetensors"));
    for (name, hz, n_channels, _) in FILES {
        let info = probe_audio(&path("codecs").join(name)).unwrap();
        let n_samples = decoded.vector(name).len();
        assert_eq!(info.sample_rate.as_hz(), hz, "{name}");
        assert_eq!(info.n_channels, n_channels, "{name}");
        assert_eq!(info.n_samples, Some(n_samples as u64), "{name}");
        assert_eq!(
            info.duration_s(),
            Some(n_samples as f64 / f64::from(hz)),
            "{name}"
        );
    }
}

#[test]
fn the_content_tells_the_format_not_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let misnamed = dir.path().join("story.mp3");
    fs::copy(path("codecs/i16.flac"), &misnamed).unwrap();
    assert_eq!(decode_audio(&misnamed).unwrap().samples().len(), 8_000);
}

#[test]
fn loading_gives_sixteen_kilohertz() {
    let wave = load_audio(&path("codecs/stereo.ogg")).unwrap();
    assert_eq!(wave.sample_rate(), SampleRate::SPEECH);
    assert_eq!(wave.samples().len(), 4_000);
}

#[test]
fn sixteen_bit_files_are_written_back_bit_by_bit() {
    let dir = tempfile::tempdir().unwrap();
    let (original, copy) = (path("codecs/i16.wav"), dir.path().join("copy.wav"));
    write_wav(&copy, &decode_audio(&original).unwrap()).unwrap();
    assert_eq!(fs::read(&copy).unwrap(), fs::read(&original).unwrap());
    let files: Vec<_> = fs::read_dir(dir.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "no temporary file is left");
}

/// What programs write into a pipe: the sizes are not known yet.
#[test]
fn streamed_wav_files_are_read_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(path("codecs/i16.wav")).unwrap();
    for (riff, data) in [
        (u32::MAX, u32::MAX),
        (0, 0),
        (u32::MAX, 0),
        (36, 0),
        (0x7fff_f024, 0x7fff_f000),
    ] {
        let mut bytes = whole.clone();
        bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        bytes[40..44].copy_from_slice(&data.to_le_bytes());
        let file = dir.path().join("streamed.wav");
        fs::write(&file, bytes).unwrap();
        assert_eq!(
            decode_audio(&file).unwrap().samples().len(),
            1_600,
            "{riff:#x} {data:#x}"
        );
        assert_eq!(probe_audio(&file).unwrap().n_samples, Some(1_600));
    }
}

#[test]
fn chunks_around_the_samples_do_not_matter() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(path("codecs/i16.wav")).unwrap();
    let mut bytes = whole[..36].to_vec();
    // A chunk of odd size before the samples, and one after them.
    bytes.extend(b"note\x03\x00\x00\x00abc\x00");
    bytes.extend(&whole[36..]);
    bytes.extend(b"LIST\x04\x00\x00\x00INFO");
    let file = dir.path().join("chunks.wav");
    fs::write(&file, bytes).unwrap();
    assert_eq!(
        decode_audio(&file).unwrap(),
        decode_audio(&path("codecs/i16.wav")).unwrap()
    );
}

/// Tags on either side of the frames, and a length in the header that the audio exceeds.
#[test]
fn mp3_tags_are_not_audio() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tagged.mp3");
    let mut bytes = b"ID3\x04\x00\x00\x00\x00\x01\x00".to_vec();
    bytes.extend([0xff; 128]);
    bytes.extend(fs::read(path("codecs/mono.mp3")).unwrap());
    bytes.extend(b"TAG");
    bytes.extend([0xff; 125]);
    fs::write(&file, bytes).unwrap();
    let plain = decode_audio(&path("codecs/mono.mp3")).unwrap();
    assert_eq!(decode_audio(&file).unwrap(), plain);
    assert_eq!(probe_audio(&file).unwrap().n_samples, Some(16_000));
}

#[test]
fn joined_mp3_files_keep_all_their_audio() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("joined.mp3");
    let one = fs::read(path("codecs/mono.mp3")).unwrap();
    fs::write(&file, [one.clone(), one].concat()).unwrap();
    assert!(decode_audio(&file).unwrap().samples().len() >= 2 * 16_000);
}

/// Without the frame that holds the length, the frames themselves tell it.
#[test]
fn mp3_without_a_header_is_read_to_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bare.mp3");
    let whole = fs::read(path("codecs/mono.mp3")).unwrap();
    let second = whole[4..]
        .windows(2)
        .position(|w| w == [0xff, 0xf3])
        .unwrap()
        + 4;
    fs::write(&file, &whole[second..]).unwrap();
    let n = decode_audio(&file).unwrap().samples().len();
    assert!(n >= 16_000 && n.is_multiple_of(576), "{n}");
    assert_eq!(probe_audio(&file).unwrap().n_samples, Some(n as u64));
}

/// Whole stories; lengths as soundfile gives them.
#[test]
fn real_stories_decode_whole() {
    let Some(stimuli) = shared("data/lebel-revoiced/stimuli") else {
        return;
    };
    for (name, n_samples) in [
        ("adollshouse.ogg", 8_068_777),
        ("wheretheressmoke.flac", 9_483_961),
    ] {
        let file = stimuli.join(name);
        assert_eq!(
            probe_audio(&file).unwrap().n_samples,
            Some(n_samples),
            "{name}"
        );
    }
    let story = load_audio(&stimuli.join("adollshouse.ogg")).unwrap();
    assert_eq!(story.samples().len(), 8_068_777);
    assert!(
        WhisperLogMel::new(80)
            .unwrap()
            .compute(&story.samples()[..480_000])
            .is_ok()
    );
}

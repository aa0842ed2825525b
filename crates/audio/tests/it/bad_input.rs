//! Files that must not be taken for audio, or for all of the audio.

use std::fs;
use std::path::{Path, PathBuf};

use braintune_audio::{
    AudioError, PointerKind, SampleRate, Waveform, decode_audio, load_audio, pointer_kind,
    probe_audio, write_wav,
};
use tempfile::TempDir;

use crate::fixtures::path;

/// A folder for one damaged file.
struct Damaged(TempDir);

impl Damaged {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(&self, bytes: impl AsRef<[u8]>) -> PathBuf {
        let file = self.0.path().join("story.audio");
        fs::write(&file, bytes).unwrap();
        file
    }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(path("codecs").join(name)).unwrap()
}

/// The error of loading, which probing must share.
pub(crate) fn error(file: &Path) -> AudioError {
    let loading = load_audio(file).unwrap_err();
    let probing = probe_audio(file).unwrap_err();
    assert_eq!(
        std::mem::discriminant(&loading),
        std::mem::discriminant(&probing),
        "{loading} | {probing}"
    );
    let message = loading.to_string();
    assert!(message.starts_with(&*file.to_string_lossy()), "{message}");
    loading
}

#[test]
fn files_that_are_not_there_or_not_audio() {
    let folder = Damaged::new();
    let missing = folder.0.path().join("missing.wav");
    assert!(matches!(error(&missing), AudioError::NotFound { .. }));
    assert!(matches!(
        error(folder.0.path()),
        AudioError::NotAFile { .. }
    ));
    assert!(matches!(
        error(&folder.with("")),
        AudioError::EmptyFile { .. }
    ));
    for text in [
        "x",
        "hello, this is a text file\n",
        "RIFF",
        "\u{feff}<html>",
        "ID3",
        "TAG",
    ] {
        assert!(
            matches!(error(&folder.with(text)), AudioError::NotAudio { .. }),
            "{text}"
        );
    }
    let noise: Vec<u8> = (0..200_000_u64)
        .map(|i| (i.wrapping_mul(i).wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0])
        .collect();
    assert!(matches!(
        error(&folder.with(noise)),
        AudioError::NotAudio { .. }
    ));
    assert!(matches!(
        error(&folder.with(b"RF64\xff\xff\xff\xffWAVE")),
        AudioError::Unsupported { .. }
    ));
}

#[test]
fn pointers_are_named() {
    let folder = Damaged::new();
    let annex = [
        "/annex/objects/SHA256E-s8123456--2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c.wav\n",
        "../.git/annex/objects/0k/1V/MD5E-s12--abc.wav/MD5E-s12--abc.wav",
    ];
    for text in annex {
        let file = folder.with(text);
        assert_eq!(pointer_kind(&file), Some(PointerKind::GitAnnex));
        let message = error(&file).to_string();
        assert!(
            message.contains("is a git-annex pointer, not the data: run `datalad get`"),
            "{message}"
        );
    }
    let file =
        folder.with("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    assert_eq!(pointer_kind(&file), Some(PointerKind::GitLfs));
    assert!(error(&file).to_string().contains("git lfs pull"));
    assert_eq!(pointer_kind(&path("codecs/i16.wav")), None);
    assert_eq!(pointer_kind(&folder.0.path().join("missing")), None);
    assert_eq!(pointer_kind(folder.0.path()), None);
}

#[cfg(unix)]
#[test]
fn broken_annex_links_are_pointers() {
    let folder = Damaged::new();
    let link = folder.0.path().join("story.wav");
    std::os::unix::fs::symlink("../.git/annex/objects/aa/bb/KEY/KEY", &link).unwrap();
    assert_eq!(pointer_kind(&link), Some(PointerKind::GitAnnex));
    assert!(matches!(error(&link), AudioError::Pointer { .. }));
    // One whose data is there is data.
    let objects = folder.0.path().join(".git/annex/objects");
    fs::create_dir_all(&objects).unwrap();
    fs::copy(path("codecs/i16.wav"), objects.join("KEY")).unwrap();
    let present = folder.0.path().join("present.wav");
    std::os::unix::fs::symlink(".git/annex/objects/KEY", &present).unwrap();
    assert_eq!(pointer_kind(&present), None);
    assert!(load_audio(&present).is_ok());
}

#[test]
fn headers_without_samples() {
    assert!(matches!(
        error(&path("codecs/empty.wav")),
        AudioError::NoSamples { .. }
    ));
    assert!(matches!(
        error(&path("codecs/empty.ogg")),
        AudioError::NoSamples { .. }
    ));
    // Only STREAMINFO, its count of samples zero.
    let mut flac = fixture("i16.flac")[..42].to_vec();
    flac[4] |= 0x80;
    flac[21] &= 0xf0;
    flac[22..26].fill(0);
    assert!(matches!(
        error(&Damaged::new().with(flac)),
        AudioError::NoSamples { .. }
    ));
}

#[test]
fn encodings_that_are_not_read_are_named() {
    for (name, what) in [
        ("opus.ogg", "Opus"),
        ("ima_adpcm.wav", "WAV encoding 0x0011"),
    ] {
        let e = error(&path("codecs").join(name));
        assert!(matches!(e, AudioError::Unsupported { .. }), "{e:?}");
        assert!(e.to_string().contains(what), "{e}");
    }
}

/// Every cut of every format, from the first byte to the last.
#[test]
fn cut_files_are_errors_wherever_they_are_cut() {
    let folder = Damaged::new();
    for name in [
        "i16.wav",
        "i24_3ch.wav",
        "i16.flac",
        "mono.ogg",
        "short.ogg",
        "mono.mp3",
        "stereo.mp3",
    ] {
        let whole = fixture(name);
        let step = whole.len() / 60 + 1;
        for len in (1..whole.len())
            .step_by(step)
            .chain([whole.len() - 9, whole.len() - 1])
        {
            let file = folder.with(&whole[..len]);
            let Err(e) = load_audio(&file) else {
                panic!("{name} cut to {len} was read")
            };
            let named = match e {
                AudioError::Truncated { .. } => true,
                // Too little to tell what it is.
                AudioError::NotAudio { .. } => len < 600,
                _ => false,
            };
            assert!(named, "{name} cut to {len} of {}: {e:?}", whole.len());
            assert!(
                probe_audio(&file).is_err(),
                "{name} cut to {len} was probed"
            );
        }
    }
}

#[test]
fn truncation_says_how_much_is_there() {
    let folder = Damaged::new();
    let wav = fixture("i16.wav");
    let e = error(&folder.with(&wav[..44 + 1_600]));
    assert!(
        matches!(
            e,
            AudioError::Truncated {
                found_s: 0.05,
                expected_s: Some(0.1),
                ..
            }
        ),
        "{e:?}"
    );
    assert!(
        e.to_string()
            .contains("0.05 s of audio found, 0.10 s expected"),
        "{e}"
    );
    for name in ["i16.flac", "mono.mp3"] {
        let whole = fixture(name);
        let e = error(&folder.with(&whole[..whole.len() * 7 / 10]));
        let AudioError::Truncated {
            found_s,
            expected_s: Some(expected_s),
            ..
        } = e
        else {
            panic!("{name}: {e:?}")
        };
        assert!(
            found_s > 0.0 && found_s < expected_s && expected_s < 1.01,
            "{name}"
        );
    }
    let whole = fixture("mono.ogg");
    let e = error(&folder.with(&whole[..whole.len() - 1]));
    assert!(
        matches!(
            e,
            AudioError::Truncated {
                expected_s: None,
                ..
            }
        ),
        "{e:?}"
    );
}

/// A cut last frame shows even without a header that gives the length.
#[test]
fn cut_mp3_without_a_header() {
    let whole = fixture("mono.mp3");
    let second = whole[4..]
        .windows(2)
        .position(|w| w == [0xff, 0xf3])
        .unwrap()
        + 4;
    let file = Damaged::new();
    let file = file.with(&whole[second..whole.len() - 10]);
    assert!(matches!(error(&file), AudioError::Truncated { .. }));
}

#[test]
fn damage_in_the_middle_is_an_error() {
    let folder = Damaged::new();
    for name in ["i16.flac", "i24_stereo.flac", "mono.ogg", "stereo.ogg"] {
        let mut bytes = fixture(name);
        let middle = bytes.len() * 3 / 4;
        bytes[middle] ^= 0x55;
        let result = load_audio(&folder.with(bytes));
        assert!(
            matches!(
                result,
                Err(AudioError::Corrupt { .. } | AudioError::Truncated { .. })
            ),
            "{name}: {result:?}"
        );
    }
}

#[test]
fn samples_that_are_not_finite() {
    let folder = Damaged::new();
    for (bad, at) in [(f32::NAN, 10), (f32::INFINITY, 700)] {
        let mut bytes = fixture("f32_extensible.wav");
        let data = bytes.windows(4).position(|w| w == b"data").unwrap() + 8;
        bytes[data + 4 * at..][..4].copy_from_slice(&bad.to_le_bytes());
        let e = decode_audio(&folder.with(bytes)).unwrap_err();
        let expected = at as f64 / 16_000.0;
        assert!(
            matches!(e, AudioError::NonFiniteFile { at_s, .. } if (at_s - expected).abs() < 1e-9),
            "{e:?}"
        );
    }
}

#[test]
fn wav_headers_that_cannot_be() {
    let folder = Damaged::new();
    // (offset in the format chunk, value): tag, channels, rate, bits.
    for (at, value) in [
        (20, 0x55_u16),
        (20, 0x11),
        (22, 0),
        (24, 1),
        (34, 64),
        (34, 0),
    ] {
        let mut bytes = fixture("i16.wav");
        bytes[at..at + 2].copy_from_slice(&value.to_le_bytes());
        if at == 34 {
            bytes[32..34].copy_from_slice(&(value / 8).to_le_bytes());
        }
        let e = error(&folder.with(bytes));
        assert!(
            matches!(e, AudioError::Unsupported { .. }),
            "{at} {value}: {e:?}"
        );
    }
}

/// Whatever bytes change, there is an answer and no panic.
#[test]
fn changed_bytes_never_panic() {
    let folder = Damaged::new();
    let mut state = 1_u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap()
    };
    let names = [
        "i16.wav",
        "i24_3ch.wav",
        "i16.flac",
        "short.ogg",
        "stereo.ogg",
        "low.mp3",
        "stereo.mp3",
    ];
    for name in names {
        let whole = fixture(name);
        for round in 0..120 {
            let mut bytes = whole.clone();
            // Headers are where a wrong byte does most.
            let reach = if round % 2 == 0 {
                bytes.len()
            } else {
                bytes.len().min(128)
            };
            for _ in 0..=random() % 4 {
                let at = random() % reach;
                bytes[at] = u8::try_from(random() % 256).unwrap();
            }
            let file = folder.with(bytes);
            let _ = load_audio(&file);
            let _ = probe_audio(&file);
        }
    }
}

#[test]
fn a_folder_that_is_not_there_cannot_be_written_to() {
    let folder = Damaged::new();
    let wave = Waveform::from_samples(vec![0.0], SampleRate::SPEECH).unwrap();
    let e = write_wav(&folder.0.path().join("no/such/folder.wav"), &wave).unwrap_err();
    assert!(matches!(e, AudioError::Io { doing: "write", .. }), "{e:?}");
    assert!(
        e.to_string().ends_with("folder.wav: cannot write the file"),
        "{e}"
    );
}

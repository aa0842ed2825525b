//! What any folder of audio asks.

use std::path::Path;

use braintune_probing::{AcousticTask, Acoustics, ProbeTask};

use crate::corpora::tone;

const RATE_HZ: u32 = 8_000;
/// One frame of it.
const FRAME_S: u16 = 5;

/// Remainder of a polynomial of `bits` bits, as FLAC checks its frames.
fn crc(bytes: &[u8], polynomial: u32, bits: u32) -> u32 {
    bytes.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ (u32::from(byte) << (bits - 8)), |crc, _| {
            let shifted = crc << 1;
            let carried = shifted >> bits & 1 == 1;
            (shifted ^ if carried { polynomial } else { 0 }) & ((1 << bits) - 1)
        })
    })
}

/// A mono FLAC of one value, whose header says no length, as encoders write into a pipe.
fn endless_flac(path: &Path, n_frames: u8) {
    let block = FRAME_S * u16::try_from(RATE_HZ).unwrap();
    let mut bytes = b"fLaC\x80\0\0\x22".to_vec();
    bytes.extend([block.to_be_bytes(), block.to_be_bytes()].concat());
    bytes.extend([0; 6]); // sizes of frames: not known
    let (channels, bits_per_sample) = (0, 15); // less one each
    let format = u64::from(RATE_HZ) << 44 | channels << 41 | bits_per_sample << 36; // 0 samples
    bytes.extend(format.to_be_bytes());
    bytes.extend([0; 16]); // MD5: not known
    for number in 0..n_frames {
        // Length in 16 bits at the end, 8 kHz, one channel, 16 bits.
        let mut frame = vec![0xff, 0xf8, 0x74, 0x08, number];
        frame.extend((block - 1).to_be_bytes());
        frame.push(u8::try_from(crc(&frame, 0x107, 8)).unwrap());
        frame.extend([0, 0x10, 0]); // a constant
        let check = u16::try_from(crc(&frame, 0x1_8005, 16)).unwrap();
        frame.extend(check.to_be_bytes());
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn long_files_are_heard_in_pieces_whether_their_header_says_how_long_they_are_or_not() {
    let dir = tempfile::tempdir().unwrap();
    tone(&dir.path().join("a.wav"), 31.0);
    tone(&dir.path().join("b.wav"), 1.0);
    endless_flac(&dir.path().join("c.flac"), 7);
    endless_flac(&dir.path().join("d.flac"), 1);
    let task = AcousticTask::of_folder(dir.path(), Acoustics::Energy, 0).unwrap();
    let recordings = task.recordings().unwrap();
    let spans = |name: &str| -> Vec<_> {
        let of_file = recordings.iter().filter(|r| r.audio.ends_with(name));
        of_file.map(|r| r.span_s.clone()).collect()
    };
    let pieces = [Some(0.0..10.0), Some(10.0..20.0), Some(20.0..30.0)];
    assert_eq!(spans("a.wav"), pieces);
    assert_eq!(spans("c.flac"), pieces);
    assert_eq!((spans("b.wav"), spans("d.flac")), (vec![None], vec![None]));
}

//! Where the frames of an MP3 file begin and end.
//!
//! symphonia reads frames until it finds no more; what is needed besides is the range of the file
//! they fill, without the tags around them, and whether the last one is whole. Frame headers follow
//! ISO 11172-3 section 2.4.2.3. Held by `tests/it/decoding.rs` and `tests/it/bad_input.rs`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::Result;
use crate::error::read_failed;

/// How far after the tags the first frame is searched.
const SEARCH_BYTES: usize = 64 * 1024;

/// The version field of MPEG 1; the other versions halve the frame.
const MPEG1: u8 = 3;

/// The range of a file that holds MP3 frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mp3Frames {
    pub(crate) start: u64,
    pub(crate) end: u64,
    first: FrameHeader,
    /// Bytes of the frame that holds a Xing, Info or VBRI header in place of audio; 0 without one.
    info_len: u64,
}

/// The facts of a frame header that stay the same in a file, and the length of the frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FrameHeader {
    len: usize,
    kind: (u8, u8),
}

impl FrameHeader {
    /// Parses the header at the start of `bytes`; layer III of MPEG 1, 2 and 2.5 only.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let [b0, b1, b2, _] = *bytes.first_chunk::<4>()?;
        let version = (b1 >> 3) & 3;
        if b0 != 0xff || b1 < 0xe0 || version == 1 || (b1 >> 1) & 3 != 1 {
            return None;
        }
        let mpeg1 = version == MPEG1;
        let kbps = match (mpeg1, b2 >> 4) {
            (_, 0 | 15) => return None,
            (true, i) => [
                32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
            ][usize::from(i) - 1],
            (false, i) => {
                [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160][usize::from(i) - 1]
            }
        };
        let rate_hz = *[44_100, 48_000, 32_000].get(usize::from((b2 >> 2) & 3))?
            >> [2, 0, 1, 0][usize::from(version)];
        let slots: usize = if mpeg1 { 144_000 } else { 72_000 };
        let padding = usize::from((b2 >> 1) & 1);
        Some(Self {
            len: slots * kbps / rate_hz + padding,
            kind: (b1 & 0xfe, b2 & 0x0c),
        })
    }
}

impl FrameHeader {
    fn is_mpeg1(self) -> bool {
        (self.kind.0 >> 3) & 3 == MPEG1
    }
}

impl Mp3Frames {
    /// Finds the frames of a file; `None` where it is no MP3 file.
    pub(crate) fn find(file: &mut File, file_len: u64) -> io::Result<Option<Self>> {
        let tags_end = skip_id3v2(file)?;
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(tags_end))?;
        file.take(SEARCH_BYTES as u64 + 8 * 1024)
            .read_to_end(&mut head)?;
        let found = (0..head.len().min(SEARCH_BYTES)).find_map(|at| {
            let header = FrameHeader::parse(&head[at..])?;
            let next = head.get(at + header.len..).filter(|rest| rest.len() >= 4);
            let confirmed = match next.and_then(FrameHeader::parse) {
                Some(next) => next.kind == header.kind,
                None => at == 0 && next.is_none(),
            };
            confirmed.then_some((at, header))
        });
        let Some((at, first)) = found else {
            return Ok(None);
        };
        let start = tags_end + at as u64;
        let info = head[at..].get(..first.len.min(64)).unwrap_or_default();
        let has_info = [b"Xing", b"Info", b"VBRI"]
            .iter()
            .any(|tag| info.windows(4).any(|window| window == *tag));
        let info_len = if has_info { first.len as u64 } else { 0 };
        let end = before_trailing_tags(file, start, file_len)?;
        Ok(Some(Self {
            start,
            end,
            first,
            info_len,
        }))
    }

    /// Samples per channel in one frame.
    pub(crate) fn samples_per_frame(&self) -> u64 {
        if self.first.is_mpeg1() { 1152 } else { 576 }
    }

    /// Bytes of the range that `packet_bytes` of whole audio frames leave over.
    pub(crate) fn left_over(&self, packet_bytes: u64) -> u64 {
        (self.end - self.start).saturating_sub(self.info_len + packet_bytes)
    }

    /// Whether the last `left_over` bytes of the range are the beginning of another frame.
    pub(crate) fn is_cut(&self, path: &Path, left_over: u64) -> Result<bool> {
        if left_over < 4 {
            return Ok(false);
        }
        let head = self.head_of_last(path, left_over);
        let head = head.map_err(read_failed(path))?;
        Ok(FrameHeader::parse(&head)
            .is_some_and(|h| h.kind == self.first.kind && h.len as u64 > left_over))
    }

    fn head_of_last(&self, path: &Path, left_over: u64) -> io::Result<[u8; 4]> {
        let mut head = [0; 4];
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.end - left_over))?;
        file.read_exact(&mut head)?;
        Ok(head)
    }
}

/// The offset after any `ID3v2` tags at the start.
pub(crate) fn skip_id3v2(file: &mut File) -> io::Result<u64> {
    let mut at = 0;
    loop {
        let mut head = [0; 10];
        file.seek(SeekFrom::Start(at))?;
        match file.read_exact(&mut head) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(at),
            Err(e) => return Err(e),
        }
        if !head.starts_with(b"ID3") {
            return Ok(at);
        }
        let len = head[6..]
            .iter()
            .fold(0, |len, &b| (len << 7) | u64::from(b & 0x7f));
        let footer = if head[5] & 0x10 == 0 { 0 } else { 10 };
        at += 10 + len + footer;
    }
}

/// The offset before an `ID3v1` and an APE tag at the end, which may hold bytes that look like frames.
fn before_trailing_tags(file: &mut File, start: u64, mut end: u64) -> io::Result<u64> {
    let mut id3 = [0; 3];
    if end - start >= 128 {
        file.seek(SeekFrom::Start(end - 128))?;
        file.read_exact(&mut id3)?;
        if id3 == *b"TAG" {
            end -= 128;
        }
    }
    let mut ape = [0; 32];
    if end - start >= 32 {
        file.seek(SeekFrom::Start(end - 32))?;
        file.read_exact(&mut ape)?;
        if ape.starts_with(b"APETAGEX") {
            let len = u64::from(u32::from_le_bytes([ape[12], ape[13], ape[14], ape[15]]));
            let header = if ape[23] & 0x80 == 0 { 0 } else { 32 };
            end = end.saturating_sub(len + header).max(start);
        }
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::FrameHeader;

    #[test]
    fn frame_lengths_follow_the_standard() {
        // MPEG 1, 128 kbit/s, 44.1 kHz, without and with padding; MPEG 2, 64 kbit/s, 16 kHz.
        let len = |bytes: [u8; 4]| FrameHeader::parse(&bytes).map(|h| h.len);
        assert_eq!(len([0xff, 0xfb, 0x90, 0x00]), Some(417));
        assert_eq!(len([0xff, 0xfb, 0x92, 0x00]), Some(418));
        assert_eq!(len([0xff, 0xf3, 0x88, 0x00]), Some(288));
    }

    #[test]
    fn what_is_no_layer_three_header_is_refused() {
        for bytes in [
            [0xff, 0xfe, 0x41, 0x00],
            [0xff, 0xfb, 0xf0, 0x00],
            [0xff, 0xfb, 0x9c, 0x00],
        ] {
            assert_eq!(FrameHeader::parse(&bytes), None);
        }
    }
}

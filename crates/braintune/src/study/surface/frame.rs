//! A picture of the cortex with its colour bar and words, as PNG.

use std::fmt::Write;

use resvg::tiny_skia;

use super::colours::{Colours, GREY};
use super::raster::Picture;
use crate::chart::tree;

/// Pixels under the picture, for the bar and words.
const BELOW: usize = 84;
/// Width of the bar, pixels.
const BAR: usize = 240;

/// `label` stands over the bar.
pub(super) fn png(picture: &Picture, colours: &Colours, label: &str) -> Result<Vec<u8>, String> {
    let (width, height) = (picture.width.max(BAR + 80), picture.height + BELOW);
    let svg = words(picture, (width, height), colours, label);
    let tree = tree(&svg)?;
    let size = |n: usize| u32::try_from(n).map_err(|e| e.to_string());
    let pixels = tiny_skia::Pixmap::new(size(width)?, size(height)?);
    let mut pixels = pixels.ok_or("a picture without size")?;
    pixels.fill(tiny_skia::Color::WHITE);
    let start = (width - picture.width) / 2;
    for (row, colours) in picture.pixels.chunks(picture.width).enumerate() {
        let into = &mut pixels.pixels_mut()[row * width + start..][..picture.width];
        for (pixel, colour) in into.iter_mut().zip(colours) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "0 to 255"
            )]
            let [r, g, b] = colour.map(|part| part.round() as u8);
            *pixel = tiny_skia::ColorU8::from_rgba(r, g, b, 255).premultiply();
        }
    }
    resvg::render(
        &tree,
        tiny_skia::Transform::identity(),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().map_err(|e| e.to_string())
}

/// The bar, its ends and middle, and what is what; the rest is left clear.
fn words(
    picture: &Picture,
    (width, height): (usize, usize),
    colours: &Colours,
    label: &str,
) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"DejaVu Sans\" font-size=\"13\" fill=\"#222\">"
    );
    let (left, top) = ((width - BAR) / 2, picture.height + 24);
    let mut text = |x: usize, y: usize, anchor: &str, words: &str| {
        let words = words.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(
            svg,
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{words}</text>"
        );
    };
    text(width / 2, top - 8, "middle", label);
    text(12, top - 8, "start", "left");
    text(width - 12, top - 8, "end", "right");
    let middle = f32::midpoint(colours.low, colours.high);
    for (part, value) in [colours.low, middle, colours.high].into_iter().enumerate() {
        text(left + part * BAR / 2, top + 32, "middle", &number(value));
    }
    text(width / 2 + 8, top + 52, "middle", "no voxel");
    let [r, g, b] = GREY;
    let _ = write!(
        svg,
        "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"rgb({r:.0},{g:.0},{b:.0})\"/>",
        width / 2 - 40,
        top + 42
    );
    for x in 0..BAR {
        let value = colours.low + (colours.high - colours.low) * (x as f32 + 0.5) / BAR as f32;
        let [r, g, b] = colours.of(value);
        let x = left + x;
        let _ = write!(
            svg,
            "<rect x=\"{x}\" y=\"{top}\" width=\"1\" height=\"16\" shape-rendering=\"crispEdges\" fill=\"rgb({r:.0},{g:.0},{b:.0})\"/>"
        );
    }
    svg + "</svg>"
}

/// Three digits, without zeros behind them.
fn number(value: f32) -> String {
    let size = value.abs();
    if size > 0.0 && !(1e-3..1e4).contains(&size) {
        return format!("{value:.1e}");
    }
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

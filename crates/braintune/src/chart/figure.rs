//! A figure: a heading, a legend and panels, as one SVG file, as pixels, or as pieces of a page.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use resvg::{tiny_skia, usvg};

use super::ink::{Ink, N_HEATS, style_sheet};
use super::svg::{Anchor, Svg, escape, fit, length, text_width};
use crate::error::{Result, file_error};
use crate::files::write_atomically;

/// Space around and between panels of a file.
const GAP: f64 = 14.0;
/// Height of a line of the legend.
const KEY_LINE: f64 = 18.0;
const KEY_WIDTH: f64 = 30.0;
/// Pixels of a PNG for each unit of the SVG, and how many pixels there may be.
const SCALE: f32 = 2.0;
const MOST_PIXELS: f64 = 36e6;

/// One chart.
#[derive(Debug, Clone)]
pub(crate) struct Panel {
    pub(super) width: f64,
    pub(super) height: f64,
    /// What it shows, for those who do not see it.
    pub(super) label: String,
    pub(super) svg: Svg,
}

/// What stands for a series in the legend.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Key {
    /// A line with its marker.
    Line(Ink),
    /// A line without markers.
    Level(Ink),
    /// A filled area.
    Area(Ink),
    /// The outline of a histogram.
    Outline(Ink),
    /// The shades of a heat map.
    Heat,
}

/// Panels that belong together.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Name of its files.
    pub(crate) name: String,
    /// Heading.
    pub(crate) title: String,
    /// What is to be known to read it.
    pub(crate) note: String,
    /// Legend.
    pub(crate) keys: Vec<(Key, String)>,
    /// Panels beside each other in a file.
    pub(crate) columns: usize,
    /// Charts, in the order of reading.
    pub(crate) panels: Vec<Panel>,
}

impl Key {
    fn draw(self, svg: &mut Svg, (x, y): (f64, f64)) {
        let line = |class: &str, svg: &mut Svg, ink: Ink| {
            let class = format!("{class} {}", ink.class());
            svg.polyline(&class, &[(x, y), (x + KEY_WIDTH - 4.0, y)]);
        };
        match self {
            Self::Line(ink) => {
                line("l", svg, ink);
                let middle = (x + KEY_WIDTH / 2.0 - 2.0, y);
                svg.path(
                    &format!("k {}", ink.class()),
                    &ink.shape().path(middle, 3.2),
                );
            }
            Self::Level(ink) => line("l", svg, ink),
            Self::Outline(ink) => line("e", svg, ink),
            Self::Area(ink) => {
                let class = format!("r {}", ink.class());
                svg.rect(&class, (x + 6.0, y - 5.0), (14.0, 10.0), "");
            }
            Self::Heat => {
                let width = (KEY_WIDTH - 4.0) / N_HEATS as f64;
                for level in 1..=N_HEATS {
                    let left = x + width * (level as f64 - 1.0);
                    svg.rect(&format!("q{level}"), (left, y - 5.0), (width, 10.0), "");
                }
            }
        }
    }
}

impl Panel {
    /// The chart as an element of a page.
    fn inline(&self) -> String {
        let (width, height) = (length(self.width), length(self.height));
        format!(
            "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {width} {height}\" style=\"max-width:{}px\">\n{}</svg>\n",
            escape(&self.label),
            length(self.width * if self.width < 400.0 { 1.3 } else { 1.05 }),
            self.svg.0
        )
    }
}

impl Figure {
    /// The legend as HTML.
    pub(crate) fn legend(&self) -> String {
        let mut html = String::from("<div class=\"keys\">");
        for (key, name) in &self.keys {
            let mut svg = Svg::default();
            key.draw(&mut svg, (2.0, 7.0));
            let _ = write!(
                html,
                "<span><svg aria-hidden=\"true\" width=\"{KEY_WIDTH}\" height=\"14\" viewBox=\"0 0 {KEY_WIDTH} 14\">{}</svg>{}</span>",
                svg.0.replace('\n', ""),
                escape(name)
            );
        }
        html + "</div>\n"
    }

    /// The panels as HTML.
    pub(crate) fn inline(&self) -> String {
        let width = self.panels.iter().map(|panel| panel.width);
        let width = width.fold(0.0, f64::max);
        let on_paper = if width > 400.0 {
            1
        } else if width > 300.0 {
            2
        } else {
            3
        };
        let panels: String = self.panels.iter().map(Panel::inline).collect();
        format!(
            "<div class=\"panels\" style=\"--w:{}px;--n:{on_paper}\">\n{panels}</div>\n",
            length(width)
        )
    }

    /// The whole figure as an SVG file in light colours.
    pub(crate) fn file(&self) -> String {
        let columns = self.columns.clamp(1, self.panels.len().max(1));
        let wide = self.panels.iter().map(|panel| panel.width);
        let wide = wide.fold(200.0, f64::max);
        let width = GAP + columns as f64 * (wide + GAP);
        let mut svg = Svg::default();
        let title = fit(&self.title, 15.0, width - 2.0 * GAP);
        svg.text("h", (GAP, 24.0), Anchor::Start, &title);
        let mut top = self.keys_of_file(&mut svg, width) + GAP;
        for row in self.panels.chunks(columns) {
            for (column, panel) in row.iter().enumerate() {
                let left = GAP + column as f64 * (wide + GAP);
                let _ = writeln!(
                    svg.0,
                    "<g transform=\"translate({} {})\">\n{}</g>",
                    length(left),
                    length(top),
                    panel.svg.0
                );
            }
            top += GAP + row.iter().map(|panel| panel.height).fold(0.0, f64::max);
        }
        let (width, height) = (length(width), length(top));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"{}\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"DejaVu Sans, sans-serif\">\n<style>{}</style>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escape(&self.title),
            style_sheet(false),
            svg.0
        )
    }

    /// Draws the legend below the heading, as many lines as it takes; where it ends.
    fn keys_of_file(&self, svg: &mut Svg, width: f64) -> f64 {
        let (mut x, mut y) = (GAP, 44.0);
        for (key, name) in &self.keys {
            let name = fit(name, 11.0, width - 2.0 * GAP - KEY_WIDTH);
            let taken = KEY_WIDTH + text_width(&name, 11.0) + 14.0;
            if x > GAP && x + taken > width {
                (x, y) = (GAP, y + KEY_LINE);
            }
            key.draw(svg, (x, y));
            svg.text("", (x + KEY_WIDTH, y + 4.0), Anchor::Start, &name);
            x += taken;
        }
        if self.keys.is_empty() { 28.0 } else { y + 8.0 }
    }

    /// `NAME.svg` and `NAME.png` in a folder.
    ///
    /// # Errors
    /// The figure has no size, or what the file system says.
    pub(crate) fn write(&self, folder: &Path) -> Result<()> {
        let (svg, path) = (self.file(), folder.join(format!("{}.svg", self.name)));
        write_atomically(&path, svg.as_bytes())?;
        let path = folder.join(format!("{}.png", self.name));
        let png = png(&svg).map_err(|problem| file_error(&path, problem))?;
        write_atomically(&path, &png)
    }
}

/// SVG, read, with the fonts that come along.
pub(crate) fn tree(svg: &str) -> Result<usvg::Tree, String> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    let options = usvg::Options {
        fontdb: Arc::new(fonts),
        ..usvg::Options::default()
    };
    usvg::Tree::from_str(svg, &options).map_err(|e| e.to_string())
}

/// SVG as pixels, two for each unit, one where it is very large.
fn png(svg: &str) -> Result<Vec<u8>, String> {
    let tree = tree(svg)?;
    let pixels = f64::from(tree.size().width()) * f64::from(tree.size().height());
    let scale = if pixels * f64::from(SCALE * SCALE) > MOST_PIXELS {
        1.0
    } else {
        SCALE
    };
    let size = tree.size().to_int_size().scale_by(scale);
    let size = size.ok_or("a figure without size")?;
    let mut pixels =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("a figure without size")?;
    let transform = tiny_skia::Transform::from_scale(scale, scale);
    resvg::render(&tree, transform, &mut pixels.as_mut());
    pixels.encode_png().map_err(|e| e.to_string())
}

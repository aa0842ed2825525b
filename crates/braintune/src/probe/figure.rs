//! A figure per task: layer on x, the first score of each model on y with its band, the baseline dashed.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use braintune_probing::ProbeValue;
use resvg::{tiny_skia, usvg};

use super::ModelProbed;
use crate::arrays::write_atomically;
use crate::error::{Result, file_error};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 52.0;
/// Pixels of the PNG for each unit of the SVG.
const SCALE: f32 = 2.0;
/// Told apart by people who do not tell red from green (Okabe & Ito 2008).
const COLOURS: [&str; 6] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9",
];
/// Baseline of the first line of the legend.
const LEGEND: f64 = 40.0;
const LEGEND_LINE: f64 = 16.0;
const INK: &str = "#333";
/// Ticks of the axis of scores, about.
const N_TICKS: f64 = 5.0;

pub(super) fn write(of_task: &[ModelProbed], out: &Path) -> Result<()> {
    let Some(first) = of_task.first() else {
        return Ok(());
    };
    let svg = Axes::of(of_task).draw(of_task);
    let path = out.join(format!("{}.svg", first.found.task));
    write_atomically(&path, svg.as_bytes())?;
    let path = path.with_extension("png");
    let png = png(&svg).map_err(|problem| file_error(&path, problem))?;
    write_atomically(&path, &png)
}

/// Ranges of both axes.
struct Axes {
    last_layer: f64,
    low: f64,
    high: f64,
}

fn curve(model: &ModelProbed) -> impl Iterator<Item = (f64, ProbeValue)> + '_ {
    let layers = model.found.layers.iter();
    layers.filter_map(|layer| Some((layer.layer as f64, layer.scores.first()?.value)))
}

fn ends(value: ProbeValue) -> (f64, f64) {
    value.interval.unwrap_or((value.estimate, value.estimate))
}

impl Axes {
    fn of(of_task: &[ModelProbed]) -> Self {
        let (mut low, mut high, mut last_layer) = (f64::INFINITY, f64::NEG_INFINITY, 1.0_f64);
        for model in of_task {
            for (layer, value) in curve(model) {
                let (from, to) = ends(value);
                (low, high) = (low.min(from), high.max(to));
                last_layer = last_layer.max(layer);
            }
            if let Some(baseline) = model.found.baseline {
                (low, high) = (low.min(baseline), high.max(baseline));
            }
        }
        let margin = (0.05 * (high - low)).max(1e-3);
        Self {
            last_layer,
            low: low - margin,
            high: high + margin,
        }
    }

    fn x(&self, layer: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * layer / self.last_layer
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - self.low) / (self.high - self.low)
    }

    fn draw(&self, of_task: &[ModelProbed]) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"DejaVu Sans, sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
        );
        self.frame(of_task, &mut svg);
        for (model, colour) in of_task.iter().zip(COLOURS.iter().cycle()) {
            self.model(model, colour, &mut svg);
        }
        let (mut x, mut y) = (LEFT, LEGEND);
        for (model, colour) in of_task.iter().zip(COLOURS.iter().cycle()) {
            let width = 40.0 + 7.5 * model.model.chars().count() as f64;
            if x > LEFT && x + width > WIDTH {
                (x, y) = (LEFT, y + LEGEND_LINE);
            }
            let _ = writeln!(
                svg,
                "<rect x=\"{x}\" y=\"{}\" width=\"14\" height=\"4\" fill=\"{colour}\"/>",
                y - 6.0
            );
            text(&mut svg, (x + 20.0, y), "start", &model.model);
            x += width;
        }
        svg + "</svg>\n"
    }

    /// Axes, ticks, title, baseline.
    fn frame(&self, of_task: &[ModelProbed], svg: &mut String) {
        let (left, right, top, bottom) = (LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM);
        for (value, label) in ticks(self.low, self.high) {
            let y = self.y(value);
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#e5e5e5\"/>"
            );
            text(svg, (left - 8.0, y + 4.0), "end", &label);
        }
        // Not more numbers than there is room for.
        let step = (self.last_layer / 13.0).ceil().max(1.0);
        let mut layer = 0.0;
        while layer <= self.last_layer {
            text(
                svg,
                (self.x(layer), bottom + 18.0),
                "middle",
                &format!("{layer}"),
            );
            layer += step;
        }
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"{INK}\"/>"
        );
        if let Some(baseline) = of_task.iter().find_map(|model| model.found.baseline) {
            let y = self.y(baseline);
            let _ = writeln!(
                svg,
                "<path d=\"M{left} {y:.1}H{right}\" stroke=\"#777\" stroke-dasharray=\"5 4\"/>"
            );
            text(svg, (right, y - 5.0), "end", "most frequent");
        }
        let first = of_task.first();
        let metric = first.and_then(|model| model.found.layers.first()?.scores.first());
        let task = first.map_or("", |model| model.found.task.as_str());
        let title = format!(
            "{task}: {} per layer",
            metric.map_or("score", |score| score.metric)
        );
        text(svg, (left, 20.0), "start", &title);
        text(
            svg,
            (f64::midpoint(left, right), HEIGHT - 12.0),
            "middle",
            "layer (0: input of the first)",
        );
    }

    fn model(&self, model: &ModelProbed, colour: &str, svg: &mut String) {
        let at = |layer: f64, value: f64| format!("{:.1},{:.1}", self.x(layer), self.y(value));
        let points: Vec<_> = curve(model).collect();
        if points.iter().any(|(_, value)| value.interval.is_some()) {
            let low = points
                .iter()
                .map(|&(layer, value)| at(layer, ends(value).0));
            let high = points
                .iter()
                .rev()
                .map(|&(layer, value)| at(layer, ends(value).1));
            let band: Vec<String> = low.chain(high).collect();
            let _ = writeln!(
                svg,
                "<polygon fill=\"{colour}\" fill-opacity=\"0.15\" points=\"{}\"/>",
                band.join(" ")
            );
        }
        let line: Vec<String> = points
            .iter()
            .map(|&(layer, value)| at(layer, value.estimate))
            .collect();
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>",
            line.join(" ")
        );
        for (layer, value) in points {
            let (x, y) = (self.x(layer), self.y(value.estimate));
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>"
            );
        }
    }
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, text: &str) {
    let text = text.replace(char::is_control, " ");
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let _ = writeln!(
        svg,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"{INK}\">{text}</text>"
    );
}

/// Round numbers from `low` to `high`, with the digits that tell them apart.
fn ticks(low: f64, high: f64) -> Vec<(f64, String)> {
    let rough = ((high - low) / N_TICKS).max(1e-6);
    let power = 10.0_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let step = step.into_iter().find(|step| *step >= rough);
    let step = step.unwrap_or(rough);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "digits of a number"
    )]
    let digits = (-step.log10()).ceil().max(0.0) as usize;
    let label = |value: f64| match value.abs() {
        ..1e4 => format!("{value:.digits$}"),
        _ => format!("{value:.1e}"),
    };
    let first = (low / step).ceil();
    let n_steps = (0..=20).map(f64::from);
    let values = n_steps.map(|i| (first + i) * step + 0.0); // no -0
    let inside = values.take_while(|value| *value <= high);
    inside.map(|value| (value, label(value))).collect()
}

/// The figure as pixels, in a font that comes along.
fn png(svg: &str) -> Result<Vec<u8>, String> {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    let options = usvg::Options {
        fontdb: Arc::new(fonts),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|e| e.to_string())?;
    let size = tree
        .size()
        .to_int_size()
        .scale_by(SCALE)
        .ok_or("a figure without size")?;
    let mut pixels =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("a figure without size")?;
    resvg::render(
        &tree,
        tiny_skia::Transform::from_scale(SCALE, SCALE),
        &mut pixels.as_mut(),
    );
    pixels.encode_png().map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::ticks;

    #[test]
    fn ticks_are_round_numbers_within_the_range() {
        let labels = |low, high| -> Vec<String> {
            let ticks = ticks(low, high).into_iter();
            ticks.map(|(_, label)| label).collect()
        };
        assert_eq!(labels(0.055, 1.045), ["0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-0.03, 0.04), ["-0.02", "0.00", "0.02", "0.04"]);
        assert_eq!(labels(0.5, 0.5).len(), 1);
        assert!(labels(-1e26, 1.0).len() <= 21);
    }
}

//! A figure per task: layer on x, the first score of each model on y with its band, the baseline across.

use std::path::Path;

use braintune_probing::ProbeValue;

use super::ModelProbed;
use crate::chart::{Figure, Ink, Key, Level, Line, LineChart, Point};
use crate::error::Result;

const SIZE: (f64, f64) = (612.0, 320.0);

pub(super) fn write(of_task: &[ModelProbed], out: &Path) -> Result<()> {
    match of_task.first() {
        Some(first) => figure(first, of_task).write(out),
        None => Ok(()),
    }
}

fn figure(first: &ModelProbed, of_task: &[ModelProbed]) -> Figure {
    let task = first.found.task.as_str();
    let score = first.found.layers.first();
    let score = score.and_then(|layer| layer.scores.first());
    let metric = score.map_or("score", |score| score.metric);
    let level = of_task.iter().find_map(|model| model.found.baseline);
    let level = level.map(|y| Level {
        name: String::from("most frequent"),
        ink: Ink::LEVEL,
        y,
    });
    let lines: Vec<Line> = of_task.iter().enumerate().map(line).collect();
    let keys = lines.iter();
    let keys = keys.map(|line| (Key::Line(line.ink), line.name.clone()));
    let level_key = level.iter();
    let level_key = level_key.map(|level| (Key::Level(level.ink), level.name.clone()));
    Figure {
        name: task.to_owned(),
        title: format!("{task}: {metric} per layer"),
        note: String::new(),
        keys: keys.chain(level_key).collect(),
        columns: 1,
        panels: vec![
            LineChart {
                title: task,
                aside: "",
                x_label: "layer (0: input of the first)",
                y_label: metric,
                size: SIZE,
                y_range: None,
                lines: &lines,
                levels: level.as_slice(),
            }
            .panel(),
        ],
    }
}

fn line((i, model): (usize, &ModelProbed)) -> Line {
    let point = |layer: usize, value: ProbeValue| Point {
        x: layer as f64,
        y: value.estimate.is_finite().then_some(value.estimate),
        band: value.interval,
    };
    let layers = model.found.layers.iter();
    let points = layers.filter_map(|layer| Some(point(layer.layer, layer.scores.first()?.value)));
    Line {
        name: model.model.clone(),
        ink: Ink::of(i),
        thin: false,
        points: points.collect(),
    }
}

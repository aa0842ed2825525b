//! `training.csv`, a row per step, and `training.svg`, the curves of training and validation loss.
//!
//! A run that goes on drops the rows behind the checkpoint it goes on from. Held by `tests/it/tune.rs`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use braintune_tuning::TuningEvent;

use crate::arrays::write_atomically;
use crate::error::{Result, io_error};

const HEADER: &str = "step,epoch,lr_backbone,lr_head,train_loss,gradient_norm,clips_per_s,validation_loss,validation_mean_r";
/// Cells of a row before those of the evaluation.
const N_STEP_CELLS: usize = 7;
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const MARGIN: f64 = 48.0;

pub(super) struct TrainingLog {
    path: PathBuf,
    figure: PathBuf,
    rows: Vec<Row>,
    /// Whether rows of an earlier run are wanted, if one is gone on with.
    resume: bool,
}

#[derive(Clone)]
struct Row {
    step: usize,
    train_loss: f64,
    validation_loss: Option<f64>,
    /// All cells, as in the file.
    text: String,
}

impl Row {
    fn read(line: &str) -> Option<Self> {
        let cells: Vec<&str> = line.split(',').collect();
        let validation_loss = cells.get(7).and_then(|cell| cell.parse().ok());
        Some(Self {
            step: cells.first()?.parse().ok()?,
            train_loss: cells.get(4)?.parse().ok()?,
            validation_loss,
            text: match validation_loss {
                // Its last cell may be empty.
                Some(_) => line,
                None => line.strip_suffix(',').unwrap_or(line),
            }
            .to_owned(),
        })
    }
}

impl TrainingLog {
    pub(super) fn new(out: &Path, resume: bool) -> Self {
        Self {
            path: out.join("training.csv"),
            figure: out.join("training.svg"),
            rows: Vec::new(),
            resume,
        }
    }

    /// Takes in what the tuner tells; every step is in the file before the next one is made, so that none
    /// up to a checkpoint is ever missing.
    pub(super) fn add(&mut self, event: &TuningEvent) -> Result<()> {
        match event {
            TuningEvent::Resumed { step, .. } if self.resume => self.read(*step),
            TuningEvent::Step(step) => {
                let text = format!(
                    "{},{},{:e},{:e},{},{},{:.2},",
                    step.step,
                    step.epoch,
                    step.rates.0,
                    step.rates.1,
                    step.loss,
                    step.gradient_norm,
                    step.clips_per_s
                );
                self.rows.push(Row {
                    step: step.step,
                    train_loss: step.loss,
                    validation_loss: None,
                    text,
                });
                if self.rows.len() == 1 {
                    self.write()
                } else {
                    self.append()
                }
            }
            TuningEvent::Evaluated { validation, .. } => {
                if let Some(row) = self.rows.last_mut() {
                    row.validation_loss = Some(validation.loss);
                    // An evaluation that is made again after a kill takes the place of the one before.
                    let cells: Vec<&str> = row.text.split(',').take(N_STEP_CELLS).collect();
                    row.text = cells.join(",") + ",";
                    let mean_r = validation
                        .mean_r
                        .map_or_else(String::new, |r| r.to_string());
                    let _ = write!(row.text, "{},{mean_r}", validation.loss);
                }
                self.write()
            }
            _ => Ok(()),
        }
    }

    /// Rows up to `step` of the file that is there.
    fn read(&mut self, step: usize) -> Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        let bytes = std::fs::read(&self.path).map_err(io_error("read", &self.path))?;
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().skip(1);
        // The run may have been killed while it wrote the last row; anything else is damage, and what the run learnt is in
        // its checkpoints.
        let read = lines.by_ref().map_while(Row::read);
        self.rows.extend(read.filter(|row| row.step <= step));
        if lines.next().is_some() {
            let aside = self.path.with_extension("csv.damaged");
            std::fs::rename(&self.path, &aside).map_err(io_error("rename", &self.path))?;
            tracing::warn!(
                file = %aside.display(),
                "the table of steps is damaged: its readable rows are kept, all of it is in this file"
            );
        }
        self.write()
    }

    /// The last row behind those that are in the file.
    fn append(&self) -> Result<()> {
        let Some(row) = self.rows.last() else {
            return Ok(());
        };
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(io_error("write", &self.path))?;
        // On disk before any checkpoint of the step.
        file.write_all(format!("{},\n", row.text).as_bytes())
            .and_then(|()| file.sync_data())
            .map_err(io_error("write", &self.path))
    }

    fn write(&self) -> Result<()> {
        let mut text = String::from(HEADER);
        for row in &self.rows {
            let end = if row.validation_loss.is_some() {
                ""
            } else {
                ","
            };
            let _ = write!(text, "\n{}{end}", row.text);
        }
        text.push('\n');
        write_atomically(&self.path, text.as_bytes())
    }

    /// The last rows, and the figure.
    pub(super) fn finish(&self) -> Result<()> {
        if self.rows.is_empty() {
            return Ok(());
        }
        self.write()?;
        write_atomically(&self.figure, self.svg().as_bytes())
    }

    fn svg(&self) -> String {
        let train: Vec<(f64, f64)> = self
            .rows
            .iter()
            .map(|row| (row.step as f64, row.train_loss))
            .collect();
        let validation = self
            .rows
            .iter()
            .filter_map(|row| Some((row.step as f64, row.validation_loss?)));
        let validation: Vec<(f64, f64)> = validation.collect();
        let losses = || train.iter().chain(&validation).map(|(_, loss)| *loss);
        let (low, high) = (
            losses().fold(f64::INFINITY, f64::min),
            losses().fold(f64::NEG_INFINITY, f64::max),
        );
        let last = train.last().map_or(1.0, |(step, _)| step.max(1.0));
        let range = (high - low).max(f64::MIN_POSITIVE);
        let place = |&(step, loss): &(f64, f64)| {
            let x = MARGIN + (WIDTH - 2.0 * MARGIN) * step / last;
            let y = HEIGHT - MARGIN - (HEIGHT - 2.0 * MARGIN) * (loss - low) / range;
            format!("{x:.1},{y:.1}")
        };
        let line = |points: &[(f64, f64)], colour: &str, width: f64| {
            let points: Vec<String> = points.iter().map(place).collect();
            format!(
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" points=\"{}\"/>\n",
                points.join(" ")
            )
        };
        let text = |x: f64, y: f64, anchor: &str, colour: &str, text: &str| {
            format!(
                "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>\n"
            )
        };
        let (left, right, top, bottom) = (MARGIN, WIDTH - MARGIN, MARGIN, HEIGHT - MARGIN);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#333\"/>\n"
        );
        svg += &line(&train, "#9ab", 1.0);
        svg += &line(&validation, "#c33", 2.0);
        svg += &text(left - 6.0, top + 4.0, "end", "#333", &format!("{high:.3}"));
        svg += &text(
            left - 6.0,
            bottom + 4.0,
            "end",
            "#333",
            &format!("{low:.3}"),
        );
        svg += &text(right, bottom + 18.0, "end", "#333", &format!("step {last}"));
        svg += &text(right, top - 20.0, "end", "#678", "training loss");
        svg += &text(right, top - 4.0, "end", "#c33", "validation loss");
        svg + "</svg>\n"
    }
}

#[cfg(test)]
mod tests {
    use braintune_tuning::{Evaluation, TuningStep};

    use super::*;

    #[test]
    fn an_evaluation_that_is_made_again_takes_the_place_of_the_first() {
        let dir = tempfile::tempdir().expect("a folder");
        let step = TuningEvent::Step(TuningStep {
            step: 1,
            n_steps: 1,
            epoch: 0,
            loss: 2.0,
            gradient_norm: 1.0,
            rates: (1e-4, 1e-3),
            clips_per_s: 3.0,
        });
        let evaluated = TuningEvent::Evaluated {
            step: 1,
            epoch: 0,
            train_loss: 2.0,
            validation: Evaluation {
                loss: 1.5,
                mean_r: Some(0.25),
            },
            is_best: true,
        };
        let read = || std::fs::read_to_string(dir.path().join("training.csv")).expect("the log");
        let mut log = TrainingLog::new(dir.path(), true);
        log.add(&step).expect("it is written");
        log.add(&evaluated).expect("it is written");
        let once = read();
        assert!(once.ends_with(",3.00,1.5,0.25\n"), "{once}");
        // As after a kill between the row and the checkpoint.
        let mut log = TrainingLog::new(dir.path(), true);
        let skipped = Vec::new();
        log.add(&TuningEvent::Resumed { step: 1, skipped })
            .expect("it reads");
        log.add(&evaluated).expect("it is written");
        assert_eq!(read(), once);
    }
}

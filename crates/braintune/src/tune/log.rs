//! `training.csv`, a row per step, and `training.svg`, the curves of training and validation loss.
//!
//! A run that goes on drops the rows behind the checkpoint it goes on from. Held by `tests/it/tune.rs`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use braintune_tuning::TuningEvent;

use crate::chart::{Figure, Ink, Key, Line, LineChart, Point};
use crate::error::{Result, io_error};
use crate::files::write_atomically;

const HEADER: &str = "step,epoch,lr_backbone,lr_head,train_loss,gradient_norm,clips_per_s,validation_loss,validation_mean_r";
/// Cells of a row before those of the evaluation.
const N_STEP_CELLS: usize = 7;
/// Size of the figure.
const SIZE: (f64, f64) = (612.0, 300.0);

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
        write_atomically(&self.figure, self.curves().file().as_bytes())
    }

    /// Training loss of every step, validation loss where it was measured.
    fn curves(&self) -> Figure {
        let (train, validation) = (Ink::REFERENCE, Ink::TUNED);
        let mut keys = vec![(Key::Outline(train), String::from("training loss"))];
        let mut lines = vec![line(&self.rows, "training loss", train, |row| {
            Some(row.train_loss)
        })];
        lines[0].thin = true;
        let measured = line(&self.rows, "validation loss", validation, |row| {
            row.validation_loss
        });
        if !measured.points.is_empty() {
            keys.push((Key::Line(validation), measured.name.clone()));
            lines.push(measured);
        }
        let chart = LineChart {
            title: "loss",
            aside: "",
            x_label: "step",
            y_label: "loss",
            size: SIZE,
            y_range: None,
            lines: &lines,
            levels: &[],
        };
        Figure {
            name: String::from("training"),
            title: String::from("Training"),
            note: String::new(),
            keys,
            columns: 1,
            panels: vec![chart.panel()],
        }
    }
}

/// A loss by step, as far as it is known; a gap where it is no number.
fn line(rows: &[Row], name: &str, ink: Ink, loss: fn(&Row) -> Option<f64>) -> Line {
    let point = |row: &Row| {
        let loss = loss(row)?;
        Some(Point {
            x: row.step as f64,
            y: loss.is_finite().then_some(loss),
            band: None,
        })
    };
    Line {
        name: name.to_owned(),
        ink,
        thin: false,
        points: rows.iter().filter_map(point).collect(),
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
            validation: Evaluation::new(1.5, Some(0.25)),
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

    #[test]
    fn the_curves_are_drawn_with_and_without_a_validation() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut log = TrainingLog::new(dir.path(), false);
        let row = |step, validation_loss| Row {
            step,
            train_loss: if step == 2 { f64::NAN } else { 1.0 },
            validation_loss,
            text: String::new(),
        };
        log.rows = (1..5).map(|step| row(step, None)).collect();
        let alone = log.curves().file();
        assert!(alone.contains("training loss") && !alone.contains("validation"));
        assert!(!alone.contains("NaN"), "{alone}");
        log.rows[3].validation_loss = Some(0.5);
        assert!(log.curves().file().contains("validation loss"));
    }
}

//! What a person sees while work goes on: one bar on a terminal, nothing elsewhere.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::LazyLock;

use braintune::Event;
use braintune::fetch::FetchEvent;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::{interrupt, ranks};

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Warnings to stderr, above the bar; `RUST_LOG` asks for more.
pub(crate) fn init_log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(AboveBars)
        .with_ansi(io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .init();
}

/// The stage in which bytes are counted.
const BYTES: &str = "bytes";

/// A bar that follows a pipeline's events and stops it on Ctrl-C.
pub(crate) struct Progress {
    bar: ProgressBar,
    stage: String,
}

impl Progress {
    pub(crate) fn new() -> Self {
        let bar = if io::stderr().is_terminal() && ranks::is_first() {
            BARS.add(ProgressBar::new(0))
        } else {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden())
        };
        Self {
            bar,
            stage: String::new(),
        }
    }

    /// Shows an event; `Break` after Ctrl-C.
    pub(crate) fn on(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Checking { story, done, total } => self.show("checking", story, done, total),
            Event::Extracting {
                story,
                done,
                total,
                stories_done,
                n_stories,
            } => {
                let stage = format!("features, story {} of {n_stories}", stories_done + 1);
                self.show(&stage, story, done, total);
            }
            Event::Decomposing {
                layer,
                n_layers,
                done,
                total,
            } => self.show(&of_layer(layer, n_layers), "decompositions", done, total),
            Event::Fitting {
                layer,
                n_layers,
                done,
                total,
            } => self.show(&of_layer(layer, n_layers), "voxels", done, total),
            Event::Counted {
                stage,
                what,
                done,
                total,
            } => self.show(stage, what, done, total),
            Event::Stage(name) => self.show(name, "", 0, 0),
            Event::Step {
                name,
                number,
                total,
                is_done,
            } => show_step(name, number, total, is_done),
            _ => {}
        }
        interrupt::poll()
    }

    /// Shows an event of a fetch; what went wrong is a line above the bar. `Break` after Ctrl-C.
    pub(crate) fn on_fetch(&mut self, event: FetchEvent<'_>) -> ControlFlow<()> {
        match event {
            FetchEvent::Listing { n_files } => self.show("listing", "files", n_files, 0),
            FetchEvent::Fetching {
                bytes_done,
                bytes_total,
                files_done,
                n_files,
            } => {
                self.begin_bytes(bytes_done);
                self.bar
                    .set_message(format!("{files_done} of {n_files} files"));
                self.bar.set_length(bytes_total);
                self.bar.set_position(bytes_done);
            }
            FetchEvent::Comparing {
                bytes_done,
                bytes_total,
            } => {
                self.begin_bytes(bytes_done);
                self.bar.set_message("comparing what is there");
                self.bar.set_length(bytes_total);
                self.bar.set_position(bytes_done);
            }
            FetchEvent::Waiting { name } => {
                tracing::warn!("{name}: another process is fetching it, waiting");
            }
            FetchEvent::Retrying {
                name,
                problem,
                pause,
            } => {
                let pause = pause.as_secs_f64();
                tracing::warn!("{name}: {problem}; next try in {pause:.0} s");
            }
            FetchEvent::Failed { name, problem } => tracing::warn!("{name} failed: {problem}"),
            _ => {}
        }
        interrupt::poll()
    }

    /// Makes the bar one of bytes, once.
    fn begin_bytes(&mut self, done: u64) {
        if self.stage == BYTES {
            return;
        }
        self.bar.set_style(style_of_bytes());
        self.bar.reset();
        // So that what was there before counts for no speed.
        self.bar.set_position(done);
        self.bar.reset_eta();
        BYTES.clone_into(&mut self.stage);
    }

    /// As [`show`](Self::show) for one stage whose text changes: time and what is left go on.
    pub(crate) fn show_changing(&mut self, text: &str, done: usize, total: usize) {
        if self.bar.length() != Some(total as u64) {
            self.bar.set_style(style(true));
            self.bar.reset();
            self.bar.set_length(total as u64);
        }
        self.bar.set_message(text.to_owned());
        self.bar.set_position(done as u64);
    }

    /// Another text beside the bar, which stays where it is.
    pub(crate) fn note(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    pub(crate) fn show(&mut self, stage: &str, what: &str, done: usize, total: usize) {
        let stage = format!("{stage} {what}");
        if stage != self.stage {
            self.bar.set_style(style(total > 0));
            self.bar.reset();
            self.bar.set_message(stage.clone());
            self.stage = stage;
        }
        self.bar.set_length(total as u64);
        self.bar.set_position(done as u64);
        if total == 0 {
            self.bar.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn of_layer(layer: usize, n_layers: usize) -> String {
    format!("layer {layer} of 0..{}", n_layers - 1)
}

/// A line for each step of a study that is not done.
fn show_step(name: &str, number: usize, total: usize, is_done: bool) {
    if !is_done {
        BARS.suspend(|| say!("step {number} of {total}: {name}"));
    }
}

fn style_of_bytes() -> ProgressStyle {
    let template = "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} (left {eta})";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn style(counted: bool) -> ProgressStyle {
    let template = if counted {
        "{msg} {wide_bar} {pos}/{len} {elapsed} (left {eta})"
    } else {
        "{spinner} {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Writes log lines without tearing the bar.
struct AboveBars;

impl Write for AboveBars {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A reader of stderr that went away must not stop the work.
        let _ = BARS.suspend(|| io::stderr().write_all(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}

impl MakeWriter<'_> for AboveBars {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

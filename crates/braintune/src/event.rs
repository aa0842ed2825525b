//! What a pipeline tells while it runs.

use std::ops::ControlFlow;

use crate::error::{BraintuneError, Result};

/// One step forward.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Stories and their files are read and checked before anything long begins.
    Checking {
        /// The story.
        story: &'a str,
        /// Stories done.
        done: usize,
        /// Stories in all.
        total: usize,
    },
    /// Windows of a story went through the backbone (or came from the cache).
    Extracting {
        /// The story.
        story: &'a str,
        /// Windows of this story that are done.
        done: usize,
        /// Windows of this story.
        total: usize,
        /// Stories finished before this one.
        stories_done: usize,
        /// Stories in all.
        n_stories: usize,
    },
    /// The design of a layer is being decomposed, fold by fold.
    Decomposing {
        /// The hidden state.
        layer: usize,
        /// Hidden states in all.
        n_layers: usize,
        /// Decompositions done.
        done: usize,
        /// Decompositions of this layer.
        total: usize,
    },
    /// Voxels were fitted for a layer.
    Fitting {
        /// The hidden state.
        layer: usize,
        /// Hidden states in all.
        n_layers: usize,
        /// Voxels done.
        done: usize,
        /// Voxels in all.
        total: usize,
    },
    /// Things of one kind were done in a stage.
    Counted {
        /// The stage.
        stage: &'a str,
        /// The things.
        what: &'a str,
        /// How many are done.
        done: usize,
        /// How many there are.
        total: usize,
    },
    /// A step of a study began.
    Step {
        /// Its name.
        name: &'a str,
        /// Its number, from 1.
        number: usize,
        /// Steps in all.
        total: usize,
        /// Whether its results were there.
        is_done: bool,
    },
    /// A stage began whose steps are too quick to count.
    Stage(&'a str),
}

/// Called at every step; `Break` stops the pipeline with [`crate::BraintuneError::Cancelled`].
pub type OnEvent<'a> = dyn FnMut(Event<'_>) -> ControlFlow<()> + 'a;

/// Tells of an event and goes on.
///
/// # Errors
/// [`BraintuneError::Cancelled`] where the observer wants to stop.
pub(crate) fn tell(on: &mut OnEvent<'_>, event: Event<'_>) -> Result<()> {
    match on(event) {
        ControlFlow::Break(()) => Err(BraintuneError::Cancelled),
        ControlFlow::Continue(()) => Ok(()),
    }
}

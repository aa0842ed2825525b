//! Dropout of low-rank updates: what it draws depends on the seed, the step and the clips alone.
//!
//! Held by `tests/dropout.rs`.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::config::TuningConfig;
use crate::learning::BatchPart;

/// Seeds the generator that dropout draws from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dropout {
    /// None without dropout.
    seed: Option<u64>,
}

impl Dropout {
    pub(crate) fn new(config: &TuningConfig) -> Self {
        let draws = config.lora.as_ref().filter(|lora| lora.dropout > 0.0);
        Self {
            seed: draws.map(|_| config.seed),
        }
    }

    /// Whether anything is drawn.
    pub(crate) fn draws(self) -> bool {
        self.seed.is_some()
    }

    /// Before `part` goes through the model. All threads of the process share the device's generator: what is given
    /// keeps others from it, and is held until the clips went through.
    pub(crate) fn seeded(self, part: &BatchPart<'_>) -> Option<MutexGuard<'static, ()>> {
        static DRAWING: Mutex<()> = Mutex::new(());
        let seed = self.seed?;
        let alone = DRAWING.lock().unwrap_or_else(PoisonError::into_inner);
        let of_step = part.step.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let of_clips = (part.rows.start as u64).wrapping_mul(0xD1B5_4A32_D192_ED03);
        part.device.seed(seed ^ of_step ^ of_clips);
        Some(alone)
    }
}

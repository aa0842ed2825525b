//! Labels that happen at times, brought onto the grid of TRs.
//!
//! An event is a time in seconds and the columns it is 1 in; the result is what
//! [`Lanczos`](crate::Lanczos) makes of the `[n_events, n_columns]` matrix of ones and zeros, which is
//! never built. Held by `tests/it/lowlevel.rs`.

use ndarray::Array2;

use crate::{Lanczos, Result};

/// Something that happened at a time, in seconds from sound onset.
pub(super) struct Event {
    pub(super) time_s: f64,
    pub(super) columns: Vec<usize>,
}

/// `[n_trs, n_columns]` at `tr_times`; sums run in f64.
pub(super) fn resample(
    mut events: Vec<Event>,
    n_columns: usize,
    tr_times: &[f64],
) -> Result<Array2<f32>> {
    events.sort_by(|a, b| a.time_s.total_cmp(&b.time_s));
    let times: Vec<_> = events.iter().map(|event| event.time_s).collect();
    let matrix = Lanczos::for_tr_times(tr_times)?.event_matrix(&times, tr_times)?;
    let mut sums = Array2::<f64>::zeros((tr_times.len(), n_columns));
    for (k, mut row) in sums.rows_mut().into_iter().enumerate() {
        let Some((in_window, weights)) = matrix.row(k) else {
            continue;
        };
        for (event, weight) in events[in_window].iter().zip(weights) {
            for &column in &event.columns {
                row[column] += weight;
            }
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "features are f32")]
    let single = |sum: f64| sum as f32;
    Ok(sums.mapv(single))
}

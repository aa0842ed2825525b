//! From values to colours.

use super::Scale;
use crate::error::{BraintuneError, Result};

/// Red, green and blue, 0 to 255.
pub(super) type Colour = [f32; 3];

/// Of cortex that no voxel reaches.
pub(super) const GREY: Colour = [200.0, 200.0, 200.0];

/// viridis (matplotlib), dark to bright.
const SEQUENTIAL: [Colour; 9] = [
    [68.0, 1.0, 84.0],
    [71.0, 44.0, 122.0],
    [59.0, 81.0, 139.0],
    [44.0, 113.0, 142.0],
    [33.0, 144.0, 141.0],
    [39.0, 173.0, 129.0],
    [92.0, 200.0, 99.0],
    [170.0, 220.0, 50.0],
    [253.0, 231.0, 37.0],
];

/// `RdBu` of `ColorBrewer`, turned round: blue below 0, red above.
const DIVERGING: [Colour; 9] = [
    [33.0, 102.0, 172.0],
    [67.0, 147.0, 195.0],
    [146.0, 197.0, 222.0],
    [209.0, 229.0, 240.0],
    [247.0, 247.0, 247.0],
    [253.0, 219.0, 199.0],
    [244.0, 165.0, 130.0],
    [214.0, 96.0, 77.0],
    [178.0, 24.0, 43.0],
];

/// A scale whose ends are known.
pub(super) struct Colours {
    pub(super) low: f32,
    pub(super) high: f32,
    map: &'static [Colour; 9],
}

impl Colours {
    pub(super) fn new(scale: Scale, values: &[f32]) -> Result<Self> {
        let mut sizes: Vec<f32> = values.iter().copied().filter(|x| x.is_finite()).collect();
        if sizes.is_empty() {
            return Err(BraintuneError::Input(
                "no vertex of the surfaces has a value: nothing to draw".to_owned(),
            ));
        }
        let (given, map) = match scale {
            Scale::Sequential(given) => (given, &SEQUENTIAL),
            Scale::Diverging(given) => {
                for size in &mut sizes {
                    *size = size.abs();
                }
                (given, &DIVERGING)
            }
        };
        let high = given.unwrap_or_else(|| rounded_up(percentile(&mut sizes)));
        if !(high.is_finite() && high > 0.0) {
            return Err(BraintuneError::Input(format!(
                "a colour scale that ends at {high}: expected a number above 0"
            )));
        }
        let low = match scale {
            Scale::Sequential(_) => 0.0,
            Scale::Diverging(_) => -high,
        };
        Ok(Self { low, high, map })
    }

    /// The colour of a value; NaN is grey.
    pub(super) fn of(&self, value: f32) -> Colour {
        if value.is_nan() {
            return GREY;
        }
        let place = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0) * 8.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 to 8"
        )]
        let below = (place as usize).min(7);
        let part = place - below as f32;
        let (from, to) = (self.map[below], self.map[below + 1]);
        [0, 1, 2].map(|k| from[k] + part * (to[k] - from[k]))
    }
}

/// The 99th.
fn percentile(values: &mut [f32]) -> f32 {
    let place = (values.len() - 1) * 99 / 100;
    *values.select_nth_unstable_by(place, f32::total_cmp).1
}

/// To one digit, or to 1.5 and 2.5 of it; 1 where there is nothing above 0.
fn rounded_up(value: f32) -> f32 {
    if value <= 0.0 || value.is_nan() {
        return 1.0;
    }
    let unit = 10_f64.powf(f64::from(value).log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0];
    let enough = steps
        .into_iter()
        .find(|step| step * unit * (1.0 + 1e-6) >= f64::from(value));
    #[expect(clippy::cast_possible_truncation, reason = "values are f32")]
    let rounded = (enough.unwrap_or(10.0) * unit) as f32;
    rounded
}

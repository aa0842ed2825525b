//! Correlations of eight voxels at a time under many orders of the prediction's rows.
//!
//! The eight values of a row lie together, so that an order moves whole rows and the processor works
//! on all eight at once. Every voxel's sums run over rows in their order, whichever voxels share its
//! lanes: bits do not depend on how voxels are split.

use std::ops::Range;

use faer::traits::pulp::{Arch, Simd, WithSimd};
use ndarray::ArrayView2;

/// Voxels side by side.
pub(super) const LANES: usize = 8;
/// Orders whose sums are held at a time: as many as there are registers for.
const ORDERS: usize = 4;

/// One value per voxel.
pub(super) type Row = [f64; LANES];

/// Standardised responses and predictions of up to eight voxels, row by row; lanes without a voxel
/// are 0.
pub(super) struct Lanes {
    pub(super) y: Vec<Row>,
    pub(super) p: Vec<Row>,
}

/// Lanes with their correlations.
pub(super) struct Correlated {
    pub(super) lanes: Lanes,
    /// As the rows are.
    pub(super) r: Row,
    /// Under each order.
    pub(super) null: Vec<Row>,
}

impl Lanes {
    /// `y` and `prediction`: `[n_rows, n_voxels]`; `voxels`: at most eight of them.
    pub(super) fn new(
        y: ArrayView2<'_, f32>,
        prediction: ArrayView2<'_, f32>,
        voxels: Range<usize>,
    ) -> Self {
        Self {
            y: standardised(y, voxels.clone()),
            p: standardised(prediction, voxels),
        }
    }

    /// `orders`: for each the row of the prediction that each row of the responses meets.
    pub(super) fn correlated(self, orders: &[Vec<u32>]) -> Correlated {
        let n = self.y.len() as f64;
        let mut r = [0.0; LANES];
        for (y, p) in self.y.iter().zip(&self.p) {
            add_products(&mut r, y, p);
        }
        let mut null = vec![[0.0; LANES]; orders.len()];
        Arch::new().dispatch(UnderOrders {
            lanes: &self,
            orders,
            null: &mut null,
        });
        let mean = |row: Row| row.map(|sum| sum / n);
        for row in &mut null {
            *row = mean(*row);
        }
        Correlated {
            r: mean(r),
            lanes: self,
            null,
        }
    }
}

#[inline(always)] // into functions compiled for more than the baseline processor
#[allow(clippy::inline_always)]
fn add_products(sum: &mut Row, y: &Row, p: &Row) {
    for lane in 0..LANES {
        sum[lane] += y[lane] * p[lane];
    }
}

/// Sums of products under each order.
struct UnderOrders<'a> {
    lanes: &'a Lanes,
    orders: &'a [Vec<u32>],
    null: &'a mut [Row],
}

impl WithSimd for UnderOrders<'_> {
    type Output = ();

    #[inline(always)] // as above
    #[allow(clippy::inline_always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Lanes { y, p } = self.lanes;
        let (orders, rest) = self.orders.as_chunks::<ORDERS>();
        let (sums, sums_of_rest) = self.null.as_chunks_mut::<ORDERS>();
        for (sums, orders) in sums.iter_mut().zip(orders) {
            let mut held = [[0.0; LANES]; ORDERS];
            let orders = orders.each_ref().map(|order| &order[..y.len()]);
            for (t, y) in y.iter().enumerate() {
                for (sum, order) in held.iter_mut().zip(orders) {
                    add_products(sum, y, &p[order[t] as usize]);
                }
            }
            *sums = held;
        }
        for (sum, order) in sums_of_rest.iter_mut().zip(rest) {
            for (y, &row) in y.iter().zip(order) {
                add_products(sum, y, &p[row as usize]);
            }
        }
    }
}

/// Columns with mean 0 and population variance 1; zeros for constant ones.
fn standardised(x: ArrayView2<'_, f32>, voxels: Range<usize>) -> Vec<Row> {
    let mut rows = vec![[0.0; LANES]; x.nrows()];
    for (lane, voxel) in voxels.enumerate() {
        for (row, &x) in rows.iter_mut().zip(x.column(voxel)) {
            row[lane] = f64::from(x);
        }
    }
    let n = rows.len() as f64;
    let first = rows[0];
    let mut mean = [0.0; LANES];
    for row in &rows {
        add_products(&mut mean, row, &[1.0; LANES]);
    }
    let mean = mean.map(|sum| sum / n);
    let mut squares = [0.0; LANES];
    let mut varies = [false; LANES];
    for row in &mut rows {
        for lane in 0..LANES {
            // A constant is meant bit by bit.
            varies[lane] |= row[lane].to_bits() != first[lane].to_bits();
            row[lane] -= mean[lane];
            squares[lane] += row[lane] * row[lane];
        }
    }
    let scale: Row = std::array::from_fn(|lane| {
        if varies[lane] && squares[lane] > 0.0 {
            (squares[lane] / n).sqrt().recip()
        } else {
            0.0
        }
    });
    for row in &mut rows {
        for lane in 0..LANES {
            row[lane] *= scale[lane];
        }
    }
    rows
}

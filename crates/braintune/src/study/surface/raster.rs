//! Triangles to pixels: both hemispheres side by side, what is nearer in front.

use braintune_fmri::SurfaceMesh;

use super::View;
use super::colours::{Colour, Colours};

/// Pixels of a hemisphere at most, before they are brought together two by two.
const WIDTH: f32 = 1120.0;
const HEIGHT: f32 = 960.0;
/// Pixels around a hemisphere.
const MARGIN: f32 = 16.0;
/// Of paper.
const WHITE: Colour = [255.0; 3];

/// Pixels in rows, `[height][width]`.
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<Colour>,
}

/// A corner of a triangle on the picture: pixels to the right and down, depth (less is nearer).
type Corner = [f32; 3];

/// A hemisphere as it is looked at.
struct Seen<'a> {
    triangles: &'a [[usize; 3]],
    values: &'a [f32],
    /// To the right, up, away, in units of the surface.
    corners: Vec<Corner>,
    /// Least and most of the vertices that a triangle has, to the right and up.
    box_: [[f32; 2]; 2],
    shaded: bool,
}

impl Picture {
    /// `hemispheres`: left and right, with a value per vertex.
    pub(super) fn new(
        hemispheres: [(&SurfaceMesh, &[f32]); 2],
        view: View,
        colours: &Colours,
    ) -> Result<Self, String> {
        let [left, right] = hemispheres;
        let seen = [Seen::new(left, view, -1.0), Seen::new(right, view, 1.0)];
        let sizes = seen
            .each_ref()
            .map(|seen| [0, 1].map(|k| seen.box_[1][k] - seen.box_[0][k]));
        let most = |k: usize| sizes[0][k].max(sizes[1][k]);
        let scale = (WIDTH / most(0)).min(HEIGHT / most(1));
        if !(scale.is_finite() && scale > 0.0) {
            return Err(
                "the surface has no extent: its vertices lie on a line or a point".to_owned(),
            );
        }
        let widths = sizes.map(|size| even(size[0] * scale));
        let height = even(most(1) * scale);
        let width = widths[0] + widths[1];
        let mut canvas = Canvas {
            width,
            height,
            pixels: vec![WHITE; width * height],
            depth: vec![f32::INFINITY; width * height],
        };
        for (seen, start) in seen.iter().zip([0, widths[0]]) {
            canvas.draw(seen, scale, start, colours);
        }
        Ok(canvas.halved())
    }
}

/// Pixels with the margins, an even number.
fn even(size: f32) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "at most 1120"
    )]
    let pixels = (size + 2.0 * MARGIN).ceil() as usize;
    pixels.next_multiple_of(2)
}

impl<'a> Seen<'a> {
    /// `side`: -1 for the left hemisphere, 1 for the right one.
    fn new((mesh, values): (&'a SurfaceMesh, &'a [f32]), view: View, side: f32) -> Self {
        let corner = |point: ndarray::ArrayView1<'_, f32>| match view {
            View::Flat => [point[0], point[1], 0.0],
            // Who looks at the left hemisphere from the left has the front on the left.
            View::Lateral => [side * point[1], point[2], -side * point[0]],
        };
        let corners: Vec<Corner> = mesh.points().rows().into_iter().map(corner).collect();
        let mut box_ = [[f32::INFINITY; 2], [f32::NEG_INFINITY; 2]];
        for &vertex in mesh.triangles().iter().flatten() {
            for k in 0..2 {
                box_[0][k] = box_[0][k].min(corners[vertex][k]);
                box_[1][k] = box_[1][k].max(corners[vertex][k]);
            }
        }
        Self {
            triangles: mesh.triangles(),
            values,
            corners,
            box_,
            shaded: view == View::Lateral,
        }
    }
}

struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Colour>,
    depth: Vec<f32>,
}

impl Canvas {
    /// In the columns from `start`, in the middle of the height.
    fn draw(&mut self, seen: &Seen<'_>, scale: f32, start: usize, colours: &Colours) {
        let [least, most] = seen.box_;
        let above = (self.height as f32 - (most[1] - least[1]) * scale) / 2.0;
        let place = |corner: Corner| {
            let right = start as f32 + MARGIN + (corner[0] - least[0]) * scale;
            [
                right,
                above + (most[1] - corner[1]) * scale,
                corner[2] * scale,
            ]
        };
        for triangle in seen.triangles {
            let corners = triangle.map(|vertex| place(seen.corners[vertex]));
            let values = triangle.map(|vertex| seen.values[vertex]);
            let light = if seen.shaded { light(corners) } else { 1.0 };
            self.fill(corners, |weights| {
                colours.of(value(values, weights)).map(|part| part * light)
            });
        }
    }

    /// Pixels whose middles lie in the triangle and are nearer than what is there.
    fn fill(&mut self, corners: [Corner; 3], colour: impl Fn([f32; 3]) -> Colour) {
        let [a, b, c] = corners;
        let area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]);
        if area == 0.0 {
            return;
        }
        let columns = range([a[0], b[0], c[0]], self.width);
        for row in range([a[1], b[1], c[1]], self.height) {
            for column in columns.clone() {
                let (x, y) = (column as f32 + 0.5, row as f32 + 0.5);
                let edge = |p: Corner, q: Corner| {
                    ((p[0] - x) * (q[1] - y) - (q[0] - x) * (p[1] - y)) / area
                };
                let weights = [edge(b, c), edge(c, a), edge(a, b)];
                if weights.iter().any(|&weight| weight < 0.0) {
                    continue;
                }
                let depth = weights[0] * a[2] + weights[1] * b[2] + weights[2] * c[2];
                let place = row * self.width + column;
                if depth < self.depth[place] {
                    self.depth[place] = depth;
                    self.pixels[place] = colour(weights);
                }
            }
        }
    }

    /// Four pixels made one.
    fn halved(&self) -> Picture {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let first = 2 * row * self.width + 2 * column;
                let four = [first, first + 1, first + self.width, first + self.width + 1];
                let mean =
                    |k: usize| four.iter().map(|&place| self.pixels[place][k]).sum::<f32>() / 4.0;
                pixels.push([mean(0), mean(1), mean(2)]);
            }
        }
        Picture {
            width,
            height,
            pixels,
        }
    }
}

/// Pixels between the least and the most of three places.
fn range(places: [f32; 3], end: usize) -> std::ops::Range<usize> {
    let [low, high] = [f32::min, f32::max].map(|of| places.into_iter().reduce(of).unwrap_or(0.0));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates at 0"
    )]
    let (first, behind) = (low.floor() as usize, high.ceil() as usize);
    first.min(end)..behind.min(end)
}

/// Between the corners where all have a value, else that of the nearest one.
fn value(values: [f32; 3], weights: [f32; 3]) -> f32 {
    if values.iter().all(|value| value.is_finite()) {
        return values
            .iter()
            .zip(weights)
            .map(|(value, weight)| value * weight)
            .sum();
    }
    let nearest = (0..3).max_by(|&a, &b| weights[a].total_cmp(&weights[b]));
    nearest.map_or(f32::NAN, |corner| values[corner])
}

/// Brighter where a triangle faces the eye.
fn light([a, b, c]: [Corner; 3]) -> f32 {
    let along = |p: Corner, q: Corner| [0, 1, 2].map(|k| q[k] - p[k]);
    let (u, v) = (along(a, b), along(a, c));
    let normal = [
        u[1] * v[2] - u[2] * v[1],
        u[2] * v[0] - u[0] * v[2],
        u[0] * v[1] - u[1] * v[0],
    ];
    let length = normal.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        0.6 + 0.4 * (normal[2] / length).abs()
    } else {
        1.0
    }
}

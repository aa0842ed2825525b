//! Voxels before and after: histograms over one another, and a heat map of after against before.

use std::collections::BTreeMap;

use super::alignment::panel_width;
use super::files::slug;
use super::view::View;
use crate::chart::{Cell, Figure, HeatMap, Histogram, Key};
use crate::study::VoxelChange;

/// Voxels of all participants with the same bins under one condition.
struct Pooled<'a> {
    first: &'a VoxelChange,
    participants: Vec<&'a str>,
    before: Vec<usize>,
    after: Vec<usize>,
    joint: BTreeMap<(usize, usize), usize>,
}

impl<'a> Pooled<'a> {
    fn new(first: &'a VoxelChange) -> Self {
        let n_bins = first.edges.len().saturating_sub(1);
        Self {
            first,
            participants: Vec::new(),
            before: vec![0; n_bins],
            after: vec![0; n_bins],
            joint: BTreeMap::new(),
        }
    }

    fn takes(&self, change: &VoxelChange) -> bool {
        let first = self.first;
        first.model == change.model
            && first.condition == change.condition
            && first.reference == change.reference
            && first.layer == change.layer
            && first.edges == change.edges
    }

    fn add(&mut self, change: &'a VoxelChange) {
        self.participants.push(&change.participant);
        for (sum, more) in [
            (&mut self.before, &change.before),
            (&mut self.after, &change.after),
        ] {
            for (sum, n) in sum.iter_mut().zip(more) {
                *sum = sum.saturating_add(*n);
            }
        }
        for &(before, after, n) in &change.joint {
            let sum = self.joint.entry((before, after)).or_default();
            *sum = sum.saturating_add(n);
        }
    }
}

/// Changes of the last layer that has any, pooled over participants with the same bins.
fn pooled<'a>(view: &View<'a>, model: &str) -> Vec<Pooled<'a>> {
    let of_model = || {
        let voxels = view.results.voxels.iter();
        voxels.filter(|change| change.model == model)
    };
    let last = of_model().map(|change| change.layer).max();
    let mut pools: Vec<Pooled<'a>> = Vec::new();
    for change in of_model().filter(|change| Some(change.layer) == last) {
        let at = pools.iter().position(|pool| pool.takes(change));
        let at = at.unwrap_or_else(|| {
            pools.push(Pooled::new(change));
            pools.len() - 1
        });
        pools[at].add(change);
    }
    pools
}

/// Per model a figure of histograms and one of heat maps.
pub(super) fn figures(view: &View<'_>) -> Vec<Figure> {
    let models = view.results.models.iter();
    let of_model = |model: &String| {
        let pools = pooled(view, model);
        let layer = pools.first().map(|pool| pool.first.layer);
        layer.map(|layer| {
            [
                histograms(view, &pools, (model, layer)),
                maps(&pools, (model, layer)),
            ]
        })
    };
    models.filter_map(of_model).flatten().collect()
}

fn histograms(view: &View<'_>, pools: &[Pooled<'_>], (model, layer): (&str, usize)) -> Figure {
    let (width, columns) = panel_width(pools.len());
    let panel = |pool: &Pooled<'_>| {
        let (before, after) = (&pool.first.reference, &pool.first.condition);
        Histogram {
            title: after,
            aside: &who(pool),
            x_label: "r",
            y_label: "voxels",
            size: (width, 210.0),
            edges: &pool.first.edges,
            series: &[
                (before.clone(), view.ink(before), pool.before.clone()),
                (after.clone(), view.ink(after), pool.after.clone()),
            ],
        }
        .panel()
    };
    let mut keys: Vec<(Key, String)> = Vec::new();
    let names = pools
        .iter()
        .flat_map(|pool| [&pool.first.reference, &pool.first.condition]);
    for name in names {
        if keys.iter().all(|(_, key)| key != name) {
            keys.push((Key::Outline(view.ink(name)), name.clone()));
        }
    }
    Figure {
        name: format!("voxels-{}", slug(model)),
        title: format!("{model}: voxels in layer {layer}"),
        note: String::from(
            "How many voxels of n participants together have which r, before and after.",
        ),
        keys,
        columns,
        panels: pools.iter().map(panel).collect(),
    }
}

fn maps(pools: &[Pooled<'_>], (model, layer): (&str, usize)) -> Figure {
    let (width, columns) = panel_width(pools.len());
    let panel = |pool: &Pooled<'_>| {
        let cells = pool.joint.iter();
        let cells: Vec<Cell> = cells.map(|(&(x, y), &n)| (x, y, n)).collect();
        HeatMap {
            title: &pool.first.condition,
            aside: &who(pool),
            x_label: &format!("r, {}", pool.first.reference),
            y_label: &format!("r, {}", pool.first.condition),
            size: (width, width),
            edges: &pool.first.edges,
            cells: &cells,
        }
        .panel()
    };
    Figure {
        name: format!("voxels-joint-{}", slug(model)),
        title: format!("{model}: each voxel before and after, layer {layer}"),
        note: String::from(
            "Voxels by their r before (across) and after (up); above the dashed line they are predicted better after. Shades go with the logarithm of counts.",
        ),
        keys: vec![(Key::Heat, String::from("few to many voxels"))],
        columns,
        panels: pools.iter().map(panel).collect(),
    }
}

fn who(pool: &Pooled<'_>) -> String {
    match &pool.participants[..] {
        [one] => (*one).to_owned(),
        many => format!("n = {}", many.len()),
    }
}

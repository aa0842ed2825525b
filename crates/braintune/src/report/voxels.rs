//! Voxels before and after: histograms over one another, and a heat map of after against before.

use std::collections::BTreeMap;

use super::alignment::{panel_width, participants};
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
    models.flat_map(|model| of_model(view, model)).collect()
}

fn of_model(view: &View<'_>, model: &str) -> Vec<Figure> {
    let pools = pooled(view, model);
    let Some(first) = pools.first() else {
        return Vec::new();
    };
    let (layer, reference) = (first.first.layer, first.first.reference.as_str());
    let (width, columns) = panel_width(pools.len());
    let histograms = pools.iter().map(|pool| {
        let condition = &pool.first.condition;
        Histogram {
            title: condition,
            aside: &who(pool),
            x_label: "r",
            y_label: "voxels",
            size: (width, 210.0),
            edges: &pool.first.edges,
            series: &[
                (
                    pool.first.reference.clone(),
                    view.ink(&pool.first.reference),
                    pool.before.clone(),
                ),
                (condition.clone(), view.ink(condition), pool.after.clone()),
            ],
        }
        .panel()
    });
    let maps = pools.iter().map(|pool| {
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
    });
    let names =
        std::iter::once(reference).chain(pools.iter().map(|pool| pool.first.condition.as_str()));
    let mut keys: Vec<(Key, String)> = Vec::new();
    for name in names {
        if keys.iter().all(|(_, key)| key != name) {
            keys.push((Key::Outline(view.ink(name)), name.to_owned()));
        }
    }
    vec![
        Figure {
            name: format!("voxels-{}", slug(model)),
            title: format!("{model}: voxels in layer {layer}"),
            note: String::from("How many voxels have which r, before and after."),
            keys,
            columns,
            panels: histograms.collect(),
        },
        Figure {
            name: format!("voxels-joint-{}", slug(model)),
            title: format!("{model}: each voxel before and after, layer {layer}"),
            note: String::from(
                "Voxels by their r before (across) and after (up); above the dashed line they are predicted better after. Shades go with the logarithm of counts.",
            ),
            keys: vec![(Key::Heat, String::from("few to many voxels"))],
            columns,
            panels: maps.collect(),
        },
    ]
}

fn who(pool: &Pooled<'_>) -> String {
    match &pool.participants[..] {
        [one] => (*one).to_owned(),
        many => participants(many.len()),
    }
}

//! What was found, in words and as a table, computed from the numbers: late layers before and after, and where
//! curves peak.

use std::fmt::Write as _;

use super::alignment::{baseline_words, layers_in_words, participants};
use super::probes;
use super::table::{Table, Value, percent};
use super::view::{Summary, View};
use crate::chart::{number, signed};
use crate::study::{Comparison, Condition, ConditionKind};

/// The false discovery rate that words speak of.
const LEVEL: f64 = 0.05;

/// Late layers of a region before and after.
struct Change {
    before: f64,
    after: f64,
    /// Participants with a higher value after, of those who have both.
    n_up: usize,
    n: usize,
}

impl Change {
    fn of(view: &View<'_>, model: &str, (from, to): (&str, &str), roi: &str) -> Option<Self> {
        let late = view.late(model);
        let before = view.of_layers((model, from, roi), late.clone());
        let after = view.of_layers((model, to, roi), late);
        let pairs = before.iter().filter_map(|(name, before)| {
            let (_, after) = after.iter().find(|(other, _)| other == name)?;
            Some((*before, *after))
        });
        let pairs: Vec<(f64, f64)> = pairs.collect();
        let mean = |of: fn(&(f64, f64)) -> f64| {
            Summary::of(&pairs.iter().map(of).collect::<Vec<_>>()).mean
        };
        Some(Self {
            before: mean(|pair| pair.0)?,
            after: mean(|pair| pair.1)?,
            n_up: pairs
                .iter()
                .filter(|(before, after)| after > before)
                .count(),
            n: pairs.len(),
        })
    }

    fn difference(&self) -> f64 {
        self.after - self.before
    }

    fn percent(&self) -> Option<f64> {
        (self.before > 0.0).then(|| 100.0 * self.difference() / self.before)
    }
}

/// The finding in sentences, a paragraph each.
pub(super) fn words(view: &View<'_>) -> Vec<String> {
    let Some(reference) = view.reference().filter(|_| !view.results.curves.is_empty()) else {
        return vec![String::from("No alignment is among these results.")]
            .into_iter()
            .chain(probe_words(view))
            .collect();
    };
    let mut paragraphs = Vec::new();
    for model in &view.results.models {
        if !view.has(model, &reference.name) {
            continue;
        }
        let tuned = view.results.conditions.iter().filter(|condition| {
            condition.kind == ConditionKind::Tuned && view.has(model, &condition.name)
        });
        let tuned: Vec<_> = tuned.collect();
        for condition in &tuned {
            paragraphs.extend(before_and_after(view, model, reference, condition));
        }
        if tuned.is_empty() {
            paragraphs.extend(alone(view, model, reference));
        }
        paragraphs.extend(beside(view, model));
    }
    paragraphs.extend(probe_words(view));
    paragraphs
}

fn all(view: &View<'_>) -> (String, String) {
    let roi = view.results.rois.first().cloned().unwrap_or_default();
    let words = match roi.as_str() {
        "all" => String::from("over all voxels"),
        roi => format!("in {roi}"),
    };
    (roi, words)
}

fn before_and_after(
    view: &View<'_>,
    model: &str,
    reference: &Condition,
    condition: &Condition,
) -> Option<String> {
    let (roi, place) = all(view);
    let conditions = (reference.name.as_str(), condition.name.as_str());
    let change = Change::of(view, model, conditions, &roi)?;
    let mut words = format!(
        "{model}: in late layers ({}) {} {place} is {} {} and {} {}: {}{}, higher in {} of {}.",
        layers_in_words(view, model),
        view.measure.words(),
        number(change.before),
        reference.name,
        number(change.after),
        condition.name,
        signed(change.difference()),
        change
            .percent()
            .map_or_else(String::new, |p| format!(" ({})", percent(Some(p)))),
        change.n_up,
        participants(change.n)
    );
    words += &regions(view, model, conditions);
    words += &tested(view, model, conditions);
    let peak = |condition: &str| view.peak(model, condition, &roi);
    if let (Some((before, _)), Some((after, _))) = (peak(conditions.0), peak(conditions.1)) {
        let _ = write!(
            words,
            " The curve {place} peaks in layer {before} {}, in layer {after} {}.",
            reference.name, condition.name
        );
    }
    Some(words)
}

/// How many regions rise, and in which most and least.
fn regions(view: &View<'_>, model: &str, conditions: (&str, &str)) -> String {
    let rois = view.results.rois.iter().skip(1);
    let of_rois = rois.filter_map(|roi| Some((roi, Change::of(view, model, conditions, roi)?)));
    let of_rois: Vec<_> = of_rois.collect();
    let by_difference = |a: &&(&String, Change), b: &&(&String, Change)| {
        a.1.difference().total_cmp(&b.1.difference())
    };
    let most = of_rois.iter().max_by(by_difference);
    let Some((most, least)) = most.zip(of_rois.iter().min_by(by_difference)) else {
        return String::new();
    };
    let up = of_rois
        .iter()
        .filter(|(_, change)| change.difference() > 0.0);
    let from_to = |(roi, change): &(&String, Change)| {
        let (before, after) = (number(change.before), number(change.after));
        format!("{roi} ({before} to {after})")
    };
    format!(
        " It is higher in {} of {} regions, most in {}, least in {}.",
        up.count(),
        of_rois.len(),
        from_to(most),
        from_to(least)
    )
}

/// How many tests of late layers reach the level.
fn tested(view: &View<'_>, model: &str, (reference, condition): (&str, &str)) -> String {
    let late = view.late(model);
    let comparisons = view.results.comparisons.iter();
    let of = comparisons.filter(|test| {
        test.model == model
            && test.condition == condition
            && test.reference == reference
            && test.measure == view.measure
            && late.contains(&test.layer)
    });
    let of: Vec<&Comparison> = of.collect();
    let with_q: Vec<_> = of.iter().filter(|test| test.q_value.is_some()).collect();
    if of.is_empty() {
        return String::from(" No test of it is among these results.");
    }
    if with_q.is_empty() {
        return String::from(" There are too few units to test it.");
    }
    let found = with_q
        .iter()
        .filter(|test| test.q_value.is_some_and(|q| q <= LEVEL));
    let rises = found
        .clone()
        .filter(|test| test.difference.value.is_some_and(|value| value > 0.0))
        .count();
    let falls = found.count() - rises;
    format!(
        " Of {} tests in late layers (regions by layers), {} have q ≤ {LEVEL} with a rise and {} with a fall.",
        with_q.len(),
        rises,
        falls
    )
}

/// A model without any tuned one beside it.
fn alone(view: &View<'_>, model: &str, reference: &Condition) -> Option<String> {
    let (roi, place) = all(view);
    let (layer, value) = view.peak(model, &reference.name, &roi)?;
    let rois = view.results.rois.iter().skip(1);
    let peaks = rois.filter_map(|roi| Some((roi, view.peak(model, &reference.name, roi)?)));
    let highest = peaks.reduce(|best, next| if next.1.1 > best.1.1 { next } else { best });
    let mut words = format!(
        "{model}: {} {place} is highest in layer {layer} ({}).",
        view.measure.words(),
        number(value)
    );
    if let Some((roi, (layer, value))) = highest {
        let _ = write!(
            words,
            " Of the regions, {roi} has the highest, in layer {layer} ({}).",
            number(value)
        );
    }
    Some(words)
}

/// What else a curve is to be held against.
fn beside(view: &View<'_>, model: &str) -> Option<String> {
    let (roi, place) = all(view);
    let others = view.results.conditions.iter().filter(|condition| {
        matches!(
            condition.kind,
            ConditionKind::Control | ConditionKind::Random
        )
    });
    let others = others.filter_map(|condition| {
        let values = view.of_layers((model, &condition.name, &roi), view.late(model));
        let values: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        Some(format!(
            "{} {}",
            condition.name,
            number(Summary::of(&values).mean?)
        ))
    });
    let mut parts: Vec<String> = others.collect();
    parts.extend(baseline_words(view, &roi));
    (!parts.is_empty()).then(|| {
        format!(
            "To hold against it ({model}, late layers, {place}): {}.",
            parts.join(", ")
        )
    })
}

/// Per model, the layers in which probes are best.
fn probe_words(view: &View<'_>) -> Vec<String> {
    let Some(reference) = view.reference() else {
        return Vec::new();
    };
    let tuned = view.results.conditions.iter();
    let tuned = tuned.filter(|condition| condition.kind == ConditionKind::Tuned);
    let names: Vec<&str> = std::iter::once(reference)
        .chain(tuned)
        .map(|condition| condition.name.as_str())
        .collect();
    let of_model = |model: &String| {
        let tasks = probes::tasks(view).into_iter().filter_map(|task| {
            let peaks = names.iter().filter_map(|condition| {
                let curves = probes::curves(view, (task, model, condition));
                let (layer, score) = probes::peak(&curves)?;
                Some(format!("{layer} {condition} ({})", number(score)))
            });
            let peaks: Vec<_> = peaks.collect();
            (!peaks.is_empty()).then(|| format!("{task} {}", peaks.join(", ")))
        });
        let tasks: Vec<_> = tasks.collect();
        (!tasks.is_empty())
            .then(|| format!("{model}: probes are best in layer: {}.", tasks.join("; ")))
    };
    view.results.models.iter().filter_map(of_model).collect()
}

/// A row of [`table`], none where no participant has both conditions.
fn row(
    view: &View<'_>,
    (model, roi): (&str, &str),
    conditions: (&str, &str),
) -> Option<Vec<Value>> {
    let change = Change::of(view, model, conditions, roi)?;
    let peak = |condition: &str| {
        let peak = view.peak(model, condition, roi);
        peak.map_or_else(|| Value::from("–"), |(layer, _)| Value::Count(layer))
    };
    Some(vec![
        Value::from(model),
        Value::from(roi),
        Value::from(conditions.1),
        Value::Number(Some(change.before)),
        Value::Number(Some(change.after)),
        Value::Signed(Some(change.difference())),
        Value::Percent(change.percent()),
        Value::Count(change.n_up),
        Value::Count(change.n),
        peak(conditions.0),
        peak(conditions.1),
    ])
}

/// Late layers and peaks of every region, the reference against each other condition; tuned models before controls.
pub(super) fn table(view: &View<'_>) -> Option<Table> {
    let reference = view.reference()?;
    let mut others: Vec<_> = view.results.conditions.iter().collect();
    others.retain(|other| other.name != reference.name);
    let (tuned, controls): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|condition| condition.kind == ConditionKind::Tuned);
    let mut rows = Vec::new();
    for conditions in [tuned, controls] {
        for model in &view.results.models {
            for roi in &view.results.rois {
                rows.extend(conditions.iter().filter_map(|condition| {
                    row(view, (model, roi), (&reference.name, &condition.name))
                }));
            }
        }
    }
    (!rows.is_empty()).then(|| Table {
        name: String::from("late_layers"),
        title: format!("Late layers of each region, {} against other conditions", reference.name),
        note: format!(
            "Late layers are the last third. Before: {} of {}; after: of the condition; participants who have both. The peak is the layer where the mean over participants is highest.",
            view.measure.words(),
            reference.name
        ),
        header: vec![
            "model", "roi", "condition", "before", "after", "difference", "percent", "n higher",
            "n", "peak before", "peak after",
        ],
        rows,
        on_page: 200,
    })
}

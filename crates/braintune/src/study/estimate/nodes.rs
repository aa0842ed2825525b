//! How long a study takes on several machines, and which of them is busy longest.
//!
//! Units of work are steps that read the same state of a model; ranks share them out as `study --shard` and `mpirun`
//! do, the longest first. A rank per machine, or per graphics card of it. Held by the tests below.

use std::collections::BTreeMap;

use braintune_ranks::Shard;

use super::DryRun;

/// Operations per second that passes of a model are taken to reach on a graphics card: a third of what NVIDIA's data
/// sheet gives for single precision on an A100 (19.5 TFLOP/s), which is about what products of speech models reach.
const CARD: f64 = 6.5e12;

/// Machines like this one.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Cluster {
    /// How many.
    pub nodes: usize,
    /// Graphics cards in each; without any the processor does all.
    pub gpus: usize,
    /// How many times as fast as this processor a card makes forward and backward passes.
    pub gpu_speed: f64,
}

impl Cluster {
    /// `nodes` machines of `gpus` cards each, at least one machine. A card makes passes `gpu_speed` times as fast.
    #[must_use]
    pub fn new(nodes: usize, gpus: usize, gpu_speed: f64) -> Self {
        Self {
            nodes: nodes.max(1),
            gpus,
            gpu_speed,
        }
    }

    /// Processes that share the units out: one for each machine, or for each card.
    #[must_use]
    pub fn n_ranks(&self) -> usize {
        self.nodes * self.gpus.max(1)
    }
}

/// A study on several machines.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OnNodes {
    /// Seconds until the last rank is done, reading and checking the inputs included.
    pub seconds: f64,
    /// Seconds of each rank.
    pub rank_s: Vec<f64>,
    /// What the rank that ends last does.
    pub last: Vec<String>,
    /// The unit that takes longest, and its seconds; no number of machines makes a study shorter.
    pub longest: Option<(String, f64)>,
    /// Largest memory of a machine, bytes.
    pub memory_bytes: u64,
}

/// Steps that read one state of a model.
struct Unit<'a> {
    name: &'a str,
    seconds: f64,
    memory_bytes: u64,
}

impl DryRun {
    /// How many times as fast as this processor a card is taken to make passes, where nobody says: 6.5 TFLOP/s, a
    /// third of what an A100's data sheet gives for single precision, beside the products that were timed here.
    #[must_use]
    pub fn default_gpu_speed(&self) -> f64 {
        (CARD / self.products.max(1.0)).max(1.0)
    }

    /// What is not done, on several machines.
    #[must_use]
    pub fn on_nodes(&self, cluster: &Cluster) -> OnNodes {
        let units = self.units(cluster);
        let n_ranks = cluster.n_ranks();
        let costs: Vec<f64> = units.iter().map(|unit| unit.seconds).collect();
        let owners = Shard::owners(&costs, n_ranks);
        let mut rank_s = vec![0.0; n_ranks];
        let mut memory = vec![0; n_ranks];
        for (unit, &owner) in units.iter().zip(&owners) {
            rank_s[owner] += unit.seconds;
            memory[owner] = memory[owner].max(unit.memory_bytes);
        }
        let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let work_s = most(&rank_s);
        let last = rank_s.iter().position(|&s| s >= work_s).unwrap_or(0);
        let owned = units
            .iter()
            .zip(&owners)
            .filter(|(_, owner)| **owner == last);
        let longest = units.iter().max_by(|a, b| a.seconds.total_cmp(&b.seconds));
        // Ranks of one machine have neighbouring numbers.
        let of_node = memory
            .chunks(cluster.gpus.max(1))
            .map(|ranks| ranks.iter().sum::<u64>());
        OnNodes {
            seconds: work_s + if work_s > 0.0 { self.start_s } else { 0.0 },
            last: owned.map(|(unit, _)| unit.name.to_owned()).collect(),
            longest: longest.map(|unit| (unit.name.to_owned(), unit.seconds)),
            memory_bytes: of_node.max().unwrap_or(0),
            rank_s,
        }
    }

    /// In the order of their first steps.
    fn units(&self, cluster: &Cluster) -> Vec<Unit<'_>> {
        let (passes, rest) = if cluster.gpus > 0 {
            // What a card does not do is done by the cores that the cards of a machine share.
            (
                cluster.gpu_speed.max(f64::MIN_POSITIVE),
                cluster.gpus as f64,
            )
        } else {
            (1.0, 1.0)
        };
        let mut units: Vec<Unit<'_>> = Vec::new();
        let mut places = BTreeMap::new();
        for step in &self.steps {
            let place = *places.entry(&*step.unit).or_insert(units.len());
            if place == units.len() {
                units.push(Unit {
                    name: &step.unit,
                    seconds: 0.0,
                    memory_bytes: 0,
                });
            }
            let unit = &mut units[place];
            unit.seconds += step.pass_s / passes + (step.seconds - step.pass_s) * rest;
            unit.memory_bytes = unit.memory_bytes.max(step.memory_bytes);
        }
        units
    }
}

#[cfg(test)]
mod tests {
    use super::super::StepEstimate;
    use super::*;

    fn run(steps: &[(&str, f64, f64)]) -> DryRun {
        let step = |&(unit, pass_s, other_s): &(&str, f64, f64)| StepEstimate {
            unit: unit.to_owned(),
            pass_s,
            seconds: pass_s + other_s,
            memory_bytes: 1000,
            ..StepEstimate::default()
        };
        DryRun {
            steps: steps.iter().map(step).collect(),
            start_s: 2.0,
            products: 1e11,
        }
    }

    #[test]
    fn units_are_whole_and_the_longest_bounds_the_time() {
        let found = run(&[
            ("a", 10.0, 5.0),
            ("b", 1.0, 3.0),
            ("a", 0.0, 5.0),
            ("c", 0.0, 6.0),
        ]);
        let one = found.on_nodes(&Cluster::new(1, 0, 1.0));
        assert!((one.seconds - 32.0).abs() < 1e-9 && one.rank_s.len() == 1);
        let two = found.on_nodes(&Cluster::new(2, 0, 1.0));
        // `a` alone, `b` and `c` together.
        assert_eq!(
            (two.rank_s.clone(), two.last.clone()),
            (vec![20.0, 10.0], vec!["a".to_owned()])
        );
        assert_eq!(two.longest, Some(("a".to_owned(), 20.0)));
        for n in 1..12 {
            let (fewer, more) = (n, n + 1);
            let of = |n| found.on_nodes(&Cluster::new(n, 0, 1.0)).seconds;
            assert!(of(more) <= of(fewer) && of(more) >= 20.0 + 2.0, "{n}");
        }
    }

    #[test]
    fn cards_make_passes_shorter_and_share_the_cores() {
        let found = run(&[("a", 10.0, 5.0), ("b", 10.0, 5.0)]);
        let one = found.on_nodes(&Cluster::new(1, 1, 20.0));
        assert!((one.seconds - (2.0 * 5.5 + 2.0)).abs() < 1e-9);
        let two = found.on_nodes(&Cluster::new(1, 2, 20.0));
        assert_eq!(two.rank_s, [10.5, 10.5]); // 10 / 20 + 2 * 5
        assert_eq!((two.memory_bytes, one.memory_bytes), (2000, 1000));
        assert!((found.default_gpu_speed() - 65.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_done_takes_no_time_anywhere() {
        let found = run(&[("a", 0.0, 0.0)]).on_nodes(&Cluster::new(3, 2, 20.0));
        assert!(found.seconds < 1e-9 && found.rank_s.iter().all(|&s| s < 1e-9));
    }
}

//! A step shared out over ranks: which clips each has, and gradients added up.
//!
//! Every rank ends with the same loss, the same gradients and the same bits. Held by `tests/it/ranks.rs` and below.

use std::ops::{ControlFlow, Range};
use std::slice::Iter;

use braintune_backbone::SpeechBackbone;
use braintune_ranks::Shard;
use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor, TensorData};

use super::{Gradients, values_of};
use crate::error::Result;
use crate::model::TuningModel;
use crate::team::{Team, f64_of};

/// Bytes of a loss in a message.
const OF_LOSS: usize = size_of::<f64>();

/// Clips of a batch that go through the model at once, of all ranks, in their order: `micro_batch` of them, or
/// fewer where several ranks would not have as much to do otherwise; never fewer if `whole`.
pub(crate) fn micro_batches(
    n_clips: usize,
    micro_batch: usize,
    n_ranks: usize,
    whole: bool,
) -> Vec<Range<usize>> {
    let size = if n_ranks == 1 || whole {
        micro_batch
    } else {
        let rounds = n_clips.div_ceil(micro_batch).div_ceil(n_ranks);
        n_clips.div_ceil((rounds * n_ranks).max(1)).max(1)
    };
    let starts = (0..n_clips).step_by(size);
    starts
        .map(|start| start..n_clips.min(start + size))
        .collect()
}

/// Those of a rank: as many clips for each as can be.
pub(crate) fn parts_of(shard: Shard, micro_batches: &[Range<usize>]) -> Vec<Range<usize>> {
    let costs: Vec<f64> = micro_batches.iter().map(|part| part.len() as f64).collect();
    let owners = Shard::owners(&costs, shard.count()).into_iter();
    let mine = owners.zip(micro_batches);
    mine.filter(|(owner, _)| *owner == shard.index())
        .map(|(_, part)| part.clone())
        .collect()
}

/// Loss and gradients of a batch from what each rank has of them; stopped if one was. A parameter without a gradient
/// on some ranks counts as zeros there, one without on all ranks has none.
pub(crate) fn add_up<B: SpeechBackbone>(
    team: Team<'_>,
    model: &TuningModel<B>,
    mine: ControlFlow<(), (f64, Gradients)>,
    device: &Device,
) -> Result<ControlFlow<(), (f64, Gradients)>> {
    if team.is_alone() {
        return Ok(mine);
    }
    let ControlFlow::Continue((loss, mut gradients)) = mine else {
        team.gather(&[])?;
        return Ok(ControlFlow::Break(()));
    };
    let mut present = Present {
        gradients: &gradients,
        found: Vec::new(),
    };
    model.visit(&mut present);
    let message = [&loss.to_le_bytes()[..], &present.found].concat();
    let all = team.gather(&message)?;
    if all.iter().any(Vec::is_empty) {
        return Ok(ControlFlow::Break(()));
    }
    let loss = all.iter().map(|message| f64_of(message)).sum();
    let has = |at: usize| all.iter().any(|message| message.get(at) == Some(&1));
    let wanted: Vec<bool> = (OF_LOSS..message.len()).map(has).collect();
    let mut taken = Take {
        gradients: &mut gradients,
        wanted: wanted.iter(),
        values: Vec::new(),
    };
    model.visit(&mut taken);
    let mut values = taken.values;
    team.sum(&mut values)?;
    let mut put = Put {
        gradients: Gradients::default(),
        wanted: wanted.iter(),
        values: &values,
        in_head: false,
        device,
    };
    model.backbone.visit(&mut put);
    put.in_head = true;
    model.head.visit(&mut put);
    Ok(ControlFlow::Continue((loss, put.gradients)))
}

/// Which parameters have a gradient, a byte for each.
struct Present<'a> {
    gradients: &'a Gradients,
    found: Vec<u8>,
}

impl ModuleVisitor for Present<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Gradients { backbone, head } = self.gradients;
        let found = backbone.get::<D>(param.id).or_else(|| head.get(param.id));
        self.found.push(u8::from(found.is_some()));
    }
}

/// Gradients that are wanted, one after another, zeros where there is none.
struct Take<'a> {
    gradients: &'a mut Gradients,
    wanted: Iter<'a, bool>,
    values: Vec<f32>,
}

impl ModuleVisitor for Take<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.wanted.next() != Some(&true) {
            return;
        }
        let Gradients { backbone, head } = self.gradients;
        let found = backbone.remove::<D>(param.id);
        if let Some(gradient) = found.or_else(|| head.remove(param.id)) {
            self.values.extend(values_of(gradient));
        } else {
            let n: usize = param.dims().iter().product();
            self.values.resize(self.values.len() + n, 0.0);
        }
    }
}

/// Makes gradients of them again.
struct Put<'a> {
    gradients: Gradients,
    wanted: Iter<'a, bool>,
    values: &'a [f32],
    in_head: bool,
    device: &'a Device,
}

impl ModuleVisitor for Put<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if self.wanted.next() != Some(&true) {
            return;
        }
        let shape = param.dims();
        let (values, rest) = self.values.split_at(shape.iter().product());
        self.values = rest;
        let values = TensorData::new(values.to_vec(), shape);
        let gradient: Tensor<D> = Tensor::from_data(values, self.device);
        let part = if self.in_head {
            &mut self.gradients.head
        } else {
            &mut self.gradients.backbone
        };
        part.register(param.id, gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_clips_go_through_once_and_ranks_have_about_as_many() {
        for (n, micro_batch, n_ranks) in [
            (128, 8, 3),
            (20, 8, 2),
            (24, 8, 2),
            (4, 8, 2),
            (1, 8, 3),
            (7, 2, 4),
            (8, 8, 1),
        ] {
            for whole in [false, true] {
                let parts = micro_batches(n, micro_batch, n_ranks, whole);
                assert!(
                    parts
                        .iter()
                        .all(|part| part.len() <= micro_batch && !part.is_empty())
                );
                let covered: Vec<usize> = parts.iter().cloned().flatten().collect();
                assert_eq!(covered, (0..n).collect::<Vec<_>>());
                let of = |rank: usize| {
                    let shard: Shard = format!("{}/{n_ranks}", rank + 1).parse().expect("a share");
                    parts_of(shard, &parts)
                };
                let mut dealt: Vec<_> = (0..n_ranks).flat_map(of).collect();
                dealt.sort_by_key(|part| part.start);
                assert_eq!(dealt, parts, "{n} {micro_batch} {n_ranks}");
                let most = (0..n_ranks)
                    .map(|rank| of(rank).iter().map(ExactSizeIterator::len).sum::<usize>());
                let most = most.max().unwrap_or(0);
                assert!(
                    whole || most < n.div_ceil(n_ranks) + micro_batch,
                    "{most} of {n}"
                );
            }
        }
        // What one process has had is what it has.
        assert_eq!(micro_batches(20, 8, 1, false), [0..8, 8..16, 16..20]);
        assert_eq!(micro_batches(20, 8, 2, true), [0..8, 8..16, 16..20]);
        assert_eq!(
            micro_batches(20, 8, 2, false),
            [0..5, 5..10, 10..15, 15..20]
        );
        assert_eq!(micro_batches(4, 8, 2, false), [0..2, 2..4]);
    }
}

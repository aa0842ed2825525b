//! Types that cross threads may.

use braintune_backbone::Wav2Vec2Model;
use braintune_tuning::{
    BrainTuner, Evaluation, MeanSquaredError, OwnHead, OwnObjective, StoryBatches, StoryUnits,
    Tuned, TuningBatch, TuningConfig, TuningData, TuningError, TuningEvent, TuningModel,
};

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync>() {}
    check::<BrainTuner<MeanSquaredError>>();
    check::<Evaluation>();
    check::<OwnHead>();
    check::<OwnObjective>();
    check::<StoryBatches<'_>>();
    check::<StoryUnits>();
    check::<Tuned<Wav2Vec2Model>>();
    check::<TuningBatch>();
    check::<TuningConfig>();
    check::<TuningError>();
    check::<TuningEvent>();
    check::<TuningModel<Wav2Vec2Model>>();
}

const _: fn(&dyn TuningData) = |_| {};

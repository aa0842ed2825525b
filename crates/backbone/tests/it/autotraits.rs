//! Types that cross threads may.

use braintune_backbone::{
    BackboneError, BackboneSpec, CachedExtractor, Checkpoint, FeatureExtractor, FrozenCache,
    HiddenStates, LayerFeatures, LoraConfig, PretrainedModel, Segments, SharedConvExtractor,
    Wav2Vec2Model, WhisperEncoder, WholeClipExtractor, WindowedExtractor, Windows,
};

#[test]
fn types_are_send_and_sync() {
    fn check<T: Send + Sync + 'static>() {}
    check::<BackboneError>();
    check::<BackboneSpec>();
    check::<Box<dyn FeatureExtractor>>();
    check::<CachedExtractor<Box<dyn FeatureExtractor>>>();
    check::<Checkpoint>();
    check::<FrozenCache>();
    check::<HiddenStates>();
    check::<LayerFeatures>();
    check::<LoraConfig>();
    check::<PretrainedModel>();
    check::<SharedConvExtractor>();
    check::<Wav2Vec2Model>();
    check::<WhisperEncoder>();
    check::<WholeClipExtractor<WhisperEncoder>>();
    check::<WindowedExtractor<Wav2Vec2Model>>();
    check::<Windows>();
}

const _: fn(&dyn Segments) = |_| {};

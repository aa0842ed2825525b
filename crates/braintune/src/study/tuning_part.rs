//! `[tuning]` of a study file: the keys of [`TuningConfig`], and those that `tune` has as flags.

use std::ops::Range;

use braintune_tuning::TuningConfig;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::file::parsed;

/// The table, read.
#[derive(Debug, Clone)]
pub(super) struct Tuning {
    pub(super) config: TuningConfig,
    /// Voxels above this ceiling are learnt.
    pub(super) ceiling_threshold: f32,
    /// Keep the outputs of frozen parts in the cache.
    pub(super) keep_frozen: bool,
}

impl Tuning {
    /// From the table `[tuning]`; errors have their place in the file, where they have one.
    pub(super) fn parse(
        table: Option<Spanned<DeValue<'_>>>,
        seed: u64,
    ) -> Result<Self, (Option<Range<usize>>, String)> {
        #[derive(Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Own {
            ceiling_threshold: f32,
            keep_frozen: bool,
        }
        impl Default for Own {
            fn default() -> Self {
                Self {
                    ceiling_threshold: 0.4,
                    keep_frozen: false,
                }
            }
        }
        let failed = |e: toml::de::Error| (e.span(), e.message().to_owned());
        let mut table = table.unwrap_or_else(|| Spanned::new(0..0, DeValue::Table(DeTable::new())));
        let (mut own, mut has_seed) = (DeTable::new(), false);
        let span = table.span();
        if let DeValue::Table(keys) = table.get_mut() {
            has_seed = keys.contains_key("seed");
            for key in ["ceiling_threshold", "keep_frozen"] {
                own.extend(keys.remove_entry(key));
            }
        }
        let own: Own = parsed(Spanned::new(span.clone(), DeValue::Table(own))).map_err(failed)?;
        let mut config: TuningConfig = parsed(table).map_err(failed)?;
        if !has_seed {
            config.seed = seed;
        }
        let place = Some(span);
        config.check().map_err(|e| (place.clone(), e.to_string()))?;
        let threshold = own.ceiling_threshold;
        if !(-1.0..1.0).contains(&threshold) {
            let problem = format!(
                "ceiling_threshold = {threshold}: ceilings are correlations, give less than 1"
            );
            return Err((place, problem));
        }
        Ok(Self {
            config,
            ceiling_threshold: threshold,
            keep_frozen: own.keep_frozen,
        })
    }
}

//! `braintune study`: models, participants and conditions through every step, into one `study.json`.

mod results;
pub mod surface;

pub use results::{
    AlignmentCurve, BaselineAlignment, Comparison, Condition, ConditionKind, DataSharing, Estimate,
    Excluded, LowLevelImpact, ProbeCurve, SCHEMA_VERSION, Setting, StepRecord, StepStatus,
    StudyResults, SurfaceView, TrainingCurve, VoxelChange,
};

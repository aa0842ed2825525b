//! Statistics of regions gathered tile by tile, against tests of each region alone.

use braintune_encoding::{
    BlockBootstrap, BlockSignFlips, CorrelationNull, EncodingError, LowCeiling, NullScheme, Region,
    RegionStatistic, RegionStatistics, mean_correlation_interval, normalized_alignment,
    normalized_mean, paired_test_of_contributions, paired_test_of_mean, pearson_r,
};
use ndarray::{Array1, Array2, Axis, array, s};

use crate::problem::normal;

const N_TRS: usize = 90;
const N_VOXELS: usize = 2_300;
const BOOTSTRAP: BlockBootstrap = BlockBootstrap {
    block_len: 6,
    n_boots: 50,
    level: 0.95,
    seed: 4,
};

fn data() -> (Array2<f32>, Array2<f32>) {
    let y = normal(N_TRS, N_VOXELS, 1);
    let p = &y * 0.1 + normal(N_TRS, N_VOXELS, 2);
    (y, p)
}

fn null() -> CorrelationNull {
    let scheme = NullScheme::BlockPermutation { block_len: 6 };
    CorrelationNull::new(&[50, 40], scheme, 63, 3).unwrap()
}

fn voxels_of_regions() -> Vec<Vec<usize>> {
    vec![
        (0..N_VOXELS).collect(),
        (0..N_VOXELS).step_by(7).collect(),
        vec![5, 2_299, 1_023, 1_024],
    ]
}

fn gather(regions: &[Region], cuts: &[usize]) -> (Vec<RegionStatistic>, Vec<f64>, Vec<f64>) {
    let (y, p) = data();
    let mut statistics = RegionStatistics::new(N_TRS, N_VOXELS, regions)
        .unwrap()
        .with_null(null())
        .unwrap()
        .with_bootstrap(BOOTSTRAP)
        .unwrap();
    let (mut each, mut start) = (Vec::new(), 0);
    for &end in cuts {
        let part = s![.., start..end];
        let test = statistics
            .add(start..end, y.slice(part), p.slice(part))
            .unwrap();
        each.extend(test.p_greater);
        start = end;
    }
    let r = pearson_r(y.view(), p.view()).unwrap().mapv(f64::from);
    let fwe = statistics.null().fwe(r.view()).to_vec();
    (statistics.finish().unwrap(), each, fwe)
}

#[test]
fn any_tiles_and_threads_give_the_same_bits() {
    let regions: Vec<Region> = voxels_of_regions().into_iter().map(Region::new).collect();
    let run = |threads: usize, cuts: &[usize]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        pool.build().unwrap().install(|| gather(&regions, cuts))
    };
    let whole = run(1, &[N_VOXELS]);
    assert_eq!(run(3, &[N_VOXELS]), whole);
    assert_eq!(run(2, &[1_024, 2_048, N_VOXELS]), whole);
    // Not at multiples of anything either.
    assert_eq!(run(2, &[1, 14, 777, 2_299, N_VOXELS]), whole);
}

#[test]
fn a_region_gets_what_it_gets_alone() {
    let (y, p) = data();
    let of_regions = voxels_of_regions();
    let regions: Vec<Region> = of_regions.iter().cloned().map(Region::new).collect();
    let (found, each, fwe) = gather(&regions, &[1_000, N_VOXELS]);
    for (mut voxels, found) in of_regions.into_iter().zip(found) {
        voxels.sort_unstable(); // sums are in the voxels' order
        let (y, p) = (y.select(Axis(1), &voxels), p.select(Axis(1), &voxels));
        let mean = null().test_mean(y.view(), p.view()).unwrap();
        assert_eq!(found.n_voxels, voxels.len());
        assert_eq!(found.mean_r, mean.mean_r);
        assert_eq!(found.p_greater, Some(mean.p_greater));
        assert_eq!(found.p_two_sided, Some(mean.p_two_sided));
        let interval = mean_correlation_interval(y.view(), p.view(), &BOOTSTRAP).unwrap();
        assert_eq!(found.interval, Some(interval));
        let mean = found.contributions.mean().unwrap();
        assert!((mean - found.mean_r).abs() < 1e-12);
    }
    let mut alone = null();
    let test = alone.test(y.view(), p.view()).unwrap();
    assert_eq!(test.p_greater.to_vec(), each);
    assert_eq!(alone.fwe(test.r.view()).to_vec(), fwe);
}

#[test]
fn a_normalized_region_is_the_mean_of_normalized_voxels() {
    let (y, p) = data();
    let ceiling = Array1::from_shape_fn(N_VOXELS, |v| (v % 5) as f32 / 5.0);
    let voxels: Vec<usize> = (0..300).collect();
    let region = Region::normalized(voxels.clone(), ceiling.view(), 0.3).unwrap();
    assert_eq!(region.n_voxels(), 180);
    let (found, ..) = gather(&[region], &[N_VOXELS]);
    let r = pearson_r(y.view(), p.view()).unwrap();
    let each = normalized_alignment(r.view(), ceiling.view(), 0.3, LowCeiling::Exclude).unwrap();
    let mean = normalized_mean(each.view(), &voxels).unwrap();
    // Correlations are f32 there.
    assert!((found[0].mean_r - mean.mean.unwrap()).abs() < 1e-7);
    for threshold in [-0.1, f32::NAN] {
        let refused = Region::normalized([0], ceiling.view(), threshold);
        assert!(matches!(refused, Err(EncodingError::Threshold { .. })));
    }
    let refused = Region::normalized([N_VOXELS], ceiling.view(), 0.1);
    assert!(matches!(
        refused,
        Err(EncodingError::VoxelOutOfRange { .. })
    ));
}

#[test]
fn two_models_are_compared_by_their_contributions() {
    let (y, p) = data();
    let q = &y * 0.3 + normal(N_TRS, N_VOXELS, 9);
    let of = |p: &Array2<f32>| {
        let mut statistics =
            RegionStatistics::new(N_TRS, N_VOXELS, &[Region::new(0..N_VOXELS)]).unwrap();
        statistics.add(0..N_VOXELS, y.view(), p.view()).unwrap();
        statistics.finish().unwrap().remove(0)
    };
    let (better, worse) = (of(&q), of(&p));
    assert_eq!((better.interval, better.p_greater), (None, None));
    let flips = BlockSignFlips {
        block_len: 6,
        n_flips: 199,
        seed: 1,
    };
    let [a, b] = [&better, &worse].map(|found| found.contributions.view());
    let test = paired_test_of_contributions(a, b, &flips).unwrap();
    let together = paired_test_of_mean(y.view(), q.view(), p.view(), &flips).unwrap();
    assert!((test.difference[0] - together.difference[0]).abs() < 1e-12);
    assert_eq!(test.p_greater, together.p_greater);
    assert!(paired_test_of_contributions(a, b.slice(s![1..]), &flips).is_err());
    let nan = array![f64::NAN, 0.0, 1.0, 2.0];
    let flips = BlockSignFlips {
        block_len: 2,
        ..flips
    };
    let refused = paired_test_of_contributions(nan.view(), nan.view(), &flips);
    assert!(matches!(
        refused,
        Err(EncodingError::NonFinite { row: 0, .. })
    ));
}

#[test]
fn voxels_out_of_turn_and_regions_out_of_range_are_refused() {
    let (y, p) = data();
    let refused = RegionStatistics::new(N_TRS, 10, &[Region::new([3, 10])]);
    assert!(matches!(
        refused,
        Err(EncodingError::VoxelOutOfRange { voxel: 10, .. })
    ));
    let regions = [Region::default(), Region::new([3, 3, 4])];
    assert_eq!(regions[1].n_voxels(), 2);
    let statistics = RegionStatistics::new(N_TRS, 10, &regions).unwrap();
    let other = CorrelationNull::new(&[80], NullScheme::CircularShift { min_shift: 4 }, 9, 0);
    assert!(matches!(
        statistics.clone().with_null(other.unwrap()),
        Err(EncodingError::Rows { .. })
    ));
    let blocks = BlockBootstrap {
        block_len: 46,
        ..BOOTSTRAP
    };
    assert!(matches!(
        statistics.clone().with_bootstrap(blocks),
        Err(EncodingError::Blocks { .. })
    ));
    let mut statistics = statistics.with_null(null()).unwrap();
    statistics = statistics.with_bootstrap(BOOTSTRAP).unwrap();
    let part = |n| s![.., ..n];
    for range in [1..4, 0..11, 0..0] {
        let n = range.len();
        let refused = statistics.add(range, y.slice(part(n)), p.slice(part(n)));
        assert!(matches!(refused, Err(EncodingError::VoxelRange { .. })));
    }
    let refused = statistics.add(0..4, y.slice(part(5)), p.slice(part(5)));
    assert!(matches!(refused, Err(EncodingError::Columns { .. })));
    let mut damaged = p.slice(part(4)).to_owned();
    damaged[(3, 2)] = f32::NAN;
    assert!(
        statistics
            .add(0..4, y.slice(part(4)), damaged.view())
            .is_err()
    );
    // What failed has left nothing behind.
    statistics
        .add(0..4, y.slice(part(4)), p.slice(part(4)))
        .unwrap();
    let early = statistics.clone().finish();
    assert!(matches!(
        early,
        Err(EncodingError::VoxelRange { given: 4, .. })
    ));
    assert!(statistics.clone().with_null(null()).is_err());
    let rest = s![.., 4..10];
    statistics.add(4..10, y.slice(rest), p.slice(rest)).unwrap();
    let found = statistics.finish().unwrap();
    assert!(found[0].mean_r.is_nan() && found[0].interval.is_none());
    assert_eq!((found[0].n_voxels, found[0].p_greater), (0, None));
    assert!(found[1].interval.is_some() && found[1].p_greater.is_some());
}

/// Runs of voxels gathered apart, as several processes do.
fn gather_runs(regions: &[Region], runs: &[usize], cuts: &[usize]) -> Vec<RegionStatistic> {
    let (y, p) = data();
    let whole = || {
        let statistics = RegionStatistics::new(N_TRS, N_VOXELS, regions).unwrap();
        let statistics = statistics.with_null(null()).unwrap();
        statistics.with_bootstrap(BOOTSTRAP).unwrap()
    };
    let mut joined = whole();
    let mut start = 0;
    for &end in runs {
        let mut part = whole().only(start..end).unwrap();
        let inner = cuts.iter().copied().filter(|&cut| cut > start && cut < end);
        let mut from = start;
        for to in inner.chain([end]) {
            let voxels = s![.., from..to];
            part.add(from..to, y.slice(voxels), p.slice(voxels))
                .unwrap();
            from = to;
        }
        joined.add_sums(start..end, &part.sums()).unwrap();
        start = end;
    }
    joined.finish().unwrap()
}

#[test]
fn runs_gathered_apart_are_what_is_gathered_at_once() {
    let regions: Vec<Region> = voxels_of_regions().into_iter().map(Region::new).collect();
    let runs = [1_000, 1_800, N_VOXELS];
    let found = gather_runs(&regions, &runs, &[]);
    // However each process cuts its run.
    assert_eq!(found, gather_runs(&regions, &runs, &[7, 999, 1_001, 2_000]));
    let (at_once, ..) = gather(&regions, &[N_VOXELS]);
    for (found, expected) in found.iter().zip(&at_once) {
        assert!((found.mean_r - expected.mean_r).abs() < 1e-14); // sums in another order
        assert_eq!(found.p_greater, expected.p_greater);
        let [found, expected] = [found, expected].map(|of| of.interval.unwrap());
        assert!((found.0 - expected.0).abs() < 1e-12 && (found.1 - expected.1).abs() < 1e-12);
    }
    // One run is all voxels: the same bits.
    assert_eq!(gather_runs(&regions, &[N_VOXELS], &[11]), at_once);
}

#[test]
fn sums_out_of_turn_or_of_other_settings_are_refused() {
    let region = [Region::new(0..10)];
    let statistics = || RegionStatistics::new(N_TRS, 10, &region).unwrap();
    let with_null = || statistics().with_null(null()).unwrap();
    let sums = with_null().sums();
    assert_eq!(sums[0].null.len(), 63);
    let mut whole = with_null();
    let refused = whole.add_sums(2..5, &sums);
    assert!(matches!(
        refused,
        Err(EncodingError::VoxelRange { given: 0, .. })
    ));
    let refused = statistics().add_sums(0..5, &sums);
    assert!(
        matches!(refused, Err(EncodingError::Sums { .. })),
        "{refused:?}"
    );
    assert!(matches!(
        whole.add_sums(0..5, &[]),
        Err(EncodingError::Sums { .. })
    ));
    whole.add_sums(0..5, &sums).unwrap();
    assert!(whole.clone().only(5..10).is_err());
    assert!(with_null().only(5..11).is_err());
    let mut part = with_null().only(5..8).unwrap();
    let (y, p) = data();
    let voxels = s![.., 5..9];
    assert!(part.add(5..9, y.slice(voxels), p.slice(voxels)).is_err());
    assert!(part.finish().is_err());
}

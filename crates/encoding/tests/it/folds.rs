use braintune_encoding::{EncodingError, FoldProblem, Folds};

#[test]
fn groups_come_in_order_of_first_appearance() {
    let folds = Folds::leave_one_group_out(&[5, 5, -1, 5, 0, -1]).unwrap();
    assert_eq!(folds.n_folds(), 3);
    assert_eq!(folds.validation(0), [0, 1, 3]);
    assert_eq!(folds.validation(1), [2, 5]);
    assert_eq!(folds.validation(2), [4]);
    assert_eq!(folds.training(1), [0, 1, 3, 4]);
}

#[test]
fn bootstrapped_chunks_are_whole_seeded_and_apart_from_training() {
    let folds = Folds::bootstrap_chunks(107, 3, 20, 2, 1).unwrap();
    for fold in 0..3 {
        let rows = folds.validation(fold);
        assert_eq!(rows.len(), 40);
        for chunk in rows.chunks(20) {
            assert_eq!(chunk[0] % 20, 0);
            assert_eq!(chunk[19], chunk[0] + 19);
        }
        assert!(rows.iter().all(|&row| row < 100));
        let training = folds.training(fold);
        assert_eq!(training.len(), 67);
        assert!(training.iter().all(|row| !rows.contains(row)));
    }
    assert_eq!(folds, Folds::bootstrap_chunks(107, 3, 20, 2, 1).unwrap());
    assert_ne!(folds, Folds::bootstrap_chunks(107, 3, 20, 2, 2).unwrap());
}

#[test]
fn folds_that_cannot_be_are_errors() {
    for labels in [&[][..], &[3, 3, 3]] {
        let error = Folds::leave_one_group_out(labels).unwrap_err();
        assert!(matches!(error, EncodingError::TooFewGroups { .. }));
    }
    for (n_boots, chunk_len, n_chunks) in [
        (1, 0, 1),
        (1, 20, 0),
        (1, 20, 6),
        (1, 20, 5),
        (1, usize::MAX, 1),
    ] {
        let error = Folds::bootstrap_chunks(100, n_boots, chunk_len, n_chunks, 0).unwrap_err();
        assert!(matches!(error, EncodingError::Chunks { .. }), "{error}");
    }
    assert!(matches!(
        Folds::bootstrap_chunks(100, 0, 20, 1, 0),
        Err(EncodingError::NoFolds)
    ));
    let problem = |rows: Vec<usize>| match Folds::from_validation_rows(vec![vec![0], rows], 3) {
        Err(EncodingError::Fold { fold: 1, problem }) => problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(vec![]), FoldProblem::NoValidation);
    assert_eq!(problem(vec![2, 0, 1]), FoldProblem::NoTraining);
    assert_eq!(
        problem(vec![3]),
        FoldProblem::RowOutOfRange { row: 3, n_rows: 3 }
    );
    assert_eq!(problem(vec![1, 1]), FoldProblem::DuplicateRow { row: 1 });
}

//! Rows of features on disk, a file for each split and layer, so that memory holds one layer at a time.
//!
//! `[n_rows, d_model]` f32, in the order in which recordings were appended. Held by `tests/it/probe.rs`.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::error::{ProbingError, Result};
use crate::task::Split;

const SPLITS: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

/// Files of one run; they go when it is dropped.
#[derive(Debug)]
pub(crate) struct RowStore {
    folder: tempfile::TempDir,
    files: Vec<BufWriter<File>>,
    n_layers: usize,
    d_model: usize,
    n_rows: [usize; 3],
}

impl RowStore {
    /// For `[n_layers, d_model]`.
    pub(crate) fn new(folder: &Path, [n_layers, d_model]: [usize; 2]) -> Result<Self> {
        let io = |source| ProbingError::Io {
            path: folder.to_path_buf(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let folder = tempfile::tempdir_in(folder).map_err(io)?;
        let mut store = Self {
            folder,
            files: Vec::with_capacity(3 * n_layers),
            n_layers,
            d_model,
            n_rows: [0; 3],
        };
        for split in SPLITS {
            for layer in 0..n_layers {
                let path = store.path(split, layer);
                let file =
                    File::create(&path).map_err(|source| ProbingError::Io { path, source })?;
                store.files.push(BufWriter::new(file));
            }
        }
        Ok(store)
    }

    pub(crate) fn n_layers(&self) -> usize {
        self.n_layers
    }

    /// `[n_layers, d_model]`.
    pub(crate) fn widths(&self) -> [usize; 2] {
        [self.n_layers, self.d_model]
    }

    fn path(&self, split: Split, layer: usize) -> PathBuf {
        self.folder.path().join(format!("{split:?}-{layer}.f32"))
    }

    /// Adds rows, `[n_rows, d_model]` of each layer of the store's [`widths`](Self::widths).
    pub(crate) fn append(&mut self, split: Split, layers: &[Array2<f32>]) -> Result<()> {
        for (layer, rows) in layers.iter().enumerate() {
            let bytes: Vec<u8> = rows.iter().flat_map(|value| value.to_le_bytes()).collect();
            let file = &mut self.files[split as usize * self.n_layers + layer];
            let written = file.write_all(&bytes);
            written.map_err(|source| ProbingError::Io {
                path: self.path(split, layer),
                source,
            })?;
        }
        self.n_rows[split as usize] += layers.first().map_or(0, Array2::nrows);
        Ok(())
    }

    /// What was added to a split, of one layer.
    pub(crate) fn read(&mut self, split: Split, layer: usize) -> Result<Array2<f32>> {
        let path = self.path(split, layer);
        let io = |source| ProbingError::Io {
            path: path.clone(),
            source,
        };
        self.files[split as usize * self.n_layers + layer]
            .flush()
            .map_err(io)?;
        let shape = (self.n_rows[split as usize], self.d_model);
        let mut values = Array2::zeros(shape);
        let mut file = File::open(&path).map_err(io)?;
        let mut bytes = vec![0; 4 * self.d_model];
        for mut row in values.outer_iter_mut() {
            file.read_exact(&mut bytes).map_err(io)?;
            for (value, four) in row.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*four);
            }
        }
        Ok(values)
    }
}

//! Reading and hashing what a study works on: sounds, responses, corpora of probes.
//!
//! Where all ranks see the same storage each file is read by one of them and what it holds is told to all; where they
//! do not, every rank reads for itself, and the keys of the steps are compared. Held by `tests/it/study_ranks.rs`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use braintune_ranks::{Alone, Ranks, Shard};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::file::Study;
use super::inputs::Inputs;
use super::participant::Heard;
use super::steps::files_in;
use crate::error::{BraintuneError, Result, with_sources};
use crate::event::{Event, OnEvent};
use crate::provenance::file_sha256;
use crate::together::{see_same_files, share, together};

/// What is read by one process.
enum Piece {
    /// A file, hashed.
    File { name: String, path: PathBuf },
    /// The responses of a participant to a story.
    Responses { participant: usize, story: String },
}

/// What a piece holds.
#[derive(Serialize, Deserialize)]
enum Found {
    Digest(String),
    Heard(Heard),
    Stopped,
    Wrong(String),
}

impl Inputs {
    /// Reads and hashes sounds and responses.
    ///
    /// # Errors
    /// What the files can cause, on whichever rank. Being stopped is [`BraintuneError::Cancelled`].
    pub(super) fn read(
        &mut self,
        study: &Study,
        ranks: &dyn Ranks,
        on: &mut OnEvent<'_>,
    ) -> Result<()> {
        let pieces = together(ranks, self.pieces(study))?;
        let readers: &dyn Ranks = if self.is_shared(&pieces, ranks)? {
            ranks
        } else {
            &Alone
        };
        let costs: Vec<f64> = pieces.iter().map(|piece| self.bytes(piece)).collect();
        let owners = Shard::owners(&costs, readers.n_ranks());
        let total = owners.iter().filter(|&&o| o == readers.rank()).count();
        let all = self.found(&pieces, (readers, &costs, total), study, on)?;
        for ((piece, found), owner) in pieces.into_iter().zip(all).zip(owners) {
            self.note(piece, found, owner)?;
        }
        self.note_stories()
    }

    /// What each piece holds, `total` of them read by this process.
    fn found(
        &self,
        pieces: &[Piece],
        (readers, costs, total): (&dyn Ranks, &[f64], usize),
        study: &Study,
        on: &mut OnEvent<'_>,
    ) -> Result<Vec<Found>> {
        let (mut own, mut done) = (None, 0);
        let all = share(readers, costs, |place| {
            let piece = &pieces[place];
            let story = piece.name();
            // After an error nothing more is read, but others are still to be told.
            let found = if own.is_some() || on(Event::Checking { story, done, total }).is_break() {
                Err(BraintuneError::Cancelled)
            } else {
                self.piece(piece, study)
            };
            done += 1;
            Ok(found.unwrap_or_else(|error| {
                let told = Found::of(&error);
                own.get_or_insert(error);
                told
            }))
        })?;
        own.map_or(Ok(all), Err)
    }

    /// Everything that is read, sounds before the responses to them.
    fn pieces(&self, study: &Study) -> Result<Vec<Piece>> {
        let (mut pieces, mut sounds) = (Vec::new(), BTreeSet::new());
        for (participant, who) in self.participants.iter().enumerate() {
            for story in who.used() {
                let path = self.dataset.story(&story)?.require_audio()?.to_path_buf();
                if sounds.insert(path.clone()) {
                    let name = story.clone();
                    pieces.push(Piece::File { name, path });
                }
                pieces.push(Piece::Responses { participant, story });
            }
        }
        let corpus = study.file.probes.as_ref();
        let corpus = corpus.and_then(|probes| probes.data.as_deref());
        // A corpus that is not there is told with its task.
        let files = corpus.and_then(|folder| files_in(&study.resolve(folder)).ok());
        for path in files.unwrap_or_default() {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = name.into_owned();
            pieces.push(Piece::File { name, path });
        }
        Ok(pieces)
    }

    /// Whether all ranks see the same files: by path, length, time and number in the file system.
    fn is_shared(&self, pieces: &[Piece], ranks: &dyn Ranks) -> Result<bool> {
        let path = |piece: &Piece| match piece {
            Piece::File { path, .. } => path.clone(),
            Piece::Responses { participant, story } => {
                let subject = &self.participants[*participant].name;
                self.dataset.response_path(subject, story)
            }
        };
        let files = std::iter::once(self.dataset.dir().to_path_buf());
        see_same_files(ranks, files.chain(pieces.iter().map(path)))
    }

    /// About how many bytes are read.
    fn bytes(&self, piece: &Piece) -> f64 {
        match piece {
            Piece::File { path, .. } => std::fs::metadata(path).map_or(1.0, |m| m.len() as f64),
            Piece::Responses { participant, story } => {
                let n_trs = self.dataset.timing(story).map_or(1, |t| t.n_trs());
                (n_trs * self.participants[*participant].n_voxels * size_of::<f32>()) as f64
            }
        }
    }

    fn piece(&self, piece: &Piece, study: &Study) -> Result<Found> {
        match piece {
            Piece::File { path, .. } => Ok(Found::Digest(file_sha256(path)?)),
            Piece::Responses { participant, story } => {
                let who = &self.participants[*participant];
                let (trim, test_trim) = self.trims(study);
                let is_test = who.roles.test.contains(story);
                let trim = if is_test { test_trim } else { trim };
                let heard = who.read(&*self.dataset, (story, trim), study)?;
                Ok(Found::Heard(heard))
            }
        }
    }

    /// Keeps what rank `owner` found.
    fn note(&mut self, piece: Piece, found: Found, owner: usize) -> Result<()> {
        let wrong = |problem: String| BraintuneError::Input(format!("rank {owner}: {problem}"));
        match (found, piece) {
            (Found::Digest(sha256), Piece::File { path, .. }) => {
                self.digests.insert(path, sha256);
            }
            (Found::Heard(heard), Piece::Responses { participant, story }) => {
                let who = &mut self.participants[participant];
                who.n_nan = who.n_nan.max(heard.n_nan);
                who.n_constant = who.n_constant.max(heard.n_constant);
                who.note(&story, heard);
            }
            (Found::Stopped, _) => return Err(BraintuneError::Cancelled),
            (Found::Wrong(problem), _) => return Err(wrong(problem)),
            _ => return Err(wrong("it read something else than it was to".to_owned())),
        }
        Ok(())
    }

    /// Sound and time base of each story, and what voxels hold.
    fn note_stories(&mut self) -> Result<()> {
        for who in &self.participants {
            for story in who.used() {
                if !self.stories.contains_key(&story) {
                    let print = self.sound(&story)?;
                    self.stories.insert(story, print);
                }
            }
            if who.n_nan + who.n_constant > 0 {
                self.warnings.push(format!(
                    "{}: up to {} voxels hold NaN and {} are constant in a story; NaN is taken as 0, these voxels get low or no correlation",
                    who.name, who.n_nan, who.n_constant
                ));
            }
        }
        Ok(())
    }

    fn sound(&self, story: &str) -> Result<Value> {
        let timing = self.dataset.timing(story)?;
        let stored = timing.stored();
        Ok(json!({
            "audio_sha256": self.sha256(self.dataset.story(story)?.require_audio()?)?,
            "n_trs": timing.n_trs(),
            "tr_s": timing.tr_s(),
            "first_tr_s": timing.first_tr_s(),
            "stored": [stored.start, stored.end],
        }))
    }
}

impl Found {
    fn of(error: &BraintuneError) -> Self {
        match error {
            BraintuneError::Cancelled => Self::Stopped,
            error => Self::Wrong(with_sources(error)),
        }
    }
}

impl Piece {
    fn name(&self) -> &str {
        match self {
            Self::File { name, .. } => name,
            Self::Responses { story, .. } => story,
        }
    }
}

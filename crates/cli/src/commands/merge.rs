//! `braintune merge`: what the shares of an array job have left, as one result.

use std::path::PathBuf;

use braintune::shard_command;

/// Put together what shares of an array job (--shard i/n) of encode or study have left; the result is that of one
/// process, to the bit.
///
/// Reads the command of the shares from the folder they wrote to, and computes nothing: pieces that are missing are
/// named. The command itself without --shard does the same and makes what is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The --out of the shares
    #[arg(value_name = "DIR")]
    out: PathBuf,
}

impl Args {
    /// The command line of the shares, without --shard, from the folder that it was given in.
    pub(crate) fn command(&self) -> anyhow::Result<Vec<String>> {
        let (command, folder) = shard_command::read(&self.out)?;
        let out = self.out.canonicalize()?;
        std::env::set_current_dir(&folder).map_err(|e| {
            anyhow::anyhow!(
                "the shares were started in {}, which cannot be entered: {e}; the command itself without --shard, from where its paths hold, does the same",
                folder.display()
            )
        })?;
        Ok(into(command, &out.to_string_lossy()))
    }
}

/// The command with the folder that is to be merged as its `--out`: shares may have been copied or moved since.
fn into(command: Vec<String>, out: &str) -> Vec<String> {
    let mut words = command.into_iter();
    let mut found = Vec::with_capacity(words.len() + 2);
    while let Some(word) = words.next() {
        if word == "--out" {
            words.next();
        } else if !word.starts_with("--out=") {
            found.push(word);
        }
    }
    found.extend(["--out".to_owned(), out.to_owned()]);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_is_named_is_the_one_that_is_written_to() {
        let words = |text: &str| -> Vec<String> { text.split(' ').map(str::to_owned).collect() };
        for command in [
            "braintune encode --out old --seed 1",
            "braintune encode --out=old --seed 1",
            "braintune encode --seed 1",
        ] {
            let expected = words("braintune encode --seed 1 --out /new");
            assert_eq!(into(words(command), "/new"), expected);
        }
    }
}

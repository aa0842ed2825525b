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
        std::env::set_current_dir(&folder).map_err(|e| {
            anyhow::anyhow!(
                "the shares were started in {}, which cannot be entered: {e}; the command itself without --shard, from where its paths hold, does the same",
                folder.display()
            )
        })?;
        Ok(command)
    }
}

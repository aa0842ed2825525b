//! `braintune cache`: what is kept for later runs, and cleaning it.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use anyhow::bail;
use braintune::cache::{CacheContents, CacheLimits, Entry, remove};
use braintune::fetch::human_size;

use super::model::cache_folder;

/// What the cache of features holds, by model; with --clean, makes it smaller.
///
/// What has not been of use for longest goes first. Files that are not the cache's are named and left. Runs may go on
/// meanwhile: what they miss they make again, and what they are making is left for a day. A model is told by the
/// SHA-256 of its weights, model_sha256 in provenance.json.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder of the cache, or one that was given to tune --cache (default: braintune in the user's cache folder)
    #[arg(long, alias = "cache", env = "BRAINTUNE_CACHE", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Remove entries down to the limits; without a limit, all of them
    #[arg(long)]
    clean: bool,
    /// What may stay in all: bytes, or with kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024)
    #[arg(long, value_name = "SIZE", requires = "clean")]
    max_size: Option<Size>,
    /// Entries that have not been of use for so long go: a number with m, h, d or w
    #[arg(long, value_name = "AGE", requires = "clean")]
    older_than: Option<Age>,
    /// Say what would go, and remove nothing
    #[arg(long, requires = "clean")]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy)]
struct Size(u64);

#[derive(Debug, Clone, Copy)]
struct Age(Duration);

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let folder = cache_folder(args.dir.as_ref())?;
    // A cache that the environment names may not be there yet.
    let of_environment = std::env::var_os("BRAINTUNE_CACHE").map(PathBuf::from);
    if args.dir.is_some() && args.dir != of_environment && !folder.exists() {
        bail!(
            "--dir {} is not there: give the folder of a cache",
            folder.display()
        );
    }
    let contents = CacheContents::read(&folder)?;
    let now = SystemTime::now();
    table(&contents, now);
    for other in &contents.others {
        say!("not the cache's, left as it is: {}", other.display());
    }
    let total = human_size(contents.n_bytes());
    say!(
        "{}: {} entries, {total}",
        folder.display(),
        contents.entries.len()
    );
    if args.clean {
        clean(args, &contents, now)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn clean(args: &Args, contents: &CacheContents, now: SystemTime) -> anyhow::Result<()> {
    let limits = CacheLimits {
        max_bytes: args.max_size.map(|size| size.0),
        max_age: args.older_than.map(|age| age.0),
    };
    let beyond = contents.beyond(limits, now);
    if args.dry_run {
        let n_bytes = beyond.iter().map(|entry| entry.n_bytes).sum();
        for Entry {
            path, last_used, ..
        } in &beyond
        {
            say!(
                "would remove {}, last used {}",
                path.display(),
                ago(*last_used, now)
            );
        }
        say!(
            "would remove {} entries, {}",
            beyond.len(),
            human_size(n_bytes)
        );
        return Ok(());
    }
    let cleaned = remove(&beyond)?;
    say!(
        "removed {} entries, {}",
        cleaned.n_entries,
        human_size(cleaned.n_bytes)
    );
    if cleaned.n_used_since > 0 {
        say!("left {} that were used meanwhile", cleaned.n_used_since);
    }
    let left = contents.n_bytes() - cleaned.n_bytes;
    if limits.max_bytes.is_some_and(|most| left > most) {
        say!(
            "{} are left: what may still be worked on, or was used meanwhile",
            human_size(left)
        );
    }
    Ok(())
}

fn table(contents: &CacheContents, now: SystemTime) {
    let groups = contents.groups();
    if groups.is_empty() {
        return;
    }
    say!(
        "{:<13} {:<14} {:>10} {:>8} {:>9}  last used",
        "kind",
        "weights",
        "layers",
        "entries",
        "size"
    );
    for group in groups {
        let weights = group.weights.as_deref().unwrap_or("-");
        say!(
            "{:<13} {:<14} {:>10} {:>8} {:>9}  {}",
            group.kind.name(),
            weights.chars().take(12).collect::<String>(),
            group.shape,
            group.n_entries,
            human_size(group.n_bytes),
            ago(group.last_used, now)
        );
    }
}

fn ago(then: SystemTime, now: SystemTime) -> String {
    let minutes = now.duration_since(then).unwrap_or_default().as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1..120 => format!("{minutes} min ago"),
        120..2880 => format!("{} h ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1440),
    }
}

/// A number, 0 or more, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim()))
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("`{text}` is no size: expected bytes, or a number with MB, GB, GiB, …");
        let (number, unit) = number(text).ok_or_else(expected)?;
        let factor: f64 = match unit.to_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kb" => 1e3,
            "m" | "mb" => 1e6,
            "g" | "gb" => 1e9,
            "t" | "tb" => 1e12,
            "kib" => 1024.0,
            "mib" => 1024_f64.powi(2),
            "gib" => 1024_f64.powi(3),
            "tib" => 1024_f64.powi(4),
            _ => return Err(expected()),
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 or more, and saturating"
        )]
        let n_bytes = (number * factor) as u64;
        Ok(Self(n_bytes))
    }
}

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("`{text}` is no age: expected a number with m, h, d or w");
        let (number, unit) = number(text).ok_or_else(expected)?;
        let seconds = match unit {
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            "w" => 604_800.0,
            _ => return Err(expected()),
        };
        let age = Duration::try_from_secs_f64(number * seconds);
        age.map(Self).map_err(|_| expected())
    }
}

//! `braintune fetch`: models and real data over the network.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;

use braintune::fetch::{
    Ds003020Files, FetchConfig, FetchEvent, Fetched, HubModel, Plan, PlannedFile, human_size,
};
use braintune::{BraintuneError, Result};
use clap::ValueEnum;

use crate::progress::Progress;

/// Lines of files that are shown before they are summed up by folder.
const MAX_LINES: usize = 20;

/// Get a model or a dataset over the network.
///
/// Sizes are shown first, files arrive several at a time and are compared with the server's sizes and
/// checksums; so are files of a dataset that are there already. Interrupt it as you like: the same command goes
/// on from what has arrived. Proxies (http or socks5h): HTTPS_PROXY, HTTP_PROXY, else ALL_PROXY; NO_PROXY;
/// certificates of your network: SSL_CERT_FILE.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Model(ModelArgs),
    Dataset(DatasetArgs),
}

/// A model of the HuggingFace hub, into its local cache, where --model finds it.
///
/// Gated and private models need an access token: HF_TOKEN, or the one that `hf auth login` left. The cache is
/// HF_HUB_CACHE, else hub in HF_HOME, else huggingface/hub in XDG_CACHE_HOME, else ~/.cache/huggingface/hub.
#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// Id, e.g. facebook/wav2vec2-base
    #[arg(value_name = "NAME")]
    name: String,
    /// Branch, tag or commit
    #[arg(long, default_value = "main")]
    revision: String,
    /// Another server that talks like the hub; the access token goes there [default: HF_ENDPOINT, else https://huggingface.co]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    how: HowArgs,
}

/// A dataset: responses, audio and TextGrids of chosen subjects and stories.
#[derive(Debug, clap::Args)]
struct DatasetArgs {
    /// Which one
    dataset: Dataset,
    /// Folder for it
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Participants, e.g. UTS03
    #[arg(long, required = true, num_args = 1.., value_delimiter = ',', value_name = "S")]
    subject: Vec<String>,
    /// Stories, or one published list: first-27, encoding-train, tuning-train, …
    /// [default: all that any of the participants heard]
    #[arg(long, value_delimiter = ',', value_name = "A,B,…")]
    stories: Option<Vec<String>>,
    /// Another address of OpenNeuro's bucket, or a mirror of it [default: https://s3.amazonaws.com/openneuro.org]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    how: HowArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Dataset {
    /// LeBel et al. 2023, a natural language fMRI dataset, on OpenNeuro
    Ds003020,
}

#[derive(Debug, clap::Args)]
struct HowArgs {
    /// Show what would be fetched, and fetch nothing
    #[arg(long)]
    dry_run: bool,
    /// Files at a time
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    jobs: u16,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.what {
        What::Model(args) => model(args)?,
        What::Dataset(args) => dataset(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn model(args: &ModelArgs) -> Result<()> {
    let mut model = HubModel::from_env(&args.name)?.with_revision(&args.revision)?;
    if let Some(endpoint) = &args.endpoint {
        model = model.with_endpoint(endpoint)?;
    }
    let plan = watch(|on| model.plan(&args.how.config(), on))?;
    let Some(fetched) = args.how.carry_out(&plan)? else {
        return Ok(());
    };
    let folder = fetched.folder.display();
    if args.revision == "main" {
        say!("{folder} is complete: --model {} finds it", args.name);
    } else {
        say!("{folder} is complete: give this folder as --model");
    }
    Ok(())
}

fn dataset(args: &DatasetArgs) -> Result<()> {
    let Dataset::Ds003020 = args.dataset;
    let mut files = Ds003020Files::new(&args.out, args.subject.iter().cloned())?;
    if let Some(stories) = &args.stories {
        let list = match &stories[..] {
            [list] => list.parse().ok(),
            _ => None,
        };
        files = match list {
            Some(preset) => files.with_preset(preset),
            None => files.with_stories(stories.iter().cloned())?,
        };
    }
    if let Some(endpoint) = &args.endpoint {
        files = files.with_endpoint(endpoint)?;
    }
    let plan = watch(|on| files.plan(&args.how.config(), on))?;
    for missing in plan.missing() {
        say!("not on the server: {missing}");
    }
    let Some(fetched) = args.how.carry_out(&plan)? else {
        return Ok(());
    };
    say!(
        "{} is complete; see that it is sound with `braintune check --dataset {}`",
        fetched.folder.display(),
        fetched.folder.display()
    );
    Ok(())
}

impl HowArgs {
    fn config(&self) -> FetchConfig {
        let mut config = FetchConfig::default();
        config.jobs = usize::from(self.jobs);
        config
    }

    /// Shows the plan and fetches its files; nothing with --dry-run.
    fn carry_out(&self, plan: &Plan) -> Result<Option<Fetched>> {
        show(plan, self.dry_run);
        if self.dry_run {
            return Ok(None);
        }
        let fetched = watch(|on| plan.run(&self.config(), on))?;
        say!(
            "{} of {} files fetched, {}",
            fetched.n_files,
            plan.files().len(),
            human_size(fetched.bytes)
        );
        say_some(
            &fetched.size_only,
            "of them have no checksum on the server that can be compared, only their sizes were",
        );
        say_some(
            &fetched.not_compared,
            "were there with the same size, not compared (the server has no checksum of them)",
        );
        Ok(Some(fetched))
    }
}

/// How many files something holds for, and the first of them.
fn say_some(files: &[String], what: &str) {
    if let Some(first) = files.first() {
        let more = if files.len() > 1 { ", …" } else { "" };
        say!("{} {what}: {first}{more}", files.len());
    }
}

/// Does work with a bar, and stops it on Ctrl-C.
fn watch<T>(
    work: impl FnOnce(&mut dyn FnMut(FetchEvent<'_>) -> ControlFlow<()>) -> braintune::fetch::Result<T>,
) -> Result<T> {
    let mut progress = Progress::new();
    let done = work(&mut |event| progress.on_fetch(event));
    done.map_err(BraintuneError::from)
}

/// Sizes of the files, each one or by folder.
fn show(plan: &Plan, each: bool) {
    let state = |file: &PlannedFile| if file.already() { "  (there)" } else { "" };
    if each || plan.files().len() <= MAX_LINES {
        for file in plan.files() {
            say!(
                "{:>10}  {}{}",
                human_size(file.bytes()),
                file.name(),
                state(file)
            );
        }
    } else {
        let mut folders = BTreeMap::<&str, (usize, u64)>::new();
        for file in plan.files() {
            let folder = file
                .name()
                .rsplit_once('/')
                .map_or(".", |(folder, _)| folder);
            let (n_files, bytes) = folders.entry(folder).or_default();
            *n_files += 1;
            *bytes = bytes.saturating_add(file.bytes());
        }
        for (folder, (n_files, bytes)) in folders {
            say!("{:>10}  {folder}  ({n_files} files)", human_size(bytes));
        }
    }
    say!(
        "{:>10}  in {} files, {} to fetch, into {}",
        human_size(plan.bytes()),
        plan.files().len(),
        human_size(plan.bytes_left()),
        plan.folder().display()
    );
}

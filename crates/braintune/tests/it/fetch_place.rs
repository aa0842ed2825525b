//! A folder, and a bucket whose one large file is answered by a script.

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use braintune::fetch::{Ds003020Files, FetchConfig, FetchError, FetchEvent, Fetched, Plan};

use crate::fetch_server::{Answer, Request, Server, bucket, bytes, dataset, etag};

pub(crate) const FILE: &str = "life.hf5";
pub(crate) const SIZE: usize = 300_000;

/// No pauses, little patience.
pub(crate) fn quick() -> FetchConfig {
    let mut config = FetchConfig::default();
    config.attempts = 4;
    config.stall_timeout = Duration::from_secs(10);
    config.sleep = |_| {};
    config
}

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) server: Server,
}

impl Place {
    /// Requests of the responses of `life` are answered by `fault`, where it has an answer.
    pub(crate) fn new(
        fault: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self::with_bytes(&bytes(SIZE), fault)
    }

    pub(crate) fn with_bytes(
        response: &[u8],
        fault: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: bucket(dataset(response), 1000, move |request, n| {
                let is_file = request.path.ends_with(FILE);
                is_file.then(|| fault(request, n)).flatten()
            }),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let files = Ds003020Files::new(self.folder.path(), ["UTS01".to_owned()]).unwrap();
        let files = files.with_stories(["life".to_owned()]).unwrap();
        let files = files.with_endpoint(&self.server.url()).unwrap();
        files
            .plan(&quick(), &mut |_| ControlFlow::Continue(()))
            .unwrap()
    }

    pub(crate) fn run(&self, config: &FetchConfig) -> (Result<Fetched, FetchError>, Vec<String>) {
        let mut told = Vec::new();
        let result = self.plan().run(config, &mut |event| {
            if !matches!(event, FetchEvent::Fetching { .. }) {
                told.push(format!("{event:?}"));
            }
            ControlFlow::Continue(())
        });
        (result, told)
    }

    pub(crate) fn file(&self) -> PathBuf {
        let folder = self
            .folder
            .path()
            .join("derivative/preprocessed_data/UTS01");
        folder.join(FILE)
    }

    pub(crate) fn partial(&self) -> PathBuf {
        self.file().with_file_name(format!(".{FILE}.partial"))
    }

    /// First bytes of the requests of the file.
    pub(crate) fn asked(&self) -> Vec<usize> {
        let requests = self.server.requests(FILE);
        requests.iter().map(Request::from).collect()
    }

    pub(crate) fn assert_whole(&self) {
        assert!(std::fs::read(self.file()).unwrap() == bytes(SIZE));
        assert!(!self.partial().exists());
        let left = self.partial().with_added_extension("json");
        assert!(!left.exists());
    }
}

pub(crate) fn whole(request: &Request) -> Answer {
    Answer::file(request, &bytes(SIZE), &etag(&bytes(SIZE)))
}

pub(crate) fn refused(result: Result<Fetched, FetchError>, parts: &[&str]) -> FetchError {
    let error = result.unwrap_err();
    for part in parts {
        assert!(error.to_string().contains(part), "{error}: no {part:?}");
    }
    error
}

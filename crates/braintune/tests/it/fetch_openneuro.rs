//! Which files of ds003020 are chosen, from lists that come in pages and may be wrong.

use std::ops::ControlFlow;
use std::path::Path;

use braintune::fetch::{Checksum, Ds003020Files, FetchError, Plan, PlannedFile};

use crate::fetch_place::quick;
use crate::fetch_server::{Answer, End, Request, Server, bucket, dataset};

fn plan(
    server: &Server,
    path: &str,
    (subjects, stories): (&[&str], Option<&[&str]>),
) -> Result<Plan, FetchError> {
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    let mut files = Ds003020Files::new(Path::new("never-written"), names(subjects))?;
    if let Some(stories) = stories {
        files = files.with_stories(names(stories))?;
    }
    let files = files.with_endpoint(&format!("{}{path}", server.url()))?;
    files.plan(&quick(), &mut |_| ControlFlow::Continue(()))
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.files().iter().map(PlannedFile::name).collect()
}

fn plain() -> Server {
    bucket(dataset(b"life 1"), 1000, |_, _| None)
}

fn refused(result: Result<Plan, FetchError>, parts: &[&str]) {
    let error = result.unwrap_err().to_string();
    for part in parts {
        assert!(error.contains(part), "{error}: no {part:?}");
    }
}

#[test]
fn stories_a_subject_did_not_hear_are_told_unless_they_were_named() {
    let server = plain();
    let all = plan(&server, "", (&["UTS02", "UTS01"], None)).unwrap();
    let missing: Vec<_> = all.missing().iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["life: no responses of UTS02"]);
    assert_eq!(
        names(&all),
        [
            "derivative/respdict.json",
            "derivative/preprocessed_data/UTS01/life.hf5",
            "stimuli/life.wav",
            "derivative/TextGrids/life.TextGrid",
            "derivative/preprocessed_data/UTS01/souls.hf5",
            "derivative/preprocessed_data/UTS02/souls.hf5",
            "stimuli/souls.wav",
            "derivative/TextGrids/souls.TextGrid",
        ]
    );
    let one = plan(&server, "", (&["UTS02"], None)).unwrap();
    assert_eq!((names(&one).len(), one.missing().len()), (4, 0));
    let named = plan(&server, "", (&["UTS02"], Some(&["souls", "life"])));
    refused(named, &["--stories", "life: no responses of UTS02"]);
    refused(
        plan(&server, "", (&["UTS01"], Some(&["lief"]))),
        &["lief: no audio"],
    );
    refused(
        plan(&server, "", (&["UTS9"], None)),
        &["no subject UTS9", "UTS01, UTS02"],
    );
    for wrong in ["", "..", "a/b"] {
        refused(plan(&server, "", (&[wrong], None)), &["name of a subject"]);
        refused(
            plan(&server, "", (&["UTS01"], Some(&[wrong]))),
            &["name of a story"],
        );
    }
    refused(plan(&server, "", (&[], None)), &["at least one subject"]);
}

#[test]
fn a_story_without_textgrid_is_told_and_no_error() {
    let mut keys = dataset(b"life 1");
    keys.remove("ds003020/derivative/TextGrids/life.TextGrid");
    let server = bucket(keys, 1000, |_, _| None);
    let plan = plan(&server, "", (&["UTS01"], Some(&["life"]))).unwrap();
    assert_eq!(plan.missing()[0].to_string(), "life: no TextGrid");
}

#[test]
fn lists_come_in_pages() {
    let server = bucket(dataset(b"life 1"), 1, |_, _| None);
    let plan = plan(&server, "", (&["UTS01"], None)).unwrap();
    assert_eq!(names(&plan).len(), 7);
    let pages = server.requests("preprocessed_data");
    let tokens: Vec<_> = pages
        .iter()
        .map(|page| page.query("continuation-token"))
        .collect();
    assert_eq!(tokens, [None, Some("1".to_owned()), Some("2".to_owned())]);
    assert!(
        pages
            .iter()
            .all(|page| page.path.starts_with("/?list-type=2&prefix=ds003020%2F"))
    );
}

#[test]
fn a_bucket_may_be_a_folder_of_its_server() {
    let keys = dataset(b"life 1");
    let server = Server::start(move |request, _| {
        let path = request.path.strip_prefix("/openneuro.org").unwrap();
        assert!(path.starts_with("/?list-type=2&"), "{path}");
        let prefix = request.query("prefix").unwrap();
        let entries = keys.keys().filter(|key| key.starts_with(&prefix));
        let entries = entries.map(|key| {
            format!("<Contents><Key>{key}</Key><Size>5</Size><ETag>\"x-2\"</ETag></Contents>")
        });
        let entries: String = entries.collect();
        Answer::new(
            200,
            format!("<ListBucketResult>{entries}</ListBucketResult>"),
        )
    });
    for path in ["/openneuro.org", "/openneuro.org/"] {
        let plan = plan(&server, path, (&["UTS02"], None)).unwrap();
        assert!(
            plan.files()
                .iter()
                .all(|file| *file.checksum() == Checksum::SizeOnly)
        );
        assert_eq!(plan.bytes(), 20);
    }
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    for key in [
        "ds003020/stimuli/../../../.bashrc.wav",
        "ds003020/stimuli//etc/passwd",
        "ds003020/stimuli/a\\..\\b.wav",
        "/etc/passwd",
    ] {
        let server = bucket(dataset(b""), 1000, move |request, _| {
            let entry = format!(
                "<ListBucketResult><Contents><Key>{key}</Key><Size>1</Size></Contents></ListBucketResult>"
            );
            let is_audio = request.query("prefix")?.contains("stimuli");
            is_audio.then(|| Answer::new(200, entry))
        });
        refused(
            plan(&server, "", (&["UTS01"], None)),
            &["no plain file name", &key[1..9]],
        );
    }
}

#[test]
fn what_is_no_list_is_said_to_be_none() {
    type Fault = fn(&Request) -> Answer;
    let circle: Fault = |_| {
        Answer::new(
            200,
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken></ListBucketResult>",
        )
    };
    let faults: [(Fault, &str); 8] = [
        (
            |_| Answer::new(200, "<html>log in to the network</html>"),
            "<html>",
        ),
        (
            |_| Answer::new(200, "{\"no\": \"xml\"}"),
            "no list of files",
        ),
        (|_| Answer::new(200, vec![0xff; 9]), "no text"),
        (|_| Answer::new(404, "<Error/>"), "OpenNeuro's bucket"),
        (
            |_| {
                Answer::new(200, vec![b'a'; 1 << 16])
                    .length(None)
                    .end(End::Again)
            },
            "16777216 bytes",
        ),
        (
            |_| Answer::new(302, "").with("Location", "/loop"),
            "10 redirects",
        ),
        (circle, "circle"),
        (
            |_| {
                let entry = "<Contents><Key>ds003020/a</Key><Size>1</Size></Contents>";
                let entries = entry.repeat(100_001);
                Answer::new(
                    200,
                    format!("<ListBucketResult>{entries}</ListBucketResult>"),
                )
            },
            "more than 100000 files",
        ),
    ];
    for (fault, part) in faults {
        let server = Server::start(move |request, _| fault(request));
        refused(
            plan(&server, "", (&["UTS01"], None)),
            &[part, &server.url()],
        );
    }
}

#[test]
fn a_list_that_breaks_off_is_asked_for_again() {
    let server = bucket(dataset(b"life 1"), 1000, |request, n| {
        let is_first = n == 0 && request.query("prefix").is_some();
        is_first.then(|| Answer::new(200, "<ListBucketResult>").length(Some(500)))
    });
    assert_eq!(
        names(&plan(&server, "", (&["UTS01"], None)).unwrap()).len(),
        7
    );
    assert_eq!(server.requests("prefix").len(), 8);
}

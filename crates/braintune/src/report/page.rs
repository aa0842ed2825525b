//! The page: sections in order, styles and the one script in it, nothing outside of it.

use std::fmt::Write as _;

use base64::Engine as _;
use sha2::{Digest, Sha256};

use super::alignment::participants;
use super::section::{Report, Section};
use super::table::Table;
use crate::chart::{Figure, escape, style_sheet};
use crate::study::StepStatus;

const STYLES: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("hover.js");

/// Tables that have a place of their own among the sections.
const PLACED: [&str; 5] = ["late_layers", "excluded", "warnings", "sharing", "steps"];

/// The whole page.
pub(super) fn html(report: &Report<'_>) -> String {
    let title = escape(&report.results.title);
    // A browser runs what has this hash and loads nothing but pictures that are in the page.
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT));
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"generator\" content=\"braintune {}\">\n<title>{title}</title>\n<style>\n{}{STYLES}</style>\n</head>\n<body>\n",
        escape(&report.results.braintune),
        style_sheet(true)
    );
    let sections = sections(report);
    html += &header(report, &sections);
    html.push_str("<main>\n");
    for (id, title, body) in sections {
        let _ = write!(
            html,
            "<section id=\"{id}\" aria-labelledby=\"h-{id}\">\n<h2 id=\"h-{id}\">{title}</h2>\n{body}</section>\n"
        );
    }
    let _ = write!(
        html,
        "</main>\n<footer>Written by braintune {}, schema version {}.</footer>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        escape(&report.results.braintune),
        report.results.schema_version
    );
    html
}

/// Identifier, heading and content of every section that has any.
fn sections(report: &Report<'_>) -> Vec<(&'static str, &'static str, String)> {
    let placed = |name: &str, open: bool| {
        let table = report.tables.iter().find(|table| table.name == name);
        table.map_or_else(String::new, |table| table.html(open))
    };
    let drawn = |id: &str| {
        let section = report.sections.iter().find(|section| section.id == id);
        section.map_or(("", String::new()), |section| {
            (section.title, figures(section))
        })
    };
    let others: String = report
        .tables
        .iter()
        .filter(|table| !PLACED.contains(&table.name.as_str()))
        .map(|table: &Table| table.html(false))
        .collect();
    let mut sections = vec![
        ("settings", "Settings", settings(report)),
        (
            "finding",
            "Finding",
            paragraphs(&report.finding) + &placed("late_layers", true),
        ),
    ];
    for id in ["alignment", "probes", "voxels", "regions"] {
        let (title, body) = drawn(id);
        sections.push((id, title, body));
    }
    sections.push(("surfaces", "Surfaces", surfaces(report)));
    for id in ["impact", "training"] {
        let (title, body) = drawn(id);
        sections.push((id, title, body));
    }
    let sharing = report.sharing.iter().map(|(text, ..)| text.clone());
    let sharing: Vec<_> = sharing.collect();
    sections.extend([
        ("tables", "Tables", others),
        (
            "excluded",
            "What was left out, and why",
            placed("excluded", true),
        ),
        ("warnings", "Warnings", warnings(report)),
        (
            "sharing",
            "Data that tuning and evaluation share",
            paragraphs(&sharing) + &placed("sharing", false),
        ),
        ("steps", "Steps", steps(report) + &placed("steps", false)),
        ("provenance", "Provenance", provenance(report)),
    ]);
    sections.retain(|(_, _, body)| !body.is_empty());
    sections
}

fn header(report: &Report<'_>, sections: &[(&str, &str, String)]) -> String {
    let results = report.results;
    let mut html = format!("<header>\n<h1>{}</h1>\n", escape(&results.title));
    if !results.question.is_empty() {
        let _ = writeln!(html, "<p class=\"lead\">{}</p>", escape(&results.question));
    }
    let mut facts = vec![format!("Models: {}", results.models.join(", "))];
    if !results.participants.is_empty() {
        facts.push(participants(results.participants.len()));
    }
    let n_regions = results.rois.iter().filter(|roi| *roi != "all").count();
    if n_regions > 0 {
        facts.push(format!("{n_regions} regions"));
    }
    let names = results.conditions.iter().map(|c| c.name.as_str());
    facts.push(format!(
        "Conditions: {}",
        names.collect::<Vec<_>>().join(", ")
    ));
    let _ = writeln!(
        html,
        "<p class=\"facts\">{}</p>",
        escape(&facts.join(" · "))
    );
    html += &alerts(report);
    html.push_str("<nav aria-label=\"Sections\">");
    for (id, title, _) in sections {
        let _ = write!(html, "<a href=\"#{id}\">{title}</a>");
    }
    html + "</nav>\n</header>\n"
}

/// What must not be missed, at the top: how many warnings, failed steps and things left out.
fn alerts(report: &Report<'_>) -> String {
    let results = report.results;
    let not_done = results
        .steps
        .iter()
        .filter(|step| step.status != StepStatus::Done);
    let shared = report.sharing.iter().filter(|(_, _, problem)| *problem);
    let shared: usize = shared.map(|(_, n, _)| n).sum();
    let counts = [
        (results.warnings.len(), "warning", "warnings", "#warnings"),
        (
            not_done.count(),
            "step was not done",
            "steps were not done",
            "#steps",
        ),
        (
            shared,
            "participant has a test story that was read before",
            "participants have test stories that were read before",
            "#sharing",
        ),
        (
            results.excluded.len(),
            "thing was left out",
            "things were left out",
            "#excluded",
        ),
    ];
    let links = counts.into_iter().filter(|(n, ..)| *n > 0);
    let links = links.map(|(n, one, many, to)| {
        let what = if n == 1 { one } else { many };
        format!("<a href=\"{to}\">{n} {what}</a>")
    });
    let links = links.collect::<Vec<_>>().concat();
    if links.is_empty() {
        links
    } else {
        format!("<p class=\"alerts\" role=\"note\">{links}</p>\n")
    }
}

fn paragraphs(texts: &[String]) -> String {
    let texts = texts.iter();
    let texts = texts.map(|text| format!("<p>{}</p>\n", escape(text)));
    texts.collect::<Vec<_>>().concat()
}

fn settings(report: &Report<'_>) -> String {
    let settings = report.results.settings.iter();
    let items = settings.map(|setting| {
        let (name, value) = (escape(&setting.name), escape(&setting.value));
        format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n")
    });
    let items = items.collect::<Vec<_>>().concat();
    if items.is_empty() {
        items
    } else {
        format!("<dl>\n{items}</dl>\n")
    }
}

fn figures(section: &Section) -> String {
    section.figures.iter().map(figure).collect()
}

fn figure(figure: &Figure) -> String {
    let name = escape(&figure.name);
    format!(
        "<figure>\n<figcaption><b>{}.</b> {} <span class=\"files\"><a href=\"figures/{name}.svg\">SVG</a> <a href=\"figures/{name}.png\">PNG</a></span></figcaption>\n{}{}</figure>\n",
        escape(&figure.title),
        escape(&figure.note),
        figure.legend(),
        figure.inline()
    )
}

fn surfaces(report: &Report<'_>) -> String {
    let surfaces = report.surfaces.iter().map(|(caption, picture)| {
        let caption = escape(caption);
        match picture {
            Ok(uri) => format!(
                "<figure>\n<figcaption>{caption}</figcaption>\n<img src=\"{uri}\" alt=\"{caption}\">\n</figure>\n"
            ),
            Err(problem) => format!(
                "<p class=\"alerts\">{caption} cannot be shown: {}</p>\n",
                escape(problem)
            ),
        }
    });
    surfaces.collect()
}

fn warnings(report: &Report<'_>) -> String {
    let warnings = report.results.warnings.iter();
    let items = warnings.map(|text| format!("<li>{}\n", escape(text)));
    let items = items.collect::<Vec<_>>().concat();
    if items.is_empty() {
        items
    } else {
        format!("<ul class=\"warn\">\n{items}</ul>\n")
    }
}

/// How many steps were done, and each of the others.
fn steps(report: &Report<'_>) -> String {
    let steps = &report.results.steps;
    if steps.is_empty() {
        return String::new();
    }
    let others: Vec<_> = steps
        .iter()
        .filter(|step| step.status != StepStatus::Done)
        .collect();
    let mut html = format!(
        "<p>{} of {} steps are done.</p>\n",
        steps.len() - others.len(),
        steps.len()
    );
    if !others.is_empty() {
        html.push_str("<ul class=\"warn\">\n");
        for step in others {
            let status = match step.status {
                StepStatus::Failed => "failed",
                _ => "skipped",
            };
            let problem = step.problem.as_deref().map(escape);
            let problem = problem.map_or_else(String::new, |problem| format!(": {problem}"));
            let _ = writeln!(html, "<li><b>{}</b> {status}{problem}", escape(&step.name));
        }
        html.push_str("</ul>\n");
    }
    html
}

fn provenance(report: &Report<'_>) -> String {
    if report.provenance.is_empty() {
        String::new()
    } else {
        format!(
            "<details class=\"long\"><summary>Where numbers come from</summary>\n<pre>{}</pre>\n</details>\n",
            escape(&report.provenance)
        )
    }
}

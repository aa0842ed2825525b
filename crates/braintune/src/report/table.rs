//! A table: all of it as CSV, the part of it that a page has room for as HTML.

use std::fmt::Write as _;

use crate::chart::{count, escape, number, signed};

/// Rows of a table.
#[derive(Debug, Clone)]
pub(super) struct Table {
    /// Name of its file.
    pub(super) name: String,
    /// Heading on the page.
    pub(super) title: String,
    /// What is to be known to read it, empty for nothing.
    pub(super) note: String,
    pub(super) header: Vec<&'static str>,
    pub(super) rows: Vec<Vec<Value>>,
    /// How many rows the page shows, the first ones.
    pub(super) on_page: usize,
}

/// What is in a cell.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(String),
    Count(usize),
    Number(Option<f64>),
    /// A difference, with its sign.
    Signed(Option<f64>),
    /// A p or q value.
    P(Option<f64>),
    /// Percent, with its sign.
    Percent(Option<f64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<usize> for Value {
    fn from(n: usize) -> Self {
        Self::Count(n)
    }
}

/// A p or q value for people.
pub(super) fn p_value(p: Option<f64>) -> String {
    match p.filter(|p| p.is_finite()) {
        None => String::from("–"),
        Some(p) if p < 0.001 => String::from("< 0.001"),
        Some(p) => format!("{p:.3}"),
    }
}

/// `+27.3 %`.
pub(super) fn percent(value: Option<f64>) -> String {
    match value.filter(|value| value.is_finite()) {
        None => String::from("–"),
        Some(value) => format!("{value:+.1} %").replace('-', "−"),
    }
}

impl Value {
    fn page(&self) -> String {
        match self {
            Self::Text(text) => escape(text),
            Self::Count(n) => count(*n as f64),
            Self::Number(value) => number(*value),
            Self::Signed(value) => signed(*value),
            Self::P(value) => escape(&p_value(*value)),
            Self::Percent(value) => percent(*value),
        }
    }

    fn file(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(n) => n.to_string(),
            Self::Number(value) | Self::Signed(value) | Self::P(value) | Self::Percent(value) => {
                value.map_or_else(String::new, |value| value.to_string())
            }
        }
    }
}

impl Table {
    /// All rows.
    pub(super) fn csv(&self) -> Result<Vec<u8>, csv::Error> {
        let mut table = csv::Writer::from_writer(Vec::new());
        table.write_record(self.header.iter().map(|name| name.replace(' ', "_")))?;
        for row in &self.rows {
            table.write_record(row.iter().map(Value::file))?;
        }
        table.into_inner().map_err(|e| e.into_error().into())
    }

    /// The first rows in something that opens, with a link to all of them.
    pub(super) fn html(&self, open: bool) -> String {
        let (n, shown) = (self.rows.len(), self.rows.len().min(self.on_page));
        let mut html = format!(
            "<details class=\"{}\"{}><summary>{} <small>{} row{}</small></summary>\n",
            if shown <= 60 { "short" } else { "long" },
            if open { " open" } else { "" },
            escape(&self.title),
            count(n as f64),
            if n == 1 { "" } else { "s" }
        );
        let file = escape(&format!("tables/{}.csv", self.name));
        let part = if shown < n {
            format!(
                "The first {} rows of {}; all",
                count(shown as f64),
                count(n as f64)
            )
        } else {
            String::from("Also")
        };
        let note = escape(&self.note);
        let _ = write!(
            html,
            "<p class=\"note\">{note} {part} in <a href=\"{file}\">{file}</a>.</p>\n<div class=\"scroll\"><table>\n<thead><tr>"
        );
        let texts = self.rows.first().map(|row| row.iter().map(Value::is_text));
        let texts: Vec<bool> = texts.into_iter().flatten().collect();
        for (i, name) in self.header.iter().enumerate() {
            let class = if texts.get(i) == Some(&true) {
                " class=\"x\""
            } else {
                ""
            };
            let _ = write!(html, "<th scope=\"col\"{class}>{}", escape(name));
        }
        html.push_str("</thead>\n<tbody>\n");
        for row in self.rows.iter().take(shown) {
            html.push_str("<tr>");
            for value in row {
                let class = if value.is_text() { " class=x" } else { "" };
                let _ = write!(html, "<td{class}>{}", value.page());
            }
            html.push('\n');
        }
        html + "</tbody></table></div></details>\n"
    }
}

impl Value {
    fn is_text(&self) -> bool {
        matches!(self, Self::Text(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_the_first_rows_and_the_file_has_all() {
        let row = |i: usize| vec![Value::from("<b>"), Value::Count(i), Value::P(Some(1e-5))];
        let table = Table {
            name: String::from("t"),
            title: String::from("T & t"),
            note: String::new(),
            header: vec!["roi", "n voxels", "p"],
            rows: (0..10).map(row).collect(),
            on_page: 3,
        };
        let html = table.html(false);
        assert_eq!(html.matches("<tr>").count(), 4);
        assert!(
            html.contains("&lt;b&gt;") && html.contains("T &amp; t"),
            "{html}"
        );
        assert!(html.contains("&lt; 0.001") && html.contains("first 3 rows of 10"));
        let csv = String::from_utf8(table.csv().expect("text")).expect("UTF-8");
        assert!(csv.starts_with("roi,n_voxels,p\n<b>,0,0.00001\n"), "{csv}");
        assert_eq!(csv.lines().count(), 11);
    }

    #[test]
    fn p_values_and_percents_for_people() {
        assert_eq!(p_value(Some(0.0004)), "< 0.001");
        assert_eq!(p_value(Some(0.012)), "0.012");
        assert_eq!(p_value(None), "–");
        assert_eq!(percent(Some(-3.04)), "−3.0 %");
        assert_eq!(percent(Some(27.0)), "+27.0 %");
    }
}

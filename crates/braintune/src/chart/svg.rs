//! SVG text: numbers, escaped strings, and the few elements that charts are made of.

use std::fmt::Write as _;

/// Letters of the font are about this wide, in sizes of the font: the widest of those that may be used.
const LETTER: f64 = 0.6;

/// Text for HTML and XML, between tags and in attributes; what XML cannot hold becomes a space.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push('\n'),
            '\u{fffe}' | '\u{ffff}' => escaped.push(' '),
            letter if letter.is_control() => escaped.push(' '),
            letter => escaped.push(letter),
        }
    }
    escaped
}

/// How wide a text is at most, about.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().count() as f64 * size * LETTER
}

/// The text, or as much of it as `width` has room for and an ellipsis.
pub(super) fn fit(text: &str, size: f64, width: f64) -> String {
    if text_width(text, size) <= width {
        return text.to_owned();
    }
    let mut fitted = String::new();
    for letter in text.chars() {
        if text_width(&fitted, size) + 2.0 * size * LETTER > width && !fitted.is_empty() {
            break;
        }
        fitted.push(letter);
    }
    fitted + "…"
}

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// SVG that grows.
#[derive(Debug, Default, Clone)]
pub(super) struct Svg(pub(super) String);

/// A length with at most one decimal: a tenth of a pixel is less than anybody sees.
pub(super) fn length(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0 + 0.0;
    format!("{tenths}")
}

impl Svg {
    /// A path of a class, filled or stroked as the class has it.
    pub(super) fn path(&mut self, class: &str, d: &str) {
        let _ = writeln!(self.0, "<path class=\"{class}\" d=\"{d}\"/>");
    }

    /// A rectangle, with a text that is shown over it unless that is empty.
    pub(super) fn rect(
        &mut self,
        class: &str,
        (x, y): (f64, f64),
        (width, height): (f64, f64),
        title: &str,
    ) {
        let [x, y, width, height] = [x, y, width.max(0.0), height.max(0.0)].map(length);
        let _ = write!(
            self.0,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\""
        );
        if title.is_empty() {
            self.0.push_str("/>\n");
        } else {
            let _ = writeln!(self.0, "><title>{}</title></rect>", escape(title));
        }
    }

    /// A line through points; drawn as one element, so that its dashes go on.
    pub(super) fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let points = joined(points);
        let _ = writeln!(self.0, "<polyline class=\"{class}\" points=\"{points}\"/>");
    }

    /// An area between points.
    pub(super) fn polygon(&mut self, class: &str, points: &[(f64, f64)]) {
        let points = joined(points);
        let _ = writeln!(self.0, "<polygon class=\"{class}\" points=\"{points}\"/>");
    }

    /// Text of a class, held at its base line.
    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let (x, y, text) = (length(x), length(y), escape(text));
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\"{anchor}>{text}</text>"
        );
    }

    /// Text that is read from below, in the middle of its length.
    pub(super) fn upward(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        let (x, y, text) = (length(x), length(y), escape(text));
        let _ = writeln!(
            self.0,
            "<text class=\"{class}\" text-anchor=\"middle\" transform=\"translate({x} {y})rotate(-90)\">{text}</text>"
        );
    }
}

fn joined(points: &[(f64, f64)]) -> String {
    let points = points
        .iter()
        .map(|&(x, y)| format!("{},{}", length(x), length(y)));
    points.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_name_becomes_markup() {
        assert_eq!(
            escape("<script>\"&'\u{0}\u{1b}"),
            "&lt;script&gt;&quot;&amp;&#39;  "
        );
    }

    #[test]
    fn a_long_name_is_cut_to_its_room_and_a_short_one_is_not() {
        assert_eq!(fit("short", 10.0, 100.0), "short");
        let cut = fit("a very long name of a region", 10.0, 60.0);
        assert!(
            cut.ends_with('…') && text_width(&cut, 10.0) <= 60.0,
            "{cut}"
        );
        assert_eq!(fit("ab", 10.0, 1.0), "a…");
    }

    #[test]
    fn lengths_are_short_and_have_no_negative_zero() {
        assert_eq!(length(-0.01), "0");
        assert_eq!(length(12.345), "12.3");
        assert_eq!(length(12.0), "12");
    }
}

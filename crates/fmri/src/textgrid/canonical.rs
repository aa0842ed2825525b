//! A TextGrid's text without what the parser skips, its numbers plain and its counts plausible.
//!
//! The parser (textgrid-rs 0.1) reserves memory for as many tiers and intervals as a count claims, and cuts numbers at an
//! exponent. Its rules for where a token begins are these ones, so that no number passes by unseen: fuzzing found
//! counts behind comments, `[labels]`, flags and quotes. Held by `tests/it/textgrid.rs`.

use std::str::FromStr;

/// Counts and times in seconds up to this one are taken in a file of any size.
const MIN_LIMIT: usize = 100_000;
/// What a point takes at least, `0""`; an interval takes more.
const MIN_ENTRY_BYTES: usize = 3;

/// Numbers, texts and flags of `text`, a space apart; comments, labels and all other words are left out.
///
/// # Errors
/// A number that can be neither a time nor a count of what such a file holds; a label that does not end.
pub(super) fn tokens(text: &str) -> Result<String, String> {
    let limit = (text.len() / MIN_ENTRY_BYTES).max(MIN_LIMIT) as f64;
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    let mut may_begin = true;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' if may_begin => text_len(rest),
            '<' => end_of(rest, '>').unwrap_or(rest.len()),
            _ if may_begin => number_len(rest),
            _ => 0,
        };
        if length > 0 {
            let (token, after) = rest.split_at(length);
            kept.push_str(&plain(token, limit)?);
            kept.push(' ');
            (rest, may_begin) = (after, true);
            continue;
        }
        let skipped = match first {
            '!' => rest.find(['\r', '\n']).unwrap_or(rest.len()),
            '[' => end_of(rest, ']').ok_or("a label in [ ] does not end")?,
            _ => first.len_utf8(),
        };
        may_begin = matches!(first, '!' | '[' | ' ' | '\t' | '\r' | '\n');
        rest = &rest[skipped..];
    }
    Ok(kept)
}

/// A token as the parser understands it.
fn plain(token: &str, limit: f64) -> Result<String, String> {
    match f64::from_str(token) {
        Ok(number) if number.abs() > limit => Err(format!("implausible number {token}")),
        Ok(number) if token.contains(['e', 'E']) => Ok(number.to_string()),
        _ => Ok(token.to_owned()),
    }
}

/// Bytes up to and with the first `end`.
fn end_of(text: &str, end: char) -> Option<usize> {
    text.find(end).map(|at| at + end.len_utf8())
}

/// Bytes of the text in quotes at the beginning, a doubled quote within it; all if it does not end.
fn text_len(text: &str) -> usize {
    let mut at = 1;
    while let Some(quote) = text[at..].find('"') {
        at += quote + 1;
        if !text[at..].starts_with('"') {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Bytes of the number at the beginning, with sign, decimals and exponent; 0 if there is none.
fn number_len(text: &str) -> usize {
    let digits = |from: usize| {
        let is_other = |c: char| !c.is_ascii_digit();
        text[from..].find(is_other).unwrap_or(text.len() - from)
    };
    let sign = usize::from(text.starts_with(['+', '-']));
    let whole = digits(sign);
    if whole == 0 {
        return 0;
    }
    let mut end = sign + whole;
    if text[end..].starts_with('.') {
        let decimals = digits(end + 1);
        end += if decimals > 0 { 1 + decimals } else { 0 };
    }
    if text[end..].starts_with(['e', 'E']) {
        let sign = usize::from(text[end + 1..].starts_with(['+', '-']));
        let exponent = digits(end + 1 + sign);
        end += if exponent > 0 { 1 + sign + exponent } else { 0 };
    }
    end
}

//! Numbers as people read them: three digits behind the point, a true minus, thousands apart.

/// A number for a text; `–` where there is none.
pub(crate) fn number(value: impl Into<Option<f64>>) -> String {
    let Some(value) = value.into().filter(|value| value.is_finite()) else {
        return String::from("–");
    };
    let size = value.abs();
    let text = if size >= 1e7 || (size < 1e-3 && size > 0.0) {
        format!("{value:.1e}")
    } else if size >= 1e3 {
        return count(value);
    } else if size >= 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    };
    text.replace('-', "−")
}

/// A number with its sign.
pub(crate) fn signed(value: impl Into<Option<f64>>) -> String {
    let value = value.into();
    let text = number(value);
    match value {
        Some(value) if value > 0.0 => format!("+{text}"),
        _ => text,
    }
}

/// A whole number, its thousands apart.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let sign = if value <= -0.5 { "−" } else { "" };
    let mut text = String::from(sign);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_say_their_sign() {
        assert_eq!(number(0.12345), "0.123");
        assert_eq!(number(-0.5), "−0.500");
        assert_eq!(number(0.000_12), "1.2e−4");
        assert_eq!(number(123.45), "123.5");
        assert_eq!(number(12_345.6), "12,346");
        assert_eq!(number(None), "–");
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(signed(0.02), "+0.020");
        assert_eq!(signed(-0.02), "−0.020");
        assert_eq!(signed(0.0), "0.000");
        assert_eq!(count(-1_234_567.0), "−1,234,567");
        assert_eq!(count(999.0), "999");
    }
}

//! What differs between the records of two runs.

use serde_json::Value;

/// What differs between two records, key by key, in the words of `say`: of the key and both values.
pub(crate) fn differences(
    old: &Value,
    new: &Value,
    say: &dyn Fn(&str, &Value, &Value) -> String,
) -> String {
    let mut found = Vec::new();
    collect_differences("", old, new, &mut |key, old, new| {
        found.push(say(key, old, new));
    });
    found.join("; ")
}

/// Of a run and the one that would go on with it.
pub(crate) fn was_and_is(key: &str, old: &Value, new: &Value) -> String {
    format!("{key} was {old} and is {new}")
}

fn collect_differences(
    path: &str,
    old: &Value,
    new: &Value,
    found: &mut dyn FnMut(&str, &Value, &Value),
) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            for key in keys {
                let of = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                collect_differences(&path, &of(a), &of(b), found);
            }
        }
        _ if old != new => found(path, old, new),
        _ => {}
    }
}

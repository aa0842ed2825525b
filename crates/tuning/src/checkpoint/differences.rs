//! What differs between the records of two runs.

use serde_json::Value;

/// What differs between two records, key by key.
pub(super) fn differences(old: &Value, new: &Value) -> String {
    let mut found = Vec::new();
    collect_differences("", old, new, &mut found);
    found.join("; ")
}

fn collect_differences(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
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
        _ if old != new => found.push(format!("{path} was {old} and is {new}")),
        _ => {}
    }
}

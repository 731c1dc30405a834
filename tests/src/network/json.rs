//! `ip -j`, key by key.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::Place;

/// Asks both with `line` and compares; how many values were compared.
pub fn compare(place: &Place, line: &str) -> Result<u64> {
    let read = |text: String| -> Result<Value> {
        let value: Value = match text.trim() {
            "" => Value::Array(Vec::new()),
            text => serde_json::from_str(text).with_context(|| format!("{line}: {text}"))?,
        };
        Ok(without_empty(value))
    };
    let before = read(place.theirs(line)?)?;
    let ours = read(place.ours(line)?)?;
    let after = read(place.theirs(line)?)?;
    // Releases before 6.3 do not know who set an address.
    let knows_protocol = before.to_string().contains("\"protocol\":\"kernel_");
    let comparison = Comparison { knows_protocol };
    comparison.values(line, &before, &ours, &after).with_context(|| {
        format!("`{line}`\n  the classic says: {before}\n  netbreath says:   {ours}")
    })
}

/// For interfaces that do not match, some releases print an empty object.
fn without_empty(value: Value) -> Value {
    match value {
        Value::Array(all) => Value::Array(
            all.into_iter()
                .filter(|one| one.as_object().is_none_or(|map| !map.is_empty()))
                .collect(),
        ),
        other => other,
    }
}

struct Comparison {
    knows_protocol: bool,
}

impl Comparison {
    fn values(&self, at: &str, before: &Value, ours: &Value, after: &Value) -> Result<u64> {
        match (before, ours, after) {
            (Value::Array(before), Value::Array(ours), Value::Array(after)) => {
                ensure!(
                    before.len() == ours.len() && ours.len() == after.len(),
                    "{at}: {} elements, not {}",
                    ours.len(),
                    before.len()
                );
                let mut count = 0;
                for (i, one) in ours.iter().enumerate() {
                    count += self.values(&format!("{at}[{i}]"), &before[i], one, &after[i])?;
                }
                Ok(count)
            }
            (Value::Object(before), Value::Object(ours), Value::Object(after)) => {
                let mut count = 0;
                for (key, value) in ours {
                    let at = format!("{at}.{key}");
                    let (Some(before), Some(after)) = (before.get(key), after.get(key)) else {
                        let known = value.as_str().is_some_and(|text| text.starts_with("kernel_"));
                        if key == "protocol" && known && !self.knows_protocol {
                            continue;
                        }
                        bail!("{at}: the classic has no such key");
                    };
                    count += self.values(&at, before, value, after)?;
                }
                for key in before.keys() {
                    ensure!(ours.contains_key(key), "{at}.{key} is missing");
                }
                Ok(count)
            }
            (Value::Number(before), Value::Number(ours), Value::Number(after)) => {
                let number = |number: &serde_json::Number| number.as_i64().unwrap_or(i64::MAX);
                let (before, ours, after) = (number(before), number(ours), number(after));
                let (least, most) = (before.min(after), before.max(after));
                ensure!((least..=most).contains(&ours), "{at}: {ours}, not {least} to {most}");
                Ok(1)
            }
            _ => {
                ensure!(ours == before || ours == after, "{at}: {ours}, not {before}");
                Ok(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn judge(before: Value, ours: Value, after: Value) -> Result<u64> {
        Comparison { knows_protocol: false }.values("x", &before, &ours, &after)
    }

    #[test]
    fn a_difference_is_found_and_a_counter_may_run() {
        let one = |n: u64| json!([{"a": "b", "n": n, "list": ["UP"]}]);
        assert_eq!(judge(one(1), one(2), one(3)).expect("equal"), 3);
        assert!(judge(one(1), one(4), one(3)).is_err());
        assert!(judge(one(1), json!([]), one(1)).is_err());
        assert!(judge(one(1), json!([{"a": "b", "n": 1}]), one(1)).is_err());
        assert!(judge(json!([{}]), json!([{"more": 1}]), json!([{}])).is_err());
        assert!(judge(json!(["a"]), json!(["b"]), json!(["a"])).is_err());
        assert_eq!(
            judge(json!([{}]), json!([{"protocol": "kernel_ll"}]), json!([{}])).expect("equal"),
            0
        );
    }
}

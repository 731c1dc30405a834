//! Text of the classics, field by field.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};

use super::Place;

/// Lines of both, word by word; how many words were compared. Seconds that are left may
/// run, and `proto kernel_…` is what older releases do not know.
pub fn compare_lines(place: &Place, line: &str) -> Result<u64> {
    let read = |text: &str| -> Vec<Vec<String>> { text.lines().map(line_words).collect() };
    let (theirs, ours) = (read(&place.theirs(line)?), read(&place.ours(line)?));
    ensure!(
        theirs.len() == ours.len(),
        "`{line}`: {} lines, not {}:\n{ours:?}\n{theirs:?}",
        ours.len(),
        theirs.len()
    );
    let mut count = 0;
    for (theirs, ours) in theirs.iter().zip(&ours) {
        ensure!(theirs == ours, "`{line}`:\n  {}\nis not\n  {}", ours.join(" "), theirs.join(" "));
        count += ours.len() as u64;
    }
    Ok(count)
}

fn line_words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    if let Some(at) = words.iter().position(|word| word.starts_with("kernel_"))
        && at > 0
        && words[at - 1] == "proto"
    {
        words.drain(at - 1..=at);
    }
    for word in &mut words {
        let number = word.trim_start_matches(|c: char| c.is_ascii_digit());
        if number == "sec" {
            *word = "N sec".into();
        }
    }
    words
}

/// A paragraph of `ifconfig`.
#[derive(Debug, Default)]
struct Paragraph {
    /// Facts that have to be the same.
    facts: BTreeMap<String, String>,
    inet: BTreeSet<String>,
    inet6: BTreeSet<String>,
    counters: BTreeMap<String, u64>,
}

fn paragraphs(text: &str) -> Result<BTreeMap<String, Paragraph>> {
    let mut all = BTreeMap::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let (name, rest) = block.split_once(": flags=").with_context(|| block.to_owned())?;
        let mut paragraph = Paragraph::default();
        let mut lines = rest.lines();
        let head = lines.next().unwrap_or_default();
        paragraph
            .facts
            .insert("head".into(), head.split_whitespace().collect::<Vec<_>>().join(" "));
        for line in lines {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                // An address of a point-to-point link has more words.
                ["inet", rest @ ..] => {
                    paragraph.inet.insert(rest.join(" "));
                }
                // Marks that netbreath adds come after the scope.
                ["inet6", address, "prefixlen", len, "scopeid", scope, ..] => {
                    paragraph.inet6.insert(format!("{address}/{len} {scope}"));
                }
                [side @ ("RX" | "TX"), rest @ ..] => {
                    for pair in rest.chunks(2) {
                        if let [what, number] = pair
                            && let Ok(number) = number.parse()
                        {
                            paragraph.counters.insert(format!("{side} {what}"), number);
                        }
                    }
                }
                _ => {
                    paragraph.facts.insert("hardware".into(), words.join(" "));
                }
            }
        }
        all.insert(name.to_owned(), paragraph);
    }
    Ok(all)
}

/// Paragraphs of both. The classic shows the first IPv4 address of a label only; all of
/// what it shows has to be there.
pub fn compare_ifconfig(place: &Place, line: &str) -> Result<u64> {
    let before = paragraphs(&place.theirs(line)?)?;
    let ours = paragraphs(&place.ours(line)?)?;
    let after = paragraphs(&place.theirs(line)?)?;
    let names = |all: &BTreeMap<String, Paragraph>| all.keys().cloned().collect::<BTreeSet<_>>();
    let mut labels = names(&ours);
    // Asked for one interface, the classic leaves out its labels.
    if line.split_whitespace().count() > 1 && !line.contains("-a") {
        labels.retain(|name| before.contains_key(name));
    }
    ensure!(labels == names(&before), "`{line}`: {labels:?}, not {:?}", names(&before));
    let mut count = 0;
    for (name, theirs) in &before {
        let (ours, after) = (&ours[name], &after[name]);
        let at = format!("`{line}` {name}");
        ensure!(theirs.facts == ours.facts, "{at}: {:?}, not {:?}", ours.facts, theirs.facts);
        ensure!(theirs.inet6 == ours.inet6, "{at}: {:?}, not {:?}", ours.inet6, theirs.inet6);
        ensure!(theirs.inet.is_subset(&ours.inet), "{at}: {:?} lack {:?}", ours.inet, theirs.inet);
        for (what, number) in &ours.counters {
            let least = theirs.counters.get(what).with_context(|| format!("{at}: {what}"))?;
            let most = after.counters[what];
            ensure!((*least..=most).contains(number), "{at}: {what} {number}, not {least}..{most}");
        }
        ensure!(theirs.counters.len() == ours.counters.len(), "{at}: counters are missing");
        let sets = ours.inet.len() + ours.inet6.len();
        count += (ours.facts.len() + sets + ours.counters.len()) as u64;
    }
    Ok(count)
}

/// Rows of a table with a counter in some columns: the first words are the same, and
/// numbers lie between.
pub fn compare_counts(place: &Place, line: &str) -> Result<u64> {
    let rows = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            // A label is no interface: the classic has no numbers for it either.
            .filter(|line| !line.contains("no statistics available"))
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let before = rows(&place.theirs(line)?);
    let ours = rows(&place.ours(line)?);
    let after = rows(&place.theirs(line)?);
    ensure!(before.len() == ours.len(), "`{line}`: {ours:?}\n{before:?}");
    let mut count = 0;
    for ((before, ours), after) in before.iter().zip(&ours).zip(&after) {
        ensure!(before.len() == ours.len(), "`{line}`: {ours:?}, not {before:?}");
        for ((before, ours), after) in before.iter().zip(ours).zip(after) {
            let between = match (before.parse::<u64>(), ours.parse(), after.parse::<u64>()) {
                (Ok(before), Ok(ours), Ok(after)) => (before..=after).contains(&ours),
                _ => before == ours,
            };
            ensure!(between, "`{line}`: {ours}, not {before}");
            count += 1;
        }
    }
    Ok(count)
}

/// The counters of protocols next to the kernel's own files, read before and after.
pub fn compare_statistics(place: &Place) -> Result<u64> {
    let read = || -> Result<BTreeMap<(String, String), i64>> {
        place.netns.inside(|| {
            let mut all = BTreeMap::new();
            for file in ["snmp", "netstat"] {
                let path = format!("/proc/thread-self/net/{file}");
                let text = std::fs::read_to_string(&path).with_context(|| path)?;
                let lines: Vec<&str> = text.lines().collect();
                for pair in lines.chunks_exact(2) {
                    let mut names = pair[0].split_whitespace();
                    let values = pair[1].split_whitespace().skip(1);
                    let protocol = names.next().unwrap_or_default().trim_end_matches(':');
                    for (name, value) in names.zip(values) {
                        let key = (protocol.to_owned(), name.to_owned());
                        all.insert(key, value.parse()?);
                    }
                }
            }
            Ok(all)
        })
    };
    let before = read()?;
    let text = place.ours("netstat -s -4 --format json")?;
    let after = read()?;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text)?;
    let mut count = 0;
    for row in &rows {
        let key = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let at = (key("protocol"), key("name"));
        let (least, most) = (before[&at], after[&at]);
        let Some(value) = row["value"].as_i64() else {
            ensure!(least < 0, "{at:?} has no value, and is {least}");
            continue;
        };
        ensure!(
            (least.min(most)..=most.max(least)).contains(&value),
            "{at:?}: {value}, not {least}"
        );
        count += 1;
    }
    ensure!(rows.len() == before.len(), "{} counters, not {}", rows.len(), before.len());
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_taken_apart() {
        let text = "v0:x: flags=73<UP>  mtu 1500\n        inet 10.0.0.1  netmask 255.0.0.0\n\n\
                    lo: flags=73<UP>  mtu 9\n        inet6 ::1  prefixlen 128  scopeid 0x10<host>\n        \
                    loop  txqueuelen 1000  (Local Loopback)\n        RX packets 5  bytes 7 (7.0 B)\n";
        let all = paragraphs(text).expect("paragraphs");
        assert_eq!(all["v0:x"].facts["head"], "73<UP> mtu 1500");
        assert_eq!(all["lo"].counters["RX bytes"], 7);
        assert!(all["lo"].inet6.contains("::1/128 0x10<host>"));
        assert_eq!(line_words("valid_lft 89sec x proto kernel_ll"), ["valid_lft", "N sec", "x"]);
    }
}

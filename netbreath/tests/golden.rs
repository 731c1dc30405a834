//! One list of events in every format, against what it is to look like.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use netbreath::cli::{FormatName, Timestamps};
use netbreath::plan::Output;
use netbreath::run::Lines;
use netbreath::view::trace::column_named;

mod script;

fn written(output: &Output) -> String {
    let mut lines = Lines::new(output);
    let mut out = Vec::new();
    lines.begin(&mut out);
    for event in script::events() {
        lines.event(&event, &mut out);
    }
    lines.end(&mut out);
    String::from_utf8(out).unwrap()
}

/// No byte of the output can steer a terminal.
fn harmless(text: &str) {
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
}

#[test]
fn text_at_80_columns() {
    let text = written(&script::output(FormatName::Text, Some(80)));
    harmless(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn text_at_120_columns() {
    let text = written(&script::output(FormatName::Text, Some(120)));
    harmless(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn text_piped() {
    let text = written(&script::output(FormatName::Text, None));
    harmless(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn text_with_colour_in_ascii_since_the_first() {
    let mut output = script::output(FormatName::Text, Some(80));
    output.style.colour = true;
    output.style.unicode = false;
    output.style.timestamps = Timestamps::Relative;
    insta::assert_snapshot!(written(&output).replace('\x1b', "ESC"));
}

#[test]
fn text_without_names_of_hosts_keeps_numbers_and_with_them_shows_names() {
    let mut output = script::output(FormatName::Text, None);
    output.names = true;
    // The hosts file of the machine that runs the test; there, if anywhere.
    let known = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    if known.lines().any(|line| line.split_whitespace().take(2).eq(["127.0.0.1", "localhost"])) {
        assert!(written(&output).contains(" localhost:25 "), "{}", written(&output));
    } else {
        eprintln!("skipped: /etc/hosts does not name 127.0.0.1 localhost");
    }
    output.names = false;
    assert!(written(&output).contains(" 127.0.0.1:25 "));
}

#[test]
fn json() {
    let text = written(&script::output(FormatName::Json, None));
    let rows: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    // All but the clock and the seed.
    assert_eq!(rows.len(), script::events().len() - 2);
    insta::assert_snapshot!(text);
}

#[test]
fn json_with_every_column_has_what_jsonl_has() {
    let mut output = script::output(FormatName::Json, None);
    output.columns = netbreath::view::trace::COLUMNS.iter().collect();
    output.seeds = true;
    let rows: Vec<serde_json::Value> = serde_json::from_str(&written(&output)).unwrap();
    // The bytes of a name that is no text are for the recording alone.
    let bytes = r#","comm_bytes":"611b5b324a0a2262222cff6364""#;
    assert!(script::recording().contains(bytes));
    let recording = script::recording().replace(bytes, "");
    let lines: Vec<serde_json::Value> = recording
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["event"] != "clock")
        .collect();
    assert_eq!(rows, lines);
    // The keys come in the same order, too.
    let text = written(&output);
    for line in recording.lines().filter(|line| !line.contains("\"clock\"")) {
        assert!(text.contains(line), "{line}");
    }
}

#[test]
fn an_array_without_rows_is_an_array() {
    let mut lines = Lines::new(&script::output(FormatName::Json, None));
    let mut out = Vec::new();
    lines.begin(&mut out);
    lines.end(&mut out);
    assert_eq!(out, b"[]\n");
}

#[test]
fn jsonl_is_the_recording() {
    let text = written(&script::output(FormatName::Jsonl, None));
    assert_eq!(text, script::recording());
    insta::assert_snapshot!(text);
}

#[test]
fn csv() {
    let text = written(&script::output(FormatName::Csv, None));
    harmless(&text);
    insta::assert_snapshot!(text);
}

#[test]
fn columns_of_every_kind_in_text() {
    let mut output = script::output(FormatName::Text, Some(100));
    output.columns =
        netbreath::view::trace::COLUMNS.iter().filter(|column| column.key != "time").collect();
    output.spare.clear();
    output.seeds = true;
    insta::assert_snapshot!(written(&output));
    output.columns = ["time", "pid", "old"].iter().filter_map(|key| column_named(key)).collect();
    assert!(written(&output).starts_with("TIME                PID OLD\n"));
}

#[test]
fn text_explained_in_both_languages() {
    use netbreath::lesson::Language;
    use netbreath::lesson::line::Explained;

    for (language, name) in [(Language::En, "explained_en"), (Language::Ja, "explained_ja")] {
        let mut output = script::output(FormatName::Text, Some(80));
        output.explain = Some(Explained::new(language, Some(80)));
        let text = written(&output);
        harmless(&text);
        insta::assert_snapshot!(name, text);
    }
}

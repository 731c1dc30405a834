//! The tour, from the recording that ships with the program: no root, the same everywhere.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use netbreath::lesson::Language;
use netbreath::teach::tour::{Manner, Place, give};
use unicode_width::UnicodeWidthStr;

fn given(language: Language, width: usize) -> String {
    let mut place = Place::recorded().unwrap();
    let manner = Manner { language, width, stops: false, unicode: true, waits: true };
    let mut out = Vec::new();
    give(&mut place, manner, &mut out, || true).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn in_english_at_80_columns() {
    insta::assert_snapshot!(given(Language::En, 80));
}

#[test]
fn in_japanese_at_80_columns() {
    insta::assert_snapshot!(given(Language::Ja, 80));
}

#[test]
fn in_english_at_120_columns() {
    insta::assert_snapshot!(given(Language::En, 120));
}

#[test]
fn in_japanese_at_120_columns() {
    insta::assert_snapshot!(given(Language::Ja, 120));
}

/// The lines that are not wrapped keep to the terminal by their width, not their bytes.
#[test]
fn ladders_and_rules_are_as_wide_as_the_terminal() {
    for language in [Language::En, Language::Ja] {
        for width in [80, 120] {
            let text = given(language, width);
            let rules: Vec<&str> = text.lines().filter(|line| line.starts_with("== ")).collect();
            assert_eq!(rules.len(), 7);
            for rule in rules {
                assert_eq!(rule.width(), width, "{rule}");
            }
            for rung in text.lines().filter(|line| line.contains(" |") && line.contains("| ")) {
                assert!(rung.width() <= width, "{rung}");
            }
        }
    }
}

#[test]
fn it_ends_where_the_reader_ends_it() {
    let mut place = Place::recorded().unwrap();
    let manner =
        Manner { language: Language::En, width: 80, stops: true, unicode: true, waits: true };
    let (mut out, mut asked) = (Vec::new(), 0);
    give(&mut place, manner, &mut out, || {
        asked += 1;
        asked < 3
    })
    .unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("== 2/7") && !text.contains("== 3/7"), "{text}");
}

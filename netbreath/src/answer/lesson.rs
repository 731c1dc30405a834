//! Answers what a word means.

use crate::host::Terminal;
use crate::lesson::{Language, find, near, page};

/// The page of a topic, or all topics, or why there is none; with the exit code.
pub fn explain(topic: &str, language: Language, terminal: Terminal) -> (String, u8) {
    let width = terminal.width.map_or(page::USUAL_WIDTH, usize::from).clamp(40, 100);
    let mut text = String::new();
    if topic.trim().is_empty() {
        page::list(language, width, &mut text);
        return (text, 0);
    }
    let found = find(topic, language);
    if found.is_empty() {
        let near = near(topic).join(", ");
        let text = match (language, near.is_empty()) {
            (Language::En, true) => {
                format!("there is no topic {topic:?}; `netbreath explain` lists them all")
            }
            (Language::En, false) => format!(
                "there is no topic {topic:?}; near ones: {near}; `netbreath explain` lists them all"
            ),
            (Language::Ja, true) => {
                format!("{topic:?} という項目はありません。`netbreath explain` で一覧が出ます")
            }
            (Language::Ja, false) => format!(
                "{topic:?} という項目はありません。近いもの: {near}。`netbreath explain` で一覧が\
                 出ます"
            ),
        };
        return (text, 1);
    }
    for (place, lesson) in found.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        page::lesson(lesson, language, width, &mut text);
    }
    (text, 0)
}

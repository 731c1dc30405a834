//! Lessons as text for a terminal: whole pages, lists, and paragraphs that keep to the width
//! of the terminal, with full-width characters counted as two columns.

use textwrap::{Options, WordSeparator, WordSplitter};
use unicode_width::UnicodeWidthStr;

use super::{Kind, Language, Lesson, all};

/// Without a terminal, lines are so long.
pub const USUAL_WIDTH: usize = 80;

/// Appends `text`, wrapped to `width` columns, its first line after `first`, the others
/// after `rest`.
pub fn paragraph(text: &str, width: usize, first: &str, rest: &str, out: &mut String) {
    let options = Options::new(width.max(20))
        .initial_indent(first)
        .subsequent_indent(rest)
        .word_separator(WordSeparator::UnicodeBreakProperties)
        .word_splitter(WordSplitter::NoHyphenation)
        .break_words(false);
    for line in textwrap::wrap(text, options) {
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// Appends `text` and blanks up to `width` columns.
pub fn pad(text: &str, width: usize, out: &mut String) {
    out.push_str(text);
    out.extend(std::iter::repeat_n(' ', width.saturating_sub(text.width())));
}

/// Appends the page of a lesson.
pub fn lesson(lesson: &Lesson, language: Language, width: usize, out: &mut String) {
    let kind = lesson.kind.map_or("", |kind| kind.title(language));
    out.push_str(&format!("{} ({kind})\n", lesson.topic));
    paragraph(lesson.what, width, "  ", "  ", out);
    out.push('\n');
    let also = lesson.also.join(", ");
    let labels: [(&str, &str); 6] = [
        (language.choose("Who acts", "動かすのは"), lesson.who),
        (language.choose("Normal?", "普通か"), lesson.normal),
        (language.choose("Look next", "次に見る"), lesson.next),
        (language.choose("On Linux", "Linux では"), lesson.linux),
        ("RFC", lesson.rfc),
        (language.choose("Also", "別名"), &also),
    ];
    let column = 4 + labels.iter().map(|(label, _)| label.width()).max().unwrap_or(0);
    let rest = " ".repeat(column);
    for (label, text) in labels.iter().filter(|(_, text)| !text.is_empty()) {
        let mut first = String::new();
        pad(&format!("  {label}"), column, &mut first);
        paragraph(text, width, &first, &rest, out);
    }
}

/// Appends the names of all topics.
pub fn list(language: Language, width: usize, out: &mut String) {
    for kind in Kind::ALL {
        out.push_str(&format!("{}\n", kind.title(language)));
        let names: Vec<&str> = all(language)
            .iter()
            .filter(|lesson| lesson.kind == Some(kind))
            .map(|lesson| lesson.topic)
            .collect();
        // One after the other where they are short, else one a line.
        if kind == Kind::Transition {
            for name in names {
                out.push_str(&format!("  {name}\n"));
            }
        } else {
            paragraph(&names.join(", "), width, "  ", "  ", out);
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        for language in [Language::En, Language::Ja] {
            for width in [60, 80, 120] {
                let mut text = String::new();
                for one in all(language) {
                    lesson(one, language, width, &mut text);
                }
                list(language, width, &mut text);
                for line in text.lines() {
                    // A word that cannot be cut may stick out.
                    let words = line.split_whitespace().map(UnicodeWidthStr::width).max();
                    assert!(line.width() <= width || words > Some(width / 2), "{width}: {line}");
                    // A line of Japanese does not begin with what ends a sentence.
                    assert!(!line.trim_start().starts_with(['、', '。', ')', '）']), "{line}");
                }
            }
        }
    }
}

//! `learn` and `diagram` from the recording of the tour: no root, no terminal.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use netbreath::event::segment::Moment;
use netbreath::format::diagram::{Kind, draw};
use netbreath::lesson::Language;
use netbreath::teach::{story, tour};
use netbreath::tui::learn::Learn;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

fn moments() -> Vec<Moment> {
    story::moments(story::read(tour::RECORDING).unwrap())
}

fn key(code: KeyCode) -> Event {
    Event::Key(KeyEvent::new(code, KeyModifiers::NONE))
}

fn screen(learn: &Learn, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| learn.paint(frame)).unwrap();
    terminal.backend().to_string()
}

/// After so many steps.
fn stepped(language: Language, steps: usize) -> Learn {
    let mut learn = Learn::new(moments(), language);
    for _ in 0..steps {
        assert!(learn.take(&key(KeyCode::Right)));
    }
    learn
}

#[test]
fn in_english_at_80_by_24() {
    insta::assert_snapshot!(screen(&stepped(Language::En, 6), 80, 24));
}

#[test]
fn in_japanese_at_80_by_24() {
    insta::assert_snapshot!(screen(&stepped(Language::Ja, 6), 80, 24));
}

#[test]
fn in_english_at_120_by_40() {
    insta::assert_snapshot!(screen(&stepped(Language::En, 17), 120, 40));
}

#[test]
fn in_japanese_at_120_by_40() {
    insta::assert_snapshot!(screen(&stepped(Language::Ja, 17), 120, 40));
}

#[test]
fn steps_go_forwards_and_backwards_and_end() {
    let mut learn = stepped(Language::En, 6);
    let here = screen(&learn, 80, 24);
    assert!(learn.take(&key(KeyCode::Right)) && learn.take(&key(KeyCode::Left)));
    assert_eq!(screen(&learn, 80, 24), here);
    assert!(learn.take(&key(KeyCode::End)));
    let end = screen(&learn, 80, 24);
    assert!(learn.take(&key(KeyCode::Right)), "there is nothing behind the last");
    assert_eq!(screen(&learn, 80, 24), end);
    assert!(learn.take(&key(KeyCode::Char('?'))));
    assert!(screen(&learn, 80, 24).contains("a step backwards"));
    // Any key takes the help away.
    assert!(learn.take(&key(KeyCode::Char('q'))));
    assert_eq!(screen(&learn, 80, 24), end);
    assert!(!learn.take(&key(KeyCode::Char('q'))));
}

#[test]
fn without_a_terminal_it_is_text() {
    insta::assert_snapshot!(Learn::new(moments(), Language::En).text(80));
}

#[test]
fn drawings_have_every_rung() {
    let moments = moments();
    let segments = moments.iter().filter(|moment| matches!(moment, Moment::Segment(_))).count();
    insta::assert_snapshot!("text", draw(Kind::Text, &moments, Language::En));
    insta::assert_snapshot!("mermaid", draw(Kind::Mermaid, &moments, Language::En));
    let svg = draw(Kind::Svg, &moments, Language::En);
    assert_eq!(svg.matches("class=\"arrow\"").count(), segments);
    assert_eq!(svg.matches("<g ").count(), svg.matches("</g>").count());
    let html = draw(Kind::Html, &moments, Language::Ja);
    assert!(html.contains("lang=\"ja\"") && html.contains("ハンドシェイク"));
    assert_eq!(html.matches("data-step=").count(), svg.matches("data-step=").count());
    // It needs nothing from anywhere.
    for outside in ["src=", "href=", "@import", "url(http"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

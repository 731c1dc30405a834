//! The screen of `top`, drawn from lists of events: what it looks like, and that keys do
//! what they say.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use netbreath::event::{
    Accept, Body, Comm, Event, HalfOpen, Handover, How, Retransmit, Seed, Segment, Socket, State,
    Via,
};
use netbreath::lint::Thresholds;
use netbreath::tui::top::draw::{Hits, draw};
use netbreath::tui::top::input::Message;
use netbreath::tui::top::model::{Action, Look, Model, Pane, SortKey};
use netbreath_common::tcp::TcpState;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

mod script;

fn look(colour: bool, unicode: bool) -> Look {
    Look { colour, unicode, timezone: jiff::tz::TimeZone::UTC }
}

fn model(look: Look, events: Vec<Event>) -> Model {
    let mut model = Model::new(look, Thresholds::default(), 1000);
    for event in events {
        model.event(event);
    }
    model
}

/// Draws; the text of the screen, and where things are.
fn drawn(model: &mut Model, width: u16, height: u16) -> (String, Hits) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut hits = Hits::default();
    terminal.draw(|frame| hits = draw(model, frame.buffer_mut())).unwrap();
    model.settle(&hits);
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..height {
        let mut line = String::new();
        let mut x = 0;
        while x < width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // A wide character has two places.
            x += unicode_width::UnicodeWidthStr::width(symbol).max(1) as u16;
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    (text, hits)
}

/// A server that leaks, a client that hangs, hand-overs, names in other scripts.
fn busy() -> Vec<Event> {
    use TcpState::{Close, CloseWait, Established, Listen, SynRecv, SynSent};
    let second = 1_000_000_000;
    let wide = Comm::from_name("日本語サーバ");
    let server = |id: u64, how| {
        script::socket(
            id,
            "10.0.0.1:8080",
            &format!("10.0.0.99:{}", 50_000 + id),
            script::owner(812, wide, 33, how),
        )
    };
    let client = |id: u64, port: &str| {
        script::socket(
            id,
            &format!("10.0.0.1:{port}"),
            "[2001:db8:1234:5678:9abc:def0:1234:5678]:443",
            script::owner(4242, Comm::from_name("curl"), 1000, How::Connect),
        )
    };
    let listener =
        script::socket(1, "0.0.0.0:8080", "0.0.0.0:*", script::owner(812, wide, 33, How::Snapshot));
    let state = |socket: Socket, old, new| Body::State(State { socket, old, new, in_state: None });
    let mut bodies = vec![
        (0, Body::Clock { boot: script::BOOT }),
        (0, Body::Seed(Seed { socket: listener, state: Listen, fd: 3 })),
    ];
    for id in 10..24 {
        let at = second + id * 1_000_000;
        let half_open =
            HalfOpen { socket: server(id, How::Inherited), retries: Some(5), syn_cookie: false };
        bodies.push((at, Body::HalfOpen(half_open)));
        bodies.push((at + 1000, state(server(id, How::Inherited), Listen, SynRecv)));
        bodies.push((at + 90_000, state(server(id, How::Inherited), SynRecv, Established)));
        if id != 23 {
            let socket = server(id, How::Accept);
            let accept = Accept { socket, queued: Some(150_000), fd: Some(7) };
            bodies.push((at + 240_000, Body::Accept(accept)));
        }
        if id < 22 {
            bodies.push((at + 400_000, state(server(id, How::Accept), Established, CloseWait)));
        }
    }
    let mut taken = server(22, How::Io);
    taken.owner = script::owner(900, Comm::from_name("worker"), 33, How::Io);
    let from = script::owner(812, wide, 33, How::Accept);
    bodies.push((2 * second, Body::Owner(Handover { socket: taken.clone(), from })));
    let again = |socket: &Socket, segment, count, bytes, state| {
        Body::Retransmit(Retransmit { socket: socket.clone(), segment, count, bytes, state })
    };
    for count in 1..=9 {
        let at = 2 * second + u64::from(count) * 100_000_000;
        bodies.push((at, again(&taken, Segment::Data, count, 1448, Established)));
    }
    bodies.push((4 * second, state(client(40, "*"), Close, SynSent)));
    for count in 1..=3 {
        let at = (4 + (1 << count)) * second;
        bodies.push((at, again(&client(40, "51000"), Segment::Syn, count, 0, SynSent)));
    }
    let start = 1_000_000_000_000;
    bodies.into_iter().map(|(at, body)| Event { at: start + at, via: Via::Kernel, body }).collect()
}

fn busy_model() -> Model {
    let mut model = model(look(true, true), busy());
    let now = model.world.now;
    model.advance(now + 25_000_000_000);
    model
}

#[test]
fn connections_at_80x24() {
    insta::assert_snapshot!(drawn(&mut busy_model(), 80, 24).0);
}

#[test]
fn connections_at_120x40() {
    insta::assert_snapshot!(drawn(&mut busy_model(), 120, 40).0);
}

#[test]
fn other_tables() {
    let mut model = busy_model();
    let mut all = String::new();
    for pane in Pane::ALL.into_iter().skip(1) {
        let hits = drawn(&mut model, 80, 24).1;
        model.update(Message::Pane(pane), &hits);
        all.push_str(&drawn(&mut model, 80, 24).0);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_life_with_a_hand_over() {
    let mut model = busy_model();
    let hits = drawn(&mut model, 120, 40).1;
    model.update(Message::Filter, &hits);
    for c in "worker".chars() {
        model.update(Message::Typed(c), &hits);
    }
    model.update(Message::Done, &hits);
    let hits = drawn(&mut model, 120, 40).1;
    assert_eq!(hits.total, 1);
    model.update(Message::Open, &hits);
    insta::assert_snapshot!(drawn(&mut model, 120, 40).0);
}

#[test]
fn the_usual_list_in_ascii_without_colour() {
    let mut model = model(look(false, false), script::events());
    model.update(Message::Ended, &Hits::default());
    let (text, _) = drawn(&mut model, 120, 24);
    assert!(text.is_ascii(), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn lives_of_the_usual_list() {
    let mut model = model(look(true, true), script::events());
    model.update(Message::Ended, &Hits::default());
    let mut hits = drawn(&mut model, 100, 30).1;
    model.update(Message::First, &hits);
    let mut all = String::new();
    for index in 0..hits.total {
        hits = drawn(&mut model, 100, 30).1;
        model.update(Message::Open, &hits);
        all.push_str(&drawn(&mut model, 100, 30).0);
        model.update(Message::Back, &hits);
        hits = drawn(&mut model, 100, 30).1;
        assert_eq!(hits.index, index);
        model.update(Message::Move(1), &hits);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn help_fits() {
    let mut model = busy_model();
    model.update(Message::Help, &Hits::default());
    insta::assert_snapshot!(drawn(&mut model, 80, 24).0);
    assert_eq!(model.update(Message::Quit, &Hits::default()), Action::None);
    assert!(!model.help);
    assert_eq!(model.update(Message::Quit, &Hits::default()), Action::Quit);
}

/// Whatever the size, nothing panics, and nothing is drawn outside.
#[test]
fn every_size_is_drawn() {
    let mut model = busy_model();
    for pane in Pane::ALL {
        model.update(Message::Pane(pane), &Hits::default());
        for width in [1, 39, 40, 60, 79, 80, 99, 100, 140] {
            for height in [1, 9, 10, 11, 24, 33, 34, 50] {
                let hits = drawn(&mut model, width, height).1;
                model.update(Message::Last, &hits);
                let hits = drawn(&mut model, width, height).1;
                model.update(Message::Open, &hits);
                drawn(&mut model, width, height);
                model.update(Message::Back, &hits);
                model.update(Message::Pane(pane), &hits);
            }
        }
    }
}

#[test]
fn the_cursor_stays_on_its_row_when_others_come() {
    let mut model = busy_model();
    let hits = drawn(&mut model, 80, 24).1;
    model.update(Message::Move(3), &hits);
    let hits = drawn(&mut model, 80, 24).1;
    let chosen = hits.targets[hits.index - hits.offset];
    let mut event = busy().pop().unwrap();
    let socket = script::socket(77, "127.0.0.1:1", "127.0.0.1:2", None);
    event.at += 60_000_000_000;
    let (old, new) = (TcpState::Close, TcpState::SynSent);
    event.body = Body::State(State { socket, old, new, in_state: None });
    model.event(event);
    let hits = drawn(&mut model, 80, 24).1;
    assert_eq!(hits.index, 4);
    assert_eq!(hits.targets[hits.index - hits.offset], chosen);
}

#[test]
fn a_pause_keeps_all_as_it_was() {
    let mut model = busy_model();
    let hits = drawn(&mut model, 80, 24).1;
    model.update(Message::Pause, &hits);
    let before = drawn(&mut model, 80, 24).0;
    for event in script::events() {
        model.event(event);
    }
    assert_eq!(drawn(&mut model, 80, 24).0, before);
    model.update(Message::Pause, &hits);
    assert_ne!(drawn(&mut model, 80, 24).0, before);
}

#[test]
fn clicks_find_tabs_titles_and_rows() {
    let mut model = busy_model();
    let hits = drawn(&mut model, 120, 40).1;
    let (area, pane) = hits.tabs[3];
    model.update(Message::Click { column: area.x + 1, row: area.y }, &hits);
    assert_eq!(model.pane, pane);
    model.update(Message::Pane(Pane::Connections), &hits);
    let hits = drawn(&mut model, 120, 40).1;
    let (area, _) = *hits.titles.iter().find(|(_, key)| *key == SortKey::State).unwrap();
    model.update(Message::Click { column: area.x, row: area.y }, &hits);
    assert_eq!(model.sort, SortKey::State);
    let hits = drawn(&mut model, 120, 40).1;
    let row = hits.rows.y + 2;
    model.update(Message::Click { column: 5, row }, &hits);
    let hits = drawn(&mut model, 120, 40).1;
    assert_eq!(hits.index, 2);
    model.update(Message::Click { column: 5, row }, &hits);
    assert!(model.open.is_some());
}

/// What stands out does so without colour, too.
#[test]
fn what_is_odd_has_a_mark_and_colours_are_of_the_first_sixteen() {
    let mut model = busy_model();
    let (text, _) = drawn(&mut model, 120, 40);
    assert!(text.contains("!CLOSE_WAIT"), "{text}");
    let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
    terminal.draw(|frame| drop(draw(&model, frame.buffer_mut()))).unwrap();
    let allowed = [Color::Reset, Color::Cyan, Color::Yellow, Color::Magenta];
    let content = &terminal.backend().buffer().content;
    assert!(content.iter().all(|cell| allowed.contains(&cell.fg) && cell.bg == Color::Reset));
    assert!(content.iter().any(|cell| cell.modifier.contains(Modifier::REVERSED)));
    model.look.colour = false;
    terminal.draw(|frame| drop(draw(&model, frame.buffer_mut()))).unwrap();
    let content = &terminal.backend().buffer().content;
    assert!(content.iter().all(|cell| cell.fg == Color::Reset));
}

//! From a key or a click to what it means. It knows nothing of the model but whether a
//! line is being typed.

use ratatui::crossterm::event::{
    Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEventKind,
};

use super::model::{Pane, SortKey};

/// What a person wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    Quit,
    /// Out of whatever is open; out of the program only by [`Message::Quit`].
    Back,
    Suspend,
    /// By so many lines.
    Move(i32),
    /// By so many half pages.
    Page(i32),
    First,
    Last,
    Open,
    Pane(Pane),
    /// To the next one, or back.
    Turn(i32),
    Sort(SortKey),
    /// The next column, or back.
    SortBy(i32),
    Reverse,
    /// Begins to type a filter.
    Filter,
    Typed(char),
    Erase,
    EraseAll,
    /// Ends typing.
    Done,
    Pause,
    /// Those that are over, too.
    Ended,
    Record,
    Help,
    /// Playing a recording: so many times as fast.
    Faster(i32),
    Click {
        column: u16,
        row: u16,
    },
    Scroll(i32),
    /// The terminal has another size, or another program wrote on it.
    Redraw,
}

/// What an input means; nothing if it means nothing.
pub fn message(input: &Event, typing: bool) -> Option<Message> {
    match input {
        Event::Key(key) if key.kind == KeyEventKind::Release => None,
        Event::Key(key) if key.modifiers.contains(KeyModifiers::CONTROL) => control(key, typing),
        Event::Key(key) if typing => typed(key),
        Event::Key(key) => pressed(key),
        Event::Mouse(mouse) => match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) => {
                Some(Message::Click { column: mouse.column, row: mouse.row })
            }
            MouseEventKind::ScrollDown => Some(Message::Scroll(3)),
            MouseEventKind::ScrollUp => Some(Message::Scroll(-3)),
            _ => None,
        },
        Event::Resize(..) => Some(Message::Redraw),
        _ => None,
    }
}

fn control(key: &KeyEvent, typing: bool) -> Option<Message> {
    Some(match key.code {
        KeyCode::Char('c') => Message::Quit,
        KeyCode::Char('z') => Message::Suspend,
        KeyCode::Char('l') => Message::Redraw,
        KeyCode::Char('u') if typing => Message::EraseAll,
        KeyCode::Char('h') if typing => Message::Erase,
        KeyCode::Char('d') => Message::Page(1),
        KeyCode::Char('u') => Message::Page(-1),
        KeyCode::Char('f') => Message::Page(2),
        KeyCode::Char('b') => Message::Page(-2),
        KeyCode::Char('n') => Message::Move(1),
        KeyCode::Char('p') => Message::Move(-1),
        _ => return None,
    })
}

fn typed(key: &KeyEvent) -> Option<Message> {
    Some(match key.code {
        KeyCode::Char(c) => Message::Typed(c),
        KeyCode::Backspace => Message::Erase,
        KeyCode::Enter => Message::Done,
        KeyCode::Esc => Message::Back,
        KeyCode::Down => Message::Move(1),
        KeyCode::Up => Message::Move(-1),
        KeyCode::PageDown => Message::Page(2),
        KeyCode::PageUp => Message::Page(-2),
        _ => return None,
    })
}

fn pressed(key: &KeyEvent) -> Option<Message> {
    Some(match key.code {
        KeyCode::Char('q') | KeyCode::F(10) => Message::Quit,
        KeyCode::Esc | KeyCode::Backspace | KeyCode::Left => Message::Back,
        KeyCode::Down | KeyCode::Char('j') => Message::Move(1),
        KeyCode::Up | KeyCode::Char('k') => Message::Move(-1),
        KeyCode::PageDown | KeyCode::Char('f') => Message::Page(2),
        KeyCode::PageUp | KeyCode::Char('b') => Message::Page(-2),
        KeyCode::Char('d') => Message::Page(1),
        KeyCode::Char('u') => Message::Page(-1),
        KeyCode::Home | KeyCode::Char('g') => Message::First,
        KeyCode::End | KeyCode::Char('G') => Message::Last,
        KeyCode::Enter | KeyCode::Right => Message::Open,
        KeyCode::Tab => Message::Turn(1),
        KeyCode::BackTab => Message::Turn(-1),
        KeyCode::Char(digit @ '1'..='9') => {
            let place = usize::from(digit as u8 - b'1');
            Message::Pane(*Pane::ALL.get(place)?)
        }
        KeyCode::Char('>' | '.') | KeyCode::F(6) => Message::SortBy(1),
        KeyCode::Char('<' | ',') => Message::SortBy(-1),
        KeyCode::Char('r' | 'I') => Message::Reverse,
        KeyCode::Char('P') => Message::Sort(SortKey::Process),
        KeyCode::Char('S') => Message::Sort(SortKey::State),
        KeyCode::Char('T') => Message::Sort(SortKey::Age),
        KeyCode::Char('R') => Message::Sort(SortKey::Retransmits),
        KeyCode::Char('/' | '\\') | KeyCode::F(3 | 4) => Message::Filter,
        KeyCode::Char(' ' | 'p') => Message::Pause,
        KeyCode::Char('e') => Message::Ended,
        KeyCode::Char('w') => Message::Record,
        KeyCode::Char('?' | 'h') | KeyCode::F(1) => Message::Help,
        KeyCode::Char('+' | '=') => Message::Faster(1),
        KeyCode::Char('-') => Message::Faster(-1),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
        Event::Key(KeyEvent::new(code, modifiers))
    }

    #[test]
    fn keys_mean_what_less_htop_and_vim_say() {
        let plain = |c| message(&key(KeyCode::Char(c), KeyModifiers::NONE), false);
        assert_eq!(plain('j'), Some(Message::Move(1)));
        assert_eq!(plain('G'), Some(Message::Last));
        assert_eq!(plain('q'), Some(Message::Quit));
        assert_eq!(plain('/'), Some(Message::Filter));
        assert_eq!(plain('2'), Some(Message::Pane(Pane::Processes)));
        assert_eq!(plain('9'), None);
        let control = |c| message(&key(KeyCode::Char(c), KeyModifiers::CONTROL), false);
        assert_eq!(control('d'), Some(Message::Page(1)));
        assert_eq!(control('c'), Some(Message::Quit));
    }

    #[test]
    fn while_a_filter_is_typed_letters_are_letters() {
        let typing = |code| message(&key(code, KeyModifiers::NONE), true);
        assert_eq!(typing(KeyCode::Char('q')), Some(Message::Typed('q')));
        assert_eq!(typing(KeyCode::Char('東')), Some(Message::Typed('東')));
        assert_eq!(typing(KeyCode::Enter), Some(Message::Done));
        assert_eq!(
            message(&key(KeyCode::Char('c'), KeyModifiers::CONTROL), true),
            Some(Message::Quit)
        );
    }

    #[test]
    fn a_key_that_is_let_go_means_nothing() {
        let mut event = KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE);
        event.kind = KeyEventKind::Release;
        assert_eq!(message(&Event::Key(event), false), None);
    }
}

//! The screen of `netbreath learn`: the state diagram with both ends of a connection in it, a
//! ladder, and what the last step means. Steps go forwards and backwards over what was seen.

use ratatui::Frame;
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph};

use netbreath_common::tcp::TcpState;

use crate::event::segment::Moment;
use crate::lesson::page::paragraph;
use crate::lesson::{Language, line};
use crate::view::ladder::{Ladder, Rung, Side, What, elapsed, ladders};

/// The diagram of RFC 9293, figure 5, with Linux's names and what moves a socket on.
const DIAGRAM: [&str; 15] = [
    "                 CLOSE",
    "     listen() /        \\ connect(): SYN",
    "        LISTEN          SYN_SENT",
    "   SYN in |   SYN in ___/   |",
    "       SYN_RECV <---'       | SYN+ACK in",
    "    ACK in  \\               |",
    "             '-> ESTABLISHED <",
    "  close(): FIN /          \\ FIN in",
    "      FIN_WAIT1          CLOSE_WAIT",
    " ACK in |     \\ FIN in      | close(): FIN",
    "    FIN_WAIT2  CLOSING    LAST_ACK",
    "  FIN in \\       | ACK in   | ACK in",
    "         TIME_WAIT       (CLOSE)",
    "              | 60 s",
    "           (CLOSE)",
];

/// Ends of words: a state's name is found as a whole.
fn is_word(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'(')
}

/// Where the name of a state stands in a line of the diagram.
fn find(line: &str, name: &str) -> Option<usize> {
    line.match_indices(name).map(|(at, _)| at).find(|at| {
        let bytes = line.as_bytes();
        !is_word(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && !is_word(bytes.get(at + name.len()))
    })
}

/// What is shown, and where in it we are.
pub struct Learn {
    moments: Vec<Moment>,
    ladders: Vec<Ladder>,
    language: Language,
    /// Which connection, and how many of its rungs are shown.
    connection: usize,
    rung: usize,
    help: bool,
}

impl Learn {
    pub fn new(moments: Vec<Moment>, language: Language) -> Learn {
        let ladders = ladders(&moments);
        Learn { moments, ladders, language, connection: 0, rung: 0, help: false }
    }

    /// How many connections there are.
    pub fn connections(&self) -> usize {
        self.ladders.len()
    }

    fn ladder(&self) -> Option<&Ladder> {
        self.ladders.get(self.connection)
    }

    /// Takes a key; whether to go on.
    pub fn take(&mut self, input: &Input) -> bool {
        let Input::Key(key) = input else { return true };
        if key.kind == KeyEventKind::Release {
            return true;
        }
        let last = self.ladder().map_or(0, |ladder| ladder.rungs.len().saturating_sub(1));
        if self.help {
            self.help = false;
            return true;
        }
        match key.code {
            KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Right | KeyCode::Down | KeyCode::Char(' ') => {
                self.rung = (self.rung + 1).min(last);
            }
            KeyCode::Left | KeyCode::Up => self.rung = self.rung.saturating_sub(1),
            KeyCode::Home => self.rung = 0,
            KeyCode::End => self.rung = last,
            KeyCode::Tab if !self.ladders.is_empty() => {
                self.connection = (self.connection + 1) % self.ladders.len();
                self.rung = 0;
            }
            KeyCode::Char('l') => {
                self.language = match self.language {
                    Language::En => Language::Ja,
                    Language::Ja => Language::En,
                };
            }
            KeyCode::Char('?') => self.help = true,
            _ => {}
        }
        true
    }

    /// Paints the screen.
    pub fn paint(&self, frame: &mut Frame<'_>) {
        let area = frame.area();
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Min(17),
            Constraint::Length(5),
            Constraint::Length(1),
        ]);
        let [head, middle, below, foot] = rows.areas(area);
        let [left, right] =
            Layout::horizontal([Constraint::Length(44), Constraint::Min(20)]).areas(middle);
        frame.render_widget(Paragraph::new(self.head()), head);
        self.diagram(frame, left);
        self.rungs(frame, right);
        self.explanation(frame, below);
        let keys = self.language.choose(
            "arrows: step  Tab: next connection  l: Japanese  ?: keys  q: end",
            "矢印: 1 段ずつ  Tab: 次の接続  l: 英語  ?: キー  q: 終了",
        );
        frame.render_widget(
            Paragraph::new(keys).style(Style::new().add_modifier(Modifier::DIM)),
            foot,
        );
        if self.help {
            self.keys(frame, area);
        }
    }

    fn head(&self) -> Line<'static> {
        let Some(ladder) = self.ladder() else {
            return Line::from(self.language.choose("no connection was seen", "接続がありません"));
        };
        let end = |end: &crate::view::ladder::End| {
            format!("{} {}", end.process.as_deref().unwrap_or("?"), end.address)
        };
        Line::from(vec![
            Span::styled(format!(" A {} ", end(&ladder.left)), ink(Side::Left)),
            Span::raw("  "),
            Span::styled(format!(" B {} ", end(&ladder.right)), ink(Side::Right)),
            Span::raw(format!("  {}/{}", self.connection + 1, self.ladders.len())),
        ])
    }

    /// Both ends in the diagram, marked by colour and by letter.
    fn diagram(&self, frame: &mut Frame<'_>, area: Rect) {
        let states = match self.ladder() {
            Some(ladder) => Rung::states(ladder.rungs.get(..=self.rung).unwrap_or_default()),
            None => [None, None],
        };
        let lines: Vec<Line<'_>> = DIAGRAM.iter().map(|text| marked(text, states)).collect();
        let title = self.language.choose("RFC 9293, figure 5", "RFC 9293 図 5");
        frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
    }

    fn rungs(&self, frame: &mut Frame<'_>, area: Rect) {
        let block = Block::bordered().title(self.language.choose("ladder", "ラダー図"));
        let inside = block.inner(area);
        let mut lines = Vec::new();
        if let Some(ladder) = self.ladder() {
            let height = usize::from(inside.height);
            let first = (self.rung + 1).saturating_sub(height);
            let start = ladder.rungs.first().map_or(0, |rung| rung.at);
            let width = usize::from(inside.width);
            for (place, rung) in ladder.rungs.iter().enumerate().take(self.rung + 1).skip(first) {
                let text = short(rung, start, width);
                let style = match place == self.rung {
                    true => Style::new().add_modifier(Modifier::REVERSED),
                    false => Style::new(),
                };
                lines.push(Line::styled(text, style));
            }
        }
        frame.render_widget(Paragraph::new(lines).block(block), area);
    }

    fn explanation(&self, frame: &mut Frame<'_>, area: Rect) {
        let width = usize::from(area.width);
        let title = self.language.choose("what it means", "解説");
        let mut text = String::new();
        let moment = self.ladder().and_then(|ladder| ladder.rungs.get(self.rung));
        if let Some(moment) = moment.and_then(|rung| self.moments.get(rung.moment)) {
            paragraph(&line::moment(moment, self.language), width, "", "", &mut text);
        }
        frame.render_widget(
            Paragraph::new(text)
                // No frame: on a small screen, each line counts.
                .block(Block::new().borders(Borders::TOP).title(title)),
            area,
        );
    }

    fn keys(&self, frame: &mut Frame<'_>, area: Rect) {
        let text = self.language.choose(
            "Right, Down, Space  a step forwards\nLeft, Up            a step backwards\n\
             Home, End           the first, the last\nTab                 the next connection\n\
             l                   Japanese\nq, Esc, Ctrl-C      end\n\nA is who connected, B the \
             other end.\nA * marks what the kernel does not announce.",
            "右, 下, スペース    1 段進む\n左, 上              1 段戻る\nHome, End           最初, \
             最後\nTab                 次の接続\nl                   英語に切り替え\nq, Esc, \
             Ctrl-C      終了\n\nA は接続した側、B は相手側です。\n* はカーネルが知らせず補ったものです。",
        );
        let [row] = Layout::vertical([Constraint::Length(11)])
            .flex(ratatui::layout::Flex::Center)
            .areas(area);
        let [place] = Layout::horizontal([Constraint::Length(56)])
            .flex(ratatui::layout::Flex::Center)
            .areas(row);
        frame.render_widget(Clear, place);
        frame.render_widget(Paragraph::new(text).block(Block::bordered().title("?")), place);
    }

    /// The same for those who have no terminal.
    pub fn text(&self, width: usize) -> String {
        let mut out = String::new();
        for ladder in &self.ladders {
            if !out.is_empty() {
                out.push('\n');
            }
            ladder.part(width, 0..0, &mut out);
            for place in 0..ladder.rungs.len() {
                let mut rung = String::new();
                ladder.part(width, place..place + 1, &mut rung);
                // Below the names of the ends, which were written once.
                rung.lines().skip(2).for_each(|line| out.push_str(&format!("{line}\n")));
                if let Some(moment) = self.moments.get(ladder.rungs[place].moment) {
                    let text = line::moment(moment, self.language);
                    paragraph(&text, width, "    ", "    ", &mut out);
                }
            }
        }
        out
    }
}

/// Blue and orange: told apart by people of any eyesight.
fn ink(side: Side) -> Style {
    match side {
        Side::Left => Style::new().fg(Color::Black).bg(Color::Rgb(86, 180, 233)),
        Side::Right => Style::new().fg(Color::Black).bg(Color::Rgb(230, 159, 0)),
    }
}

/// A line of the diagram with the states of both ends marked.
fn marked(text: &'static str, states: [Option<TcpState>; 2]) -> Line<'static> {
    let mut marks: Vec<(usize, usize, Style, &str)> = Vec::new();
    let [a, b] = states;
    for (state, style, letter) in [(a, ink(Side::Left), "A"), (b, ink(Side::Right), "B")] {
        let Some(name) = state.map(TcpState::name) else { continue };
        let Some(at) = find(text, name) else { continue };
        match marks.iter_mut().find(|mark| mark.0 == at) {
            // Both are in it.
            Some(mark) => (mark.2, mark.3) = (style.add_modifier(Modifier::BOLD), "AB"),
            None => marks.push((at, name.len(), style, letter)),
        }
    }
    marks.sort_by_key(|mark| mark.0);
    let (mut spans, mut end) = (Vec::new(), 0);
    for (at, len, style, letter) in marks {
        let at = at.max(end);
        spans.push(Span::raw(text.get(end..at).unwrap_or_default()));
        spans.push(Span::styled(text.get(at..at + len).unwrap_or_default(), style));
        spans.push(Span::styled(letter, style));
        // The letters stand where blanks are, so that the rest keeps its place.
        let blanks = text.get(at + len..).unwrap_or_default().bytes();
        let free = blanks.take_while(|byte| *byte == b' ').count();
        end = at + len + letter.len().min(free);
    }
    spans.push(Span::raw(text.get(end..).unwrap_or_default()));
    Line::from(spans)
}

/// A rung in little room.
fn short(rung: &Rung, start: u64, width: usize) -> String {
    let time = elapsed(rung.at.saturating_sub(start), 8);
    let room = width.saturating_sub(9);
    let text = match &rung.what {
        What::Here { side: Side::Left, text, .. } => format!("A {text}"),
        What::Here { side: Side::Right, text, .. } => format!("{:>room$}", format!("{text} B")),
        What::Segment { to, text } => crate::view::ladder::arrow(text, *to, room),
    };
    format!("{time} {text}")
}

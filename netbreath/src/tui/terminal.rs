//! The terminal as a screen: set up, and put back as it was after any end but SIGKILL.
//!
//! A screen is put back when it is dropped, and before a panic is told. Signals are for
//! who runs the loop to catch (`run::OwnSignals`): their handler ends the loop, and the
//! end of the loop drops the screen.

use std::io::{self, IsTerminal, Stdout, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::crossterm::{execute, queue};
use ratatui::layout::{Position, Size};
use tokio::sync::mpsc;

pub use ratatui::crossterm::event::Event as Input;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("a screen needs a terminal, and {stream} is none: {instead}")]
    NoTerminal { stream: &'static str, instead: &'static str },
    #[error("cannot make the terminal a screen: {source}")]
    Open { source: io::Error },
    #[error("cannot draw on the terminal: {source}")]
    Draw { source: io::Error },
    #[error("cannot read keys: {source}")]
    Keys { source: io::Error },
}

/// The terminal, while it is a screen.
pub struct Screen {
    terminal: Terminal<Wire>,
    mouse: bool,
}

/// The terminal, never asked where its cursor is: the answer would come among the keys,
/// which another thread reads. The cursor is hidden, so that nobody needs to know.
struct Wire(CrosstermBackend<Stdout>);

impl Backend for Wire {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        self.0.draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, region: ClearType) -> io::Result<()> {
        self.0.clear_region(region)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.0.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.0)
    }
}

/// Whether there is anything to put back, for whoever comes first.
static OPEN: AtomicBool = AtomicBool::new(false);

impl Screen {
    /// Makes the terminal a screen. `instead` is what else to do where there is none.
    pub fn open(mouse: bool, instead: &'static str) -> Result<Screen, Error> {
        for (stream, is) in [
            ("standard output", io::stdout().is_terminal()),
            ("standard input", io::stdin().is_terminal()),
        ] {
            if !is {
                return Err(Error::NoTerminal { stream, instead });
            }
        }
        restore_before_panic();
        enter(mouse).map_err(|source| Error::Open { source })?;
        let terminal = Terminal::new(Wire(CrosstermBackend::new(io::stdout())));
        match terminal {
            Ok(terminal) => Ok(Screen { terminal, mouse }),
            Err(source) => {
                restore();
                Err(Error::Open { source })
            }
        }
    }

    pub fn draw(&mut self, paint: impl FnOnce(&mut Frame<'_>)) -> Result<(), Error> {
        self.terminal.draw(paint).map(drop).map_err(|source| Error::Draw { source })
    }

    /// Draws all of it anew: another program has written on the terminal.
    pub fn renew(&mut self) -> Result<(), Error> {
        self.terminal.clear().map_err(|source| Error::Draw { source })
    }

    /// Ctrl-Z: the terminal as it was, until the shell lets us go on.
    pub fn suspend(&mut self) -> Result<(), Error> {
        restore();
        // SAFETY: stops this process, as the key would have done outside of a screen.
        unsafe { libc::raise(libc::SIGTSTP) };
        enter(self.mouse).map_err(|source| Error::Open { source })?;
        self.renew()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

fn enter(mouse: bool) -> io::Result<()> {
    OPEN.store(true, Ordering::SeqCst);
    let enter = || {
        enable_raw_mode()?;
        let mut out = io::stdout();
        queue!(out, EnterAlternateScreen, Hide)?;
        if mouse {
            queue!(out, EnableMouseCapture)?;
        }
        out.flush()
    };
    enter().inspect_err(|_| restore())
}

/// Puts the terminal back, once.
pub fn restore() {
    if !OPEN.swap(false, Ordering::SeqCst) {
        return;
    }
    // Why ignored: the terminal may be gone, and then there is nothing to put back.
    let _ = execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// What a panic says must not go to a screen that vanishes.
fn restore_before_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            restore();
            told(panic);
        }));
    });
}

/// Keys, clicks and changes of size, from a thread of their own, which ends with the
/// process: reading blocks, and nobody has to poll.
pub fn inputs() -> Result<mpsc::UnboundedReceiver<Input>, Error> {
    let (tell, told) = mpsc::unbounded_channel();
    thread::Builder::new()
        .name("keys".into())
        .spawn(move || {
            while let Ok(input) = event::read() {
                if tell.send(input).is_err() {
                    break;
                }
            }
        })
        .map_err(|source| Error::Keys { source })?;
    Ok(told)
}

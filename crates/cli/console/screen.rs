//! The terminal while the live view has it: raw mode, the alternate screen, no cursor. However the
//! program ends, short of being killed, it gets the terminal back: `leave`, a drop, or a panic.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use tokio::sync::mpsc::UnboundedSender;

use super::lock;
use super::scene::Scene;
use crate::mining::Command;

/// Between two frames.
const FRAME: Duration = Duration::from_millis(250);
/// The byte of Ctrl-C in raw mode, where it makes no signal.
const CTRL_C: u8 = 3;
const ESCAPE: u8 = 27;

/// What a screen shows, and what its keys ask for.
pub(crate) trait Picture: Send + 'static {
    /// A request to the program.
    type Wish: Send + 'static;
    /// Paints the page.
    fn draw(&self, frame: &mut Frame<'_>);
    /// Takes the bytes of keys. Some change the picture, others are requests.
    fn press(&mut self, keys: &[u8]) -> Vec<Self::Wish>;
}

/// A terminal taken over. Dropping it gives the terminal back.
pub(crate) struct Screen {
    up: Arc<AtomicBool>,
    /// Dropping it ends the painter.
    hold: Option<Sender<()>>,
    painter: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal over and paints the picture until [`leave`](Self::leave). Keys become
    /// wishes.
    pub(crate) fn enter<P: Picture>(
        picture: Arc<Mutex<P>>,
        wishes: UnboundedSender<P::Wish>,
    ) -> io::Result<Self> {
        let up = Arc::new(AtomicBool::new(true));
        restore_on_panic(Arc::clone(&up));
        let (hold, held) = mpsc::channel();
        // From here on, whatever fails, the drop restores.
        let mut screen = Self { up: Arc::clone(&up), hold: Some(hold), painter: None };
        enable_raw_mode()?;
        execute!(io::stderr(), EnterAlternateScreen, Hide)?;
        let frames = Frames { up: Arc::clone(&up), waiting: Vec::new() };
        let mut terminal = Terminal::new(CrosstermBackend::new(frames))?;
        let seen = Arc::clone(&picture);
        let paint = move || {
            loop {
                let painted = terminal.draw(|frame| lock(&picture).draw(frame));
                let over = held.recv_timeout(FRAME) != Err(RecvTimeoutError::Timeout);
                if over || painted.is_err() || !up.load(Ordering::Relaxed) {
                    break;
                }
            }
            take_down(&up);
        };
        screen.painter = Some(std::thread::Builder::new().name("screen".into()).spawn(paint)?);
        std::thread::Builder::new()
            .name("keys".into())
            .spawn(move || read_keys(&wishes, &*seen))?;
        Ok(screen)
    }

    /// Whether it still has the terminal.
    pub(crate) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Gives the terminal back.
    pub(crate) fn leave(self) {
        drop(self);
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.hold = None;
        if let Some(painter) = self.painter.take() {
            // If it panicked, the terminal is restored already.
            let _ = painter.join();
        }
        take_down(&self.up);
    }
}

/// The painter's output: whole frames, and nothing once the screen is down.
struct Frames {
    up: Arc<AtomicBool>,
    waiting: Vec<u8>,
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        // Under the lock that `take_down` takes, too: a frame comes before it or not at all.
        let mut stderr = io::stderr().lock();
        if self.up.load(Ordering::Relaxed) {
            stderr.write_all(&self.waiting)?;
        }
        self.waiting.clear();
        Ok(())
    }
}

/// Puts the terminal as it was, once. What fails here cannot be mended: the terminal has gone.
fn take_down(up: &AtomicBool) {
    let mut stderr = io::stderr().lock();
    if up.swap(false, Ordering::Relaxed) {
        let _ = execute!(stderr, LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

/// A panic's message is written where it can be read, and stays there.
fn restore_on_panic(up: Arc<AtomicBool>) {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        take_down(&up);
        told(panic);
    }));
}

/// Until the terminal has gone. After the screen is down the thread may still wait for a key, and
/// ends with the program. (crossterm's own reader would do, but turns in circles when the terminal
/// is closed.)
fn read_keys<P: Picture>(wishes: &UnboundedSender<P::Wish>, picture: &Mutex<P>) {
    let mut bytes = [0; 64];
    while let Ok(count @ 1..) = io::stdin().read(&mut bytes) {
        let pressed = lock(picture).press(&bytes[..count]);
        // A program that has ended takes no more wishes.
        if pressed.into_iter().any(|wish| wishes.send(wish).is_err()) {
            return;
        }
    }
}

impl Picture for Scene {
    type Wish = Command;

    fn draw(&self, frame: &mut Frame<'_>) {
        self.draw(frame);
    }

    fn press(&mut self, keys: &[u8]) -> Vec<Command> {
        let mut commands = Vec::new();
        for meant in meant_by(keys) {
            match meant {
                Meant::Help => self.toggle_help(),
                Meant::EndHelp => self.end_help(),
                Meant::Command(command) => {
                    // The effect is to be seen.
                    self.end_help();
                    commands.push(command);
                }
            }
        }
        commands
    }
}

/// Whether one of these keys ends the program.
pub(crate) fn is_end(keys: &[u8]) -> bool {
    meant_by(keys).contains(&Meant::Command(Command::Quit))
}

/// A key's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meant {
    Command(Command),
    Help,
    EndHelp,
}

/// The requests of the keys. Keys with longer names have letters in them that mean nothing here: F1
/// is `ESC O P`, an arrow `ESC [ A`.
fn meant_by(keys: &[u8]) -> Vec<Meant> {
    let (mut meant, mut keys) = (Vec::new(), keys.iter());
    while let Some(key) = keys.next() {
        match key {
            &ESCAPE => match keys.next() {
                Some(b'[') => drop(keys.find(|end| (b'@'..=b'~').contains(end))),
                Some(b'O') => drop(keys.next()),
                Some(_) => {}
                None => meant.push(Meant::EndHelp),
            },
            key => meant.extend(meaning(*key)),
        }
    }
    meant
}

fn meaning(key: u8) -> Option<Meant> {
    Some(Meant::Command(match key {
        b'?' | b'h' | b'H' => return Some(Meant::Help),
        b'q' | b'Q' | CTRL_C => Command::Quit,
        b'p' | b'P' | b' ' => Command::TogglePause,
        b'+' | b'=' => Command::AddThread,
        b'-' | b'_' => Command::RemoveThread,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_the_letters_in_the_names_of_others() {
        let [quit, pause, add, remove] =
            [Command::Quit, Command::TogglePause, Command::AddThread, Command::RemoveThread]
                .map(Meant::Command);
        assert_eq!(meant_by(b"+p-q"), [add, pause, remove, quit]);
        assert_eq!(meant_by(b"?hp"), [Meant::Help, Meant::Help, pause]);
        assert_eq!(meant_by(&[CTRL_C]), [quit]);
        // F1, up, shift-F5, alt-q.
        for named in ["\x1bOP", "\x1b[A", "\x1b[15;2~", "\x1bq"] {
            assert_eq!(meant_by(named.as_bytes()), [], "{named:?}");
            assert_eq!(meant_by(format!("{named}p").as_bytes()), [pause], "{named:?}");
        }
        assert_eq!(meant_by(b"\x1b"), [Meant::EndHelp]);
        assert_eq!(meant_by(b"xyz\r\n"), []);
    }
}

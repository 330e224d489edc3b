//! The live view of a terminal. Chosen when somebody sits there, that is when stdin, stdout and
//! stderr are all a terminal; pipes, `--plain`, `--json` and `-q` get [`Lines`].
//!
//! Nothing here waits for the terminal: mining leaves what there is to see in a [`Scene`], and a
//! thread of the [`Screen`] draws it four times a second.

pub(crate) mod paint;
mod scene;
pub(crate) mod screen;

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use midstate_pool::EmbeddedPoolEvent;
use tokio::sync::mpsc;

use self::scene::Scene;
use self::screen::Screen;
use crate::mining::event::{Event, RejectCount};
use crate::mining::notice::Notice;
use crate::mining::standings::Standings;
use crate::mining::status::Status;
use crate::mining::words::{self, Sentence};
use crate::mining::{Command, Lines, View, Views};
use crate::shell::output::Output;

/// Flags about what is shown while mining.
#[derive(clap::Args, Debug, Clone)]
#[command(next_help_heading = "Watching")]
pub(crate) struct ViewArgs {
    /// Print lines on a terminal too, instead of the live view
    #[arg(long)]
    plain: bool,
}

/// Where the embedded pool tells the live view what happens.
#[derive(Clone)]
pub(crate) struct PoolSide {
    opened: Instant,
    standings: Arc<Mutex<Standings>>,
}

impl PoolSide {
    /// At a pool whose shares all have this difficulty, if there is one.
    pub(crate) fn new(difficulty: Option<f64>) -> Self {
        let standings = Arc::new(Mutex::new(Standings::new(difficulty)));
        Self { opened: Instant::now(), standings }
    }

    /// Something happened at the pool.
    pub(crate) fn event(&self, event: &EmbeddedPoolEvent) {
        lock(&self.standings).record(self.opened.elapsed(), event);
    }
}

/// The view for a terminal or for a pipe, as the flags ask for it. At the embedded pool its miners
/// are shown.
pub(crate) fn views<'a>(
    args: &ViewArgs,
    pool: Option<PoolSide>,
    out: &'a mut Output,
) -> (Views<'a>, mpsc::UnboundedReceiver<Command>) {
    let (keys, commands) = mpsc::unbounded_channel();
    let views = if is_watched(args, out) {
        Views::new(Live::new(out, pool, keys))
    } else {
        Views::new(Lines::new(out))
    };
    (views, commands)
}

/// Whether somebody sits there who can be shown a live view.
pub(crate) fn is_watched(args: &ViewArgs, out: &Output) -> bool {
    !args.plain && out.is_live() && !out.is_json() && is_interactive()
}

/// Whether there is a terminal at all ends, and one that can do more than print.
fn is_interactive() -> bool {
    let ends = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    ends && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// The view of a terminal: a screen while hashing goes on, and lines before and after it.
struct Live<'a> {
    lines: Lines<'a>,
    pool: Option<PoolSide>,
    scene: Arc<Mutex<Scene>>,
    keys: mpsc::UnboundedSender<Command>,
    stage: Stage,
}

enum Stage {
    /// Nothing has been shown.
    Before,
    Up(Screen),
    After,
}

impl<'a> Live<'a> {
    fn new(
        out: &'a mut Output,
        pool: Option<PoolSide>,
        keys: mpsc::UnboundedSender<Command>,
    ) -> Self {
        let scene = Arc::new(Mutex::new(Scene::new(out.is_coloured())));
        Self { lines: Lines::new(out), pool, scene, keys, stage: Stage::Before }
    }

    /// Takes the terminal over; if that cannot be, there are lines.
    fn enter(&mut self) {
        self.lines.out().flush();
        self.stage = match Screen::enter(Arc::clone(&self.scene), self.keys.clone()) {
            Ok(screen) => {
                let scene = Arc::clone(&self.scene);
                self.lines.out().logs().divert(move |line| lock(&scene).say(Sentence::Note(line)));
                Stage::Up(screen)
            }
            Err(error) => {
                self.lines.note(&format!("warning: no live view on this terminal: {error}"));
                Stage::After
            }
        };
    }

    /// Gives the terminal back, and prints there what would have been printed.
    fn leave(&mut self) {
        let Stage::Up(screen) = std::mem::replace(&mut self.stage, Stage::After) else { return };
        screen.leave();
        self.lines.out().logs().restore();
        let kept = lock(&self.scene).take_kept();
        kept.into_iter().for_each(|said| self.lines.say(said));
    }

    fn say(&mut self, said: Sentence) {
        if self.is_up() {
            return lock(&self.scene).say(said);
        }
        self.lines.say(said.clone());
        if matches!(self.stage, Stage::Before) {
            lock(&self.scene).show(said);
        }
    }

    /// Whether there is something to see. A panic, wherever it is, takes the screen down.
    fn is_up(&mut self) -> bool {
        if matches!(&self.stage, Stage::Up(screen) if !screen.is_up()) {
            self.leave();
        }
        matches!(self.stage, Stage::Up(_))
    }
}

impl View for Live<'_> {
    fn event(&mut self, event: &Event, status: &Status) {
        if !self.is_up() {
            return self.lines.event(event, status);
        }
        let said = self.lines.speech().of(event, status);
        let mut scene = lock(&self.scene);
        scene.set_status(status);
        if let Some(said) = said {
            scene.hear(event, said);
        }
    }

    fn tick(&mut self, status: &Status) {
        let miners = self.pool.as_ref().map(|pool| {
            let now = pool.opened.elapsed();
            lock(&pool.standings).statuses(now)
        });
        let mut scene = lock(&self.scene);
        scene.set_status(status);
        scene.set_miners(miners.unwrap_or_default());
        drop(scene);
        if matches!(self.stage, Stage::Before) {
            self.enter();
        } else if self.is_up() {
            let due = self.lines.speech().due(status);
            due.into_iter().for_each(|said| lock(&self.scene).say(said));
        } else {
            self.lines.tick(status);
        }
    }

    fn notice(&mut self, notice: &Notice, status: &Status) {
        let Some(said) = self.lines.speech().of_notice(notice, status) else { return };
        match notice {
            Notice::NoOtherCount { .. } if self.is_up() => lock(&self.scene).answer_key(said),
            _ => self.say(said),
        }
    }

    fn report(&mut self, status: &Status, rejects: &[RejectCount]) {
        self.say(Sentence::Note(words::full_status(status, rejects)));
    }

    fn note(&mut self, text: &str) {
        self.say(Sentence::Note(text.to_owned()));
    }

    /// From here on Ctrl-C is a signal again, and a second one ends the program.
    fn ending(&mut self) {
        self.leave();
    }

    fn is_gone(&self) -> bool {
        self.lines.is_gone()
    }
}

impl Drop for Live<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// A panic elsewhere cannot leave a scene half painted, or the standings worse than late.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

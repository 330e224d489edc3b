//! Reads the configuration again (SIGHUP) on a thread of its own: a file on a machine that does not
//! answer, or a pipe into which nothing is written, must not hold up the mining loop.

use midstate_net::Account;
use tokio::sync::mpsc;

use crate::servers::pools::Reloader;
use crate::shell::exit::Failure;
use crate::shell::units;

/// The list of pools as the configuration has it now; `None` where there is no file.
pub(super) type List = Option<Result<Vec<Account>, Failure>>;

/// See the [module](self) page.
pub(super) struct Reload {
    reloader: Reloader,
    lists: mpsc::UnboundedSender<List>,
    is_reading: bool,
    /// A request came during a reading, which may have begun before the file was changed.
    is_wanted_again: bool,
}

impl Reload {
    /// Lists come out of the channel.
    pub(super) fn new(reloader: Reloader) -> (Self, mpsc::UnboundedReceiver<List>) {
        let (lists, came) = mpsc::unbounded_channel();
        (Self { reloader, lists, is_reading: false, is_wanted_again: false }, came)
    }

    /// Begins to read; a sentence where it cannot begin now. One more reading answers all requests
    /// that come during a reading.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if self.is_reading {
            self.is_wanted_again = true;
            return Err(
                "the configuration is being read; this request waits for the end of that".into()
            );
        }
        let (reloader, lists) = (self.reloader.clone(), self.lists.clone());
        let read = move || {
            // Mining may have ended meanwhile.
            let _ = lists.send(reloader.accounts());
        };
        let thread = std::thread::Builder::new().name("reload".into()).spawn(read);
        self.is_reading = thread.is_ok();
        match thread {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(format!("kept the pools as they were: no thread to read the file: {error}"))
            }
        }
    }

    /// A list came: what there is to tell, and the pools if they are to be changed.
    pub(super) fn finish(&mut self, list: List) -> (String, Option<Vec<Account>>) {
        self.is_reading = false;
        match list {
            None => ("nothing to read again: there is no configuration file".into(), None),
            Some(Err(failure)) => (format!("kept the pools as they were: {failure}"), None),
            Some(Ok(accounts)) => {
                let pools = units::count(accounts.len(), "pool");
                (format!("read the configuration again: {pools}"), Some(accounts))
            }
        }
    }

    /// Whether a request waits for another reading, which is then to be started.
    pub(super) fn take_wanted_again(&mut self) -> bool {
        std::mem::take(&mut self.is_wanted_again)
    }
}

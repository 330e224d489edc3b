//! When the configuration is read again (SIGHUP): one reading at a time, since a file on a machine
//! that does not answer may take long. The reading itself is the [driver](mod@super::run)'s, on a
//! thread of its own.

use midstate_net::Account;

use super::notice::ReloadNotice;

/// The list of pools as the configuration has it now; `None` where there is no file.
pub(crate) type List = Option<Result<Vec<Account>, ListError>>;

/// Why the list could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ListError {
    /// The file is not there or is wrong, in the words of its reader.
    #[error("{0}")]
    File(String),
    /// The system starts no thread.
    #[error("no thread to read the file: {0}")]
    NoThread(String),
}

/// See the [module](self) page.
#[derive(Debug, Default)]
pub(super) struct Reload {
    is_reading: bool,
    /// A request came during a reading, which may have begun before the file was changed.
    is_wanted_again: bool,
}

impl Reload {
    /// Whether to begin to read now. One more reading answers all requests that come during one.
    pub(super) fn request(&mut self) -> bool {
        if self.is_reading {
            self.is_wanted_again = true;
            return false;
        }
        self.is_reading = true;
        true
    }

    /// A list came: what there is to tell, the pools if they are to be changed, and whether to
    /// begin to read again.
    pub(super) fn finish(&mut self, list: List) -> (ReloadNotice, Option<Vec<Account>>, bool) {
        self.is_reading = false;
        let (notice, accounts) = match list {
            None => (ReloadNotice::NoFile, None),
            Some(Err(error)) => (ReloadNotice::Kept { error }, None),
            Some(Ok(accounts)) => (ReloadNotice::Read { pools: accounts.len() }, Some(accounts)),
        };
        let again = std::mem::take(&mut self.is_wanted_again) && self.request();
        (notice, accounts, again)
    }
}

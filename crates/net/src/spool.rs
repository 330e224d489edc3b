//! Solved blocks on disk: one file each, gone when the block is buried. The form of the files is
//! [`midstate_gbt::spool`]'s; this keeps the order of operations that makes them survive a crash.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use midstate_chain::{Hash256, is_printable};
use midstate_gbt::spool::{EXTENSION, REFUSED_EXTENSION, SpoolError, SpooledBlock, cure};

use crate::file::without_os_number;

/// So many refused blocks are kept as evidence; over that, the oldest goes.
pub(crate) const MAX_REFUSED: usize = 64;

/// Bytes of a file that are read: a block has at most 4,000,000, in hex.
pub(crate) const MAX_FILE: u64 = 8 << 20;

/// A fault of a spool. All else in it is used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolProblem {
    /// The directory cannot be read.
    #[error(
        "the block spool {} cannot be read ({}): blocks that an earlier run left there are not \
         sent; {}name another directory",
        shown(path),
        plain(error),
        cure(error)
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// A file that looks like a block cannot be read.
    #[error(
        "a file of the block spool cannot be read and is left alone: {}: {}; let this user read \
         it, or move it away",
        shown(path),
        plain(error)
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Something that is called as a block is, and is no plain file.
    #[error(
        "the block spool has something that is no file of a block, and is left alone: {} is \
         {what}; {cure}",
        shown(path)
    )]
    NoFile {
        /// Where.
        path: PathBuf,
        /// The thing that is there.
        what: String,
        /// The cure.
        cure: &'static str,
    },
    /// A file that looks like a block is none.
    #[error(
        "a file of the block spool is no block and is left alone: {}: {error}; move it away",
        shown(path)
    )]
    NoBlock {
        /// The file.
        path: PathBuf,
        /// The fault.
        error: SpoolError,
    },
}

/// A path without letters that could steer a terminal.
fn shown(path: &Path) -> String {
    path.display().to_string().chars().filter(|letter| is_printable(*letter)).collect()
}

/// The system's words as a part of a sentence of ours.
fn plain(error: &io::Error) -> String {
    let mut words = without_os_number(&error.to_string());
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    words
}

/// The faults of a spool in sentences. Hundreds of files may be wrong for one cause: of each kind
/// one is named, and the others are counted.
pub(crate) fn in_words(problems: &[SpoolProblem]) -> Vec<String> {
    let kind = std::mem::discriminant::<SpoolProblem>;
    let mut told: Vec<(&SpoolProblem, usize)> = Vec::new();
    for problem in problems {
        match told.iter_mut().find(|(first, _)| kind(first) == kind(problem)) {
            Some((_, more)) => *more += 1,
            None => told.push((problem, 0)),
        }
    }
    let sentence = |(problem, more): (&SpoolProblem, usize)| match more {
        0 => problem.to_string(),
        1 => format!("{problem}; one more file is like it"),
        _ => format!("{problem}; {more} more files are like it"),
    };
    told.into_iter().map(sentence).collect()
}

/// A directory for the blocks of one chain.
#[derive(Debug, Clone)]
pub struct Spool {
    directory: PathBuf,
}

impl Spool {
    /// Blocks in `directory`, which is made when the first block is written.
    pub fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// Writes a block so that it is there after a crash: temporary file, sync, rename, and sync of
    /// the directory that holds the name.
    ///
    /// # Errors
    /// The system's, with the directory; nothing half written is left behind then.
    pub fn write(&self, block: &SpooledBlock) -> io::Result<()> {
        let path = self.directory.join(block.file_name());
        let temporary = path.with_extension("tmp");
        let write = || {
            fs::create_dir_all(&self.directory)?;
            let mut file = File::create(&temporary)?;
            file.write_all(block.file_content().as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            sync_directory(&self.directory)
        };
        write().map_err(|error| {
            // A part of a block is of no use, and the disk may be short of room.
            let _ = fs::remove_file(&temporary);
            self.named(&error)
        })
    }

    /// The thing in the place of the directory, if that is none.
    fn no_directory(&self) -> Option<String> {
        match fs::metadata(&self.directory) {
            Ok(there) if there.is_dir() => None,
            Ok(there) => {
                Some(format!("it is {}, no directory", kind(there.file_type()).unwrap_or("a file")))
            }
            Err(_) => no_file(&self.directory).map(|(what, _)| format!("it is {what}")),
        }
    }

    /// The error with the directory.
    fn named(&self, error: &io::Error) -> io::Error {
        let words = self.no_directory().unwrap_or_else(|| plain(error));
        io::Error::new(error.kind(), format!("{}: {words}", shown(&self.directory)))
    }

    /// The blocks that an earlier run left with the ages of their files, and what is wrong with the
    /// directory or with files that look like blocks.
    pub fn read(&self) -> (Vec<(SpooledBlock, Duration)>, Vec<SpoolProblem>) {
        let (mut blocks, mut problems) = (Vec::new(), Vec::new());
        let unreadable = |error| SpoolProblem::Directory { path: self.directory.clone(), error };
        if let Some(words) = self.no_directory() {
            return (blocks, vec![unreadable(io::Error::other(words))]);
        }
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (blocks, problems),
            Err(error) => return (blocks, vec![unreadable(error)]),
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    problems.push(unreadable(error));
                    continue;
                }
            };
            if path.extension().is_none_or(|extension| extension != EXTENSION) {
                continue;
            }
            match read(path) {
                Ok(block) => blocks.push(block),
                Err(problem) => problems.push(problem),
            }
        }
        blocks.sort_by_key(|(block, _): &(SpooledBlock, Duration)| block.height);
        (blocks, problems)
    }

    /// Lets go of a block: deletes its file, or renames it when it was refused.
    ///
    /// # Errors
    /// The system's, with the directory. A file that is not there is no error: it may never have
    /// been written.
    pub fn remove(&self, hash: &Hash256, refused: bool) -> io::Result<()> {
        let path = self.directory.join(format!("{hash}.{EXTENSION}"));
        let outcome = match refused {
            true => fs::rename(&path, path.with_extension(REFUSED_EXTENSION)),
            false => fs::remove_file(&path),
        };
        match outcome {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Ok(()) if refused => self.forget_old_evidence(),
            other => other,
        }
        .map_err(|error| self.named(&error))
    }

    /// Rule 16: a node that refuses every block does not fill the disk with them.
    fn forget_old_evidence(&self) -> io::Result<()> {
        let mut refused = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == REFUSED_EXTENSION) {
                refused.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        refused.sort();
        let surplus = refused.len().saturating_sub(MAX_REFUSED);
        refused.iter().take(surplus).try_for_each(|(_, path)| fs::remove_file(path))
    }
}

fn read(path: PathBuf) -> Result<(SpooledBlock, Duration), SpoolProblem> {
    if let Some((what, cure)) = no_file(&path) {
        return Err(SpoolProblem::NoFile { path, what, cure });
    }
    let content = match read_bounded(&path) {
        Ok(content) => content,
        Err(error) => return Err(SpoolProblem::Unreadable { path, error }),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match SpooledBlock::from_file(&name, &content) {
        Ok(block) => Ok((block, age(&path))),
        Err(error) => Err(SpoolProblem::NoBlock { path: path.clone(), error }),
    }
}

/// Something that is no file to read a block from, nor a link to one, and the cure. A link to a
/// file is as good as the file.
fn no_file(path: &Path) -> Option<(String, &'static str)> {
    const AWAY: &str = "move it away, or delete it";
    let own = fs::symlink_metadata(path).ok()?.file_type();
    let there = fs::metadata(path);
    let kind = there.as_ref().ok().and_then(|there| kind(there.file_type()));
    if !own.is_symlink() {
        return kind.map(|kind| (kind.to_owned(), AWAY));
    }
    let to = fs::read_link(path).map_or_else(|_| "?".to_owned(), |to| shown(&to));
    match (there.map_err(|error| error.kind()), kind) {
        (Ok(_), Some(kind)) => Some((format!("a symbolic link to {to}, which is {kind}"), AWAY)),
        (Err(io::ErrorKind::NotFound), _) => Some((
            format!("a symbolic link to {to}, which is not there"),
            "bring that back if it is a block, or delete the link",
        )),
        // Too many links, or one to itself; what this user may not look at is told as unreadable.
        (Err(error), _) if error != io::ErrorKind::PermissionDenied => {
            Some((format!("a symbolic link to {to}, which leads nowhere"), "delete the link"))
        }
        _ => None,
    }
}

/// Its kind in words, if it is no plain file.
fn kind(file: fs::FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;

        if file.is_fifo() {
            return Some("a named pipe");
        }
        if file.is_socket() {
            return Some("a socket");
        }
        if file.is_block_device() || file.is_char_device() {
            return Some("a device");
        }
    }
    file.is_dir().then_some("a directory")
}

/// The time since a file was written; none where that is not known, or in the future.
fn age(path: &Path) -> Duration {
    let written = fs::metadata(path).and_then(|metadata| metadata.modified());
    written.ok().and_then(|at| at.elapsed().ok()).unwrap_or_default()
}

/// A file may be as long as the disk is.
fn read_bounded(path: &Path) -> io::Result<String> {
    let mut content = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_FILE {
        return Err(io::Error::other("a block has at most 8 MiB, and this file has more"));
    }
    // Bytes that are no text are no hex.
    Ok(String::from_utf8_lossy(&content).into_owned())
}

/// Without this a crash may forget the rename. Windows has no such call and needs none.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(directory)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_16_refused_blocks_do_not_fill_the_disk() {
        let name = format!("midstate-refused-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let spool = Spool::new(directory.clone());
        let refused = |number: usize| format!("{number:064x}.{REFUSED_EXTENSION}");
        for number in 0..100 {
            fs::write(directory.join(format!("{number:064x}.{EXTENSION}")), "a block").unwrap();
            let hash = format!("{number:064x}").parse().unwrap();
            spool.remove(&hash, true).unwrap();
        }
        let kept = fs::read_dir(&directory).unwrap().count();
        let last_is_there = directory.join(refused(99)).exists();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(kept, MAX_REFUSED);
        assert!(last_is_there);
    }

    #[test]
    fn rule_23_files_that_are_no_blocks_are_told_of_once_with_their_number() {
        let name = format!("midstate-junk-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        for number in 0..500 {
            fs::write(directory.join(format!("{number:064x}.{EXTENSION}")), "junk").unwrap();
        }
        let (_, problems) = Spool::new(directory.clone()).read();
        let told = in_words(&problems);
        let [words] = &told[..] else { panic!("{told:?}") };
        assert!(words.contains("is no block and is left alone: "), "{words}");
        assert!(words.contains(".block: its content is no block in hex; move it away"), "{words}");
        assert!(words.ends_with("; 499 more files are like it"), "{words}");
        fs::create_dir(directory.join(format!("{:064x}.{EXTENSION}", 500))).unwrap();
        let (_, problems) = Spool::new(directory.clone()).read();
        assert_eq!(in_words(&problems).len(), 2, "of each kind one");
        // A directory that is none.
        let file = directory.join(format!("{:064x}.{EXTENSION}", 0));
        let (_, problems) = Spool::new(file.clone()).read();
        let words = in_words(&problems).join("");
        let hash = format!("{:064x}", 7).parse().unwrap();
        let removed = Spool::new(file.clone()).remove(&hash, false).unwrap_err().to_string();
        fs::remove_dir_all(&directory).unwrap();
        assert!(words.starts_with("the block spool ") && words.contains("are not sent"), "{words}");
        for words in [words, removed] {
            assert!(words.contains(&file.display().to_string()), "{words}");
            assert!(words.contains("it is a file, no directory"), "{words}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn s16_a_file_of_the_spool_is_read_up_to_a_bound() {
        let name = format!("midstate-endless-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let file = |number: usize| directory.join(format!("{number:064x}.{EXTENSION}"));
        std::os::unix::fs::symlink("/dev/zero", file(1)).unwrap();
        fs::write(file(2), vec![b'0'; MAX_FILE as usize + 1]).unwrap();
        let (blocks, problems) = Spool::new(directory.clone()).read();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(blocks, []);
        assert_eq!(problems.len(), 2);
        let told = in_words(&problems).join("\n");
        assert!(told.contains("at most 8 MiB"), "{told}");
        assert!(told.contains("is a symbolic link to /dev/zero, which is a device"), "{told}");
    }

    #[test]
    #[cfg(unix)]
    fn rule_5_what_lies_in_the_spool_and_is_no_file_is_told_as_what_it_is() {
        use std::os::unix::fs::symlink;

        let name = format!("midstate-no-files-{}", std::process::id());
        let (base, file) = (std::env::temp_dir().join(name), format!("{:064x}.{EXTENSION}", 1));
        let told = |make: &dyn Fn(&Path) -> io::Result<()>| {
            fs::create_dir_all(&base).unwrap();
            make(&base.join(&file)).unwrap();
            let (blocks, problems) = Spool::new(base.clone()).read();
            fs::remove_dir_all(&base).unwrap();
            assert_eq!(blocks, []);
            in_words(&problems).join("\n")
        };
        let gone = base.join("gone");
        for (words, make) in [
            (
                "is a directory; move it away, or delete it",
                &(|path: &Path| fs::create_dir(path)) as &dyn Fn(&Path) -> io::Result<()>,
            ),
            (
                "gone, which is not there; bring that back if it is a block, or delete the link",
                &|path: &Path| symlink(&gone, path),
            ),
            ("which is a directory; move it away", &|path: &Path| symlink("/tmp", path)),
            ("leads nowhere; delete the link", &|path: &Path| symlink(path, path)),
            ("is a socket; move it away", &|path: &Path| {
                std::os::unix::net::UnixListener::bind(path).map(drop)
            }),
            // A block that somebody wrote as bytes.
            ("its content is no block in hex", &|path: &Path| fs::write(path, [0, 0xff, 0xfe])),
        ] {
            let told = told(make);
            assert!(told.contains(words), "{words:?} is not in: {told}");
            assert!(!told.contains("cannot be read"), "{told}");
        }
        // A link to a file is as good as the file.
        let told = told(&|path: &Path| {
            fs::write(path.with_extension("there"), "junk")?;
            symlink(path.with_extension("there"), path)
        });
        assert!(told.contains("its content is no block in hex"), "{told}");
    }

    #[test]
    #[cfg(unix)]
    fn rule_5_a_spool_that_is_a_link_to_nowhere_is_told_of_before_a_block_is_lost() {
        let directory = std::env::temp_dir().join(format!("midstate-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/nonexistent/disk", &directory).unwrap();
        let spool = Spool::new(directory.clone());
        let (_, problems) = spool.read();
        let hash = format!("{:064x}", 7).parse().unwrap();
        let block = SpooledBlock { hash, height: 1, prev_hash: hash, hex: String::new() };
        let written = spool.write(&block).unwrap_err().to_string();
        fs::remove_file(&directory).unwrap();
        for told in [in_words(&problems).join("\n"), written] {
            let words = "it is a symbolic link to /nonexistent/disk, which is not there";
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn i8_a_spool_that_cannot_be_read_is_a_problem_and_one_that_is_not_there_is_none() {
        let directory = std::env::temp_dir().join(format!("midstate-spool-{}", std::process::id()));
        let (blocks, problems) = Spool::new(directory.clone()).read();
        assert!(blocks.is_empty() && problems.is_empty());
        fs::write(&directory, "no directory").unwrap();
        let (blocks, problems) = Spool::new(directory.clone()).read();
        fs::remove_file(&directory).unwrap();
        assert_eq!(blocks, []);
        let [problem] = &problems[..] else { panic!("{problems:?}") };
        assert!(problem.to_string().contains("midstate-spool-"), "{problem}");
    }
}

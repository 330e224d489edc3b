//! The teacher's word on names: whose is meant, and which one is shown instead. Nobody else can
//! rename anybody.

use midstate_pool::{Label, Pool};

use crate::Class;
use crate::name;
use crate::status::Kind;

/// Somebody who has a row, as the teacher may call them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its number, in the order of coming; the same as long as it has a row.
    pub number: u32,
    /// The name that is shown.
    pub name: String,
    /// How it mines.
    pub kind: Kind,
    /// Whether it is connected.
    pub here: bool,
    pub(crate) label: Label,
}

/// A name that is shown no more, and the one in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The name before.
    pub before: String,
    /// The name from now on.
    pub name: String,
}

/// Why nobody gets another name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// No row is called so.
    #[error("there is no name {0}: type names to list all of them, with their numbers")]
    Nobody(String),
    /// Several are.
    #[error("{} are called {name}: say which by its number, {}", numbers.len(), listed(numbers))]
    Several {
        /// The name.
        name: String,
        /// The numbers of those.
        numbers: Vec<u32>,
    },
    /// It is the teacher's machine.
    #[error("the teacher's machine keeps its name")]
    Teacher,
}

fn listed(numbers: &[u32]) -> String {
    let numbers: Vec<_> = numbers.iter().map(|number| format!("#{number}")).collect();
    numbers.join(" or ")
}

impl Class {
    /// Everybody who has a row, by number.
    pub fn named(&self, pool: &Pool) -> Vec<Named> {
        let mut named = self.record().named(pool);
        named.sort_by_key(|named| named.number);
        named
    }

    /// The one that the teacher means: by `#` and the number, or by the name as it is shown.
    ///
    /// # Errors
    /// When nobody is meant, or several are.
    pub fn find(&self, pool: &Pool, who: &str) -> Result<Named, RenameError> {
        let who = who.trim();
        let all = self.named(pool);
        let number = who.strip_prefix('#').and_then(|number| number.parse::<u32>().ok());
        let mut meant: Vec<_> = match number {
            Some(number) => all.into_iter().filter(|named| named.number == number).collect(),
            None => {
                let key = name::key(who);
                all.into_iter().filter(|named| name::key(&named.name) == key).collect()
            }
        };
        match (meant.pop(), meant.is_empty()) {
            (None, _) => Err(RenameError::Nobody(who.to_owned())),
            (Some(one), true) => Ok(one),
            (Some(last), false) => {
                meant.push(last);
                let numbers = meant.iter().map(|named| named.number).collect();
                Err(RenameError::Several { name: who.to_owned(), numbers })
            }
        }
    }

    /// Shows another name for somebody: the one that is wished for, cleaned and made unique, or
    /// that of somebody who gave none. Shares and blocks stay where they are.
    ///
    /// # Errors
    /// When nobody is meant who may be renamed.
    pub fn rename(
        &mut self,
        pool: &Pool,
        who: &str,
        wish: Option<&str>,
    ) -> Result<Renamed, RenameError> {
        let Named { name: before, kind, label, .. } = self.find(pool, who)?;
        if kind == Kind::Teacher {
            return Err(RenameError::Teacher);
        }
        let name = self.new_name(pool, wish.unwrap_or_default(), Some(&label));
        self.record_mut().rename(pool, label, name.clone());
        Ok(Renamed { before, name })
    }
}

//! Small tables that change, versioned by event time: thresholds, segments, reference data.
//!
//! A [`Table`] maps a key to its versions. The version that counts at `at` is the newest one with
//! time ≤ `at` (a version whose time is `at` itself counts), so that a late row meets the threshold
//! of its own time, and history replays with the thresholds it had. Of several versions at one time
//! the one with the largest id counts; should even the ids be equal, the largest row.
//!
//! The versions are a multiset: a changelog row adds one with difference +1, and −1 takes it back.
//! What a table answers depends on the set of rows alone, never on the order they came in; a row may
//! even be taken back before it has come.
//!
//! Who changed a threshold is a column like any other (a code), when is the version's time.
//!
//! # State
//! All versions from the watermark on, and the newest before it, per key. Every worker holds all of
//! it: tables are for thousands of keys, not for millions.

use std::cell::{Cell, RefCell};
use std::hash::{Hash, Hasher};

use hashbrown::{Equivalent, HashMap};
use smallvec::SmallVec;
use tidegate_schemas::time::EventTime;

use crate::codec::{CodecError, Reader, Writer};
use crate::parcel::TableRow;
use crate::words::{WordHashing, same_words};

/// What a changelog row did to a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// What its key shows at its time, and up to the key's next version, has changed.
    Changed,
    /// The row is kept, but what its key shows is the same at every moment.
    Hidden,
    /// The row is from before what is settled and was not taken.
    Late,
}

/// The versions of a key are sorted by (time, id, row), and no two are equal in all three.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version {
    at: EventTime,
    id: u64,
    row: Option<Box<[i64]>>,
    /// How often the row was added less how often it was taken back; never 0. It counts when > 0.
    times: i32,
}

/// A key in the table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(SmallVec<[i64; 2]>);

/// A key that is looked for. It is compared word by word: keys are of a word or two.
struct Sought<'a>(&'a [i64]);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Sought(&self.0).hash(state);
    }
}

impl Hash for Sought<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|word| state.write_i64(*word));
    }
}

impl Equivalent<Key> for Sought<'_> {
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        same_words(self.0, &key.0)
    }
}

/// One table: the versions of each key. See the module's documentation.
#[derive(Clone, Debug)]
pub struct Table {
    key_width: usize,
    columns: usize,
    settled: EventTime,
    /// Keys in no order, none of them without versions.
    versions: Vec<(Key, Vec<Version>)>,
    /// Where each key stands in `versions`.
    places: HashMap<Key, usize, WordHashing>,
    /// The place that was asked for last: whoever goes through all customers mostly asks for that again.
    last: Cell<usize>,
    /// No version is later.
    newest: EventTime,
}

impl Table {
    /// An empty table whose keys have `key_width` words and whose rows have `columns`.
    #[must_use]
    pub fn new(key_width: usize, columns: usize) -> Table {
        Table {
            key_width,
            columns,
            settled: EventTime::MIN,
            versions: Vec::new(),
            places: HashMap::default(),
            last: Cell::default(),
            newest: EventTime::MIN,
        }
    }

    /// How many words a row has.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The columns of `key` at `at`: `None` when there is no version yet, or it is deleted.
    #[must_use]
    pub fn as_of(&self, key: &[i64], at: EventTime) -> Option<&[i64]> {
        let versions = self.versions_of(key)?;
        shown(&versions[..up_to(versions, at)])
    }

    /// The first moment later than `after`, and not settled, at which `key` shows something else than
    /// just before.
    #[must_use]
    pub fn next_change(&self, key: &[i64], after: EventTime) -> Option<EventTime> {
        let after = after.max(EventTime(self.settled.0.saturating_sub(1)));
        if after >= self.newest {
            return None;
        }
        let versions = self.versions_of(key)?;
        let mut start = up_to(versions, after);
        let before = shown(&versions[..start]);
        while let Some(at) = versions.get(start).map(|version| version.at) {
            start += versions[start..].partition_point(|version| version.at <= at);
            if !same_row(shown(&versions[..start]), before) {
                return Some(at);
            }
        }
        None
    }

    #[inline]
    fn versions_of(&self, key: &[i64]) -> Option<&[Version]> {
        if let Some((last, versions)) = self.versions.get(self.last.get())
            && same_words(&last.0, key)
        {
            return Some(versions);
        }
        let place = *self.places.get(&Sought(key))?;
        self.last.set(place);
        Some(&self.versions[place].1)
    }

    /// Adds or takes back a version.
    pub fn apply(&mut self, change: &TableRow) -> Applied {
        assert!(
            change.key.len() == self.key_width
                && change.row.as_ref().is_none_or(|r| r.len() == self.columns),
            "{change:?} is no row of a table with {} + {} columns",
            self.key_width,
            self.columns
        );
        if change.at < self.settled {
            return Applied::Late;
        }
        let before = self.as_of(&change.key, change.at).map(Box::from);
        let place = self.place(Key(SmallVec::from_slice(&change.key)));
        let versions = &mut self.versions[place].1;
        add(versions, change);
        self.newest = self.newest.max(change.at);
        if versions.is_empty() {
            self.drop_empty();
        }
        if self.as_of(&change.key, change.at) == before.as_deref() {
            Applied::Hidden
        } else {
            Applied::Changed
        }
    }

    /// Where a key stands, or now will.
    fn place(&mut self, key: Key) -> usize {
        *self.places.entry(key).or_insert_with_key(|key| {
            self.versions.push((key.clone(), Vec::new()));
            self.versions.len() - 1
        })
    }

    /// Drops the keys without versions.
    fn drop_empty(&mut self) {
        self.versions.retain(|(_, versions)| !versions.is_empty());
        let keys = self.versions.iter().map(|(key, _)| key.clone());
        self.places = keys.zip(0..).collect();
    }

    /// Drops what no permitted moment can see any more: moments and changelog rows before
    /// `watermark` are over. The newest version before it stays, for it shows until the next one.
    pub fn settle(&mut self, watermark: EventTime) {
        if watermark <= self.settled {
            return;
        }
        self.settled = watermark;
        for (_, versions) in &mut self.versions {
            let end = versions.partition_point(|version| version.at < watermark);
            let newest = versions[..end]
                .iter()
                .rposition(|version| version.times > 0)
                .filter(|&newest| versions[newest].row.is_some());
            let mut index = 0;
            versions.retain(|_| {
                index += 1;
                index > end || Some(index - 1) == newest
            });
        }
        let empty = |(_, versions): &(Key, Vec<Version>)| versions.is_empty();
        if self.versions.iter().any(empty) {
            self.drop_empty();
        }
    }

    fn encode(&self, to: &mut Writer) {
        to.time(self.settled);
        let mut keys: Vec<_> = self.versions.iter().collect();
        keys.sort_unstable_by_key(|(key, _)| key);
        to.length(keys.len());
        for (key, versions) in keys {
            key.0.iter().for_each(|word| to.word(*word));
            to.length(versions.len());
            for version in versions {
                to.time(version.at);
                to.unsigned(u128::from(version.id));
                to.word(i64::from(version.times));
                to.option(version.row.as_deref(), |to, row| {
                    row.iter().for_each(|word| to.word(*word));
                });
            }
        }
    }

    /// Reads into a table that has no versions yet.
    fn decode(&mut self, from: &mut Reader<'_>) -> Result<(), CodecError> {
        self.settled = from.time("a table's settled time")?;
        for _ in 0..from.length("a table's keys")? {
            let key = words(from, self.key_width, "a table's key")?;
            let mut versions = Vec::new();
            for _ in 0..from.length("a key's versions")? {
                versions.push(Version {
                    at: from.time("a version's time")?,
                    id: from.unsigned("a version's id")? as u64,
                    times: from.word("a version's count")? as i32,
                    row: from.option("a version's row", |from| {
                        words(from, self.columns, "a version's row")
                    })?,
                });
            }
            let newest = versions.last().map_or(EventTime::MIN, |version| version.at);
            self.newest = self.newest.max(newest);
            let place = self.place(Key(key.into_vec().into()));
            self.versions[place].1 = versions;
        }
        Ok(())
    }
}

/// So many moments at which versions begin are remembered.
const MOMENTS: usize = 8;

/// The last moments before `until` at which versions begin that are not settled, the newest first.
#[derive(Clone, Debug)]
struct Moments {
    until: EventTime,
    at: SmallVec<[EventTime; MOMENTS]>,
    /// There are others before them.
    more: bool,
}

/// The tables of a job. See the module's documentation.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// One after the other, as the job numbers them.
    pub tables: Vec<Table>,
    /// Those that were asked for last.
    moments: RefCell<Option<Moments>>,
}

impl Tables {
    /// Empty tables, each of (words per key, words per row).
    #[must_use]
    pub fn new(widths: &[(usize, usize)]) -> Tables {
        Tables {
            tables: widths
                .iter()
                .map(|(key, columns)| Table::new(*key, *columns))
                .collect(),
            moments: RefCell::default(),
        }
    }

    /// (Words per key, words per row) of each table.
    #[must_use]
    pub fn widths(&self) -> Vec<(usize, usize)> {
        let widths = self.tables.iter().map(|t| (t.key_width, t.columns));
        widths.collect()
    }

    /// The columns of `key` in table `table` at `at`.
    #[must_use]
    pub fn as_of(&self, table: usize, key: &[i64], at: EventTime) -> Option<&[i64]> {
        self.tables[table].as_of(key, at)
    }

    /// Adds or takes back a version of the table that the row names.
    pub fn apply(&mut self, row: &TableRow) -> Applied {
        *self.moments.get_mut() = None;
        self.tables[row.table].apply(row)
    }

    /// [`Table::settle`] for every table.
    pub fn settle(&mut self, watermark: EventTime) {
        *self.moments.get_mut() = None;
        for table in &mut self.tables {
            table.settle(watermark);
        }
    }

    /// The first moment behind `after` and before `until` at which a version begins, whatever its key, and none that
    /// is settled; [`EventTime::MAX`] if there is none. `None`: it lies too many versions back to be remembered. To ask again
    /// with the same `until` costs little.
    pub(crate) fn next_moment(&self, after: EventTime, until: EventTime) -> Option<EventTime> {
        let mut known = self.moments.borrow_mut();
        let moments = match &mut *known {
            Some(moments) if moments.until == until => moments,
            other => other.insert(self.moments_before(until)),
        };
        let behind = moments.at.iter().take_while(|at| **at > after).count();
        match behind {
            0 => Some(EventTime::MAX),
            _ if behind == moments.at.len() && moments.more => None,
            _ => Some(moments.at[behind - 1]),
        }
    }

    fn moments_before(&self, until: EventTime) -> Moments {
        let mut all: Vec<EventTime> = Vec::new();
        for table in &self.tables {
            let versions = table.versions.iter().flat_map(|(_, versions)| versions);
            let times = versions.map(|version| version.at);
            all.extend(times.filter(|at| *at >= table.settled && *at < until));
        }
        all.sort_unstable_by(|a, b| b.cmp(a));
        all.dedup();
        Moments {
            until,
            more: all.len() > MOMENTS,
            at: all.into_iter().take(MOMENTS).collect(),
        }
    }

    /// Writes all tables; equal tables give equal bytes.
    pub fn encode(&self, to: &mut Writer) {
        to.length(self.tables.len());
        for table in &self.tables {
            table.encode(to);
        }
    }

    /// Reads tables of these widths that `encode` wrote.
    ///
    /// # Errors
    /// When the bytes are not such tables.
    pub fn decode(widths: &[(usize, usize)], from: &mut Reader<'_>) -> Result<Tables, CodecError> {
        let mut all = Tables::new(widths);
        if from.unsigned("the number of tables")? != all.tables.len() as u128 {
            return Err(CodecError {
                what: "as many tables as the job has",
                left: 0,
            });
        }
        for table in &mut all.tables {
            table.decode(from)?;
        }
        Ok(all)
    }
}

fn same_row(a: Option<&[i64]>, b: Option<&[i64]>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => same_words(a, b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// How many of the versions are not later than `at`. It is nearly always one of the newest that is asked for.
#[inline]
fn up_to(versions: &[Version], at: EventTime) -> usize {
    let newest = versions.len().saturating_sub(4);
    match versions[newest..]
        .iter()
        .rposition(|version| version.at <= at)
    {
        Some(place) => newest + place + 1,
        None => versions[..newest].partition_point(|version| version.at <= at),
    }
}

/// What the last version that counts shows.
#[inline]
fn shown(versions: &[Version]) -> Option<&[i64]> {
    versions
        .iter()
        .rfind(|version| version.times > 0)?
        .row
        .as_deref()
}

fn add(versions: &mut Vec<Version>, change: &TableRow) {
    let place = versions.binary_search_by(|version| {
        (version.at, version.id, &version.row).cmp(&(change.at, change.id, &change.row))
    });
    match place {
        Ok(index) => {
            versions[index].times += change.diff;
            if versions[index].times == 0 {
                versions.remove(index);
            }
        }
        Err(index) => versions.insert(
            index,
            Version {
                at: change.at,
                id: change.id,
                row: change.row.clone(),
                times: change.diff,
            },
        ),
    }
}

fn words(
    from: &mut Reader<'_>,
    count: usize,
    what: &'static str,
) -> Result<Box<[i64]>, CodecError> {
    (0..count).map(|_| from.word(what)).collect()
}

#[cfg(test)]
mod tests;

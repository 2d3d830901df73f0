//! What sessions a job wants, with names compiled away.

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{Span, TimeUnit};

use crate::features::spec::Measure;

/// Whether a fact exactly `gap` after its neighbour begins a new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AtGap {
    /// It begins a new one.
    New,
    /// It still belongs.
    Same,
}

/// What a column shows when no fact of the session took part in it. Lists are then empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Empty {
    /// No value.
    Null,
    /// Zero, or false: the usual choice for counts and for [`SessionOp::Any`].
    Zero,
}

impl Empty {
    pub(super) fn word(self) -> i64 {
        match self {
            Empty::Null => NULL,
            Empty::Zero => 0,
        }
    }
}

/// How a column is made of a session's facts, in (`at`, `id`) order.
///
/// A fact takes part in a column when it passes the column's filter and, where the column is made
/// of a measure, has a value there: nulls are skipped everywhere. Sums, means and extremes want a
/// number, a span or a truth (extremes also take times), the others take anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionOp {
    /// How many facts took part.
    Count,
    /// Whether one did.
    Any,
    /// The time of the first.
    FirstTime,
    /// The time of the last.
    LastTime,
    /// From the first to the last; without a filter, the length of the session.
    Duration,
    /// The exact sum, kept in 128 bits; one beyond the range of words is null, whatever `empty` is.
    Sum(Measure),
    /// Sum by count, as a float: Σx ÷ (n · 10^scale), bit for bit as features have it.
    Mean(Measure),
    /// The smallest.
    Min(Measure),
    /// The greatest.
    Max(Measure),
    /// The first value.
    First(Measure),
    /// The last value.
    Last(Measure),
    /// How many distinct values there were, exactly.
    CountDistinct(Measure),
    /// The first `k` values (the path); what came after them is left out, and a count of the same
    /// filter says how much that was.
    List {
        /// What is listed.
        of: Measure,
        /// How many at most.
        k: usize,
    },
}

impl SessionOp {
    /// How the column reads, with times in `unit`.
    #[must_use]
    pub fn kind(&self, unit: TimeUnit) -> Kind {
        match self {
            SessionOp::Count | SessionOp::CountDistinct(_) => Kind::Int,
            SessionOp::Any => Kind::Bool,
            SessionOp::FirstTime | SessionOp::LastTime => Kind::Time(unit),
            SessionOp::Duration => Kind::Span,
            SessionOp::Mean(_) => Kind::Float,
            SessionOp::Sum(of) if of.kind == Kind::Bool => Kind::Int,
            SessionOp::Sum(of)
            | SessionOp::Min(of)
            | SessionOp::Max(of)
            | SessionOp::First(of)
            | SessionOp::Last(of) => of.kind.clone(),
            SessionOp::List { of, .. } => Kind::List(Box::new(of.kind.clone())),
        }
    }
}

/// One column of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionColumn {
    /// How it is made.
    pub op: SessionOp,
    /// Which facts of the session take part (a bit of the fact); `None`: all.
    pub filter: Option<u8>,
    /// What it shows when none did.
    pub empty: Empty,
}

/// What sessions a job wants, by index: names were compiled away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsSpec {
    /// Which facts belong to sessions at all (a bit of the fact); `None`: all.
    pub filter: Option<u8>,
    /// How long a silence ends a session.
    pub gap: Span,
    /// What facts exactly `gap` apart mean.
    pub at_gap: AtGap,
    /// The greatest length from first to last fact.
    pub max_length: Option<Span>,
    /// The columns between `rows` and `closed`.
    pub columns: Vec<SessionColumn>,
    /// Which output gets sessions that are over.
    pub closed_output: Option<usize>,
    /// Which output gets all sessions, as they grow.
    pub open_output: Option<usize>,
}

impl SessionsSpec {
    /// The column that, with the key, tells one session from another.
    pub const START: usize = 0;
    /// The time of the last fact.
    pub const END: usize = 1;
    /// How many facts.
    pub const ROWS: usize = 2;
    /// The first of [`SessionsSpec::columns`].
    pub const FIRST: usize = 3;

    /// The column that says whether the session is over.
    #[must_use]
    pub fn closed(&self) -> usize {
        SessionsSpec::FIRST + self.columns.len()
    }

    /// The column that says whether `max_length` cut the session, where there is one.
    #[must_use]
    pub fn cut(&self) -> Option<usize> {
        self.max_length.map(|_| self.closed() + 1)
    }

    /// How many columns a row has, without the key.
    #[must_use]
    pub fn width(&self) -> usize {
        self.closed() + 1 + usize::from(self.max_length.is_some())
    }

    /// How the columns read, with times in `unit`.
    #[must_use]
    pub fn kinds(&self, unit: TimeUnit) -> Vec<Kind> {
        let mut kinds = vec![Kind::Time(unit), Kind::Time(unit), Kind::Int];
        kinds.extend(self.columns.iter().map(|column| column.op.kind(unit)));
        kinds.resize(self.width(), Kind::Bool);
        kinds
    }

    /// How far behind its last fact a session is over: the fact at `end + reach` does not belong.
    pub(super) fn reach(&self) -> Span {
        let least = Span(1);
        match self.at_gap {
            AtGap::New => self.gap.max(least),
            AtGap::Same => (self.gap + least).max(least),
        }
    }
}

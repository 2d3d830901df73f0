//! Who takes part, in which queries and in which formulations of them.

use clap::ValueEnum;

/// An engine to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// DuckDB, and the reference for answers.
    Duckdb,
    /// Polars: Q1, Q2, Q3, and the three one after the other as `all`.
    Polars,
    /// The plain loop over facts in memory, one thread.
    Floor,
    /// The slow, obvious computation in Python, for small data.
    Oracle,
    /// Tidegate.
    Tidegate,
}

/// A query of the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs, reason = "their names are those of the workload's page")]
pub enum Query {
    Q1,
    Q2,
    Q3,
    Q4,
    All,
}

impl Query {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Query::Q1 => "q1",
            Query::Q2 => "q2",
            Query::Q3 => "q3",
            Query::Q4 => "q4",
            Query::All => "all",
        }
    }
}

impl Peer {
    pub(super) fn name(self) -> &'static str {
        match self {
            Peer::Duckdb => "duckdb",
            Peer::Polars => "polars",
            Peer::Floor => "floor",
            Peer::Oracle => "oracle",
            Peer::Tidegate => "tidegate",
        }
    }

    /// The formulations of a query, of which the fastest counts; none if it cannot do it.
    pub(super) fn forms(self, query: Query, threads: usize) -> &'static [&'static str] {
        match (self, query) {
            (Peer::Duckdb, Query::Q1) => &["apart", "asof", "range"],
            (Peer::Duckdb, Query::Q2) => &["group", "asof"],
            (Peer::Duckdb, Query::All) => &["table-apart", "scans-range"],
            (Peer::Polars, Query::Q1 | Query::All) => &["search", "rolling"],
            (Peer::Polars, Query::Q2) => &["runs", "over"],
            (Peer::Polars, Query::Q4) => &[],
            (Peer::Floor, Query::Q1) => {
                if threads == 1 {
                    &["windows"]
                } else {
                    &[]
                }
            }
            (Peer::Floor, Query::Q2) => {
                if threads == 1 {
                    &["sessions"]
                } else {
                    &[]
                }
            }
            (Peer::Floor, Query::All) => {
                if threads == 1 {
                    &["all"]
                } else {
                    &[]
                }
            }
            (Peer::Floor, Query::Q3 | Query::Q4) => &[],
            (Peer::Oracle, _) => {
                if threads == 1 {
                    &[""]
                } else {
                    &[]
                }
            }
            (Peer::Duckdb | Peer::Polars | Peer::Tidegate, _) => &[""],
        }
    }

    /// Of its formulations, the one that its users write: RANGE windows, rolling windows,
    /// each query by itself from the file.
    pub(super) fn usual_form(self, query: Query, threads: usize) -> Option<&'static str> {
        match (self, query) {
            (Peer::Duckdb, Query::Q1) => Some("range"),
            (Peer::Duckdb, Query::Q2) => Some("group"),
            (Peer::Duckdb, Query::All) => Some("scans-range"),
            (Peer::Polars, Query::Q1 | Query::All) => Some("rolling"),
            (Peer::Polars, Query::Q2) => Some("over"),
            _ => self.forms(query, threads).first().copied(),
        }
    }

    /// The queries whose answers it leaves after `query`.
    pub(super) fn answers(self, query: Query) -> &'static str {
        match (self, query) {
            (Peer::Polars, Query::All) => "q1,q2,q3",
            (_, Query::All) => "q1,q2,q3,q4",
            _ => query.name(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_engine_answers_what_it_has_forms_for() {
        for query in [Query::Q1, Query::Q2, Query::Q3, Query::Q4, Query::All] {
            assert!(!Peer::Tidegate.forms(query, 2).is_empty());
            assert!(!Peer::Duckdb.forms(query, 2).is_empty());
            assert!(Peer::Tidegate.answers(query).starts_with('q'));
            for peer in [Peer::Duckdb, Peer::Polars, Peer::Floor, Peer::Tidegate] {
                let (forms, usual) = (peer.forms(query, 1), peer.usual_form(query, 1));
                assert!(usual.is_none_or(|usual| forms.contains(&usual)));
                assert_eq!(usual.is_none(), forms.is_empty());
            }
        }
    }
}

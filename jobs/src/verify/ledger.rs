//! Which expressions the outputs of an entity need of each row, and as what their values count.

use arrow::datatypes::{DataType, SchemaRef};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::TimeUnit;

use super::error::VerifyError;
use crate::expressions::Planner;

/// A source of the entity.
pub(super) struct LedgerSource {
    /// Its name.
    pub(super) name: String,
    /// Its columns.
    pub(super) schema: SchemaRef,
}

/// A condition; for rows of other sources than `from` it does not hold.
#[derive(PartialEq)]
struct Filter {
    from: Vec<String>,
    sql: Option<String>,
}

/// A measured value; null for rows of other sources than `from`.
#[derive(PartialEq)]
struct Measured {
    from: Vec<String>,
    sql: String,
    kind: Kind,
}

/// A column of the facts that holds measured values.
#[derive(Clone, Debug)]
pub(super) struct Measure {
    /// Its name.
    pub(super) column: String,
    /// How its values read: whole numbers as the job's fixed-point numbers are, floats or texts.
    pub(super) kind: Kind,
}

/// The expressions of an entity, each a column of its facts.
pub(super) struct Ledger {
    pub(super) sources: Vec<LedgerSource>,
    planner: Planner,
    filters: Vec<Filter>,
    measures: Vec<Measured>,
    /// Measures that nobody here reads, but that make a row a reject.
    others: Vec<Measured>,
}

impl Ledger {
    /// Nothing is needed yet.
    pub(super) fn new(sources: Vec<LedgerSource>) -> Ledger {
        Ledger {
            sources,
            planner: Planner::new(),
            filters: Vec::new(),
            measures: Vec::new(),
            others: Vec::new(),
        }
    }

    /// The condition that a row of `from` satisfies `sql`, over the columns of the facts.
    pub(super) fn filter(&mut self, from: &[String], sql: Option<&str>) -> String {
        let all = |source: &LedgerSource| from.contains(&source.name);
        if sql.is_none() && self.sources.iter().all(all) {
            return "true".to_owned();
        }
        let filter = Filter {
            from: from.to_vec(),
            sql: sql.map(str::to_owned),
        };
        format!("f{}", position(&mut self.filters, filter))
    }

    /// The column with the values of `sql` for rows of `from`.
    ///
    /// # Errors
    /// When it cannot be planned, which the compiler has seen to.
    pub(super) fn measure(
        &mut self,
        from: &[String],
        sql: &str,
        scale: Option<u8>,
    ) -> Result<Measure, VerifyError> {
        let measured = self.measured(from, sql, scale)?;
        let kind = measured.kind.clone();
        let column = format!("m{}", position(&mut self.measures, measured));
        Ok(Measure { column, kind })
    }

    /// Notes a measure that makes a row a reject when its fixed-point number cannot hold it.
    ///
    /// # Errors
    /// As [`Ledger::measure`].
    pub(super) fn may_fault(
        &mut self,
        from: &[String],
        sql: &str,
        scale: Option<u8>,
    ) -> Result<(), VerifyError> {
        if !self
            .sources
            .iter()
            .any(|source| from.contains(&source.name))
        {
            return Ok(());
        }
        let measured = self.measured(from, sql, scale)?;
        if !self.measures.contains(&measured) {
            position(&mut self.others, measured);
        }
        Ok(())
    }

    fn measured(
        &self,
        from: &[String],
        sql: &str,
        scale: Option<u8>,
    ) -> Result<Measured, VerifyError> {
        let source = self.sources.iter().find(|s| from.contains(&s.name));
        let source = source.ok_or_else(|| shape(format!("`{sql}` is measured of no source")))?;
        let planned = self.planner.plan(sql, &source.schema);
        let planned = planned.map_err(|error| VerifyError::Query {
            what: format!("`{sql}`"),
            sql: sql.to_owned(),
            error: Box::new(error),
        })?;
        let kind = kind_of(&planned.data_type, scale)
            .ok_or_else(|| shape(format!("`{sql}` is {}", planned.data_type)))?;
        Ok(Measured {
            from: from.to_vec(),
            sql: sql.to_owned(),
            kind,
        })
    }

    /// The names of all columns.
    pub(super) fn columns(&self) -> Vec<String> {
        let filters = (0..self.filters.len()).map(|index| format!("f{index}"));
        let measures = (0..self.measures.len()).map(|index| format!("m{index}"));
        filters.chain(measures).collect()
    }

    /// The columns of a source, to be selected from its rows.
    pub(super) fn selected(&self, source: &str) -> String {
        let mut sql = String::new();
        for (index, filter) in self.filters.iter().enumerate() {
            let holds = match &filter.sql {
                _ if !filter.from.iter().any(|from| from == source) => "false".to_owned(),
                None => "true".to_owned(),
                Some(condition) => format!("coalesce(({condition}\n), false)"),
            };
            sql.push_str(&format!(", {holds} AS f{index}"));
        }
        for (index, measured) in self.measures.iter().enumerate() {
            let word = match measured.from.iter().any(|from| from == source) {
                true => word(&measured.sql, &measured.kind),
                false if measured.kind == Kind::Text => "CAST(NULL AS VARCHAR)".to_owned(),
                false if measured.kind == Kind::Float => "CAST(NULL AS DOUBLE)".to_owned(),
                false => "CAST(NULL AS BIGINT)".to_owned(),
            };
            sql.push_str(&format!(", {word} AS m{index}"));
        }
        sql
    }

    /// The condition that a row of the source has a measure that its number cannot hold,
    /// which makes it a reject.
    pub(super) fn faulty(&self, source: &str) -> String {
        let mut sql = "false".to_owned();
        for measured in self.measures.iter().chain(&self.others) {
            if !measured.from.iter().any(|from| from == source) {
                continue;
            }
            let of = &measured.sql;
            match measured.kind {
                Kind::Fixed { scale } => {
                    let scaled = scaled(of, scale);
                    sql.push_str(&format!(
                        " OR coalesce(NOT (abs({scaled}) < 9.2e18), false)"
                    ));
                }
                Kind::Int => sql.push_str(&format!(
                    " OR (({of}\n) IS NOT NULL AND TRY_CAST(({of}\n) AS BIGINT) IS NULL)"
                )),
                _ => {}
            }
        }
        sql
    }
}

fn shape(what: String) -> VerifyError {
    VerifyError::Shape(what)
}

/// The index of an item, which is added if it is not there.
fn position<T: PartialEq>(items: &mut Vec<T>, item: T) -> usize {
    let known = items.iter().position(|other| *other == item);
    known.unwrap_or_else(|| {
        items.push(item);
        items.len() - 1
    })
}

/// As what the values of a type count.
fn kind_of(data_type: &DataType, scale: Option<u8>) -> Option<Kind> {
    Some(match data_type {
        DataType::Boolean => Kind::Bool,
        whole if whole.is_integer() => Kind::Int,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text,
        DataType::Dictionary(_, value) => return kind_of(value, scale),
        DataType::Timestamp(unit, _) => Kind::Time(time_unit(*unit)),
        DataType::Date32 => Kind::Time(TimeUnit::Microsecond),
        DataType::Decimal128(..) => float(scale),
        floating if floating.is_floating() => float(scale),
        _ => return None,
    })
}

fn float(scale: Option<u8>) -> Kind {
    scale.map_or(Kind::Float, |scale| Kind::Fixed { scale })
}

/// The unit of a timestamp type.
pub(super) fn time_unit(unit: arrow::datatypes::TimeUnit) -> TimeUnit {
    match unit {
        arrow::datatypes::TimeUnit::Second => TimeUnit::Second,
        arrow::datatypes::TimeUnit::Millisecond => TimeUnit::Millisecond,
        arrow::datatypes::TimeUnit::Microsecond => TimeUnit::Microsecond,
        arrow::datatypes::TimeUnit::Nanosecond => TimeUnit::Nanosecond,
    }
}

fn scaled(sql: &str, scale: u8) -> String {
    format!("(CAST(({sql}\n) AS DOUBLE) * 1e{scale})")
}

/// A value as the whole number or text that counts.
fn word(sql: &str, kind: &Kind) -> String {
    match kind {
        // Rounded half away from zero.
        Kind::Fixed { scale } => format!("TRY_CAST(round({}) AS BIGINT)", scaled(sql, *scale)),
        // NaN is null, and the two zeros are one.
        Kind::Float => format!("nullif(CAST(({sql}\n) AS DOUBLE) + 0.0, CAST('NaN' AS DOUBLE))"),
        Kind::Text => format!("CAST(({sql}\n) AS VARCHAR)"),
        Kind::Time(_) => {
            let micros = format!("arrow_cast(({sql}\n), 'Timestamp(Microsecond, None)')");
            format!("CAST({micros} AS BIGINT)")
        }
        _ => format!("TRY_CAST(({sql}\n) AS BIGINT)"),
    }
}

//! Conditions over registers: from DataFusion's SQL to the little programs that run per key.
//!
//! DataFusion parses, resolves names, and settles the types; what is left is translated part by part.
//! A part that a program does not know is a problem of the job file, not a different meaning.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit as ArrowUnit};
use datafusion::common::{DFSchema, DataFusionError, ScalarValue, TableReference};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Case, Expr as Logical, Operator};
use tidegate_operators::program::{Arithmetic, Comparison, Expr, Program, Type};
use tidegate_schemas::job::Sql;
use tidegate_schemas::names::Names;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::EventTime;

use super::{Compiler, advice};
use crate::expressions::{Planner, cause};

/// A value that conditions can read.
#[derive(Clone, Debug)]
pub(super) struct Register {
    /// The features, sessions or table it belongs to; the segment belongs to none.
    pub(super) block: Option<String>,
    /// Its name.
    pub(super) name: String,
    /// How it reads.
    pub(super) kind: Kind,
    /// Whether the condition being planned may read it.
    pub(super) visible: bool,
}

impl Compiler<'_> {
    /// A condition of any type; what is wrong with it becomes a problem.
    pub(super) fn condition(&mut self, registers: &[Register], sql: &Sql) -> Option<Program> {
        match plan(&self.planner, &self.plan.names, registers, sql.as_str()) {
            Ok(program) => Some(program),
            Err(error) => {
                self.condition_problem(sql, registers, &error);
                None
            }
        }
    }

    /// A condition that must be true or false.
    pub(super) fn verdict(&mut self, registers: &[Register], sql: &Sql) -> Option<Program> {
        let program = self.condition(registers, sql)?;
        if program.result() == Type::Bool {
            return Some(program);
        }
        let message = format!(
            "`{}` must be true or false, and is {}: compare it with something",
            sql.written(),
            match program.result() {
                Type::Bool => "that",
                Type::Int => "a whole number",
                Type::Float => "a number",
                Type::Text => "a text",
                Type::Time => "a time",
            }
        );
        self.problem(sql.place(), message);
        None
    }

    /// Tells what DataFusion, or the translation, said of a condition.
    pub(super) fn condition_problem(&mut self, sql: &Sql, registers: &[Register], error: &str) {
        let names: Vec<&str> = registers
            .iter()
            .filter(|register| register.visible)
            .map(|register| register.name.as_str())
            .collect();
        let unknown = advice::unknown_name(error).unwrap_or_default();
        let (mut sources, mut features) = (self.job.sources.values(), self.job.features.values());
        // Of Parquet without declared columns only those that are carried are known here.
        let of_rows = sources.any(|source| source.columns.get(unknown).is_some())
            || features.any(|features| features.carry.iter().any(|name| *name == *unknown));
        let help = match of_rows {
            true => format!(
                "`{unknown}` is a column of rows, and conditions see what is computed and tables: add \
                 {{ name = \"{}\", op = \"last\", of = {}, windows = \"lifetime\" }}",
                advice::its(unknown),
                advice::alone(unknown)
            ),
            false => advice::advice(sql.as_str(), error, &names),
        };
        let message = format!("in `{}`: {error}", sql.written());
        let problem = self.job.origin.problem(sql.place(), message);
        self.push(problem.help(help));
    }
}

/// Plans one condition over registers.
fn plan(
    planner: &Planner,
    names: &Names,
    registers: &[Register],
    sql: &str,
) -> Result<Program, String> {
    let schema = schema(registers).map_err(|e| cause(&e))?;
    let logical = planner.logical_over(sql, &schema).map_err(|e| cause(&e))?;
    let settled = planner.settled(logical.unalias(), &schema);
    let logical = settled.map_err(|e| cause(&e))?;
    let translated = Translator { names, registers }.expr(&logical)?;
    let kinds: Vec<Kind> = registers
        .iter()
        .map(|register| register.kind.clone())
        .collect();
    Program::compile(&translated, &kinds).map_err(|e| e.to_string())
}

/// The register that a plain name means, if the text is one.
pub(super) fn register_of(
    planner: &Planner,
    registers: &[Register],
    sql: &str,
) -> Result<Option<usize>, String> {
    let schema = schema(registers).map_err(|e| cause(&e))?;
    let logical = planner.logical_over(sql, &schema).map_err(|e| cause(&e))?;
    Ok(match logical.unalias() {
        Logical::Column(column) => find(registers, &column.name, column.relation.as_ref()),
        _ => None,
    })
}

fn schema(registers: &[Register]) -> Result<DFSchema, DataFusionError> {
    let fields = registers
        .iter()
        .filter(|register| register.visible)
        .filter_map(|register| {
            let field = Arc::new(Field::new(&register.name, data_type(&register.kind)?, true));
            let block = register
                .block
                .as_ref()
                .map(|block| TableReference::bare(block.as_str()));
            Some((block, field))
        });
    DFSchema::new_with_metadata(fields.collect(), Default::default())
}

/// The SQL type of a register; lists have none.
fn data_type(kind: &Kind) -> Option<DataType> {
    Some(match kind {
        Kind::Int | Kind::Id { .. } => DataType::Int64,
        Kind::Fixed { .. } | Kind::Float | Kind::Span => DataType::Float64,
        Kind::Bool => DataType::Boolean,
        Kind::Text => DataType::Utf8,
        Kind::Time(_) => DataType::Timestamp(ArrowUnit::Microsecond, None),
        Kind::IdText | Kind::List(_) | Kind::Histogram(_) => return None,
    })
}

fn find(registers: &[Register], name: &str, block: Option<&TableReference>) -> Option<usize> {
    registers.iter().position(|register| {
        register.visible
            && register.name == name
            && block.is_none_or(|block| register.block.as_deref() == Some(block.table()))
    })
}

struct Translator<'a> {
    names: &'a Names,
    registers: &'a [Register],
}

impl Translator<'_> {
    fn boxed(&self, expr: &Logical) -> Result<Box<Expr>, String> {
        self.expr(expr).map(Box::new)
    }

    fn all(&self, exprs: &[Logical]) -> Result<Vec<Expr>, String> {
        exprs.iter().map(|expr| self.expr(expr)).collect()
    }

    fn expr(&self, expr: &Logical) -> Result<Expr, String> {
        Ok(match expr {
            Logical::Alias(alias) => self.expr(&alias.expr)?,
            Logical::Column(column) => {
                let found = find(self.registers, &column.name, column.relation.as_ref());
                Expr::Register(found.ok_or_else(|| format!("there is no `{column}`"))?)
            }
            Logical::Literal(value, _) => self.literal(value)?,
            Logical::BinaryExpr(binary) => self.binary(binary)?,
            Logical::Not(inner) => Expr::Not(self.boxed(inner)?),
            Logical::Negative(inner) => Expr::Negate(self.boxed(inner)?),
            Logical::IsNull(inner) => Expr::IsNull(self.boxed(inner)?),
            Logical::IsNotNull(inner) => Expr::IsNotNull(self.boxed(inner)?),
            Logical::IsTrue(inner) => Expr::Coalesce(vec![self.expr(inner)?, Expr::Bool(false)]),
            Logical::IsNotTrue(inner) => Expr::Not(Box::new(Expr::Coalesce(vec![
                self.expr(inner)?,
                Expr::Bool(false),
            ]))),
            Logical::Between(between) => self.between(between)?,
            Logical::InList(InList {
                expr,
                list,
                negated,
            }) => {
                let found = Expr::In(self.boxed(expr)?, self.all(list)?);
                if *negated {
                    Expr::Not(Box::new(found))
                } else {
                    found
                }
            }
            Logical::Case(case) => self.case(case)?,
            Logical::Cast(cast) => self.cast(&cast.expr, cast.field.data_type())?,
            Logical::TryCast(cast) => self.cast(&cast.expr, cast.field.data_type())?,
            Logical::ScalarFunction(call) => {
                let args = || self.all(&call.args);
                match (call.name(), &call.args[..]) {
                    ("coalesce", _) => Expr::Coalesce(args()?),
                    ("greatest", _) => Expr::Greatest(args()?),
                    ("least", _) => Expr::Least(args()?),
                    ("abs", [inner]) => Expr::Abs(self.boxed(inner)?),
                    (name, _) => return Err(unknown(&format!("the function `{name}`"))),
                }
            }
            other => return Err(unknown(&format!("`{other}`"))),
        })
    }

    fn binary(&self, BinaryExpr { left, op, right }: &BinaryExpr) -> Result<Expr, String> {
        let (left, right) = (self.boxed(left)?, self.boxed(right)?);
        let arithmetic = |op| Expr::Arithmetic(op, left.clone(), right.clone());
        let compare = |op| Expr::Compare(op, left.clone(), right.clone());
        Ok(match op {
            Operator::And => Expr::And(left, right),
            Operator::Or => Expr::Or(left, right),
            Operator::Plus => arithmetic(Arithmetic::Add),
            Operator::Minus => arithmetic(Arithmetic::Subtract),
            Operator::Multiply => arithmetic(Arithmetic::Multiply),
            Operator::Divide => arithmetic(Arithmetic::Divide),
            Operator::Modulo => arithmetic(Arithmetic::Remainder),
            Operator::Eq => compare(Comparison::Equal),
            Operator::NotEq => compare(Comparison::NotEqual),
            Operator::Lt => compare(Comparison::Less),
            Operator::LtEq => compare(Comparison::LessEqual),
            Operator::Gt => compare(Comparison::Greater),
            Operator::GtEq => compare(Comparison::GreaterEqual),
            other => return Err(unknown(&format!("the operator `{other}`"))),
        })
    }

    fn between(&self, between: &Between) -> Result<Expr, String> {
        let value = self.boxed(&between.expr)?;
        let low = self.boxed(&between.low)?;
        let high = self.boxed(&between.high)?;
        let inside = Expr::And(
            Box::new(Expr::Compare(Comparison::GreaterEqual, value.clone(), low)),
            Box::new(Expr::Compare(Comparison::LessEqual, value, high)),
        );
        Ok(if between.negated {
            Expr::Not(Box::new(inside))
        } else {
            inside
        })
    }

    fn case(&self, case: &Case) -> Result<Expr, String> {
        let base = case
            .expr
            .as_ref()
            .map(|base| self.boxed(base))
            .transpose()?;
        let mut branches = Vec::new();
        for (when, then) in &case.when_then_expr {
            let when = match &base {
                None => self.expr(when)?,
                Some(base) => Expr::Compare(Comparison::Equal, base.clone(), self.boxed(when)?),
            };
            branches.push((when, self.expr(then)?));
        }
        let otherwise = case
            .else_expr
            .as_ref()
            .map(|expr| self.boxed(expr))
            .transpose()?;
        Ok(Expr::Case(branches, otherwise))
    }

    fn cast(&self, inner: &Logical, to: &DataType) -> Result<Expr, String> {
        let inner = self.boxed(inner)?;
        Ok(Expr::Cast(
            inner,
            type_of(to).ok_or_else(|| unknown(&format!("the type {to}")))?,
        ))
    }

    fn literal(&self, value: &ScalarValue) -> Result<Expr, String> {
        let of = type_of(&value.data_type());
        if value.is_null() {
            return Ok(Expr::Null(of.unwrap_or(Type::Bool)));
        }
        let unknown = || unknown(&format!("the value {value}"));
        Ok(match of.ok_or_else(unknown)? {
            Type::Text => {
                let text = value.try_as_str().flatten().ok_or_else(unknown)?;
                Expr::Text(self.names.code(text).map_err(|error| error.to_string())?)
            }
            Type::Bool => Expr::Bool(matches!(value, ScalarValue::Boolean(Some(true)))),
            Type::Int => match value.cast_to(&DataType::Int64) {
                Ok(ScalarValue::Int64(Some(number))) => Expr::Int(number),
                _ => return Err(unknown()),
            },
            Type::Float => match value.cast_to(&DataType::Float64) {
                Ok(ScalarValue::Float64(Some(number))) => Expr::Float(number),
                _ => return Err(unknown()),
            },
            Type::Time => match value.cast_to(&DataType::Timestamp(ArrowUnit::Microsecond, None)) {
                Ok(ScalarValue::TimestampMicrosecond(Some(at), _)) => Expr::Time(EventTime(at)),
                _ => return Err(unknown()),
            },
        })
    }
}

fn unknown(what: &str) -> String {
    format!("{what} cannot be used over features; compute it over rows, in `of` or `where`")
}

fn type_of(data_type: &DataType) -> Option<Type> {
    Some(match data_type {
        DataType::Boolean => Type::Bool,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::Text,
        DataType::Timestamp(..) | DataType::Date32 => Type::Time,
        _ if data_type.is_integer() => Type::Int,
        _ if data_type.is_floating() || matches!(data_type, DataType::Decimal128(..)) => {
            Type::Float
        }
        _ => return None,
    })
}

//! The tree of an expression, and its types.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_schemas::fact::NULL;
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, TimeUnit};

/// What a value of an expression is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Type {
    /// A whole number of 64 bits.
    Int,
    /// A float; where an `Int` meets a `Float`, the `Int` becomes one.
    Float,
    /// A truth.
    Bool,
    /// A text, as its code: it can be equal to another, but has no order.
    Text,
    /// An event time in microseconds.
    Time,
}

impl Type {
    /// How the word of a program's value reads, for example when a segment becomes a register.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self {
            Type::Int => Kind::Int,
            Type::Float => Kind::Float,
            Type::Bool => Kind::Bool,
            Type::Text => Kind::Text,
            Type::Time => Kind::Time(TimeUnit::Microsecond),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::Int => "a whole number",
            Type::Float => "a float",
            Type::Bool => "a truth value",
            Type::Text => "a text",
            Type::Time => "a time",
        })
    }
}

/// `+ - * / %`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`: of whole numbers, cut toward zero.
    Divide,
    /// `a % b`, with the sign of `a`.
    Remainder,
}

/// `= != < <= > >=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `a = b`
    Equal,
    /// `a != b`
    NotEqual,
    /// `a < b`
    Less,
    /// `a <= b`
    LessEqual,
    /// `a > b`
    Greater,
    /// `a >= b`
    GreaterEqual,
}

/// An expression over registers. The module's documentation says what each part means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expr {
    /// The value of a register.
    Register(usize),
    /// No value, of a type.
    Null(Type),
    /// A whole number.
    Int(i64),
    /// A float; NaN is no value.
    Float(f64),
    /// A truth.
    Bool(bool),
    /// The code of a text.
    Text(i64),
    /// A time.
    Time(EventTime),
    /// Two numbers make a number.
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    /// Two values make a truth.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// `a AND b`
    And(Box<Expr>, Box<Expr>),
    /// `a OR b`
    Or(Box<Expr>, Box<Expr>),
    /// `NOT a`
    Not(Box<Expr>),
    /// `-a`
    Negate(Box<Expr>),
    /// `ABS(a)`
    Abs(Box<Expr>),
    /// `a IS NULL`
    IsNull(Box<Expr>),
    /// `a IS NOT NULL`
    IsNotNull(Box<Expr>),
    /// `a IN (...)`
    In(Box<Expr>, Vec<Expr>),
    /// `CASE WHEN a THEN b ... ELSE c END`; without `ELSE`, no value.
    Case(Vec<(Expr, Expr)>, Option<Box<Expr>>),
    /// `COALESCE(...)`
    Coalesce(Vec<Expr>),
    /// `GREATEST(...)`
    Greatest(Vec<Expr>),
    /// `LEAST(...)`
    Least(Vec<Expr>),
    /// `CAST(a AS type)`: between whole numbers and floats, and between whole numbers and truths.
    Cast(Box<Expr>, Type),
}

/// Why an expression has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TypeError {
    /// It names a register that is not there.
    NoRegister {
        /// The register.
        index: usize,
        /// How many there are.
        registers: usize,
    },
    /// It reads a register whose values are not single, plain values.
    Kind {
        /// The register.
        index: usize,
        /// What its values are.
        kind: Kind,
    },
    /// A part cannot take a value of this type.
    Operand {
        /// The part, as SQL writes it.
        what: &'static str,
        /// The type it was given.
        found: Type,
    },
    /// Two values that should be of one type are not.
    Mix {
        /// The part, as SQL writes it.
        what: &'static str,
        /// One type.
        left: Type,
        /// The other.
        right: Type,
    },
    /// A part needs at least one argument.
    Empty {
        /// The part, as SQL writes it.
        what: &'static str,
    },
    /// The smallest 64-bit number stands for "no value" and cannot be written.
    Literal,
    /// The expression is nested more deeply than a program can keep.
    TooDeep,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TypeError::NoRegister { index, registers } => {
                write!(f, "there is no register {index}, only {registers} of them")
            }
            TypeError::Kind { index, kind } => write!(
                f,
                "register {index} holds {kind:?}, which a condition cannot read"
            ),
            TypeError::Operand { what, found } => write!(f, "{what} cannot take {found}"),
            TypeError::Mix { what, left, right } => {
                write!(f, "{what} cannot take both {left} and {right}")
            }
            TypeError::Empty { what } => write!(f, "{what} needs at least one argument"),
            TypeError::Literal => write!(f, "the number {NULL} stands for `null`"),
            TypeError::TooDeep => f.write_str("the expression is nested too deeply"),
        }
    }
}

impl std::error::Error for TypeError {}

impl Expr {
    /// The type of the expression's value, when the registers are of these kinds.
    ///
    /// # Errors
    /// When some part of the expression has no meaning.
    pub fn type_of(&self, kinds: &[Kind]) -> Result<Type, TypeError> {
        match self {
            Expr::Register(index) => register_type(*index, kinds),
            Expr::Null(kind) => Ok(*kind),
            Expr::Int(NULL) | Expr::Text(NULL) | Expr::Time(EventTime(NULL)) => {
                Err(TypeError::Literal)
            }
            Expr::Int(_) => Ok(Type::Int),
            Expr::Float(_) => Ok(Type::Float),
            Expr::Bool(_) => Ok(Type::Bool),
            Expr::Text(_) => Ok(Type::Text),
            Expr::Time(_) => Ok(Type::Time),
            Expr::Arithmetic(op, a, b) => {
                let what = op.sign();
                let a = number(what, a.type_of(kinds)?)?;
                join(what, a, number(what, b.type_of(kinds)?)?)
            }
            Expr::Compare(op, a, b) => {
                let both = join(op.sign(), a.type_of(kinds)?, b.type_of(kinds)?)?;
                op.check(both).map(|()| Type::Bool)
            }
            Expr::And(a, b) => truths("AND", [&**a, b], kinds),
            Expr::Or(a, b) => truths("OR", [&**a, b], kinds),
            Expr::Not(a) => truths("NOT", [&**a], kinds),
            Expr::Negate(a) => number("-", a.type_of(kinds)?),
            Expr::Abs(a) => number("ABS", a.type_of(kinds)?),
            Expr::IsNull(a) | Expr::IsNotNull(a) => a.type_of(kinds).map(|_| Type::Bool),
            Expr::In(a, list) => joined("IN", list.iter().chain([&**a]), kinds).map(|_| Type::Bool),
            Expr::Case(branches, otherwise) => {
                truths("WHEN", branches.iter().map(|branch| &branch.0), kinds)?;
                let values = branches.iter().map(|branch| &branch.1);
                joined("CASE", values.chain(otherwise.as_deref()), kinds)
            }
            Expr::Coalesce(list) => joined("COALESCE", list, kinds),
            Expr::Greatest(list) => ordered("GREATEST", list, kinds),
            Expr::Least(list) => ordered("LEAST", list, kinds),
            Expr::Cast(a, to) => match (a.type_of(kinds)?, *to) {
                (from, to) if from == to => Ok(to),
                (Type::Int, Type::Float | Type::Bool) => Ok(*to),
                (Type::Float | Type::Bool, Type::Int) => Ok(*to),
                (left, right) => Err(TypeError::Mix {
                    what: "CAST",
                    left,
                    right,
                }),
            },
        }
    }
}

impl Arithmetic {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Subtract => "-",
            Arithmetic::Multiply => "*",
            Arithmetic::Divide => "/",
            Arithmetic::Remainder => "%",
        }
    }
}

impl Comparison {
    pub(super) fn sign(self) -> &'static str {
        match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "!=",
            Comparison::Less => "<",
            Comparison::LessEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterEqual => ">=",
        }
    }

    fn check(self, found: Type) -> Result<(), TypeError> {
        if found == Type::Text && !matches!(self, Comparison::Equal | Comparison::NotEqual) {
            let what = self.sign();
            return Err(TypeError::Operand { what, found });
        }
        Ok(())
    }
}

fn register_type(index: usize, kinds: &[Kind]) -> Result<Type, TypeError> {
    let kind = kinds.get(index).ok_or(TypeError::NoRegister {
        index,
        registers: kinds.len(),
    })?;
    match kind {
        Kind::Int => Ok(Type::Int),
        Kind::Fixed { .. } | Kind::Float | Kind::Span => Ok(Type::Float),
        Kind::Bool => Ok(Type::Bool),
        Kind::Text => Ok(Type::Text),
        Kind::Time(_) => Ok(Type::Time),
        Kind::Id { .. } | Kind::IdText | Kind::List(_) | Kind::Histogram(_) => {
            Err(TypeError::Kind {
                index,
                kind: kind.clone(),
            })
        }
    }
}

/// The one type two values have, or become.
pub(super) fn join(what: &'static str, left: Type, right: Type) -> Result<Type, TypeError> {
    match (left, right) {
        (Type::Int, Type::Float) | (Type::Float, Type::Int) => Ok(Type::Float),
        _ if left == right => Ok(left),
        _ => Err(TypeError::Mix { what, left, right }),
    }
}

fn joined<'a>(
    what: &'static str,
    list: impl IntoIterator<Item = &'a Expr>,
    kinds: &[Kind],
) -> Result<Type, TypeError> {
    let mut all = None;
    for expr in list {
        let one = expr.type_of(kinds)?;
        all = Some(all.map_or(Ok(one), |all| join(what, all, one))?);
    }
    all.ok_or(TypeError::Empty { what })
}

fn ordered(what: &'static str, list: &[Expr], kinds: &[Kind]) -> Result<Type, TypeError> {
    match joined(what, list, kinds)? {
        found @ (Type::Text | Type::Bool) => Err(TypeError::Operand { what, found }),
        found => Ok(found),
    }
}

fn number(what: &'static str, found: Type) -> Result<Type, TypeError> {
    match found {
        Type::Int | Type::Float => Ok(found),
        _ => Err(TypeError::Operand { what, found }),
    }
}

fn truths<'a>(
    what: &'static str,
    list: impl IntoIterator<Item = &'a Expr>,
    kinds: &[Kind],
) -> Result<Type, TypeError> {
    match joined(what, list, kinds)? {
        Type::Bool => Ok(Type::Bool),
        found => Err(TypeError::Operand { what, found }),
    }
}

//! Conditions: a small typed expression, compiled to a flat program over registers.
//!
//! An [`Expr`] is a checked tree; [`Program::compile`] lays it out as a list of steps for a stack of
//! words, and [`Program::run`] takes them without allocating. A register is a word whose
//! [`Kind`](tidegate_schemas::rows::Kind) is known when compiling: whole numbers, truths, codes and
//! times are taken as they are; decimals become floats as word / 10^scale, and lengths of time
//! become seconds, as they are shown in outputs.
//!
//! # Meaning
//! SQL's, as DataFusion has it, in three-valued logic:
//!
//! - Arithmetic, comparisons, `NOT`, `ABS` and casts of no value are no value.
//! - `false AND null` is false, `true OR null` is true; else a null operand gives null.
//! - `a IN (...)` is true when some element equals `a`; else null when `a` or an element is null.
//! - `CASE` takes the first branch whose condition is true. `GREATEST` and `LEAST` leave nulls out.
//! - A whole number that meets a float becomes a float (in the branches of `CASE`, `COALESCE`,
//!   `GREATEST`, `LEAST` and the elements of `IN` as well). Two whole numbers compare exactly.
//! - Division of whole numbers cuts toward zero; `%` has the sign of the dividend.
//! - A float cast to a whole number is cut toward zero.
//!
//! Where SQL would stop with an error, or a result is not a number, the value is null, because a
//! condition must not stop a stream: division of whole numbers by zero (and `%`), results beyond 64
//! bits (and the smallest 64-bit number, whose word stands for null), casts out of range, and NaN.
//! Floats divide by zero as IEEE has it (±infinity). The two zeros are one, and the sign of a zero is
//! lost.

mod compile;
mod expr;
mod run;
#[cfg(test)]
mod tests;

pub use expr::{Arithmetic, Comparison, Expr, Type, TypeError};

use serde::{Deserialize, Serialize};

/// The words a program keeps at once, at most.
const DEPTH: usize = 32;

/// A compiled expression. See the module's documentation.
///
/// # Example
/// ```
/// use tidegate_operators::program::{Comparison, Expr, Program};
/// use tidegate_schemas::{fact::NULL, rows::Kind};
///
/// let kinds = [Kind::Int, Kind::Fixed { scale: 2 }];
/// let condition = Expr::Compare(
///     Comparison::GreaterEqual,
///     Box::new(Expr::Register(0)),
///     Box::new(Expr::Register(1)),
/// );
/// let program = Program::compile(&condition, &kinds)?;
/// assert!(program.holds(&[3, 300]));
/// assert!(!program.holds(&[3, 301]));
/// assert_eq!(program.run(&[NULL, 300]), NULL);
/// # Ok::<(), tidegate_operators::program::TypeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    result: Type,
    steps: Vec<Step>,
    /// The elements of `IN` lists that are literals.
    literals: Vec<i64>,
}

/// One step. "Takes" removes words from the top of the stack, "puts" adds one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Step {
    /// Puts a register.
    Load(u32),
    /// Puts a register of decimals as a float.
    LoadFixed { register: u32, scale: u8 },
    /// Puts a word.
    Literal(i64),
    /// Takes one, puts one.
    One(One),
    /// Takes two, puts one.
    Two(Two),
    /// Takes a value, puts whether it is among the literals `from..to`.
    In { from: u32, to: u32 },
    /// Goes on elsewhere.
    Jump(u32),
    /// Takes a truth; goes on elsewhere unless it is true.
    JumpUnless(u32),
    /// Goes on elsewhere if the top is this word, and leaves it.
    JumpIf { word: i64, to: u32 },
    /// Goes on elsewhere with the top if it is a value, else takes it.
    JumpIfValue(u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum One {
    Not,
    IsNull,
    IsNotNull,
    NegateInt,
    NegateFloat,
    AbsInt,
    AbsFloat,
    IntToFloat,
    FloatToInt,
    IntToBool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Two {
    And,
    Or,
    Int(Arithmetic),
    Float(Arithmetic),
    /// Whole numbers, truths, codes and times.
    CompareWords(Comparison),
    CompareFloats(Comparison),
    GreatestWord,
    GreatestFloat,
    LeastWord,
    LeastFloat,
}

impl Program {
    /// What the program's value is.
    #[must_use]
    pub fn result(&self) -> Type {
        self.result
    }

    /// The registers that the program reads, in the order it names them.
    pub fn reads(&self) -> impl Iterator<Item = usize> {
        self.steps.iter().filter_map(|step| match step {
            Step::Load(register) | Step::LoadFixed { register, .. } => Some(*register as usize),
            _ => None,
        })
    }

    /// Whether the program's value is true; null is not.
    #[must_use]
    pub fn holds(&self, registers: &[i64]) -> bool {
        self.run(registers) == 1
    }
}

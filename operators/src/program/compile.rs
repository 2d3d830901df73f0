//! From tree to steps.

use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::rows::Kind;

use super::expr::join;
use super::{Comparison, DEPTH, Expr, One, Program, Step, Two, Type, TypeError};

impl Program {
    /// Compiles `expr` for registers of these kinds.
    ///
    /// # Errors
    /// When a part of the expression has no meaning, or it is nested too deeply.
    pub fn compile(expr: &Expr, kinds: &[Kind]) -> Result<Program, TypeError> {
        let result = expr.type_of(kinds)?;
        let mut compiler = Compiler {
            kinds,
            steps: Vec::new(),
            literals: Vec::new(),
            height: 0,
        };
        compiler.value(expr, result)?;
        Ok(Program {
            result,
            steps: compiler.steps,
            literals: compiler.literals,
        })
    }
}

struct Compiler<'a> {
    kinds: &'a [Kind],
    steps: Vec<Step>,
    literals: Vec<i64>,
    /// The words on the stack at this point.
    height: usize,
}

impl Compiler<'_> {
    /// Appends the steps that put the value of `expr`, as a `wanted`.
    fn value(&mut self, expr: &Expr, wanted: Type) -> Result<(), TypeError> {
        match expr {
            Expr::Register(index) => self.put(load(*index, &self.kinds[*index]))?,
            Expr::Arithmetic(op, a, b) => {
                let found = self.two(op.sign(), a, b)?;
                self.join_two(if found == Type::Float {
                    Two::Float(*op)
                } else {
                    Two::Int(*op)
                });
            }
            Expr::Compare(op, a, b) => self.compare(*op, a, b)?,
            Expr::And(a, b) => self.logic(Two::And, 0, a, b)?,
            Expr::Or(a, b) => self.logic(Two::Or, 1, a, b)?,
            Expr::Not(a) => self.one(a, One::Not, One::Not)?,
            Expr::IsNull(a) => self.one(a, One::IsNull, One::IsNull)?,
            Expr::IsNotNull(a) => self.one(a, One::IsNotNull, One::IsNotNull)?,
            Expr::Negate(a) => self.one(a, One::NegateInt, One::NegateFloat)?,
            Expr::Abs(a) => self.one(a, One::AbsInt, One::AbsFloat)?,
            Expr::In(a, list) => self.is_in(a, list)?,
            Expr::Case(branches, otherwise) => {
                let all = expr.type_of(self.kinds)?;
                self.case(branches, otherwise.as_deref(), all)?;
            }
            Expr::Coalesce(list) => {
                let all = expr.type_of(self.kinds)?;
                self.coalesce(list, all)?;
            }
            Expr::Greatest(list) => {
                self.fold(expr, list, Two::GreatestWord, Two::GreatestFloat)?;
            }
            Expr::Least(list) => self.fold(expr, list, Two::LeastWord, Two::LeastFloat)?,
            Expr::Cast(a, to) => self.cast(a, *to)?,
            literal => self.put(Step::Literal(word_of(literal)))?,
        }
        if wanted == Type::Float && expr.type_of(self.kinds)? == Type::Int {
            self.steps.push(Step::One(One::IntToFloat));
        }
        Ok(())
    }

    /// Appends a step that puts a word.
    fn put(&mut self, step: Step) -> Result<(), TypeError> {
        if self.height == DEPTH {
            return Err(TypeError::TooDeep);
        }
        self.height += 1;
        self.steps.push(step);
        Ok(())
    }

    /// Appends a step that makes one word of the top two.
    fn join_two(&mut self, two: Two) {
        self.height -= 1;
        self.steps.push(Step::Two(two));
    }

    /// Puts `a` and `b` as values of the one type they have or become.
    fn two(&mut self, what: &'static str, a: &Expr, b: &Expr) -> Result<Type, TypeError> {
        let both = join(what, a.type_of(self.kinds)?, b.type_of(self.kinds)?)?;
        self.value(a, both)?;
        self.value(b, both)?;
        Ok(both)
    }

    fn compare(&mut self, op: Comparison, a: &Expr, b: &Expr) -> Result<(), TypeError> {
        let found = self.two(op.sign(), a, b)?;
        self.join_two(if found == Type::Float {
            Two::CompareFloats(op)
        } else {
            Two::CompareWords(op)
        });
        Ok(())
    }

    /// Puts `a`; when it alone decides, goes past `b`.
    fn logic(&mut self, two: Two, decides: i64, a: &Expr, b: &Expr) -> Result<(), TypeError> {
        self.value(a, Type::Bool)?;
        let jump = self.jump();
        self.value(b, Type::Bool)?;
        self.join_two(two);
        let to = self.here();
        self.steps[jump] = Step::JumpIf { word: decides, to };
        Ok(())
    }

    fn one(&mut self, a: &Expr, of_word: One, of_float: One) -> Result<(), TypeError> {
        let found = a.type_of(self.kinds)?;
        self.value(a, found)?;
        self.steps.push(Step::One(if found == Type::Float {
            of_float
        } else {
            of_word
        }));
        Ok(())
    }

    /// A list of literals is looked through at once; any other is a chain of `=` and `OR`.
    fn is_in(&mut self, a: &Expr, list: &[Expr]) -> Result<(), TypeError> {
        let mut both = a.type_of(self.kinds)?;
        for element in list {
            both = join("IN", both, element.type_of(self.kinds)?)?;
        }
        if list.iter().all(is_literal) {
            self.value(a, both)?;
            let from = self.literals.len() as u32;
            for element in list {
                self.literals.push(match (element, both) {
                    (Expr::Int(int), Type::Float) => float_word(*int as f64),
                    _ => word_of(element),
                });
            }
            let to = self.literals.len() as u32;
            self.steps.push(Step::In { from, to });
            return Ok(());
        }
        for (index, element) in list.iter().enumerate() {
            self.value(a, both)?;
            self.value(element, both)?;
            self.join_two(if both == Type::Float {
                Two::CompareFloats(Comparison::Equal)
            } else {
                Two::CompareWords(Comparison::Equal)
            });
            if index > 0 {
                self.join_two(Two::Or);
            }
        }
        Ok(())
    }

    fn case(
        &mut self,
        branches: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
        all: Type,
    ) -> Result<(), TypeError> {
        let mut ends = Vec::new();
        for (condition, value) in branches {
            self.value(condition, Type::Bool)?;
            let unless = self.jump();
            self.height -= 1;
            self.value(value, all)?;
            self.height -= 1;
            ends.push(self.jump());
            self.steps[unless] = Step::JumpUnless(self.here());
        }
        match otherwise {
            Some(value) => self.value(value, all)?,
            None => self.put(Step::Literal(NULL))?,
        }
        self.land(ends, Step::Jump);
        Ok(())
    }

    fn coalesce(&mut self, list: &[Expr], all: Type) -> Result<(), TypeError> {
        let mut ends = Vec::new();
        for (index, value) in list.iter().enumerate() {
            self.value(value, all)?;
            if index + 1 < list.len() {
                ends.push(self.jump());
                self.height -= 1;
            }
        }
        self.land(ends, Step::JumpIfValue);
        Ok(())
    }

    fn fold(
        &mut self,
        expr: &Expr,
        list: &[Expr],
        words: Two,
        floats: Two,
    ) -> Result<(), TypeError> {
        let all = expr.type_of(self.kinds)?;
        for (index, value) in list.iter().enumerate() {
            self.value(value, all)?;
            if index > 0 {
                self.join_two(if all == Type::Float { floats } else { words });
            }
        }
        Ok(())
    }

    fn cast(&mut self, a: &Expr, to: Type) -> Result<(), TypeError> {
        let from = a.type_of(self.kinds)?;
        self.value(a, from)?;
        match (from, to) {
            (Type::Int, Type::Float) => self.steps.push(Step::One(One::IntToFloat)),
            (Type::Float, Type::Int) => self.steps.push(Step::One(One::FloatToInt)),
            (Type::Int, Type::Bool) => self.steps.push(Step::One(One::IntToBool)),
            // A truth is 0 or 1 already.
            _ => {}
        }
        Ok(())
    }

    /// Leaves room for a jump and answers where.
    fn jump(&mut self) -> usize {
        self.steps.push(Step::Jump(0));
        self.steps.len() - 1
    }

    fn here(&self) -> u32 {
        self.steps.len() as u32
    }

    fn land(&mut self, jumps: Vec<usize>, step: impl Fn(u32) -> Step) {
        let here = self.here();
        for jump in jumps {
            self.steps[jump] = step(here);
        }
    }
}

fn load(index: usize, kind: &Kind) -> Step {
    let register = index as u32;
    match kind {
        Kind::Fixed { scale } => Step::LoadFixed {
            register,
            scale: *scale,
        },
        // Microseconds, shown as seconds.
        Kind::Span => Step::LoadFixed { register, scale: 6 },
        _ => Step::Load(register),
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Null(_)
            | Expr::Int(_)
            | Expr::Float(_)
            | Expr::Bool(_)
            | Expr::Text(_)
            | Expr::Time(_)
    )
}

/// The word of a literal.
fn word_of(literal: &Expr) -> i64 {
    match literal {
        Expr::Int(word) | Expr::Text(word) => *word,
        Expr::Float(value) => float_word(*value),
        Expr::Bool(value) => i64::from(*value),
        Expr::Time(at) => at.0,
        _ => NULL,
    }
}

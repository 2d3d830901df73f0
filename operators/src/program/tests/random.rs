//! Programs equal a naive interpreter on random trees.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_schemas::fact::{NULL, float_word, word_float};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::{EventTime, TimeUnit};

use crate::bed::{by_build, seeds};
use crate::program::*;

/// A value of the naive interpreter. Truths are numbers here, as codes and times are.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Whole(i64),
    Real(f64),
}
use Value::{Real, Whole};

fn real(value: Value) -> f64 {
    match value {
        Whole(value) => value as f64,
        Real(value) => value,
    }
}

fn some_whole(value: i128) -> Option<Value> {
    let value = i64::try_from(value).ok()?;
    (value != NULL).then_some(Whole(value))
}

fn some_real(value: f64) -> Option<Value> {
    (!value.is_nan()).then_some(Real(value + 0.0))
}

/// The obvious meaning of an expression, part by part.
struct Naive<'a> {
    kinds: &'a [Kind],
    registers: &'a [i64],
}

impl Naive<'_> {
    fn value(&self, expr: &Expr) -> Option<Value> {
        let value = self.plain(expr)?;
        match expr.type_of(self.kinds) {
            Ok(Type::Float) => some_real(real(value)),
            _ => Some(value),
        }
    }

    fn truth(&self, expr: &Expr) -> Option<bool> {
        self.value(expr).map(|value| value == Whole(1))
    }

    fn values<'a>(&'a self, list: &'a [Expr]) -> impl Iterator<Item = Value> + 'a {
        list.iter().filter_map(|expr| self.value(expr))
    }

    fn plain(&self, expr: &Expr) -> Option<Value> {
        match expr {
            Expr::Register(index) => match (self.registers[*index], &self.kinds[*index]) {
                (NULL, _) => None,
                (word, Kind::Fixed { scale }) => {
                    Some(Real(word as f64 / 10f64.powi(i32::from(*scale))))
                }
                (word, Kind::Span) => Some(Real(word as f64 / 1e6)),
                (word, Kind::Float) => word_float(word).map(Real),
                (word, _) => Some(Whole(word)),
            },
            Expr::Null(_) => None,
            Expr::Int(value) | Expr::Text(value) | Expr::Time(EventTime(value)) => {
                Some(Whole(*value))
            }
            Expr::Float(value) => some_real(*value),
            Expr::Bool(value) => Some(Whole(i64::from(*value))),
            Expr::Arithmetic(op, a, b) => calculate(*op, self.value(a)?, self.value(b)?),
            Expr::Negate(a) => calculate(Arithmetic::Subtract, Whole(0), self.value(a)?),
            Expr::Abs(a) => match self.value(a)? {
                Whole(a) => Some(Whole(a.abs())),
                Real(a) => some_real(a.abs()),
            },
            Expr::Coalesce(list) => self.values(list).next(),
            Expr::Greatest(list) | Expr::Least(list) => {
                let floats = expr.type_of(self.kinds) == Ok(Type::Float);
                let least = matches!(expr, Expr::Least(_));
                self.values(list)
                    .map(|a| if floats { Real(real(a)) } else { a })
                    .reduce(|a, b| if less(a, b) != least { b } else { a })
            }
            Expr::Case(branches, otherwise) => {
                for (condition, value) in branches {
                    if self.truth(condition) == Some(true) {
                        return self.value(value);
                    }
                }
                self.value(otherwise.as_deref()?)
            }
            Expr::Cast(a, to) => match (self.value(a)?, to) {
                (Real(a), Type::Int) if a.abs() < 9.3e18 => some_whole(a as i128),
                (Real(_), Type::Int) => None,
                (Whole(a), Type::Bool) => Some(Whole(i64::from(a != 0))),
                (a, _) => Some(a),
            },
            _ => self.decide(expr).map(|truth| Whole(i64::from(truth))),
        }
    }

    fn decide(&self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Compare(op, a, b) => {
                let (a, b) = (self.value(a)?, self.value(b)?);
                Some(match op {
                    Comparison::Equal => equal(a, b),
                    Comparison::NotEqual => !equal(a, b),
                    Comparison::Less => less(a, b),
                    Comparison::LessEqual => !less(b, a),
                    Comparison::Greater => less(b, a),
                    Comparison::GreaterEqual => !less(a, b),
                })
            }
            Expr::And(a, b) => match (self.truth(a), self.truth(b)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Expr::Or(a, b) => match (self.truth(a), self.truth(b)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Expr::Not(a) => self.truth(a).map(|a| !a),
            Expr::IsNull(a) => Some(self.value(a).is_none()),
            Expr::IsNotNull(a) => Some(self.value(a).is_some()),
            Expr::In(a, list) => {
                // As the program does: one float among them makes all of them floats.
                let floats = list
                    .iter()
                    .chain([&**a])
                    .any(|e| e.type_of(self.kinds) == Ok(Type::Float));
                let same = |a, b| {
                    if floats {
                        real(a) == real(b)
                    } else {
                        equal(a, b)
                    }
                };
                let a = self.value(a)?;
                if self.values(list).any(|b| same(a, b)) {
                    return Some(true);
                }
                list.iter()
                    .all(|b| self.value(b).is_some())
                    .then_some(false)
            }
            other => panic!("{other:?} is no truth"),
        }
    }
}

fn calculate(op: Arithmetic, a: Value, b: Value) -> Option<Value> {
    if let (Whole(a), Whole(b)) = (a, b) {
        let (a, b) = (i128::from(a), i128::from(b));
        return some_whole(match op {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a.checked_div(b)?,
            Arithmetic::Remainder => a.checked_rem(b)?,
        });
    }
    let (a, b) = (real(a), real(b));
    some_real(match op {
        Arithmetic::Add => a + b,
        Arithmetic::Subtract => a - b,
        Arithmetic::Multiply => a * b,
        Arithmetic::Divide => a / b,
        Arithmetic::Remainder => a % b,
    })
}

fn less(a: Value, b: Value) -> bool {
    match (a, b) {
        (Whole(a), Whole(b)) => a < b,
        _ => real(a) < real(b),
    }
}

fn equal(a: Value, b: Value) -> bool {
    !less(a, b) && !less(b, a)
}

const KINDS: [Kind; 10] = [
    Kind::Int,
    Kind::Int,
    Kind::Fixed { scale: 2 },
    Kind::Span,
    Kind::Float,
    Kind::Bool,
    Kind::Bool,
    Kind::Text,
    Kind::Time(TimeUnit::Millisecond),
    Kind::Time(TimeUnit::Second),
];

fn some_int(rng: &mut SmallRng) -> i64 {
    match rng.random_range(0..10) {
        0 => i64::MAX - rng.random_range(0..2),
        1 => -i64::MAX + rng.random_range(0..2),
        _ => rng.random_range(-3..4),
    }
}

fn some_float(rng: &mut SmallRng) -> f64 {
    match rng.random_range(0..10) {
        0 => [f64::INFINITY, f64::NAN, -0.0, 1e19, 9.2e18][rng.random_range(0..5)],
        _ => f64::from(rng.random_range(-6..7)) / 2.0,
    }
}

fn some_register(rng: &mut SmallRng, kind: &Kind) -> i64 {
    if rng.random_bool(0.2) {
        return NULL;
    }
    match kind {
        Kind::Float => float_word(some_float(rng)),
        Kind::Bool => rng.random_range(0..2),
        Kind::Text => rng.random_range(0..3),
        _ => some_int(rng),
    }
}

/// Makes random trees of a type.
struct Trees<'a> {
    rng: &'a mut SmallRng,
}

impl Trees<'_> {
    fn boxed(&mut self, kind: Type, depth: u32) -> Box<Expr> {
        Box::new(self.tree(kind, depth))
    }

    fn list(&mut self, kind: Type, depth: u32) -> Vec<Expr> {
        (0..self.rng.random_range(1..4))
            .map(|_| self.tree(kind, depth))
            .collect()
    }

    /// A float may be a whole number in places: the caller must not mind.
    fn tree(&mut self, kind: Type, depth: u32) -> Expr {
        let kind = match kind {
            Type::Float if self.rng.random_bool(0.3) => Type::Int,
            kind => kind,
        };
        if depth == 0 {
            return self.leaf(kind);
        }
        let depth = depth - 1;
        match self.rng.random_range(0..8) {
            0 => self.leaf(kind),
            1 => Expr::Coalesce(self.list(kind, depth)),
            2 | 3 => {
                let branches = (0..self.rng.random_range(1..3))
                    .map(|_| (self.tree(Type::Bool, depth), self.tree(kind, depth)))
                    .collect();
                let otherwise = self.rng.random_bool(0.7);
                Expr::Case(branches, otherwise.then(|| self.boxed(kind, depth)))
            }
            _ if kind == Type::Bool => self.truth(depth),
            pick if matches!(kind, Type::Int | Type::Float) => match pick {
                4 => Expr::Abs(self.boxed(kind, depth)),
                5 => Expr::Negate(self.boxed(kind, depth)),
                6 if kind == Type::Int => {
                    let from = [Type::Float, Type::Bool, Type::Int][self.rng.random_range(0..3)];
                    Expr::Cast(self.boxed(from, depth), Type::Int)
                }
                6 => Expr::Cast(self.boxed(Type::Int, depth), Type::Float),
                _ => {
                    use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
                    let op = [Add, Subtract, Multiply, Divide, Remainder];
                    let op = op[self.rng.random_range(0..5)];
                    Expr::Arithmetic(op, self.boxed(kind, depth), self.boxed(kind, depth))
                }
            },
            pick if kind == Type::Time && pick < 6 => Expr::Greatest(self.list(kind, depth)),
            _ if kind == Type::Time => Expr::Least(self.list(kind, depth)),
            _ => self.leaf(kind),
        }
    }

    fn truth(&mut self, depth: u32) -> Expr {
        let all = [Type::Int, Type::Float, Type::Bool, Type::Text, Type::Time];
        let kind = all[self.rng.random_range(0..5)];
        match self.rng.random_range(0..9) {
            0 => Expr::Not(self.boxed(Type::Bool, depth)),
            1 => Expr::And(self.boxed(Type::Bool, depth), self.boxed(Type::Bool, depth)),
            2 => Expr::Or(self.boxed(Type::Bool, depth), self.boxed(Type::Bool, depth)),
            3 => Expr::IsNull(self.boxed(kind, depth)),
            4 => Expr::IsNotNull(self.boxed(kind, depth)),
            5 => Expr::In(self.boxed(kind, depth), self.list(kind, depth)),
            6 => Expr::Cast(self.boxed(Type::Int, 0), Type::Bool),
            _ => {
                use Comparison::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
                let op = [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual];
                let end = if kind == Type::Text { 2 } else { 6 };
                let op = op[self.rng.random_range(0..end)];
                Expr::Compare(op, self.boxed(kind, depth), self.boxed(kind, depth))
            }
        }
    }

    fn leaf(&mut self, kind: Type) -> Expr {
        if self.rng.random_bool(0.1) {
            return Expr::Null(kind);
        }
        let literal = self.rng.random_bool(0.4);
        let rng = &mut *self.rng;
        match kind {
            Type::Int if literal => Expr::Int(some_int(rng)),
            Type::Float if literal => Expr::Float(some_float(rng)),
            Type::Bool if literal => Expr::Bool(rng.random()),
            Type::Text if literal => Expr::Text(rng.random_range(0..3)),
            Type::Time if literal => Expr::Time(EventTime(rng.random_range(0..5))),
            Type::Int => Expr::Register(rng.random_range(0..2)),
            Type::Float => Expr::Register(rng.random_range(2..5)),
            Type::Bool => Expr::Register(rng.random_range(5..7)),
            Type::Text => Expr::Register(7),
            Type::Time => Expr::Register(rng.random_range(8..10)),
        }
    }
}

#[test]
fn programs_mean_what_their_trees_mean() {
    for seed in seeds(by_build(3_000, 100_000)) {
        let mut rng = SmallRng::seed_from_u64(seed);
        let all = [Type::Int, Type::Float, Type::Bool, Type::Text, Type::Time];
        let kind = all[rng.random_range(0..5)];
        let expr = Trees { rng: &mut rng }.tree(kind, 4);
        let program = Program::compile(&expr, &KINDS)
            .unwrap_or_else(|error| panic!("seed {seed}: {error} in {expr:?}"));
        for _ in 0..8 {
            let registers = KINDS.each_ref().map(|kind| some_register(&mut rng, kind));
            let naive = Naive {
                kinds: &KINDS,
                registers: &registers,
            };
            let expected = match naive.value(&expr) {
                None => NULL,
                Some(Whole(value)) => value,
                Some(Real(value)) => float_word(value),
            };
            let found = program.run(&registers);
            assert_eq!(found, expected, "seed {seed}, {registers:?}, {expr:?}");
        }
    }
}

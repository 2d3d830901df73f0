//! Running a program: words in, a word out.

use std::cmp::Ordering;

use tidegate_schemas::fact::{NULL, float_word, present_float as float};

use super::{Arithmetic, Comparison, DEPTH, One, Program, Step, Two};

impl Program {
    /// The program's value over these registers; [`NULL`] when there is none.
    ///
    /// # Panics
    /// When there are fewer registers than it was compiled for.
    #[inline]
    #[must_use]
    pub fn run(&self, registers: &[i64]) -> i64 {
        // What most conditions are needs no stack.
        match self.steps[..] {
            [Step::Load(a)] => registers[a as usize],
            [Step::Load(a), Step::Load(b), Step::Two(two)] => {
                two.of(registers[a as usize], registers[b as usize])
            }
            [Step::Load(a), Step::Literal(b), Step::Two(two)] => two.of(registers[a as usize], b),
            _ => self.run_steps(registers),
        }
    }

    fn run_steps(&self, registers: &[i64]) -> i64 {
        let mut stack = [NULL; DEPTH];
        let mut height = 0;
        let mut next = 0;
        while let Some(step) = self.steps.get(next) {
            next += 1;
            match *step {
                Step::Load(register) => {
                    stack[height] = registers[register as usize];
                    height += 1;
                }
                Step::LoadFixed { register, scale } => {
                    stack[height] = fixed_to_float(registers[register as usize], scale);
                    height += 1;
                }
                Step::Literal(word) => {
                    stack[height] = word;
                    height += 1;
                }
                Step::One(one) => stack[height - 1] = one.of(stack[height - 1]),
                Step::Two(two) => {
                    height -= 1;
                    stack[height - 1] = two.of(stack[height - 1], stack[height]);
                }
                Step::In { from, to } => {
                    let list = &self.literals[from as usize..to as usize];
                    stack[height - 1] = is_in(stack[height - 1], list);
                }
                Step::Jump(to) => next = to as usize,
                Step::JumpUnless(to) => {
                    height -= 1;
                    if stack[height] != 1 {
                        next = to as usize;
                    }
                }
                Step::JumpIf { word, to } => {
                    if stack[height - 1] == word {
                        next = to as usize;
                    }
                }
                Step::JumpIfValue(to) => {
                    if stack[height - 1] == NULL {
                        height -= 1;
                    } else {
                        next = to as usize;
                    }
                }
            }
        }
        stack[0]
    }
}

impl One {
    fn of(self, a: i64) -> i64 {
        match (self, a) {
            (One::IsNull, _) => i64::from(a == NULL),
            (One::IsNotNull, _) => i64::from(a != NULL),
            (_, NULL) => NULL,
            (One::Not, _) => 1 - a,
            (One::NegateInt, _) => -a,
            (One::AbsInt, _) => a.abs(),
            (One::NegateFloat, _) => float_word(-float(a)),
            (One::AbsFloat, _) => float_word(float(a).abs()),
            (One::IntToFloat, _) => float_word(a as f64),
            (One::FloatToInt, _) => float_to_int(float(a)),
            (One::IntToBool, _) => i64::from(a != 0),
        }
    }
}

impl Two {
    fn of(self, a: i64, b: i64) -> i64 {
        let either = || if a == NULL { b } else { a };
        let missing = a == NULL || b == NULL;
        match self {
            Two::And if a == 0 || b == 0 => 0,
            Two::Or if a == 1 || b == 1 => 1,
            Two::GreatestWord | Two::GreatestFloat | Two::LeastWord | Two::LeastFloat
                if missing =>
            {
                either()
            }
            _ if missing => NULL,
            Two::And => 1,
            Two::Or => 0,
            Two::Int(op) => op.of_ints(a, b),
            Two::Float(op) => float_word(op.of_floats(float(a), float(b))),
            Two::CompareWords(op) => i64::from(op.accepts(a.cmp(&b))),
            Two::CompareFloats(op) => i64::from(op.accepts(float(a).total_cmp(&float(b)))),
            Two::GreatestWord => a.max(b),
            Two::LeastWord => a.min(b),
            Two::GreatestFloat => float_word(float(a).max(float(b))),
            Two::LeastFloat => float_word(float(a).min(float(b))),
        }
    }
}

impl Arithmetic {
    fn of_ints(self, a: i64, b: i64) -> i64 {
        let result = match self {
            Arithmetic::Add => a.checked_add(b),
            Arithmetic::Subtract => a.checked_sub(b),
            Arithmetic::Multiply => a.checked_mul(b),
            Arithmetic::Divide => a.checked_div(b),
            Arithmetic::Remainder => a.checked_rem(b),
        };
        result.unwrap_or(NULL)
    }

    fn of_floats(self, a: f64, b: f64) -> f64 {
        match self {
            Arithmetic::Add => a + b,
            Arithmetic::Subtract => a - b,
            Arithmetic::Multiply => a * b,
            Arithmetic::Divide => a / b,
            Arithmetic::Remainder => a % b,
        }
    }
}

impl Comparison {
    fn accepts(self, order: Ordering) -> bool {
        match self {
            Comparison::Equal => order.is_eq(),
            Comparison::NotEqual => order.is_ne(),
            Comparison::Less => order.is_lt(),
            Comparison::LessEqual => order.is_le(),
            Comparison::Greater => order.is_gt(),
            Comparison::GreaterEqual => order.is_ge(),
        }
    }
}

fn fixed_to_float(word: i64, scale: u8) -> i64 {
    if word == NULL {
        return NULL;
    }
    float_word(word as f64 / 10f64.powi(i32::from(scale)))
}

/// Cut toward zero; null when it does not fit. 2^63 is the first float that does not.
fn float_to_int(value: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if value > -END && value < END {
        value as i64
    } else {
        NULL
    }
}

fn is_in(a: i64, list: &[i64]) -> i64 {
    if a == NULL {
        NULL
    } else if list.contains(&a) {
        1
    } else if list.contains(&NULL) {
        NULL
    } else {
        0
    }
}

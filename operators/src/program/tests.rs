//! Programs, case by case; `random` compares them with a naive interpreter.

use tidegate_schemas::fact::{NULL, float_word};
use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::TimeUnit;

use super::*;

mod random;

fn run(expr: &Expr, kinds: &[Kind], registers: &[i64]) -> i64 {
    Program::compile(expr, kinds)
        .unwrap_or_else(|error| panic!("{expr:?}: {error}"))
        .run(registers)
}

fn constant(expr: &Expr) -> i64 {
    run(expr, &[], &[])
}

fn int(value: i64) -> Box<Expr> {
    Box::new(Expr::Int(value))
}

fn calc(op: Arithmetic, a: i64, b: i64) -> i64 {
    constant(&Expr::Arithmetic(op, int(a), int(b)))
}

fn null(kind: Type) -> Box<Expr> {
    Box::new(Expr::Null(kind))
}

fn truth(value: bool) -> Box<Expr> {
    Box::new(Expr::Bool(value))
}

#[test]
fn whole_numbers_divide_toward_zero_and_what_does_not_fit_is_null() {
    use Arithmetic::{Add, Divide, Multiply, Remainder, Subtract};
    assert_eq!(calc(Divide, -7, 2), -3);
    assert_eq!(calc(Remainder, -7, 2), -1);
    assert_eq!(calc(Divide, 1, 0), NULL);
    assert_eq!(calc(Remainder, 1, 0), NULL);
    assert_eq!(calc(Add, i64::MAX, 1), NULL);
    assert_eq!(
        calc(Subtract, -i64::MAX, 1),
        NULL,
        "its word stands for null"
    );
    assert_eq!(calc(Multiply, i64::MAX, -1), -i64::MAX);
}

#[test]
fn floats_follow_ieee_and_nan_is_null() {
    let divide = |a, b| {
        constant(&Expr::Arithmetic(
            Arithmetic::Divide,
            Box::new(Expr::Float(a)),
            Box::new(Expr::Float(b)),
        ))
    };
    assert_eq!(divide(1.0, 0.0), float_word(f64::INFINITY));
    assert_eq!(divide(0.0, 0.0), NULL);
    assert_eq!(divide(-0.0, 1.0), 0);
    for (value, cut) in [(-2.9, -2), (1e19, NULL), (-9.3e18, NULL)] {
        let cast = Expr::Cast(Box::new(Expr::Float(value)), Type::Int);
        assert_eq!(constant(&cast), cut);
    }
}

#[test]
fn nulls_decide_nothing_that_is_not_decided_without_them() {
    for (a, b, and, or) in [
        (0, NULL, 0, NULL),
        (1, NULL, NULL, 1),
        (NULL, NULL, NULL, NULL),
        (1, 0, 0, 1),
    ] {
        let kinds = [Kind::Bool, Kind::Bool];
        for registers in [[a, b], [b, a]] {
            let [x, y] = [0, 1].map(|index| Box::new(Expr::Register(index)));
            let both = Expr::And(x.clone(), y.clone());
            assert_eq!(run(&both, &kinds, &registers), and);
            assert_eq!(run(&Expr::Or(x, y), &kinds, &registers), or);
        }
    }
    assert_eq!(constant(&Expr::Not(null(Type::Bool))), NULL);
    assert_eq!(constant(&Expr::IsNull(null(Type::Text))), 1);
    let list = |last: Expr| Expr::In(int(3), vec![Expr::Int(1), last]);
    assert_eq!(constant(&list(Expr::Null(Type::Int))), NULL);
    assert_eq!(constant(&list(Expr::Float(3.0))), 1);
    assert_eq!(constant(&list(Expr::Int(2))), 0);
    assert_eq!(constant(&list(Expr::Abs(null(Type::Int)))), NULL);
}

#[test]
fn branches_are_taken_in_order_and_have_one_type() {
    let case = Expr::Case(
        vec![
            (Expr::Null(Type::Bool), Expr::Int(1)),
            (Expr::Bool(true), Expr::Int(2)),
            (Expr::Bool(true), Expr::Float(2.5)),
        ],
        None,
    );
    assert_eq!(constant(&case), float_word(2.0));
    assert_eq!(
        constant(&Expr::Case(vec![(Expr::Bool(false), Expr::Int(1))], None)),
        NULL
    );
    let list = vec![Expr::Null(Type::Int), Expr::Int(4), Expr::Int(9)];
    assert_eq!(constant(&Expr::Coalesce(list.clone())), 4);
    assert_eq!(constant(&Expr::Greatest(list.clone())), 9);
    assert_eq!(constant(&Expr::Least(list)), 4);
}

#[test]
fn registers_read_as_they_are_shown() {
    let kinds = [
        Kind::Fixed { scale: 2 },
        Kind::Span,
        Kind::Time(TimeUnit::Second),
        Kind::Int,
    ];
    let registers = [1_250, 1_500_000, 77, i64::MAX];
    for (index, word) in [(0, float_word(12.5)), (1, float_word(1.5)), (2, 77)] {
        assert_eq!(run(&Expr::Register(index), &kinds, &registers), word);
        assert_eq!(run(&Expr::Register(index), &kinds, &[NULL; 4]), NULL);
    }
    // Beyond 2^53 floats have gaps; whole numbers still compare exactly.
    let less = |a| Expr::Compare(Comparison::Less, a, Box::new(Expr::Register(3)));
    assert_eq!(run(&less(int(i64::MAX - 1)), &kinds, &registers), 1);
    let float = Box::new(Expr::Cast(int(i64::MAX - 1), Type::Float));
    assert_eq!(run(&less(float), &kinds, &registers), 0);
}

#[test]
fn what_has_no_meaning_is_refused() {
    let kinds = [
        Kind::Id { shown: u64::MAX },
        Kind::List(Box::new(Kind::Int)),
    ];
    let refused = |expr: Expr| Program::compile(&expr, &kinds).expect_err("refused");
    assert!(matches!(refused(Expr::Register(0)), TypeError::Kind { .. }));
    assert!(matches!(refused(Expr::Register(1)), TypeError::Kind { .. }));
    assert!(matches!(
        refused(Expr::Register(2)),
        TypeError::NoRegister { .. }
    ));
    assert_eq!(refused(Expr::Int(NULL)), TypeError::Literal);
    let text = || Box::new(Expr::Text(5));
    let order = refused(Expr::Compare(Comparison::Less, text(), text()));
    assert_eq!(order.to_string(), "< cannot take a text");
    let mix = refused(Expr::Compare(Comparison::Equal, text(), int(5)));
    assert_eq!(
        mix.to_string(),
        "= cannot take both a text and a whole number"
    );
    assert!(matches!(
        refused(Expr::And(truth(true), int(1))),
        TypeError::Mix { .. }
    ));
    assert!(matches!(
        refused(Expr::Not(int(1))),
        TypeError::Operand { .. }
    ));
    assert!(matches!(
        refused(Expr::Coalesce(vec![])),
        TypeError::Empty { .. }
    ));
    let deep = (0..40).fold(int(1), |inner, _| {
        Box::new(Expr::Arithmetic(Arithmetic::Add, int(1), inner))
    });
    assert_eq!(refused(*deep), TypeError::TooDeep);
}

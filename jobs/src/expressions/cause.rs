//! What DataFusion and Arrow complain of, in the words of whoever wrote the expression.

use std::error::Error;

use arrow::error::ArrowError;
use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::parser::ParserError;

use crate::sources::arrow_cause;

/// What is wrong, without the names of the libraries that found it.
pub(crate) fn cause(error: &DataFusionError) -> String {
    match error {
        DataFusionError::ArrowError(error, _) => match &**error {
            ArrowError::ExternalError(inner) => inner_cause(&**inner),
            other => arrow_cause(other),
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => cause(inner),
        DataFusionError::Shared(inner) => cause(inner),
        DataFusionError::External(inner) => inner_cause(&**inner),
        DataFusionError::SQL(error, _) => match &**error {
            ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.clone(),
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        },
        // Which names there are is told better by whoever knows what the expression is for.
        DataFusionError::SchemaError(error, _) => {
            let text = error.to_string();
            let end = ["Valid fields are", "Did you mean"].map(|advice| text.find(advice));
            let end = end.into_iter().flatten().min().unwrap_or(text.len());
            text[..end].trim_end().to_owned()
        }
        // Some are told within others.
        DataFusionError::Plan(text)
        | DataFusionError::NotImplemented(text)
        | DataFusionError::Internal(text)
        | DataFusionError::Execution(text) => text.replace("Error during planning: ", ""),
        other => other.strip_backtrace(),
    }
}

fn inner_cause(error: &(dyn Error + Send + Sync + 'static)) -> String {
    match error.downcast_ref::<DataFusionError>() {
        Some(inner) => cause(inner),
        None => error.to_string(),
    }
}

/// What to do about an expression that cannot be computed for a row.
pub(super) fn remedy(error: &DataFusionError) -> &'static str {
    let DataFusionError::ArrowError(arrow, _) = error.find_root() else {
        return "keep such values from it with `case`";
    };
    match **arrow {
        ArrowError::DivideByZero => "divide by `nullif(..., 0)` to get null",
        ArrowError::ArithmeticOverflow(_) => {
            "cast to double first, or keep such values from it with `case`"
        }
        ArrowError::CastError(_) | ArrowError::ParseError(_) => "use `try_cast` to get null",
        _ => "keep such values from it with `case`",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_is_told_and_not_who_found_it() {
        let arrow = |error| DataFusionError::ArrowError(Box::new(error), None);
        let overflow = ArrowError::ArithmeticOverflow("Overflow happened on: 1 + 2".to_owned());
        let cast = ArrowError::CastError("Cannot cast 'x'".to_owned());
        for (error, told) in [
            (arrow(ArrowError::DivideByZero), "division by zero"),
            (arrow(overflow), "1 + 2 overflows"),
            (arrow(cast).context("a cast"), "Cannot cast 'x'"),
            (
                DataFusionError::External(Box::new(DataFusionError::Plan("no".to_owned()))),
                "no",
            ),
            (
                arrow(ArrowError::ExternalError(Box::new(
                    DataFusionError::Execution("late".to_owned()),
                ))),
                "late",
            ),
        ] {
            assert_eq!(cause(&error), told);
        }
    }
}

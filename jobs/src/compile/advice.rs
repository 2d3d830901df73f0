//! What to do about SQL that does not plan.

use tidegate_schemas::job::closest;

/// The name that DataFusion did not find, if that was its complaint.
pub(super) fn unknown_name(error: &str) -> Option<&str> {
    let (_, rest) = error.split_once("No field named ")?;
    let name = rest.split(". ").next()?.trim().trim_end_matches('.');
    Some(name.trim_matches('"'))
}

/// An expression that is a column alone, as a value in a job file.
pub(super) fn alone(name: &str) -> String {
    match (is_plain(name), name.contains('\'')) {
        (true, _) => format!("\"{name}\""),
        (_, false) => format!("'{}'", quoted(name)),
        (_, true) => format!("''' {} '''", quoted(name)),
    }
}

/// A plain word for what is taken from a column.
pub(super) fn its(name: &str) -> String {
    let word = |c: char| if c.is_alphanumeric() { c } else { '_' };
    let name: String = name.to_lowercase().chars().map(word).collect();
    format!("its_{}", name.trim_end_matches('_'))
}

/// A column's name in SQL, when it is no plain word.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Whether SQL takes a name without quotes.
fn is_plain(name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    name.chars().all(word) && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Help for `sql` over columns with these `names`, of which DataFusion said `error`.
pub(super) fn advice(sql: &str, error: &str, names: &[&str]) -> String {
    let bare = |name: &&&str| !is_plain(name) && sql.replace(&quoted(name), "").contains(**name);
    if let Some(name) = names.iter().filter(bare).max_by_key(|name| name.len()) {
        let written = match sql.trim() == *name {
            true => alone(name),
            false => format!("''' ... {} ... '''", quoted(name)),
        };
        return format!("a name that is not a plain word goes in double quotes: {written}");
    }
    let unknown = unknown_name(error);
    if let Some(near) = unknown.and_then(|name| closest(name, names.iter().copied())) {
        return format!("did you mean `{near}`? names keep their case");
    }
    let columns = format!("the columns are {}", names.join(", "));
    match unknown.filter(|name| sql.contains(&quoted(name))) {
        Some(text) => format!("texts go in single quotes: '{text}'; {columns}"),
        None => columns,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_says_what_was_meant() {
        let names = ["Company", "Timely response?", "Date received"];
        for (sql, error, wanted) in [
            (
                "Timely response?",
                "Expected: an expression, found: EOF",
                "a name that is not a plain word goes in double quotes: '\"Timely response?\"'",
            ),
            (
                "Company = 'x' and Date received > 3",
                "Expected: an expression, found: EOF",
                "a name that is not a plain word goes in double quotes: ''' ... \"Date received\" ... '''",
            ),
            (
                "Compny",
                "No field named Compny.",
                "did you mean `Company`? names keep their case",
            ),
            (
                "Company = \"x\"",
                "No field named x.",
                "texts go in single quotes: 'x'; the columns are Company, Timely response?, Date received",
            ),
            (
                "\"Timely response?\" = 3 +",
                "Expected: an expression, found: EOF",
                "the columns are Company, Timely response?, Date received",
            ),
        ] {
            assert_eq!(advice(sql, error, &names), wanted, "{sql}");
        }
    }
}

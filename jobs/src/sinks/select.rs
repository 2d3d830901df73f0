//! `select` and `where`: which columns a sink writes, under which names, computed by which SQL, and which rows.
//!
//! A column's name comes before SQL: names may hold points (`limits.threshold`) and may be words of
//! SQL (`start`, `end`, `rows`), alone or within an expression, and they are case-sensitive. What is
//! a plain name is moved, not evaluated.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DataFusionError;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer, Word};

use super::error::Problem;
use crate::expressions::{Expression, Planner, cause, truths_of};

/// A compiled `select`.
#[derive(Debug)]
pub(crate) struct Select {
    items: Vec<Item>,
    schema: SchemaRef,
}

#[derive(Debug)]
enum Item {
    Column(usize),
    /// With its key in the job.
    Computed(Expression, String),
}

impl Select {
    /// Compiles a list over the columns of `input`. The columns named in `always` are added at the
    /// end when the list does not mention them.
    pub(crate) fn new(
        list: &[String],
        input: &SchemaRef,
        always: &[&str],
    ) -> Result<Select, Problem> {
        let mut compiler = Compiler::new(input);
        let mut items = Vec::new();
        let mut fields: Vec<Field> = Vec::new();
        for (index, text) in list.iter().enumerate() {
            compiler.key = format!("select[{index}]");
            let (item, field) = compiler.item(text)?;
            if fields.iter().any(|known| known.name() == field.name()) {
                return Err(compiler.wrong(
                    text,
                    format!("the name `{}` is taken", field.name()),
                    "give it another name with `as`",
                ));
            }
            items.push(item);
            fields.push(field);
        }
        if items.is_empty() {
            return Err(Problem::settings(
                "`select` is empty",
                "name a column, or leave `select` out to write all",
            ));
        }
        for name in always {
            let Some((index, field)) = input.column_with_name(name) else {
                continue;
            };
            let mentioned = items
                .iter()
                .any(|item| matches!(item, Item::Column(known) if *known == index));
            if mentioned {
                continue;
            }
            if fields.iter().any(|known| known.name() == name) {
                return Err(Problem::settings(
                    format!("`select` gives the name `{name}` to another column"),
                    format!("the sink's mode writes its own `{name}`: choose another name"),
                ));
            }
            items.push(Item::Column(index));
            fields.push(field.clone());
        }
        Ok(Select {
            items,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The schema of what is written.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Under which names the input's column `index` is written unchanged.
    pub(crate) fn names_of(&self, index: usize) -> impl Iterator<Item = &String> {
        let fields = self.schema.fields().iter();
        self.items
            .iter()
            .zip(fields)
            .filter_map(move |(item, field)| match item {
                Item::Column(column) if *column == index => Some(field.name()),
                _ => None,
            })
    }

    /// The columns of the input that the written column `index` is made of.
    pub(crate) fn reads(&self, index: usize) -> BTreeSet<usize> {
        match &self.items[index] {
            Item::Column(column) => BTreeSet::from([*column]),
            Item::Computed(expression, _) => expression.columns.clone(),
        }
    }

    /// The selected columns of a batch.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, Problem> {
        let rows = batch.num_rows();
        let columns = self
            .items
            .iter()
            .map(|item| match item {
                Item::Column(index) => Ok(Arc::clone(batch.column(*index))),
                Item::Computed(expression, key) => values(expression, key, batch),
            })
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|e| Problem::shape(&e))
    }
}

/// A compiled `where`.
#[derive(Debug)]
pub(crate) struct Rule {
    condition: Expression,
}

/// The key of a [`Rule`] in the job.
const RULE: &str = "where";

impl Rule {
    /// Compiles a condition over the columns of `input`.
    pub(crate) fn new(text: &str, input: &SchemaRef) -> Result<Rule, Problem> {
        let mut compiler = Compiler::new(input);
        compiler.key = RULE.to_owned();
        let tokens = tokens(text).map_err(|e| compiler.wrong(text, e, "check its quotes"))?;
        let condition = compiler.compile(text, &compiler.with_names_quoted(&tokens))?;
        if condition.data_type != DataType::Boolean {
            let what = format!("it must be true or false, and is {}", condition.data_type);
            return Err(compiler.wrong(text, what, compiler.columns()));
        }
        Ok(Rule { condition })
    }

    /// The columns of the input that it reads.
    pub(crate) fn reads(&self) -> &BTreeSet<usize> {
        &self.condition.columns
    }

    /// Which rows satisfy it.
    pub(crate) fn satisfied(&self, batch: &RecordBatch) -> Result<BooleanArray, Problem> {
        let truths = truths_of(&values(&self.condition, RULE, batch)?);
        truths.map_err(|e| unfit(RULE, &e))
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let tokens = Tokenizer::new(&GenericDialect {}, text.trim()).tokenize();
    tokens.map_err(|e| e.to_string())
}

/// The values of an expression. An output row that has none is no input to be rejected: the run ends.
fn values(expression: &Expression, key: &str, batch: &RecordBatch) -> Result<ArrayRef, Problem> {
    let (values, failures) = expression.computed(batch).map_err(|e| unfit(key, &e))?;
    let Some(failure) = failures.into_iter().next() else {
        return Ok(values);
    };
    Err(Problem::Uncomputed {
        key: key.to_owned(),
        what: failure.reason,
    })
}

fn unfit(key: &str, error: &DataFusionError) -> Problem {
    Problem::Shape {
        what: format!("{key}: {}", cause(error)),
    }
}

struct Compiler<'a> {
    input: &'a SchemaRef,
    /// Made for the first expression: most lists have none.
    planner: Option<Planner>,
    /// The key of what is compiled.
    key: String,
}

impl<'a> Compiler<'a> {
    fn new(input: &'a SchemaRef) -> Compiler<'a> {
        Compiler {
            input,
            planner: None,
            key: String::new(),
        }
    }

    fn item(&mut self, text: &str) -> Result<(Item, Field), Problem> {
        let whole = text.trim();
        if let Some((index, field)) = self.input.column_with_name(whole) {
            return Ok((Item::Column(index), field.clone()));
        }
        let tokens = tokens(whole).map_err(|e| self.wrong(text, e, "check its quotes"))?;
        let (value, alias) = split_alias(&tokens);
        if let Some((index, field)) = self.plain(value) {
            let name = alias.map_or_else(|| field.name().clone(), str::to_owned);
            return Ok((Item::Column(index), field.clone().with_name(name)));
        }
        let Some(name) = alias else {
            return Err(self.wrong(
                text,
                "it is neither a column nor has it a name".to_owned(),
                format!("write `{whole} as NAME`; {}", self.columns()),
            ));
        };
        let expression = self.compile(text, &self.with_names_quoted(value))?;
        let field = Field::new(name, expression.data_type.clone(), true);
        Ok((Item::Computed(expression, self.key.clone()), field))
    }

    /// The column that the tokens name and nothing else, quoted or not.
    fn plain(&self, tokens: &[Token]) -> Option<(usize, &Field)> {
        let name = match tokens {
            [Token::Word(word)] => word.value.clone(),
            many => many.iter().map(Token::to_string).collect(),
        };
        self.input.column_with_name(name.trim())
    }

    /// The expression with every name that SQL would misread in quotes.
    fn with_names_quoted(&self, tokens: &[Token]) -> String {
        let mut sql = String::new();
        let mut value_before = false;
        let mut next = 0;
        while let Some(token) = tokens.get(next) {
            match self.longest_name(&tokens[next..]) {
                // Behind a value, `end` is the end of a `case`.
                Some((name, length)) if !(value_before && is(token, Keyword::END)) => {
                    sql.push_str(&format!("\"{}\"", name.replace('"', "\"\"")));
                    value_before = true;
                    next += length;
                }
                _ => {
                    sql.push_str(&token.to_string());
                    if !matches!(token, Token::Whitespace(_)) {
                        value_before = ends_a_value(token);
                    }
                    next += 1;
                }
            }
        }
        sql
    }

    /// The longest `word.word.word` at the beginning of the tokens that is a column and has to be
    /// quoted, with the number of its tokens.
    fn longest_name(&self, tokens: &[Token]) -> Option<(String, usize)> {
        let mut name = String::new();
        let mut longest = None;
        for (index, token) in tokens.iter().enumerate() {
            match token {
                Token::Word(Word {
                    value,
                    quote_style: None,
                    ..
                }) if index % 2 == 0 => name.push_str(value),
                Token::Period if index % 2 == 1 => {
                    name.push('.');
                    continue;
                }
                _ => break,
            }
            if self.input.column_with_name(&name).is_some() {
                longest = Some((name.clone(), index + 1));
            }
        }
        // Words with a meaning in SQL stay SQL's (`date '2024-01-01'`, `AND`) unless they are
        // written as nobody writes SQL (`Rows`); save `end`, which has no meaning outside `case`,
        // and which every session has.
        let is_sql = matches!(&tokens[0], Token::Word(word)
            if !matches!(word.keyword, Keyword::NoKeyword | Keyword::END)
                && (word.value == word.value.to_lowercase()
                    || word.value == word.value.to_uppercase()));
        // A name before a bracket is a function's.
        let called = |length: usize| matches!(tokens.get(length), Some(Token::LParen));
        longest.filter(|(_, length)| !(*length == 1 && (is_sql || called(1))))
    }

    fn compile(&mut self, text: &str, sql: &str) -> Result<Expression, Problem> {
        let planner = self.planner.get_or_insert_with(Planner::new);
        planner
            .plan(sql, self.input)
            .map(|expression| expression.told_as(text, None))
            .map_err(|e| self.wrong(text, cause(&e), self.columns()))
    }

    fn columns(&self) -> String {
        let names: Vec<_> = self
            .input
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        format!("the columns are {}", names.join(", "))
    }

    fn wrong(&self, text: &str, what: String, hint: impl Into<String>) -> Problem {
        Problem::Select {
            key: self.key.clone(),
            what: format!("`{}`: {what}", text.trim()),
            hint: hint.into(),
        }
    }
}

/// The expression and the name behind its last `as` (`cast(a as b)` has none: it ends in a bracket).
fn split_alias(tokens: &[Token]) -> (&[Token], Option<&str>) {
    let solid: Vec<usize> = (0..tokens.len())
        .filter(|index| !matches!(tokens[*index], Token::Whitespace(_)))
        .collect();
    if let [.., last, mark, name] = solid[..]
        && let (Token::Word(mark_word), Token::Word(name_word)) = (&tokens[mark], &tokens[name])
        && mark_word.keyword == Keyword::AS
        && mark_word.quote_style.is_none()
    {
        return (&tokens[..=last], Some(&name_word.value));
    }
    (tokens, None)
}

fn is(token: &Token, keyword: Keyword) -> bool {
    matches!(token, Token::Word(word) if word.keyword == keyword && word.quote_style.is_none())
}

/// Whether an operator or the end of a `case` can follow, and no further value.
fn ends_a_value(token: &Token) -> bool {
    const BEFORE_VALUES: [Keyword; 16] = [
        Keyword::CASE,
        Keyword::WHEN,
        Keyword::THEN,
        Keyword::ELSE,
        Keyword::AND,
        Keyword::OR,
        Keyword::NOT,
        Keyword::BETWEEN,
        Keyword::IN,
        Keyword::LIKE,
        Keyword::ILIKE,
        Keyword::SIMILAR,
        Keyword::TO,
        Keyword::FROM,
        Keyword::DISTINCT,
        Keyword::AS,
    ];
    match token {
        Token::Word(_) => !BEFORE_VALUES.iter().any(|keyword| is(token, *keyword)),
        Token::Number(..) | Token::SingleQuotedString(_) | Token::RParen | Token::RBracket => true,
        _ => false,
    }
}

//! Sessions of an entity: from names to bits, words and outputs.

use tidegate_operators::sessions::{
    AtGap as SessionGap, Empty as SessionEmpty, Measure, SessionColumn, SessionOp, SessionsSpec,
};
use tidegate_schemas::job::{Aggregate, AtGap, Empty, Mode, Op, OutputKind, Sessions, Sql};
use tidegate_schemas::rows::{Kind, OutputColumn, OutputSchema};

use super::Compiler;
use super::features::Registers;
use super::stage::StageBuilder;

impl Compiler<'_> {
    pub(super) fn sessions(
        &mut self,
        stage: &mut StageBuilder,
        entity: &str,
        name: &str,
        sessions: &Sessions,
    ) -> Option<Registers> {
        let sinks = self.sinks_of(OutputKind::Sessions, name);
        let wants_closed = sinks.iter().any(|(_, sink)| sink.mode == Mode::Final);
        let wants_open = sinks.iter().any(|(_, sink)| sink.mode != Mode::Final);
        if sinks.is_empty() && !self.is_watched(name) {
            return None;
        }
        let from: Vec<String> = sessions
            .from
            .iter()
            .map(|s| s.as_str().to_owned())
            .collect();
        let filter = self.filter(stage, &from, sessions.filter.as_ref());
        let mut columns = Vec::new();
        let mut names = vec!["start".to_owned(), "end".to_owned(), "rows".to_owned()];
        for aggregate in &sessions.add {
            if let Some(column) = self.session_column(stage, &from, aggregate) {
                columns.push(column);
                names.push(aggregate.name.as_str().to_owned());
            }
        }
        names.push("closed".to_owned());
        if sessions.max_length.is_some() {
            names.push("cut".to_owned());
        }
        let mut spec = SessionsSpec {
            filter,
            gap: sessions.gap,
            at_gap: match sessions.at_gap {
                AtGap::New => SessionGap::New,
                AtGap::Same => SessionGap::Same,
            },
            max_length: sessions.max_length,
            columns,
            closed_output: None,
            open_output: None,
        };
        let kinds = spec.kinds(self.unit(&from));
        let columns: Vec<OutputColumn> = names
            .into_iter()
            .zip(kinds)
            .map(|(name, kind)| OutputColumn { name, kind })
            .collect();
        let schema = OutputSchema {
            name: format!("sessions.{name}"),
            key: self
                .job
                .entities
                .get(entity)
                .map(|entity| entity.key.as_str().to_owned()),
            columns: columns.clone(),
            identity: vec![SessionsSpec::START],
        };
        if wants_closed {
            let output = stage.output(schema.clone());
            spec.closed_output = Some(output);
            self.sinks_for(OutputKind::Sessions, name, output, Some(true));
        }
        if wants_open {
            let output = stage.output(schema);
            spec.open_output = Some(output);
            self.sinks_for(OutputKind::Sessions, name, output, Some(false));
        }
        stage.plan.sessions.push(spec);
        Some(Registers {
            block: name.to_owned(),
            columns,
        })
    }

    /// A column over the rows of a session, or of a step of a pattern.
    pub(super) fn session_column(
        &mut self,
        stage: &mut StageBuilder,
        from: &[String],
        aggregate: &Aggregate,
    ) -> Option<SessionColumn> {
        let measure = match &aggregate.of {
            None => None,
            Some(sql) => {
                let (word, kind) = self.word(stage, from, sql, aggregate.decimals())?;
                Some(Measure { word, kind })
            }
        };
        let place = aggregate.name.place();
        let name = aggregate.op.name();
        let number = |kind: &Kind| {
            matches!(
                kind,
                Kind::Int | Kind::Fixed { .. } | Kind::Bool | Kind::Span
            )
        };
        let ordered = |kind: &Kind| number(kind) || matches!(kind, Kind::Float | Kind::Time(_));
        let wrong = match (&aggregate.op, &measure) {
            (Op::Sum | Op::Mean, Some(of)) => !number(&of.kind),
            (Op::Min | Op::Max, Some(of)) => !ordered(&of.kind),
            _ => false,
        };
        if wrong {
            self.problem(place, format!("`{name}` needs a number, and `of` is none"));
            return None;
        }
        let op = match (&aggregate.op, measure) {
            (Op::Count, _) => SessionOp::Count,
            (Op::Any, _) => SessionOp::Any,
            (Op::Sum, Some(of)) => SessionOp::Sum(of),
            (Op::Mean, Some(of)) => SessionOp::Mean(of),
            (Op::Min, Some(of)) => SessionOp::Min(of),
            (Op::Max, Some(of)) => SessionOp::Max(of),
            (Op::First, Some(of)) => SessionOp::First(of),
            (Op::Last, Some(of)) => SessionOp::Last(of),
            (Op::CountDistinct, Some(of)) => SessionOp::CountDistinct(of),
            (Op::List { k }, Some(of)) => SessionOp::List { of, k: *k as usize },
            _ => {
                self.problem(place, format!("`{name}` is for features only"));
                return None;
            }
        };
        // A count of a measure counts where it has a value: that is a filter.
        let filter = match (&aggregate.op, &aggregate.of) {
            (Op::Count | Op::Any, Some(of)) => {
                let text = |read: fn(&Sql) -> &str| {
                    let condition = aggregate.filter.as_ref().map_or("true", read);
                    format!("({condition}) and ({}) is not null", read(of))
                };
                let sql = of.followed_by(text(|sql| sql.as_str()), text(|sql| sql.written()));
                self.filter(stage, from, Some(&Sql(sql)))
            }
            _ => self.filter(stage, from, aggregate.filter.as_ref()),
        };
        let empty = match aggregate.empty {
            Empty::Null => SessionEmpty::Null,
            Empty::Zero => SessionEmpty::Zero,
        };
        Some(SessionColumn { op, filter, empty })
    }
}

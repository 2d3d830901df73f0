//! Ids of rows: where they come from, how they read, and which of them must be remembered as texts.

use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::stage::StageBuilder;
use super::{Compiler, StagePlan};
use crate::normalise::{IdPlan, IdTag};

/// The filters whose rows go out with their ids, where these are texts.
pub(super) fn named(plan: &StagePlan) -> u64 {
    let is_text = |output: usize| plan.outputs[output].columns[0].kind == Kind::IdText;
    let features = plan.features.iter();
    let features = features.map(|features| (features.anchor, features.anchor_output));
    let triggers = plan.triggers.iter();
    let triggers = triggers.map(|trigger| (trigger.anchor, trigger.firings.or(trigger.episodes)));
    let patterns = plan.patterns.iter();
    let patterns = patterns.map(|pattern| (pattern.steps[0].filter, pattern.output));
    let all = features.chain(triggers).chain(patterns);
    let named = all.filter_map(|(anchor, output)| {
        let named = output.is_some_and(is_text);
        anchor.filter(|_| named)
    });
    named.fold(0, |bits, anchor| bits | 1 << anchor)
}

/// How much later than its time a row with the id of a row may go out: a match has that of its first row.
pub(super) fn lasting(plan: &StagePlan) -> Span {
    let patterns = plan.patterns.iter().map(|pattern| pattern.within);
    patterns.max().unwrap_or(Span::ZERO)
}

impl Compiler<'_> {
    /// How the id of a row reads that comes from these of the sources of a stage: as a text, as soon as
    /// one of them has ids that are no whole numbers.
    pub(super) fn id_kind<'s>(
        &self,
        stage: &StageBuilder,
        mut from: impl ExactSizeIterator<Item = &'s str>,
    ) -> Kind {
        let shown = match from.len() {
            1 => IdTag::new(0, stage.sources.len()).own,
            _ => u64::MAX,
        };
        match from.any(|source| self.has_text_ids(source)) {
            true => Kind::IdText,
            false => Kind::Id { shown },
        }
    }

    fn has_text_ids(&self, source: &str) -> bool {
        let declared = self.job.sources.get(source);
        let dedupe = declared.and_then(|source| source.dedupe.as_ref());
        let (Some(dedupe), Some(view)) = (dedupe, self.views.get(source)) else {
            return false;
        };
        let columns = dedupe.key.iter();
        let columns: Vec<usize> = columns
            .filter_map(|column| view.column(column.as_str()))
            .collect();
        matches!(self.id_plan(source, &columns), IdPlan::Hash(_))
    }

    /// Where the ids of a source come from, which is deduplicated by these columns.
    pub(super) fn id_plan(&self, source: &str, columns: &[usize]) -> IdPlan {
        let types = columns
            .iter()
            .map(|column| self.views[source].schema.field(*column).data_type());
        match (columns, &types.collect::<Vec<_>>()[..]) {
            ([column], [data_type]) if data_type.is_integer() => IdPlan::Number(*column),
            _ => IdPlan::Hash(columns.to_vec()),
        }
    }
}

//! Which columns of features are tracked for the sake of triggers.

use std::collections::BTreeSet;

use crate::features::spec::FeaturesSpec;
use crate::triggers::TriggerSpec;

/// Leaves tracked of an entity's features only what its triggers at changes look at: between two
/// changes of that their conditions say the same, so that no timer is needed for other columns.
///
/// A column that moves with the clock has no changes of its own; where one is looked at, the changes of
/// the others are when it is.
pub fn track_what_is_read(features: &mut [FeaturesSpec], triggers: &[TriggerSpec]) {
    let at_changes = triggers.iter().filter(|trigger| trigger.anchor.is_none());
    let read: BTreeSet<usize> = at_changes.flat_map(TriggerSpec::reads).collect();
    let mut columns = features.iter().flat_map(|spec| &spec.features).zip(0..);
    if columns
        .any(|(column, register)| column.op.moves_with_the_clock() && read.contains(&register))
    {
        return;
    }
    let mut first = 0;
    for spec in features {
        spec.tracked
            .retain(|column| read.contains(&(first + column)));
        first += spec.features.len();
    }
}

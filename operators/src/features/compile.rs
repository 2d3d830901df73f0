//! From columns to lanes: columns of the same facts share what is kept of them.

use tidegate_schemas::rows::Kind;
use tidegate_schemas::time::Span;

use super::lane::{LanePlan, View};
use super::part::PartPlan;
use super::spec::{FeatureSpec, FeaturesSpec, Nulls, Op, SpecError};
use crate::aggregate::layout::{Holds, Layout};
use crate::aggregate::window::{Bounds, Window};

/// Where a column's value is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Through a window of the lane's ring, and the part if it has one.
    Window(Window, Option<usize>),
    /// From a part that speaks of the lifetime.
    Life(usize),
}

/// A column, ready to be read.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) op: Op,
    pub(super) lane: usize,
    pub(super) source: Source,
    /// The denominator of a ratio.
    pub(super) over: Option<(usize, Source)>,
    /// How one value of the measure reads.
    pub(super) of: Kind,
    pub(super) scale: u8,
    pub(super) empty: i64,
    /// Whether somebody reads it as it changes.
    pub(super) tracked: bool,
    /// The part of its lane that counts the categories in its window.
    pub(super) tally: Option<(usize, Window)>,
}

/// Which facts a lane holds.
#[derive(Clone, Copy, PartialEq, Eq)]
struct LaneKey {
    filter: Option<u8>,
    of: Option<usize>,
    nulls: Nulls,
    fold: Option<Span>,
}

/// Lanes in the making.
struct Builder {
    bounds: Bounds,
    lanes: Vec<(LaneKey, LanePlan, Vec<Holds>)>,
}

/// The lanes and columns of a specification.
pub(super) fn compile(spec: &FeaturesSpec) -> Result<(Vec<LanePlan>, Vec<Column>), SpecError> {
    let mut builder = Builder {
        bounds: spec.bounds,
        lanes: Vec::new(),
    };
    let mut columns = Vec::with_capacity(spec.features.len());
    for (index, feature) in spec.features.iter().enumerate() {
        feature
            .check()
            .map_err(|why| SpecError { column: index, why })?;
        let tracked = spec.current_output.is_some() || spec.tracked.contains(&index);
        let (lane, source) = builder.add(feature, feature.filter, tracked);
        let over = match feature.op {
            Op::Ratio { over } => Some(builder.add(feature, over, tracked)),
            _ => None,
        };
        columns.push(Column {
            op: feature.op,
            lane,
            source,
            over,
            of: feature.of.as_ref().map_or(Kind::Int, |m| m.kind.clone()),
            scale: feature.scale(),
            empty: feature.empty,
            tracked,
            tally: builder.tally(lane, source),
        });
    }
    let lanes = builder.lanes.into_iter().map(|(_, lane, _)| lane).collect();
    Ok((lanes, columns))
}

impl Builder {
    /// Puts a column onto the lane of a filter, and says where it will be read.
    fn add(&mut self, feature: &FeatureSpec, filter: Option<u8>, tracked: bool) -> (usize, Source) {
        let foldable = foldable(feature.op) && feature.window.is_some();
        let key = LaneKey {
            filter,
            of: feature.of.as_ref().map(|m| m.word),
            nulls: feature.nulls,
            fold: feature.hop.filter(|_| foldable),
        };
        let lane = self.lane(key);
        let (_, plan, holds) = &mut self.lanes[lane];
        plan.tracks |= tracked;
        let Some(width) = feature.window else {
            plan.for_life = true;
            return (lane, Source::Life(part(plan, life_part(feature.op))));
        };
        let window = Window::new(width, feature.hop, self.bounds);
        let newest = newest(feature.op);
        let view = View { window, newest };
        if !plan.views.contains(&view) {
            plan.views.push(view);
        }
        if tracked && !plan.tracked.contains(&view) {
            plan.tracked.push(view);
        }
        widen(&mut plan.widest, window);
        match newest {
            Some(k) => plan.newest = plan.newest.max(k as usize),
            None => widen(&mut plan.history, window),
        }
        holds.extend(holding(feature.op));
        plan.layout = Layout::new(holds);
        let window_part = window_part(feature.op, window).map(|p| part(plan, p));
        (lane, Source::Window(window, window_part))
    }

    /// The part of a lane that counts the categories in a window.
    fn tally(&self, lane: usize, source: Source) -> Option<(usize, Window)> {
        let Source::Window(_, Some(part)) = source else {
            return None;
        };
        match self.lanes[lane].1.parts[part] {
            PartPlan::Tally(window) => Some((part, window)),
            _ => None,
        }
    }

    fn lane(&mut self, key: LaneKey) -> usize {
        if let Some(known) = self.lanes.iter().position(|(k, _, _)| *k == key) {
            return known;
        }
        let fold = key.fold.map(|hop| Window::new(hop, Some(hop), self.bounds));
        let holds: Vec<Holds> = fold.iter().map(|_| Holds::Counts).collect();
        let plan = LanePlan {
            filter: key.filter,
            of: key.of,
            nulls: key.nulls,
            fold,
            layout: Layout::new(&holds),
            views: Vec::new(),
            tracked: Vec::new(),
            tracks: false,
            history: Vec::new(),
            widest: Vec::new(),
            newest: 0,
            parts: Vec::new(),
            for_life: false,
        };
        self.lanes.push((key, plan, holds));
        self.lanes.len() - 1
    }
}

/// The index of a part in a lane, added if it is new.
fn part(plan: &mut LanePlan, part: PartPlan) -> usize {
    let known = plan.parts.iter().position(|known| *known == part);
    known.unwrap_or_else(|| {
        plan.parts.push(part);
        plan.parts.len() - 1
    })
}

/// Adds a window unless a wider one with the same hop is there; narrower ones go.
fn widen(windows: &mut Vec<Window>, window: Window) {
    if windows.iter().any(|known| known.covers(&window)) {
        return;
    }
    windows.retain(|known| !window.covers(known));
    windows.push(window);
}

/// Whether the facts of a bucket can be folded into one record.
fn foldable(op: Op) -> bool {
    matches!(
        op,
        Op::Count | Op::Sum | Op::Mean | Op::Variance(_) | Op::Deviation(_) | Op::Ratio { .. }
    )
}

/// How many of the newest facts in its window a column looks at; `None` for all.
fn newest(op: Op) -> Option<u32> {
    match op {
        Op::Any | Op::Last | Op::TimeSinceLast => Some(1),
        Op::LastK { k, .. } => Some(k),
        _ => None,
    }
}

/// What the ring must hold for a column with a window.
fn holding(op: Op) -> Option<Holds> {
    match op {
        Op::Count | Op::Any | Op::Ratio { .. } | Op::TimeSinceLast | Op::LongestGap => None,
        Op::Sum | Op::Mean => Some(Holds::Sums),
        Op::Variance(_) | Op::Deviation(_) => Some(Holds::Squares),
        _ => Some(Holds::Values),
    }
}

/// What a column with a window reads beside the ring.
fn window_part(op: Op, window: Window) -> Option<PartPlan> {
    match op {
        Op::Min => Some(PartPlan::Least),
        Op::Max => Some(PartPlan::Greatest),
        Op::LongestGap => Some(PartPlan::Gaps),
        Op::TimeSinceLast => Some(PartPlan::Newest),
        Op::CountDistinct
        | Op::DistinctK { .. }
        | Op::Histogram { .. }
        | Op::MaxCountBy
        | Op::Entropy => Some(PartPlan::Tally(window)),
        _ => None,
    }
}

/// What a column without a window reads.
fn life_part(op: Op) -> PartPlan {
    match op {
        Op::Count | Op::Any | Op::Ratio { .. } => PartPlan::Count,
        Op::Sum | Op::Mean | Op::Variance(_) | Op::Deviation(_) => PartPlan::Moments,
        Op::Min => PartPlan::Low,
        Op::Max => PartPlan::High,
        Op::First => PartPlan::First,
        Op::Last => PartPlan::Last,
        Op::FirstK { k, .. } => PartPlan::FirstK(k),
        Op::LastK { k, .. } => PartPlan::LastK(k),
        Op::TimeSinceLast => PartPlan::Newest,
        Op::LongestGap => PartPlan::LongestGap,
        Op::DecayedSum { half_life } => PartPlan::Decayed(half_life),
        Op::CountDistinct
        | Op::DistinctK { .. }
        | Op::Histogram { .. }
        | Op::MaxCountBy
        | Op::Entropy => PartPlan::Table,
    }
}

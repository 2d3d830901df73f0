//! Lanes: the facts that pass one filter and have one measure, kept once for all columns on them.

use std::ops::Deref;
use std::rc::Rc;

use tidegate_schemas::time::EventTime;

use super::part::{Part, PartPlan};
use super::spec::Nulls;
use crate::aggregate::layout::Layout;
use crate::aggregate::ring::Ring;
use crate::aggregate::window::Window;

/// A window that some column looks through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    pub(super) window: Window,
    /// Only the newest so many facts in it matter; `None` for all.
    pub(super) newest: Option<u32>,
}

/// What a lane is.
#[derive(Clone, Debug)]
pub(super) struct LanePlan {
    pub(super) filter: Option<u8>,
    pub(super) of: Option<usize>,
    pub(super) nulls: Nulls,
    /// The buckets that facts are folded into; all windows of the lane have their hop.
    pub(super) fold: Option<Window>,
    pub(super) layout: Layout,
    pub(super) views: Vec<View>,
    /// Those through which a column is tracked.
    pub(super) tracked: Vec<View>,
    /// Whether any column on it is tracked.
    pub(super) tracks: bool,
    /// The windows that look at all of their facts; of each hop only the widest.
    pub(super) history: Vec<Window>,
    /// All windows; of each hop only the widest.
    pub(super) widest: Vec<Window>,
    /// However old, this many of the newest facts are kept.
    pub(super) newest: usize,
    pub(super) parts: Vec<PartPlan>,
    pub(super) for_life: bool,
}

impl LanePlan {
    /// Up to this time no window that looks at all of its facts sees anything at `t`.
    fn oldest(&self, t: EventTime) -> EventTime {
        let cuts = self.history.iter().map(|window| window.cut(t));
        cuts.min().unwrap_or(EventTime::MAX)
    }

    /// How many of the oldest records no column can see at `t` or later.
    pub(super) fn stale(&self, ring: &Ring, t: EventTime) -> usize {
        let older = ring.first_after(&self.layout, self.oldest(t));
        older.min(ring.len().saturating_sub(self.newest))
    }

    /// When a fact leaves the first tracked window that it is in.
    pub(super) fn leaves(&self, at: EventTime) -> EventTime {
        let leaves = self.tracked.iter().map(|view| view.window.leaves(at));
        leaves.min().unwrap_or(EventTime::MAX)
    }

    /// When a fact leaves the last window that it is in.
    pub(super) fn gone(&self, at: EventTime) -> EventTime {
        let leaves = self.widest.iter().map(|window| window.leaves(at));
        leaves.max().unwrap_or(at)
    }
}

/// A lane's state.
///
/// # State
/// 72 B, the ring's records (8 B each for counts only, 16 B with values, 24 B with sums), and the
/// parts. Bounded by the facts in the widest window; gone when the newest has left it, unless a
/// column speaks of the key's lifetime.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) ring: Ring,
    pub(super) parts: Box<[Part]>,
    /// When the lane is to be looked at again: at the next change that is tracked, or when the last
    /// fact is gone.
    pub(super) due: EventTime,
    pub(super) index: u32,
}

/// The lanes of a key, by index. Copies share them until one of them changes.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Option<Rc<[Lane]>>);

impl Deref for Lanes {
    type Target = [Lane];

    #[inline]
    fn deref(&self) -> &[Lane] {
        self.0.as_deref().unwrap_or_default()
    }
}

impl From<Vec<Lane>> for Lanes {
    fn from(lanes: Vec<Lane>) -> Lanes {
        Lanes((!lanes.is_empty()).then(|| lanes.into()))
    }
}

impl Lanes {
    /// The lanes, of which there is no copy that could be changed with them.
    #[inline]
    pub(super) fn own(&mut self) -> &mut [Lane] {
        match &mut self.0 {
            Some(lanes) => Rc::make_mut(lanes),
            None => &mut [],
        }
    }

    /// Puts a lane at `place`.
    pub(super) fn insert(&mut self, place: usize, lane: Lane) {
        let (before, behind) = self.own().split_at_mut(place);
        let before = before.iter_mut().map(Lane::take).chain([lane]);
        self.0 = Some(before.chain(behind.iter_mut().map(Lane::take)).collect());
    }

    /// Drops the lanes whose index is [`Lane::GONE`].
    pub(super) fn drop_gone(&mut self) {
        let lanes = self.own().iter_mut();
        let rest = lanes.filter(|lane| lane.index != Lane::GONE);
        *self = rest.map(Lane::take).collect::<Vec<Lane>>().into();
    }
}

impl Lane {
    /// The index of a lane that is to be dropped.
    pub(super) const GONE: u32 = u32::MAX;

    pub(super) fn new(plan: &LanePlan, index: u32) -> Lane {
        Lane {
            ring: Ring::default(),
            parts: plan.parts.iter().map(|part| part.start()).collect(),
            due: EventTime::MAX,
            index,
        }
    }

    /// What the lane is, when it goes elsewhere.
    fn take(&mut self) -> Lane {
        Lane {
            ring: std::mem::take(&mut self.ring),
            parts: std::mem::take(&mut self.parts),
            ..*self
        }
    }

    /// A fact enters: O(1) amortised, no allocation but for growth.
    pub(super) fn enter(&mut self, plan: &LanePlan, at: EventTime, value: i64) {
        if !plan.views.is_empty() {
            self.enter_ring(plan, at, value);
        }
        for (part, part_plan) in self.parts.iter_mut().zip(&plan.parts) {
            part.enter(*part_plan, at, value, || plan.oldest(at));
        }
    }

    fn enter_ring(&mut self, plan: &LanePlan, at: EventTime, value: i64) {
        if let Some(buckets) = plan.fold
            && let Some(newest) = self.ring.newest(&plan.layout)
            && buckets.same_bucket(newest, at)
        {
            self.ring.add_to_newest(&plan.layout, value);
            return;
        }
        self.make_room(plan, at);
        self.ring.push(&plan.layout, at, value);
    }

    /// Sees to it that there is room for one more record.
    pub(super) fn make_room(&mut self, plan: &LanePlan, at: EventTime) {
        let full = self.ring.is_full(&plan.layout);
        if !full && !self.ring.has_stale_piece(|| plan.oldest(at)) {
            return;
        }
        for (part, part_plan) in self.parts.iter_mut().zip(&plan.parts) {
            if let (Part::Tally(tally), PartPlan::Tally(window)) = (part, part_plan) {
                tally.advance(&self.ring, &plan.layout, window.cut(at));
            }
        }
        let stale = plan.stale(&self.ring, at);
        let dropped = if full {
            self.ring.make_room(&plan.layout, stale)
        } else {
            self.ring.drop_pieces(stale)
        };
        for part in &mut self.parts {
            if let Part::Tally(tally) = part {
                tally.dropped(dropped);
            }
        }
    }

    /// The next time after `now` at which a fact that matters leaves a tracked window.
    pub(super) fn next_change(&self, plan: &LanePlan, now: EventTime) -> Option<EventTime> {
        let layout = &plan.layout;
        let leaving = plan.tracked.iter().filter_map(|view| {
            let inside = self.ring.first_after(layout, view.window.cut(now));
            let newest = view
                .newest
                .map_or(0, |k| self.ring.len().saturating_sub(k as usize));
            let first = inside.max(newest);
            (first < self.ring.len()).then(|| view.window.leaves(self.ring.time_at(layout, first)))
        });
        leaving.min()
    }
}

//! What the features keep of one key.

use smallvec::SmallVec;
use tidegate_schemas::time::EventTime;

use super::current::Emitted;
use super::lane::{Lane, LanePlan, Lanes};

/// The id and the carried words of each anchor of an instant: mostly there is one, which needs no room of its own.
pub(super) type Pending = SmallVec<[i64; 2]>;

/// The state of one key.
///
/// # State
/// 64 B and the lanes that are in use, which copies share until one of them changes; a key whose facts pass no filter has nothing but these.
#[derive(Clone, Debug)]
pub struct State {
    /// When to be called next: [`State::NOTHING`], a time, or never ([`EventTime::MAX`]).
    pub(super) due: EventTime,
    /// Lanes in use, by index.
    pub(super) lanes: Lanes,
    /// Anchors of the present instant: the id and the carried words of each.
    pub(super) pending: Pending,
    /// What only some jobs need.
    pub(super) rare: Option<Box<Rare>>,
    /// Whether a fact has entered since the last instant.
    pub(super) dirty: bool,
}

/// What only jobs with current rows, or with windows that are open at their head, keep.
#[derive(Clone, Debug)]
pub(super) struct Rare {
    /// The time of the facts that wait.
    pub(super) waits_at: EventTime,
    /// Facts of one instant that wait for it to pass: lane and value.
    pub(super) waiting: Vec<(u32, i64)>,
    /// The current row as it was last emitted.
    pub(super) emitted: Option<Emitted>,
}

impl Default for State {
    fn default() -> State {
        State {
            due: State::NOTHING,
            lanes: Lanes::default(),
            pending: Pending::new(),
            rare: None,
            dirty: false,
        }
    }
}

impl Default for Rare {
    fn default() -> Rare {
        Rare {
            waits_at: EventTime::MIN,
            waiting: Vec::new(),
            emitted: None,
        }
    }
}

impl State {
    /// There is nothing to be called for.
    pub(super) const NOTHING: EventTime = EventTime::MIN;

    /// Whether values may have changed since the last instant was closed. It is so from the first
    /// fact of an instant that enters a column until `on_instant`; only for features that track
    /// changes.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.dirty
    }

    /// Whether there is nothing that a later call could see.
    pub(super) fn is_blank(&self) -> bool {
        self.lanes.is_empty() && self.pending.is_empty() && self.waiting().is_empty()
    }

    /// The lane of a plan, made if it is not there yet.
    pub(super) fn lane_or_new(&mut self, plans: &[LanePlan], index: usize) -> &mut Lane {
        let wanted = index as u32;
        let lanes = self.lanes.iter();
        let before = lanes.take_while(|lane| lane.index < wanted).count();
        let known = self.lanes.get(before);
        if known.is_none_or(|lane| lane.index != wanted) {
            let lane = Lane::new(&plans[index], wanted);
            self.lanes.insert(before, lane);
        }
        &mut self.lanes.own()[before]
    }

    /// Reads a little of what lies elsewhere, for whoever wants it nearer to the processor.
    #[inline]
    pub(crate) fn touch(&self) -> u64 {
        let lanes = self.lanes.iter().map(|lane| lane.ring.touch());
        lanes.fold(0, |sum, word| sum ^ word)
    }

    /// The lane of a plan, if the key has facts of it.
    pub(super) fn lane(&self, index: usize) -> Option<&Lane> {
        let wanted = index as u32;
        self.lanes.iter().find(|lane| lane.index == wanted)
    }

    /// The lane of a plan, if the key has facts of it.
    pub(super) fn lane_mut(&mut self, index: usize) -> Option<&mut Lane> {
        let wanted = index as u32;
        let place = self.lanes.iter().position(|lane| lane.index == wanted)?;
        self.lanes.own().get_mut(place)
    }

    /// Drops the lanes that are not to be kept.
    pub(super) fn keep_lanes(&mut self, mut keep: impl FnMut(&mut Lane) -> bool) {
        let mut gone = 0;
        for lane in self.lanes.own() {
            if !keep(lane) {
                lane.index = Lane::GONE;
                gone += 1;
            }
        }
        if gone > 0 {
            self.lanes.drop_gone();
        }
    }

    /// Keeps a fact that counts only after its own time; those of earlier times have entered.
    pub(super) fn wait(&mut self, at: EventTime, index: u32, value: i64) {
        let rare = self.rare.get_or_insert_default();
        rare.waits_at = at;
        rare.waiting.push((index, value));
    }

    /// The facts that wait.
    pub(super) fn waiting(&self) -> &[(u32, i64)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.waiting)
    }
}

//! What the features keep of one key.

use tidegate_schemas::time::EventTime;

use super::current::Emitted;
use super::lane::{Lane, LanePlan};

/// The state of one key.
///
/// # State
/// 80 B and the lanes that are in use; a key whose facts pass no filter has nothing but these.
#[derive(Clone, Debug)]
pub struct State {
    /// The newest time at which anything was asked.
    pub(super) now: EventTime,
    /// Lanes in use, by index.
    pub(super) lanes: Vec<Lane>,
    /// Anchors of the present instant: the id and the carried words of each.
    pub(super) pending: Vec<i64>,
    /// Facts of the newest instant where windows do not count it yet.
    pub(super) waiting: Option<Box<Waiting>>,
    /// The current row as it was last emitted.
    pub(super) emitted: Option<Box<Emitted>>,
    /// Whether a fact has entered since the last instant or timer.
    pub(super) dirty: bool,
}

impl Default for State {
    fn default() -> State {
        State {
            now: EventTime::MIN,
            lanes: Vec::new(),
            pending: Vec::new(),
            waiting: None,
            emitted: None,
            dirty: false,
        }
    }
}

impl State {
    /// Where the lane of a plan is, made if it is not there yet; lanes before `from` have smaller
    /// indices.
    pub(super) fn lane_position(&mut self, plans: &[LanePlan], index: usize, from: usize) -> usize {
        let wanted = index as u32;
        let mut position = from;
        while self
            .lanes
            .get(position)
            .is_some_and(|lane| lane.index < wanted)
        {
            position += 1;
        }
        if self
            .lanes
            .get(position)
            .is_none_or(|lane| lane.index != wanted)
        {
            self.lanes.reserve_exact(1);
            self.lanes
                .insert(position, Lane::new(&plans[index], wanted));
        }
        position
    }

    /// The lane of a plan, if the key has facts of it.
    pub(super) fn lane(&mut self, index: usize) -> Option<&mut Lane> {
        let wanted = index as u32;
        self.lanes.iter_mut().find(|lane| lane.index == wanted)
    }

    /// Keeps a fact that counts only after its own time.
    pub(super) fn wait(&mut self, at: EventTime, index: u32, value: i64) {
        let waiting = self.waiting.get_or_insert_with(|| {
            Box::new(Waiting {
                at,
                facts: Vec::new(),
            })
        });
        waiting.facts.push((index, value));
    }
}

/// Facts of one instant that wait for it to pass: lane and value.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) at: EventTime,
    pub(super) facts: Vec<(u32, i64)>,
}

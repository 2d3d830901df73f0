//! How a key's features are written and read back.
//!
//! Queues and tallies are not written: they follow from the ring's records, which are entered again.

use tidegate_schemas::time::EventTime;

use super::compile::Column;
use super::current::Emitted;
use super::lane::{Lane, LanePlan};
use super::part::{Part, PartPlan};
use super::state::Rare;
use super::{Features, State};
use crate::aggregate::moments::{Moments, Wide};
use crate::codec::{CodecError, Reader, Writer};

impl Features {
    pub(super) fn write(&self, state: &State, to: &mut Writer) {
        to.time(state.due);
        to.bool(state.dirty);
        to.length(state.pending.len());
        state.pending.iter().for_each(|word| to.word(*word));
        to.option(state.rare.as_ref(), |to, rare| {
            to.time(rare.waits_at);
            to.length(rare.waiting.len());
            for (index, value) in &rare.waiting {
                to.unsigned(u128::from(*index));
                to.word(*value);
            }
            to.option(rare.emitted.as_ref(), |to, emitted| {
                to.time(emitted.at);
                to.length(emitted.words.len());
                emitted.words.iter().for_each(|word| to.word(*word));
            });
        });
        to.length(state.lanes.len());
        for lane in &*state.lanes {
            to.unsigned(u128::from(lane.index));
            write_lane(lane, &self.lanes[lane.index as usize], to);
        }
    }

    pub(super) fn read(&self, from: &mut Reader<'_>) -> Result<State, CodecError> {
        let due = from.time("the next time of the features")?;
        let dirty = from.bool("whether features changed")?;
        let pending = read_words("the anchors", from)?;
        if pending.len() % (1 + self.carry.len()) != 0 {
            return Err(damaged("the anchors"));
        }
        let rare = from.option("waiting facts", |from| self.read_rare(from))?;
        let mut lanes: Vec<Lane> = Vec::new();
        for _ in 0..from.length("the number of lanes")? {
            let index = from.unsigned("a lane's index")?;
            let known = lanes.last().map_or(0, |lane| u128::from(lane.index) + 1);
            let plan = usize::try_from(index)
                .ok()
                .and_then(|index| self.lanes.get(index));
            let Some(plan) = plan.filter(|_| index >= known) else {
                return Err(damaged("a lane's index"));
            };
            lanes.push(read_lane(plan, index as u32, from)?);
        }
        Ok(State {
            due,
            lanes: lanes.into(),
            pending: pending.into(),
            rare,
            dirty,
        })
    }

    fn read_rare(&self, from: &mut Reader<'_>) -> Result<Box<Rare>, CodecError> {
        let mut rare = Rare {
            waits_at: from.time("the time of waiting facts")?,
            ..Rare::default()
        };
        for _ in 0..from.length("the number of waiting facts")? {
            let index = from.unsigned("a waiting fact's lane")?;
            if index >= self.lanes.len() as u128 {
                return Err(damaged("a waiting fact's lane"));
            }
            let value = from.word("a waiting fact")?;
            rare.waiting.push((index as u32, value));
        }
        rare.emitted = from.option("the current row", |from| {
            let at = from.time("the time of the current row")?;
            let words = read_words("the current row", from)?;
            match fits(&words, &self.columns) {
                true => Ok(Emitted { at, words }),
                false => Err(damaged("the current row")),
            }
        })?;
        Ok(Box::new(rare))
    }
}

fn read_words(what: &'static str, from: &mut Reader<'_>) -> Result<Vec<i64>, CodecError> {
    let length = from.length(what)?;
    (0..length).map(|_| from.word(what)).collect()
}

/// Whether the words are a row of these columns.
fn fits(words: &[i64], columns: &[Column]) -> bool {
    let clock = columns
        .iter()
        .filter(|c| c.op.moves_with_the_clock())
        .count();
    let mut at = 0;
    for column in columns {
        let Some(word) = words.get(at) else {
            return false;
        };
        let listed = if column.op.is_list() { *word } else { 0 };
        match usize::try_from(listed) {
            Ok(listed) if listed < words.len() => at += 1 + listed,
            _ => return false,
        }
    }
    at + clock == words.len()
}

fn write_lane(lane: &Lane, plan: &LanePlan, to: &mut Writer) {
    let (ring, layout) = (&lane.ring, &plan.layout);
    to.time(lane.due);
    let newest = ring.newest(layout);
    let first = newest.map_or(0, |newest| plan.stale(ring, newest));
    to.length(ring.len() - first);
    let mut before = EventTime(0);
    for index in first..ring.len() {
        let at = ring.time_at(layout, index);
        to.signed(i128::from(at.0) - i128::from(before.0));
        before = at;
        let moments = ring.moments_between(layout, index, index + 1);
        if layout.folds() {
            write_moments(&moments, to);
        } else if layout.has_values() {
            to.word(ring.value_at(layout, index));
        } else {
            to.signed(moments.sum);
        }
    }
    for (part, part_plan) in lane.parts.iter().zip(&plan.parts) {
        if part_plan.is_saved() {
            write_part(part, to);
        }
    }
}

fn read_lane(plan: &LanePlan, index: u32, from: &mut Reader<'_>) -> Result<Lane, CodecError> {
    let mut lane = Lane::new(plan, index);
    lane.due = from.time("when a lane is due")?;
    let mut before: Option<i64> = None;
    for _ in 0..from.length("the number of facts")? {
        let step = from.signed("a fact's time")?;
        let at = i128::from(before.unwrap_or(0)).checked_add(step);
        let at = at.and_then(|at| i64::try_from(at).ok());
        let Some(at) = at.filter(|at| before.is_none_or(|before| *at >= before)) else {
            return Err(damaged("a fact's time"));
        };
        before = Some(at);
        let at = EventTime(at);
        if plan.layout.folds() {
            let moments = read_moments(from)?;
            lane.make_room(plan, at);
            lane.ring.push_folded(&plan.layout, at, 0, &moments);
        } else {
            let value = from.word("a fact's value")?;
            lane.enter(plan, at, value);
        }
    }
    for (part, part_plan) in lane.parts.iter_mut().zip(&plan.parts) {
        if part_plan.is_saved() {
            *part = part_plan.start();
            read_part(part, *part_plan, from)?;
        }
    }
    Ok(lane)
}

fn write_moments(moments: &Moments, to: &mut Writer) {
    to.unsigned(u128::from(moments.n));
    to.signed(moments.sum);
    to.unsigned(moments.squares.high);
    to.unsigned(moments.squares.low);
}

fn read_moments(from: &mut Reader<'_>) -> Result<Moments, CodecError> {
    Ok(Moments {
        n: read_count(from)?,
        sum: from.signed("a sum")?,
        squares: Wide {
            high: from.unsigned("a sum of squares")?,
            low: from.unsigned("a sum of squares")?,
        },
    })
}

/// A count that can grow by any number of facts without overflow.
fn read_count(from: &mut Reader<'_>) -> Result<u64, CodecError> {
    let n = from.unsigned("a count")?;
    u64::try_from(n)
        .ok()
        .filter(|n| *n < 1 << 62)
        .ok_or_else(|| damaged("a count"))
}

fn write_part(part: &Part, to: &mut Writer) {
    match part {
        Part::Count(n) => to.unsigned(u128::from(*n)),
        Part::Moments(moments) => write_moments(moments, to),
        Part::Word(word) => to.option(*word, Writer::word),
        Part::Newest { at, before } => {
            to.option(*at, Writer::time);
            to.option(*before, Writer::time);
        }
        Part::LongestGap { newest, longest } => {
            to.option(*newest, Writer::time);
            to.option(*longest, Writer::word);
        }
        Part::List(list) => {
            to.length(list.len());
            list.iter().for_each(|word| to.word(*word));
        }
        Part::Decayed { at, sum } => {
            to.time(*at);
            to.float(*sum);
        }
        Part::Table(table) => {
            let order = table.in_order();
            to.length(order.len());
            for (code, count) in order {
                to.word(code);
                to.unsigned(u128::from(count));
            }
        }
        Part::Queue(_) | Part::Gaps { .. } | Part::Tally(_) => {}
    }
}

fn read_part(part: &mut Part, plan: PartPlan, from: &mut Reader<'_>) -> Result<(), CodecError> {
    match part {
        Part::Count(n) => *n = read_count(from)?,
        Part::Moments(moments) => **moments = read_moments(from)?,
        Part::Word(word) => *word = from.option("a value", |from| from.word("a value"))?,
        Part::Newest { at, before } => {
            *at = from.option("a time", |from| from.time("a time"))?;
            *before = from.option("a time", |from| from.time("a time"))?;
        }
        Part::LongestGap { newest, longest } => {
            *newest = from.option("a time", |from| from.time("a time"))?;
            *longest = from.option("a gap", |from| from.word("a gap"))?;
        }
        Part::List(list) => {
            let length = from.length("the length of a list")?;
            if let PartPlan::FirstK(k) | PartPlan::LastK(k) = plan
                && length > k as usize
            {
                return Err(damaged("the length of a list"));
            }
            for _ in 0..length {
                list.push_back(from.word("a list")?);
            }
        }
        Part::Decayed { at, sum } => {
            *at = from.time("a time")?;
            *sum = from.float("a decayed sum")?;
        }
        Part::Table(table) => {
            for _ in 0..from.length("the number of categories")? {
                let code = from.word("a category")?;
                table.enter_many(code, read_count(from)?.max(1));
            }
        }
        Part::Queue(_) | Part::Gaps { .. } | Part::Tally(_) => {}
    }
    Ok(())
}

fn damaged(what: &'static str) -> CodecError {
    CodecError { what, left: 0 }
}

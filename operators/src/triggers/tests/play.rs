//! Plays one key of a trigger by hand: its inputs, its tables and the passing of event time.

use super::*;

/// Registers of the triggers here: a count, a segment's source; then the limit and the segment.
pub(super) const COUNT: usize = 0;
pub(super) const SOURCE: usize = 1;
pub(super) const LIMIT: usize = 2;
pub(super) const KINDS: [Kind; 4] = [Kind::Int, Kind::Int, Kind::Int, Kind::Int];

pub(super) fn compare(op: Comparison, a: Expr, b: Expr) -> Expr {
    Expr::Compare(op, Box::new(a), Box::new(b))
}

pub(super) fn compiled(expr: &Expr) -> Program {
    Program::compile(expr, &KINDS).expect("it has a meaning")
}

/// Fires when the count is at least the limit of the segment, at changes.
pub(super) fn spec() -> TriggerSpec {
    let (count, limit) = (Expr::Register(COUNT), Expr::Register(LIMIT));
    TriggerSpec {
        anchor: None,
        inputs: 2,
        lookups: vec![Lookup {
            table: 0,
            key: vec![KeyPart::Segment],
            columns: 1,
        }],
        segment: Some(compiled(&Expr::Register(SOURCE))),
        when: compiled(&compare(Comparison::GreaterEqual, count, limit)),
        clear_when: None,
        cooldown: None,
        holdout: None,
        action: Some(code_of("call")),
        reasons: vec![COUNT, LIMIT],
        firings: None,
        episodes: Some(0),
    }
}

/// A row as the tests write it: (event id, fired at, closed at, segment, count, limit).
pub(super) type Row = (i64, i64, i64, i64, i64, i64);

pub(super) fn row_of(columns: &[i64]) -> Row {
    let [id, fired, closed, segment] = [EVENT_ID, FIRED_AT, CLOSED_AT, SEGMENT].map(|c| columns[c]);
    (
        id,
        fired,
        closed,
        segment,
        columns[REASONS],
        columns[REASONS + 1],
    )
}

/// Plays one key: what the composer and the driver do.
pub(super) struct Play {
    pub(super) trigger: Trigger,
    pub(super) state: State,
    pub(super) tables: Tables,
    pub(super) inputs: [i64; 2],
    pub(super) registers: Vec<i64>,
    pub(super) out: Outputs,
}

impl Play {
    pub(super) fn new(spec: TriggerSpec) -> Play {
        Play {
            trigger: Trigger::new(spec).expect("it fits together"),
            state: State::default(),
            tables: Tables::new(&[(1, 1)]),
            inputs: [NULL; 2],
            registers: Vec::new(),
            out: Outputs::new(&[REASONS + 2]),
        }
    }

    pub(super) fn with_limits(spec: TriggerSpec, limits: &[(i64, i64, Option<i64>)]) -> Play {
        let mut play = Play::new(spec);
        for (id, (at, segment, limit)) in limits.iter().enumerate() {
            play.tables
                .apply(&limit_row(*at, id as u64, *segment, *limit));
        }
        play
    }

    /// The next moment at which the trigger wants to be evaluated.
    pub(super) fn next(&self) -> Option<i64> {
        let watch = self.trigger.watch(&self.state, &self.tables);
        match self.trigger.wake(&self.state) {
            Wake::At(at) => Some(watch.map_or(at, |watch| watch.min(at))),
            _ => watch,
        }
        .map(|at| at.0)
    }

    /// Lets event time pass up to `until`, which itself is left out.
    pub(super) fn pass(&mut self, until: i64) {
        while let Some(at) = self.next().filter(|at| *at < until) {
            self.evaluate(at);
        }
    }

    pub(super) fn evaluate(&mut self, at: i64) {
        let at = EventTime(at);
        if !self.trigger.wants(&self.state, at) {
            return;
        }
        self.registers.clear();
        self.registers.extend(self.inputs);
        let Play {
            trigger,
            state,
            tables,
            registers,
            out,
            ..
        } = self;
        trigger.evaluate(state, at, registers, tables, out);
    }

    /// Facts with these ids, of which bit 0 says whether they are anchors, and the inputs after them.
    pub(super) fn instant(&mut self, at: i64, facts: &[(u64, bool)], inputs: [i64; 2]) {
        self.pass(at);
        for (id, anchor) in facts {
            let fact = Fact {
                at: EventTime(at),
                id: *id,
                bits: u64::from(*anchor),
                words: &[],
            };
            self.trigger.on_fact(&mut self.state, &fact);
        }
        self.save_and_load();
        self.inputs = inputs;
        self.evaluate(at);
        self.save_and_load();
    }

    /// The state survives its codec at any point, in the middle of an instant too.
    pub(super) fn save_and_load(&mut self) {
        let mut to = Writer::default();
        self.trigger.encode(&self.state, &mut to);
        let mut from = Reader::new(&to.bytes);
        let state = self
            .trigger
            .decode(&mut from)
            .expect("it was written whole");
        assert!(from.is_empty());
        assert_eq!(state, self.state);
        self.state = state;
    }

    /// The rows that are left when those taken back are gone.
    pub(super) fn rows(&self) -> Vec<Row> {
        let rows = &self.out.rows[0];
        let mut left: Vec<(i64, Vec<i64>)> = Vec::new();
        for (index, head) in rows.heads.iter().enumerate() {
            let words: Vec<i64> = rows.columns.iter().map(|c| c.row(index)[0]).collect();
            let row = (head.at.0, words);
            if head.diff == 1 {
                left.push(row);
            } else {
                let place = left.iter().position(|other| *other == row);
                left.remove(place.expect("only what was emitted is taken back"));
            }
        }
        left.sort();
        let mut rows: Vec<_> = left.iter().map(|(_, words)| row_of(words)).collect();
        rows.sort_unstable();
        rows
    }

    pub(super) fn column(&self, column: usize) -> &[i64] {
        &self.out.rows[0].columns[column].words
    }
}

pub(super) fn limit_row(at: i64, id: u64, segment: i64, limit: Option<i64>) -> TableRow {
    TableRow {
        table: 0,
        key: [segment].into(),
        at: EventTime(at),
        id,
        row: limit.map(|limit| [limit].into()),
        diff: 1,
    }
}

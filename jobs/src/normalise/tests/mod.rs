//! Normalising against a plain loop over the rows, for every kind of column, plan and number of
//! workers.

mod uncomputed;

use std::collections::BTreeSet;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int64Array, StringArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tidegate_operators::dedup::{fingerprint, id_owner};
use tidegate_operators::parcel::{Arrived, Content, Ids, Pending, Place, owner_of};
use tidegate_schemas::fact::{FactBlock, Head, Seen};
use tidegate_schemas::job::OnConflict;
use tidegate_schemas::names::{KeyHash, code_of};
use tidegate_schemas::time::Span;

use super::*;
use crate::expressions::Planner;

/// A row, and what becomes of it.
#[derive(Clone, Debug)]
struct Row {
    id: u64,
    at: i64,
    key: Option<String>,
    kind: Option<&'static str>,
    number: Option<i64>,
    amount: Option<f64>,
}

const FILTERS: [&str; 4] = ["kind = 'a'", "number > 5", "key = '1'", "amount is null"];
const STRIDE: usize = 6;

/// Whether a bit says that this word has a value.
fn has_presence(word: usize) -> bool {
    [1, 4, 5].contains(&word)
}

impl Row {
    fn random(random: &mut SmallRng, id: u64) -> Row {
        let nulls = random.random_range(0..3) == 0;
        let mut some = || !nulls || random.random_range(0..6) > 0;
        let (key, kind, number, amount) = (some(), some(), some(), some());
        let broken = random.random_range(0..40) == 0;
        Row {
            id,
            at: random.random_range(0..50),
            key: key.then(|| random.random_range(0..9).to_string()),
            kind: kind.then(|| ["a", "b", "long enough"][random.random_range(0..3)]),
            number: number.then(|| random.random_range(0..10)),
            amount: match broken {
                true => Some([f64::NAN, 1e300][random.random_range(0..2)]),
                false => amount.then(|| f64::from(random.random_range(-900..900)) / 100.0),
            },
        }
    }

    fn bits(&self) -> u64 {
        let truths = [
            self.kind == Some("a"),
            self.number.is_some_and(|n| n > 5),
            self.key.as_deref() == Some("1"),
            self.amount.is_none(),
        ];
        let bits = truths.iter().enumerate();
        let bits: u64 = bits.map(|(bit, truth)| u64::from(*truth) << bit).sum();
        let words = self.words().into_iter().enumerate();
        let present = words.filter(|(index, word)| has_presence(*index) && *word != NULL);
        bits | present.map(|(index, _)| 1 << (40 + index)).sum::<u64>()
    }

    /// The words: one that nothing fills, a fixed-point number, a text, one of the key, a whole
    /// number, and a text of two columns.
    fn words(&self) -> [i64; STRIDE] {
        let key = self.key.as_deref();
        let both = self.kind.zip(key).map(|(kind, key)| format!("{kind}{key}"));
        [
            NULL,
            self.amount.map_or(NULL, |x| (x * 100.0).round() as i64),
            self.kind.map_or(NULL, code_of),
            key.map_or(NULL, |key| key.parse::<i64>().unwrap() * 3),
            self.number.unwrap_or(NULL),
            both.map_or(NULL, |both| code_of(&both)),
        ]
    }

    fn is_broken(&self) -> bool {
        self.amount.is_some_and(|x| x.is_nan() || x > 1e200) || self.key.is_none()
    }

    fn print(&self) -> u64 {
        let hash = KeyHash::of(self.key.as_deref().unwrap()).hash;
        fingerprint(hash, EventTime(self.at), self.bits(), &self.words())
    }
}

/// What a column of texts is given as.
#[derive(Clone, Copy, Debug)]
enum Form {
    Plain,
    Dictionary,
}

fn texts(form: Form, texts: Vec<Option<&str>>) -> ArrayRef {
    match form {
        Form::Plain => Arc::new(StringArray::from(texts)),
        Form::Dictionary => {
            let array: DictionaryArray<Int32Type> = texts.into_iter().collect();
            // With a value before the others that no row has, and that is no number.
            let values = array.downcast_dict::<StringArray>().unwrap().values();
            let values: StringArray = std::iter::once(Some("none")).chain(values).collect();
            let keys = array.keys().iter().map(|key| key.map(|key| key + 1));
            Arc::new(DictionaryArray::<Int32Type>::new(
                keys.collect(),
                Arc::new(values),
            ))
        }
    }
}

fn batch(rows: &[Row], form: Form) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "id",
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|r| r.id))),
        ),
        (
            "key",
            texts(form, rows.iter().map(|r| r.key.as_deref()).collect()),
        ),
        ("kind", texts(form, rows.iter().map(|r| r.kind).collect())),
        (
            "number",
            Arc::new(Int64Array::from_iter(rows.iter().map(|r| r.number))),
        ),
        (
            "amount",
            Arc::new(Float64Array::from_iter(rows.iter().map(|r| r.amount))),
        ),
    ];
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let columns = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn plan(schema: &SchemaRef, dedupe: Option<OnConflict>, seen: Option<Seen>) -> FactsPlan {
    let planner = Planner::new();
    let expression = |sql: &str| planner.plan(sql, schema).unwrap();
    let filter = |(bit, sql): (usize, &&str)| Filter {
        expression: expression(sql),
        bit: bit as u8,
    };
    let words = [
        ("amount", 1, WordKind::Fixed(2)),
        ("kind", 2, WordKind::Text),
        ("cast(key as bigint) * 3", 3, WordKind::Int),
        ("number", 4, WordKind::Int),
        ("kind || key", 5, WordKind::Text),
    ];
    let word = |(text, index, kind): (&str, usize, WordKind)| Word {
        expression: expression(text),
        index,
        kind,
        present: has_presence(index).then_some(40 + index as u8),
        text: text.to_owned(),
    };
    FactsPlan {
        key: Some(1),
        id: IdPlan::Number(0),
        tag: IdTag::new(0, 1),
        dedupe,
        seen,
        named: 0,
        lasting: Span::ZERO,
        filters: FILTERS.iter().enumerate().map(filter).collect(),
        words: words.into_iter().map(word).collect(),
        stride: STRIDE,
    }
}

/// A fact and its fingerprint, as they are found in a block.
type Found = (u64, i64, String, u64, Vec<i64>);

fn expected(row: &Row) -> Found {
    let key = row.key.clone().unwrap();
    (row.id, row.at, key, row.bits(), row.words().to_vec())
}

fn found(block: &FactBlock, row: usize) -> Found {
    let Head {
        key,
        diff,
        at,
        id,
        bits,
    } = block.heads[row];
    assert_eq!(diff, 1);
    let name = block.keys.names.get(key as usize).to_owned();
    assert_eq!(block.keys.hash(key), KeyHash::of(&name));
    (id, at.0, name, bits, block.words(row).to_vec())
}

/// The facts of a worker's block.
fn facts_in(block: Option<&FactBlock>) -> Vec<Found> {
    block.map_or(Vec::new(), |block| {
        (0..block.len()).map(|row| found(block, row)).collect()
    })
}

/// The rows whose ids a worker knows, in arrival order, with their prints; those that are hidden by id.
fn rows_in(ids: &Ids, blocks: &[Option<&FactBlock>]) -> Vec<(Result<Found, u64>, u64)> {
    let row = |(number, row): (usize, &Arrived)| {
        let place = ids.place(number);
        if let Some(told) = &ids.facts {
            assert_eq!(told.heads[number].id, row.id);
        }
        if place == Place::HIDDEN {
            return (Err(row.id), row.print);
        }
        let owner = usize::from(place.owner);
        let fact = found(blocks[owner].unwrap(), place.row as usize);
        assert_eq!((fact.0, fact.1), (row.id, row.at.0));
        if let Some(told) = &ids.facts {
            assert_eq!(found(told, number), fact);
        }
        (Ok(fact), row.print)
    };
    ids.rows.iter().enumerate().map(row).collect()
}

/// What was newest before each sound row whose id `to` knows. Broken rows were admitted, too.
fn newest_before(rows: &[Row], to: usize, workers: usize) -> Vec<EventTime> {
    let mut newest = EventTime(-7);
    let mut clocks = Vec::new();
    for row in rows {
        if !row.is_broken() && id_owner(row.id, workers) == to {
            clocks.push(newest);
        }
        newest = newest.max(EventTime(row.at));
    }
    clocks
}

#[test]
fn facts_are_what_a_plain_loop_makes_of_the_rows() {
    for seed in 0..300 {
        let mut random = SmallRng::seed_from_u64(seed);
        let count = [0, 1, 20, 700, 2_000][random.random_range(0..5)];
        let rows: Vec<Row> = (0..count).map(|id| Row::random(&mut random, id)).collect();
        let form = [Form::Plain, Form::Dictionary][random.random_range(0..2)];
        let batch = batch(&rows, form);
        let times: Vec<EventTime> = rows.iter().map(|row| EventTime(row.at)).collect();
        let workers = random.random_range(1..5);
        let all = [None, Some(OnConflict::First), Some(OnConflict::Latest)];
        let dedupe = all[random.random_range(0..3)];
        let seen = random.random_bool(0.5).then(|| Seen {
            bits: 0b0110,
            words: BTreeSet::from([4]),
        });
        let plan = plan(&batch.schema(), dedupe, seen.clone());
        let mut normaliser = Normaliser::new(plan, Arc::default(), workers);
        let whole = normaliser
            .normalise(&batch, &times, 0, EventTime(-7), Faults::default())
            .unwrap();
        let case = format!("seed {seed}: {workers} workers, {form:?}, {dedupe:?}, {seen:?}");
        let broken: Vec<usize> = (0..rows.len())
            .filter(|row| rows[*row].is_broken())
            .collect();
        let faults: Vec<usize> = whole
            .faults
            .clone()
            .into_list()
            .iter()
            .map(|fault| fault.row)
            .collect();
        assert_eq!(faults, broken, "{case}");
        assert_eq!(whole.facts, rows.len() - broken.len(), "{case}");
        let sound: Vec<&Row> = rows.iter().filter(|row| !row.is_broken()).collect();
        let is_seen = |row: &Row| {
            let words = row.words();
            seen.as_ref()
                .is_none_or(|seen| row.bits() & seen.bits != 0 || words[4] != NULL)
        };
        let blocks: Vec<Option<&FactBlock>> = (0..workers)
            .map(|to| {
                let own = whole.parcels.iter().filter(|parcel| parcel.to == to);
                let mut blocks = own.filter_map(|parcel| match &parcel.content {
                    Content::Pending(facts) => Some(&facts.block),
                    _ => None,
                });
                let block = blocks.next();
                assert!(blocks.next().is_none(), "{case}");
                block
            })
            .collect();
        for (to, block) in blocks.iter().enumerate() {
            let hash = |row: &Row| KeyHash::of(row.key.as_deref().unwrap()).hash;
            let own = (sound.iter()).filter(|row| owner_of(hash(row), workers) == to);
            let own = own.filter(|row| is_seen(row));
            let own: Vec<Found> = own.map(|row| expected(row)).collect();
            assert_eq!(facts_in(*block), own, "{case}");
        }
        for to in 0..workers {
            let parcels = whole.parcels.iter().filter(|parcel| parcel.to == to);
            let ids: Vec<&Ids> = parcels
                .filter_map(|parcel| match &parcel.content {
                    Content::Ids(ids) => Some(ids),
                    _ => None,
                })
                .collect();
            if dedupe.is_none() {
                assert!(ids.is_empty(), "{case}");
                continue;
            }
            let own = sound.iter().filter(|row| id_owner(row.id, workers) == to);
            let own = own.map(|row| match is_seen(row) {
                true => (Ok(expected(row)), row.print()),
                false => (Err(row.id), row.print()),
            });
            // What nobody takes back is told once.
            let told = |ids: &&Ids| ids.facts.is_some() == (dedupe == Some(OnConflict::Latest));
            assert!(ids.iter().all(told), "{case}");
            let found = ids.iter().flat_map(|ids| rows_in(ids, &blocks));
            let found: Vec<_> = found.collect();
            assert_eq!(found, own.collect::<Vec<_>>(), "{case}");
            let newest = ids.iter().flat_map(|ids| &ids.rows).map(|row| row.newest);
            let clocks = newest_before(&rows, to, workers);
            assert_eq!(newest.collect::<Vec<_>>(), clocks, "{case}");
        }
    }
}

#[test]
fn no_two_batches_of_an_entity_are_called_the_same() {
    let mut random = SmallRng::seed_from_u64(1);
    let rows: Vec<Row> = (0..20).map(|id| Row::random(&mut random, id)).collect();
    let batch = batch(&rows, Form::Plain);
    let times = vec![EventTime(0); rows.len()];
    let mut known = BTreeSet::new();
    for source in 0..3 {
        let plan = FactsPlan {
            tag: IdTag::new(source, 3),
            ..plan(&batch.schema(), Some(OnConflict::First), None)
        };
        let mut normaliser = Normaliser::new(plan, Arc::default(), 2);
        for ordinal in [0, 20, 40] {
            let whole =
                normaliser.normalise(&batch, &times, ordinal, EventTime(0), Faults::default());
            let parcels = whole.unwrap().parcels.into_iter();
            let labels = parcels.map(|parcel| match parcel.content {
                Content::Pending(pending) => pending.batch,
                Content::Ids(ids) => ids.batch,
                other => panic!("{other:?}"),
            });
            let mut labels: Vec<u64> = labels.collect();
            labels.dedup();
            assert_eq!(labels.len(), 1, "{labels:?}");
            assert!(known.insert(labels[0]), "{source}, {ordinal}");
        }
    }
}

#[test]
fn a_value_that_does_not_fit_says_where_and_why() {
    let mut random = SmallRng::seed_from_u64(1);
    let mut rows: Vec<Row> = (0..3).map(|id| Row::random(&mut random, id)).collect();
    (rows[0].key, rows[0].amount) = (Some("1".to_owned()), Some(1e300));
    (rows[1].key, rows[1].amount) = (None, Some(1.0));
    (rows[2].key, rows[2].amount) = (None, Some(f64::NAN));
    let batch = batch(&rows, Form::Plain);
    let plan = plan(&batch.schema(), None, None);
    let mut normaliser = Normaliser::new(plan, Arc::default(), 1);
    let times = vec![EventTime(0); 3];
    let faults = normaliser
        .normalise(&batch, &times, 0, EventTime::MIN, Faults::default())
        .unwrap()
        .faults;
    let faults = faults.into_list();
    let columns: Vec<_> = faults.iter().map(|fault| fault.column.as_deref()).collect();
    assert_eq!(columns, [Some("amount"), Some("key"), Some("amount")]);
    assert_eq!(faults[1].reason, "the entity's key is null");
    assert!(
        faults[0]
            .reason
            .contains("does not fit a number with 2 decimals")
    );
}

#[test]
fn what_is_wrong_with_a_text_is_wrong_with_every_row_that_has_it() {
    let array: ArrayRef = Arc::new(StringArray::from(vec!["1e5", "x", "2", "x", "1e5"]));
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Utf8, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![array]).unwrap();
    let sql = "case when n = 'x' then 1e300 else cast(n as double) end";
    let plan = FactsPlan {
        key: None,
        id: IdPlan::Ordinal,
        tag: IdTag::new(1, 2),
        dedupe: None,
        seen: None,
        named: 0,
        lasting: Span::ZERO,
        filters: Vec::new(),
        words: vec![Word {
            expression: Planner::new().plan(sql, &schema).unwrap(),
            index: 0,
            kind: WordKind::Fixed(1),
            present: None,
            text: "n".to_owned(),
        }],
        stride: 1,
    };
    let mut normaliser = Normaliser::new(plan, Arc::default(), 1);
    let times = vec![EventTime(0); 5];
    let whole = normaliser
        .normalise(&batch, &times, 7, EventTime::MIN, Faults::default())
        .unwrap();
    let faults: Vec<usize> = whole
        .faults
        .clone()
        .into_list()
        .iter()
        .map(|fault| fault.row)
        .collect();
    assert_eq!(faults, [1, 3]);
    let Content::Pending(Pending { block, .. }) = &whole.parcels[0].content else {
        panic!("not facts");
    };
    assert_eq!(block.words, [1_000_000, 20, 1_000_000]);
    let ids: Vec<u64> = block.heads.iter().map(|head| head.id - (1 << 63)).collect();
    assert_eq!(ids, [7, 9, 11]);
}

#[test]
fn a_whole_number_beyond_64_bits_is_wrong_and_not_null() {
    let numbers = [Some(7), Some(u64::MAX), None];
    let texts = numbers.map(|number| number.map(|number| number.to_string()));
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::UInt64, true),
        Field::new("t", DataType::Utf8, true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from_iter(numbers)),
        Arc::new(StringArray::from_iter(texts)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    for sql in ["n", "cast(t as bigint unsigned)"] {
        let plan = FactsPlan {
            key: None,
            id: IdPlan::Ordinal,
            tag: IdTag::new(1, 2),
            dedupe: None,
            seen: None,
            named: 0,
            lasting: Span::ZERO,
            filters: Vec::new(),
            words: vec![Word {
                expression: Planner::new().plan(sql, &schema).unwrap(),
                index: 0,
                kind: WordKind::Int,
                present: None,
                text: sql.to_owned(),
            }],
            stride: 1,
        };
        let mut normaliser = Normaliser::new(plan, Arc::default(), 1);
        let whole = normaliser.normalise(
            &batch,
            &[EventTime(0); 3],
            0,
            EventTime::MIN,
            Faults::default(),
        );
        let whole = whole.unwrap();
        let [fault] = &whole.faults.clone().into_list()[..] else {
            panic!("{sql}: {:?}", whole.faults);
        };
        assert_eq!((fault.row, fault.column.as_deref()), (1, Some(sql)));
        assert!(
            fault
                .reason
                .starts_with("18446744073709551615 does not fit")
        );
        let Content::Pending(Pending { block, .. }) = &whole.parcels[0].content else {
            panic!("not facts");
        };
        assert_eq!(block.words, [7, NULL], "{sql}");
    }
}

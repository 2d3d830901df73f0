//! The events as JSON lines: the columns in their order, nulls written out, `ts` as milliseconds since 1970.

use std::{fs, fs::File, io::Write, path::Path};

use super::{
    Chunks,
    events::Event,
    journey::{CHANNELS, KINDS},
    under_another_name,
};
use crate::error::Error;

pub(super) fn write(path: &Path, chunks: &Chunks) -> Result<(), Error> {
    let temporary = under_another_name(path);
    let mut file = File::create(&temporary).map_err(Error::write(&temporary))?;
    let mut text = Vec::new();
    for chunk in chunks {
        text.clear();
        chunk.iter().for_each(|event| append(event, &mut text));
        file.write_all(&text).map_err(Error::write(&temporary))?;
    }
    fs::rename(&temporary, path).map_err(Error::write(path))
}

/// Appends one event as a line. Written out by hand: a serializer would take most of the generator's time.
pub fn append(event: &Event, to: &mut Vec<u8>) {
    to.extend_from_slice(b"{\"event_id\":");
    digits(event.id, 1, to);
    to.extend_from_slice(b",\"customer_id\":\"c");
    digits(event.customer.into(), 7, to);
    to.extend_from_slice(b"\",\"ts\":");
    digits(event.ts as u64, 1, to);
    to.extend_from_slice(b",\"channel\":\"");
    to.extend_from_slice(CHANNELS[usize::from(event.channel)].as_bytes());
    to.extend_from_slice(b"\",\"kind\":\"");
    to.extend_from_slice(KINDS[usize::from(event.kind)].as_bytes());
    to.extend_from_slice(b"\",\"topic\":\"t");
    digits(event.topic.into(), 2, to);
    to.extend_from_slice(b"\",\"handle_secs\":");
    decimal(event.handle_cents.map(i64::from), 2, to);
    to.extend_from_slice(b",\"sentiment\":");
    decimal(event.sentiment_milli.map(i64::from), 3, to);
    to.extend_from_slice(b",\"csat\":");
    match event.csat {
        Some(csat) => digits(csat as u64, 1, to),
        None => to.extend_from_slice(b"null"),
    }
    to.extend_from_slice(b"}\n");
}

fn decimal(value: Option<i64>, places: u32, to: &mut Vec<u8>) {
    let Some(value) = value else {
        to.extend_from_slice(b"null");
        return;
    };
    if value < 0 {
        to.push(b'-');
    }
    let unit = 10u64.pow(places);
    digits(value.unsigned_abs() / unit, 1, to);
    to.push(b'.');
    digits(value.unsigned_abs() % unit, places as usize, to);
}

pub(super) fn digits(mut value: u64, at_least: usize, to: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    let mut start = 20;
    while value > 0 {
        start -= 1;
        text[start] = b'0' + (value % 10) as u8;
        value /= 10;
    }
    to.extend_from_slice(&text[start.min(20 - at_least)..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_with_the_columns_in_order() {
        let event = Event {
            ts: 1_704_067_200_123,
            id: 42,
            customer: 1_234,
            channel: 0,
            kind: 6,
            topic: 7,
            sentiment_milli: Some(-45),
            csat: None,
            handle_cents: Some(12_305),
        };
        let mut line = Vec::new();
        append(&event, &mut line);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"event_id\":42,\"customer_id\":\"c0001234\",\"ts\":1704067200123,\"channel\":\"chat\",\"kind\":\"message\",\"topic\":\"t07\",\
             \"handle_secs\":123.05,\"sentiment\":-0.045,\"csat\":null}\n"
        );
    }

    #[test]
    fn zero_and_padding() {
        let mut text = Vec::new();
        digits(0, 1, &mut text);
        text.push(b' ');
        digits(5, 2, &mut text);
        text.push(b' ');
        digits(u64::MAX, 1, &mut text);
        text.push(b' ');
        decimal(Some(0), 3, &mut text);
        assert_eq!(text, b"0 05 18446744073709551615 0.000");
    }
}

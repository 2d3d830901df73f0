//! What a customer does next: a Markov chain over the kinds of rows, and the columns that come with each kind.

use super::dice::{Alias, Dice};

/// The kinds of rows, by code.
pub const KINDS: [&str; 10] = [
    "page_view",
    "search",
    "article_view",
    "login",
    "error_shown",
    "contact_opened",
    "message",
    "contact_resolved",
    "contact_escalated",
    "survey",
];
/// The code of `contact_opened`.
pub const CONTACT_OPENED: u8 = 5;
/// The code of `message`.
pub const MESSAGE: u8 = 6;
/// The code of `contact_resolved`.
pub const CONTACT_RESOLVED: u8 = 7;
/// The code of `contact_escalated`.
pub const CONTACT_ESCALATED: u8 = 8;
/// The code of `survey`.
pub const SURVEY: u8 = 9;

/// The channels, by code.
pub const CHANNELS: [&str; 6] = ["chat", "email", "voice", "web", "app", "social"];
const CHANNEL_WEIGHTS: [f64; 6] = [28.0, 17.0, 12.0, 24.0, 15.0, 4.0];

/// How many topics there are: `t00` to `t39`.
pub const TOPICS: usize = 40;
/// The day on which the mix of topics shifts.
pub const SHIFT_DAY: i64 = 20;

// Chances in percent of the next kind (columns, in the order of KINDS), after a kind (rows), or first of all (last row).
// Their stationary distribution has 6.2% contact_opened.
const NEXT: [[u8; 10]; 11] = [
    [47, 20, 12, 10, 6, 5, 0, 0, 0, 0],
    [22, 20, 42, 5, 4, 7, 0, 0, 0, 0],
    [36, 21, 24, 6, 6, 7, 0, 0, 0, 0],
    [60, 15, 6, 6, 9, 4, 0, 0, 0, 0],
    [30, 20, 11, 5, 16, 18, 0, 0, 0, 0],
    [14, 6, 0, 0, 0, 5, 61, 8, 6, 0],
    [16, 4, 0, 0, 0, 4, 50, 20, 6, 0],
    [33, 10, 0, 10, 0, 7, 0, 0, 0, 40],
    [15, 0, 0, 0, 0, 0, 55, 30, 0, 0],
    [55, 15, 5, 20, 0, 5, 0, 0, 0, 0],
    [46, 13, 8, 25, 3, 5, 0, 0, 0, 0],
];
const AT_FIRST: u8 = 10;

/// Where every customer is in the journey, and the tables that say what comes next.
pub struct Journeys {
    last: Vec<u8>,
    next: [[u8; 100]; 11],
    channels: Alias,
    topics: [Alias; 2],
}

impl Journeys {
    /// Journeys of `customers` customers of whom none has been seen.
    pub fn new(customers: usize) -> Journeys {
        let before: Vec<f64> = (0..TOPICS).map(|t| 1.0 / (t as f64 + 6.0)).collect();
        let mut after = before.clone();
        // A product breaks (t03, t11), a campaign starts (t27), an old matter is settled (t05).
        for (topic, factor) in [(3, 2.5), (11, 2.0), (27, 4.0), (5, 0.3)] {
            after[topic] *= factor;
        }
        Journeys {
            last: vec![AT_FIRST; customers],
            next: NEXT.map(spread),
            channels: Alias::new(&CHANNEL_WEIGHTS),
            topics: [Alias::new(&before), Alias::new(&after)],
        }
    }

    /// The next kind of row of a customer.
    pub fn next_kind(&mut self, customer: u32, dice: &mut Dice) -> u8 {
        let last = &mut self.last[customer as usize];
        *last = self.next[usize::from(*last)][dice.below(100) as usize];
        *last
    }

    /// The channel of a row.
    pub fn channel(&self, dice: &mut Dice) -> u8 {
        self.channels.pick(dice) as u8
    }

    /// The topic of a row on a day.
    pub fn topic(&self, day: i64, dice: &mut Dice) -> u8 {
        self.topics[usize::from(day >= SHIFT_DAY)].pick(dice) as u8
    }
}

fn spread(chances: [u8; 10]) -> [u8; 100] {
    let mut kinds = (0u8..)
        .zip(chances)
        .flat_map(|(kind, chance)| std::iter::repeat_n(kind, usize::from(chance)));
    std::array::from_fn(|_| kinds.next().unwrap_or(0))
}

/// Handling time in hundredths of a second: half a minute at least, seven and a half minutes on average.
pub fn handle_cents(dice: &mut Dice) -> u32 {
    (3_000.0 - 42_000.0 * (1.0 - dice.unit()).ln()) as u32
}

/// Sentiment in thousandths, -1000 to 1000, slightly above zero on average.
pub fn sentiment_milli(dice: &mut Dice) -> i16 {
    (dice.below(1_101) as i16 + dice.below(1_001) as i16 - 1_000).min(1_000)
}

/// A satisfaction score, 1 to 5, mostly high.
pub fn csat(dice: &mut Dice) -> i8 {
    [1, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5][dice.below(16) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chances_add_up() {
        for row in NEXT {
            assert_eq!(
                row.iter().map(|&c| u32::from(c)).sum::<u32>(),
                100,
                "{row:?}"
            );
        }
    }

    #[test]
    fn a_resolved_contact_was_opened_before() {
        let (mut journeys, mut dice) = (Journeys::new(1), Dice::new(3));
        let mut last = AT_FIRST;
        for _ in 0..10_000 {
            let kind = journeys.next_kind(0, &mut dice);
            if kind == CONTACT_RESOLVED {
                assert!(
                    [CONTACT_OPENED, MESSAGE, CONTACT_ESCALATED].contains(&last),
                    "after {last}"
                );
            }
            last = kind;
        }
    }
}

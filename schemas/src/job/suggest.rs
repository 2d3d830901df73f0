//! Did you mean: the known word closest to one that is not known.

/// The candidate closest to `word`, if one is close enough to be meant.
#[must_use]
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance of a very long word costs its length squared and can be near to none.
    if word.len() > 100 {
        return None;
    }
    let lower = word.to_lowercase();
    let near = |candidate: &str| {
        let other = candidate.to_lowercase();
        let longest = lower.chars().count().max(other.chars().count());
        let edits = strsim::damerau_levenshtein(&lower, &other);
        let begins = lower.len() >= 4 && (other.starts_with(&lower) || lower.starts_with(&other));
        // Of two candidates, the one that differs in separators alone is meant.
        let bare = |word: &str| word.replace(['_', '-', '.', ' '], "");
        let letters = strsim::damerau_levenshtein(&bare(&lower), &bare(&other));
        (edits <= longest / 3 || (begins && other.len() >= 4)).then_some((letters, edits))
    };
    candidates
        .into_iter()
        .filter_map(|candidate| near(candidate).map(|edits| (edits, candidate)))
        .min()
        .map(|(_, candidate)| candidate)
}

/// So many that have the word in them are still a help.
const MOST: usize = 3;

/// Help for an unknown word: those few that have it as one of their words, the closest known one, or all of them.
pub(super) fn help<'a>(
    word: &str,
    what: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<String> {
    let mut all: Vec<_> = candidates.into_iter().collect();
    // One word of several: `distinct` may stand for `count_distinct` as for `distinct_k`.
    let having = |name: &&&str| name.split('_').any(|part| part == word);
    let having: Vec<String> = (all.iter().filter(having))
        .map(|name| format!("`{name}`"))
        .collect();
    if having.len() > 1 && having.len() <= MOST {
        return Some(format!("did you mean {}?", having.join(" or ")));
    }
    if let Some(close) = closest(word, all.iter().copied()) {
        return Some(format!("did you mean `{close}`?"));
    }
    all.sort_unstable();
    all.dedup();
    match all.len() {
        0 => None,
        n if n > 30 => None,
        _ => Some(format!("{what}: {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_slips_are_recognised_and_strangers_are_not() {
        let keys = ["windows", "where", "of", "op", "scale"];
        assert_eq!(closest("window", keys), Some("windows"));
        assert_eq!(closest("windwos", keys), Some("windows"));
        assert_eq!(closest("Where", keys), Some("where"));
        assert_eq!(closest("pattern", keys), None);
        assert_eq!(closest("", keys), None);
        assert_eq!(closest("late", ["lateness"]), Some("lateness"));
        assert_eq!(closest("lastk", ["last", "last_k"]), Some("last_k"));
    }

    #[test]
    fn a_word_of_several_names_stands_for_each_of_them() {
        let ops = ["count", "count_distinct", "distinct_k", "last"];
        let text = help("distinct", "known", ops);
        let both = "did you mean `count_distinct` or `distinct_k`?";
        assert_eq!(text.as_deref(), Some(both));
        assert_eq!(
            help("lastly", "known", ops).as_deref(),
            Some("did you mean `last`?")
        );
    }

    #[test]
    fn without_a_close_word_all_are_listed() {
        let text = help("zzz", "known", ["b", "a"]);
        assert_eq!(text.as_deref(), Some("known: a, b"));
    }
}

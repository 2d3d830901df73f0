//! HTML in which every text from outside is escaped: only what the program itself says can be markup.

use std::fmt::{Display, Write};

/// A name that is longer is cut, and has the whole as its title.
const LONGEST_NAME: usize = 48;

/// A page, or a part of one.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Html(String);

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// A name from outside, a long one cut.
    Name(String),
    /// Words of our own.
    Words(String),
    /// A moment.
    Moment(String),
    /// Words that lead to a section.
    Link { to: String, name: String },
    /// A figure.
    Number(String),
    /// A figure or words that should be seen.
    Strong(String),
}

impl Html {
    /// A text, escaped.
    pub(super) fn text(text: impl Display) -> Html {
        let mut html = Html::default();
        html.say(text);
        html
    }

    /// Markup of our own.
    pub(super) fn markup(markup: &'static str) -> Html {
        Html(markup.to_owned())
    }

    /// A drawing, whose texts are escaped by who drew it.
    pub(super) fn drawing(svg: String) -> Html {
        Html(svg)
    }

    /// Adds a text, escaped.
    pub(super) fn say(&mut self, text: impl Display) {
        escape_into(&mut self.0, &text.to_string());
    }

    /// Adds another part.
    pub(super) fn add(&mut self, part: Html) {
        self.0.push_str(&part.0);
    }

    /// Adds an element.
    pub(super) fn put(&mut self, tag: &'static str, content: Html) {
        self.element(tag, &[], content);
    }

    /// Adds an element with attributes.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: &[(&'static str, &str)],
        content: Html,
    ) {
        // Writing to a text cannot fail.
        let _ = write!(self.0, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.0, " {name}=\"");
            escape_into(&mut self.0, value);
            self.0.push('"');
        }
        let _ = write!(self.0, ">{}</{tag}>", content.0);
        if !matches!(tag, "span" | "a" | "td" | "th" | "strong") {
            self.0.push('\n');
        }
    }

    /// Adds a table. The first cell of a row says what the row is of.
    pub(super) fn table(&mut self, caption: &str, head: &[&str], rows: &[Vec<Cell>]) {
        let is_number = |column: usize| {
            let mut cells = rows.iter().filter_map(|row| row.get(column));
            cells.any(|cell| matches!(cell, Cell::Number(_)))
        };
        let mut titles = Html::default();
        for (column, title) in head.iter().enumerate() {
            let class: &[_] = match is_number(column) {
                true => &[("scope", "col"), ("class", "number")],
                false => &[("scope", "col")],
            };
            titles.element("th", class, Html::text(title));
        }
        let mut head = Html::default();
        head.put("tr", titles);
        let mut body = Html::default();
        for row in rows {
            let mut cells = Html::default();
            for (column, cell) in row.iter().enumerate() {
                match column {
                    0 => cells.element("th", &[("scope", "row")], cell.html()),
                    _ => cells.element("td", cell.class(), cell.html()),
                }
            }
            body.put("tr", cells);
        }
        let mut table = Html::default();
        table.put("caption", Html::text(caption));
        table.put("thead", head);
        table.put("tbody", body);
        let mut wide = Html::default();
        wide.put("table", table);
        self.element("div", &[("class", "wide")], wide);
    }

    /// The whole page around this content.
    pub(super) fn page(self, title: &str) -> String {
        let mut head = Html::markup(
            "<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n",
        );
        head.put("title", Html::text(title));
        head.put("style", Html::markup(include_str!("style.css")));
        let mut body = Html::default();
        body.put("main", self);
        let mut page = Html::default();
        page.put("head", head);
        page.put("body", body);
        let mut all = Html::markup("<!DOCTYPE html>\n");
        all.element("html", &[("lang", "en")], page);
        all.0
    }
}

impl Cell {
    fn html(&self) -> Html {
        let mut html = Html::default();
        match self {
            Cell::Name(name) => html.add(name_of(name)),
            Cell::Link { to, name } => html.element("a", &[("href", to)], name_of(name)),
            Cell::Number(text) | Cell::Words(text) | Cell::Moment(text) => html.say(text),
            Cell::Strong(text) => html.put("strong", Html::text(text)),
        }
        html
    }

    fn class(&self) -> &'static [(&'static str, &'static str)] {
        match self {
            Cell::Number(_) => &[("class", "number")],
            Cell::Strong(_) | Cell::Moment(_) => &[("class", "whole")],
            _ => &[],
        }
    }
}

/// A name; a long one is cut, with the whole as its title.
pub(super) fn name_of(name: &str) -> Html {
    match cut(name, LONGEST_NAME) {
        None => Html::text(name),
        Some(short) => {
            let mut html = Html::default();
            html.element("span", &[("title", name)], Html::text(short));
            html
        }
    }
}

/// The beginning of a text that is longer than this.
pub(super) fn cut(text: &str, longest: usize) -> Option<String> {
    let long = text.chars().nth(longest).is_some();
    long.then(|| text.chars().take(longest - 1).chain(['…']).collect())
}

/// A text as it stands in HTML, in attributes too.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::new();
    escape_into(&mut html, text);
    html
}

fn escape_into(html: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            '\t' | '\n' | '\r' => html.push(' '),
            // Neither to be seen nor allowed.
            other if other.is_control() => html.push('\u{fffd}'),
            other => html.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut html = Html::text("<script>\"&'\0");
        html.element("a", &[("title", "\" onclick=\"x")], Html::text("a<b"));
        assert_eq!(
            html.0,
            "&lt;script&gt;&quot;&amp;&#39;\u{fffd}<a title=\"&quot; onclick=&quot;x\">a&lt;b</a>"
        );
    }

    #[test]
    fn a_long_name_is_cut_and_has_the_whole_as_its_title() {
        let name = "ä".repeat(49);
        let html = name_of(&name).0;
        assert_eq!(
            html,
            format!("<span title=\"{name}\">{}…</span>", "ä".repeat(47))
        );
        assert_eq!(name_of(&"ä".repeat(48)).0, "ä".repeat(48));
    }
}

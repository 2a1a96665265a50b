//! Text.

use super::{Args, Filter, LIMIT, filter, room};
use crate::template::liquid::text::{is_space, length, split_at_char, split_spaces, trim};
use crate::template::liquid::value::Val;

pub(super) static FILTERS: [Filter; 24] = [
    filter("append", 1, 1, |value, args| Ok(Val::owned([value.text(), args.text(0)].concat()))),
    filter("capitalize", 0, 0, |value, _| Ok(Val::owned(capitalize(&value.text())))),
    filter("downcase", 0, 0, |value, _| Ok(Val::owned(value.text().to_lowercase()))),
    filter("lstrip", 0, 1, |value, args| Ok(strip(&value, args, true, false))),
    filter("normalize_whitespace", 0, 0, |value, _| Ok(Val::owned(split_spaces(&value.text()).join(" ")))),
    filter("number_of_words", 0, 0, |value, _| Ok(number_of_words(&value))),
    filter("prepend", 1, 1, |value, args| Ok(Val::owned([args.text(0), value.text()].concat()))),
    filter("remove", 1, 1, |value, args| replace(&value.text(), &args.text(0), "").map(Val::owned)),
    filter("remove_first", 1, 1, |value, args| Ok(Val::owned(value.text().replacen(&*args.text(0), "", 1)))),
    filter("remove_last", 1, 1, |value, args| Ok(replace_last(&value, &args.text(0), ""))),
    filter("replace", 1, 2, |value, args| replace(&value.text(), &args.text(0), &args.text(1)).map(Val::owned)),
    filter("replace_first", 1, 2, |value, args| {
        Ok(Val::owned(value.text().replacen(&*args.text(0), &args.text(1), 1)))
    }),
    filter("replace_last", 1, 2, |value, args| Ok(replace_last(&value, &args.text(0), &args.text(1)))),
    filter("rstrip", 0, 1, |value, args| Ok(strip(&value, args, false, true))),
    filter("size", 0, 0, |value, _| Ok(size(&value))),
    filter("slice", 0, 2, |value, args| Ok(slice(&value, args))),
    filter("split", 1, 1, |value, args| Ok(split(&value.text(), &args.text(0)))),
    filter("squish", 0, 0, |value, _| Ok(Val::owned(split_spaces(trim(&value.text())).join(" ")))),
    filter("strip", 0, 1, |value, args| Ok(strip(&value, args, true, true))),
    filter("strip_newlines", 0, 0, |value, _| Ok(Val::owned(value.text().replace("\r\n", "\n").replace('\n', "")))),
    filter("truncate", 0, 2, |value, args| Ok(truncate(value, args))),
    filter("truncatewords", 0, 2, |value, args| Ok(truncatewords(&value, args))),
    filter("upcase", 0, 0, |value, _| Ok(Val::owned(value.text().to_uppercase()))),
    filter("newline_to_br", 0, 0, |value, _| {
        Ok(Val::owned(value.text().replace("\r\n", "\n").replace('\n', "<br />\n")))
    }),
];

/// The first UTF-16 unit upper case, the rest lower case.
fn capitalize(text: &str) -> String {
    let (first, rest) = split_at_char(text, 1);
    let first = if length(first) == 1 { first.to_uppercase() } else { first.to_owned() };
    first + &rest.to_lowercase()
}

/// White space, or the characters of the argument.
fn strip<'a>(value: &Val<'a>, args: &Args<'a>, start: bool, end: bool) -> Val<'a> {
    let (text, set) = (value.text(), args.text(0));
    let gone = |c: char| if set.is_empty() { is_space(c) } else { set.contains(c) };
    let text = if start { text.trim_start_matches(gone) } else { &text };
    Val::owned(if end { text.trim_end_matches(gone) } else { text })
}

/// Every `pattern`. An empty one stands between any two characters.
fn replace(text: &str, pattern: &str, with: &str) -> Result<String, String> {
    let found = if pattern.is_empty() { text.chars().count() } else { text.matches(pattern).count() };
    room(found.saturating_mul(with.len()))?;
    if !pattern.is_empty() {
        return Ok(text.replace(pattern, with));
    }
    Ok(text.chars().map(String::from).collect::<Vec<_>>().join(with))
}

fn replace_last<'a>(value: &Val<'a>, pattern: &str, with: &str) -> Val<'a> {
    let text = value.text();
    match text.rfind(pattern) {
        Some(at) => Val::owned([&text[..at], with, &text[at + pattern.len()..]].concat()),
        None => Val::Text(text),
    }
}

/// Length in UTF-16 units, or the number of items; 0 for what has none.
fn size<'a>(value: &Val<'a>) -> Val<'a> {
    match value {
        Val::Text(_) | Val::Json(_) => value.get(&Val::owned("size")),
        other if other.is_array() => other.get(&Val::owned("size")),
        _ => Val::Num(crate::template::liquid::number::Num::Int(0)),
    }
}

/// A stretch of a text, in characters, or of an array; one character or item where no length is given.
fn slice<'a>(value: &Val<'a>, args: &Args<'a>) -> Val<'a> {
    if value.is_nil() {
        return Val::array(Vec::new());
    }
    let count = args.get(1).map_or(1, Val::whole);
    let begin = |length: usize| {
        let begin = args.get(0).map_or(0, Val::whole);
        usize::try_from(if begin < 0 { begin.saturating_add(length as i64) } else { begin }).ok()
    };
    if let Some(items) = value.items() {
        let stretch = begin(items.len()).zip(usize::try_from(count).ok());
        return Val::array(
            stretch.map_or(Vec::new(), |(from, count)| items.iter().skip(from).take(count).cloned().collect()),
        );
    }
    let text = value.text();
    match begin(text.chars().count()).zip(usize::try_from(count).ok()) {
        Some((from, count)) => Val::owned(split_at_char(split_at_char(&text, from).1, count).0),
        None => Val::owned(""),
    }
}

/// Without the empty pieces at the end; an empty separator makes characters.
fn split<'a>(text: &str, separator: &str) -> Val<'a> {
    let mut pieces: Vec<Val<'a>> = match separator {
        "" => text.chars().map(|c| Val::owned(c.to_string())).collect(),
        _ => text.split(separator).map(Val::owned).collect(),
    };
    while matches!(pieces.last(), Some(Val::Text(last)) if last.is_empty()) {
        pieces.pop();
    }
    Val::array(pieces)
}

/// To so many characters, the ellipsis among them.
fn truncate<'a>(value: Val<'a>, args: &Args<'a>) -> Val<'a> {
    let text = value.text();
    let most = args.get(0).map_or(50, Val::whole).min(LIMIT as i64);
    let count = text.chars().count() as i64;
    if count <= most || count == 0 {
        return value;
    }
    let ellipsis = args.get(1).map_or("...".into(), Val::text);
    let kept = usize::try_from(most - ellipsis.chars().count() as i64).unwrap_or(0);
    Val::owned([split_at_char(&text, kept).0, &ellipsis].concat())
}

fn truncatewords<'a>(value: &Val<'a>, args: &Args<'a>) -> Val<'a> {
    let text = value.text();
    let words = split_spaces(text.trim_start_matches(is_space));
    let most = usize::try_from(args.get(0).map_or(15, Val::whole)).unwrap_or(1).max(1);
    let mut out = words[..most.min(words.len())].join(" ");
    // LiquidJS adds the ellipsis also where the text has just as many words.
    if words.len() >= most {
        out.push_str(&args.get(1).map_or("...".into(), Val::text));
    }
    Val::owned(out)
}

fn number_of_words<'a>(value: &Val<'a>) -> Val<'a> {
    let text = value.text();
    let words = trim(&text);
    let count = if words.is_empty() { 0 } else { split_spaces(words).len() };
    Val::Num(crate::template::liquid::number::Num::Int(count as i64))
}

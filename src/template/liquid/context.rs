//! Where in the JSON each `{{ … }}` stands, and the filter that follows from it.
//!
//! The template's own text is read as JSON up to one question: inside a string, or outside? Inside, a value is escaped
//! and gets no quotes; outside, it is a whole JSON value. So `"name": "{{row.name}}"` survives a quote and
//! `"mrr": {{row.mrr}}` survives a NULL. Branches must agree about where they end, or the question has no answer.

use super::lex::{Piece, PieceKind, line_column, tag_name, tokens};
use super::names::{Shape, shape};
use crate::row::Schema;
use crate::template::{Place, TemplateError};

/// The private variable that holds the values written without Liquid.
pub(super) const SLOTS: &str = "nightmark_slots";
/// The private filters.
pub(super) const TO_JSON: &str = "nightmark_json";
pub(super) const TO_TEXT: &str = "nightmark_text";

/// A column that stands alone in an expression, and how it is written there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) column: usize,
    /// Inside a JSON string.
    pub(super) quoted: bool,
}

/// A template with every output made safe.
#[derive(Debug, Default)]
pub(super) struct Rewritten {
    pub(super) text: String,
    pub(super) slots: Vec<Slot>,
    pub(super) problems: Vec<TemplateError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside,
    /// Inside a string, behind a backslash.
    Escape,
}

impl State {
    fn after(self, text: &str) -> State {
        text.bytes().fold(self, |state, byte| match (state, byte) {
            (State::Outside, b'"') => State::Inside,
            (State::Outside, _) => State::Outside,
            (State::Inside, b'"') => State::Outside,
            (State::Inside, b'\\') => State::Escape,
            (State::Inside | State::Escape, _) => State::Inside,
        })
    }
}

/// A block that is open.
struct Block {
    name: String,
    start: State,
    /// Where the branches that are over ended.
    ends: Vec<State>,
    /// One of the branches is always taken.
    total: bool,
}

/// Appends the filters. `pieces` are those of `template`.
pub(super) fn rewrite(template: &str, pieces: &[Piece], schema: &Schema) -> Rewritten {
    let mut writer = Writer { template, schema, state: State::Outside, blocks: Vec::new(), out: Rewritten::default() };
    for piece in pieces {
        match piece.kind {
            PieceKind::Text => {
                writer.copy(piece);
                if !writer.captured() {
                    writer.state = writer.state.after(&template[piece.span.clone()]);
                }
            }
            PieceKind::Comment => writer.copy(piece),
            PieceKind::Tag => {
                writer.copy(piece);
                writer.tag(piece);
            }
            PieceKind::Expression => writer.expression(piece),
        }
    }
    if writer.state != State::Outside && writer.blocks.is_empty() && writer.out.problems.is_empty() {
        writer.problem(template.len(), "a JSON string is not closed", "a `\"` is missing in the template");
    }
    writer.out
}

struct Writer<'t> {
    template: &'t str,
    schema: &'t Schema,
    state: State,
    blocks: Vec<Block>,
    out: Rewritten,
}

impl Writer<'_> {
    fn copy(&mut self, piece: &Piece) {
        self.out.text.push_str(&self.template[piece.span.clone()]);
    }

    fn problem(&mut self, at: usize, message: &str, hint: &str) {
        let (line, column) = line_column(self.template, at);
        self.out.problems.push(TemplateError::new(Place::Template { line, column }, message).hint(hint));
    }

    /// Within `{% capture %}` nothing comes out yet: the variable is made safe where it is printed.
    fn captured(&self) -> bool {
        self.blocks.iter().any(|block| block.name == "capture")
    }

    fn expression(&mut self, piece: &Piece) {
        if self.captured() {
            return self.copy(piece);
        }
        if self.state == State::Escape {
            self.problem(piece.span.start, "a backslash stands before `{{`", "take it out: values are escaped anyway");
            self.state = State::Inside;
        }
        let quoted = self.state != State::Outside;
        let open = &self.template[piece.span.start..piece.inner.start];
        let close = &self.template[piece.inner.end..piece.span.end];
        let inner = &self.template[piece.inner.clone()];
        let inner = match shape(&tokens(self.template, &piece.inner), self.schema) {
            Shape::Column { index, json } if !(quoted && json) => self.slot(Slot { column: index, quoted }),
            Shape::Other { json: true } if !quoted => inner.to_owned(),
            Shape::Column { .. } | Shape::Other { .. } => {
                format!("{} | {} ", inner.trim_end(), if quoted { TO_TEXT } else { TO_JSON })
            }
        };
        self.out.text.push_str(open);
        self.out.text.push_str(&inner);
        self.out.text.push_str(close);
    }

    fn slot(&mut self, slot: Slot) -> String {
        let at = self.out.slots.iter().position(|s| *s == slot).unwrap_or_else(|| {
            self.out.slots.push(slot);
            self.out.slots.len() - 1
        });
        format!(" {SLOTS}[{at}] ")
    }

    fn tag(&mut self, piece: &Piece) {
        let name = tag_name(self.template, piece).unwrap_or_default();
        match name.as_str() {
            "if" | "unless" | "case" | "for" | "ifchanged" | "capture" => {
                self.blocks.push(Block { name, start: self.state, ends: Vec::new(), total: false });
            }
            "else" | "elsif" | "when" => {
                if let Some(block) = self.blocks.last_mut() {
                    // What stands between {% case %} and the first {% when %} never comes out.
                    if !(block.name == "case" && name == "when" && block.ends.is_empty()) {
                        block.ends.push(self.state);
                    } else {
                        block.ends.push(block.start);
                    }
                    block.total |= name == "else" && block.name != "for";
                    self.state = block.start;
                }
            }
            _ => {
                if let Some(ended) = name.strip_prefix("end")
                    && self.blocks.last().is_some_and(|block| block.name == ended)
                {
                    self.end(piece);
                }
            }
        }
    }

    fn end(&mut self, piece: &Piece) {
        let Some(mut block) = self.blocks.pop() else { return };
        block.ends.push(self.state);
        if block.name == "case" && block.total {
            // The first entry stands for the stretch before the first {% when %}.
            block.ends.remove(0);
        } else if !block.total {
            block.ends.push(block.start);
        }
        if block.name == "capture" {
            self.state = block.start;
        } else if block.ends.windows(2).any(|pair| pair[0] != pair[1]) {
            let message = format!("the ways through this {} block end inside and outside of a JSON string", block.name);
            self.problem(piece.span.start, &message, "open and close each `\"` within the same branch");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lex::pieces;
    use super::*;
    use crate::row::{Column, Kind};

    fn rewritten(template: &str) -> Rewritten {
        let columns = ["a", "b"].map(|name| Column { name: name.into(), kind: Kind::Text });
        rewrite(template, &pieces(template), &Schema { columns: columns.into() })
    }

    fn check(template: &str, expected: &str) {
        let out = rewritten(template);
        assert_eq!(out.problems, [], "{template}");
        let shown = out.text.replace("nightmark_", "n_");
        let shown = out.slots.iter().enumerate().fold(shown, |text, (at, slot)| {
            let name = format!("{}{}", self::short(slot.quoted), slot.column);
            text.replace(&format!("n_slots[{at}]"), &name)
        });
        assert_eq!(shown, expected, "{template}");
    }

    fn short(quoted: bool) -> &'static str {
        if quoted { "text" } else { "json" }
    }

    fn check_problem(template: &str, expected: &str) {
        let problems: Vec<_> = rewritten(template).problems.iter().map(ToString::to_string).collect();
        assert_eq!(problems.len(), 1, "{template}: {problems:?}");
        assert!(problems[0].contains(expected), "{template}: {problems:?}");
    }

    #[test]
    fn every_output_gets_the_form_of_its_place() {
        check(r#"{"k": {{row.a}}}"#, r#"{"k": {{ json0 }}}"#);
        check(r#"{"k": "{{ row.a }}!"}"#, r#"{"k": "{{ text0 }}!"}"#);
        check(r#"["{{-row["a"]-}}",{{record.b|json}}]"#, r#"["{{- text0 -}}",{{ json1 }}]"#);
        check("{{ row.a | upcase }}", "{{ row.a | upcase | n_json }}");
        check(r#""{{ row.a | upcase -}}""#, r#""{{ row.a | upcase | n_text -}}""#);
        check("{{ row.a | upcase | json }}", "{{ row.a | upcase | json }}");
        check(r#""{{ row.a | json }}""#, r#""{{ row.a | json | n_text }}""#);
        check(r#"{{ row.a | default: "}} | json" }}"#, r#"{{ row.a | default: "}} | json" | n_json }}"#);
        check(r#""\"{{row.a}}""#, r#""\"{{ text0 }}""#);
        check(r#""\\"{{row.a}}"#, r#""\\"{{ json0 }}"#);
    }

    #[test]
    fn blocks_are_followed() {
        check(
            r#"{% if x %}"{{row.a}}"{% else %}{{row.b}}{% endif %}{{row.a}}"#,
            r#"{% if x %}"{{ text0 }}"{% else %}{{ json1 }}{% endif %}{{ json0 }}"#,
        );
        check(
            r#""{% if x %}a" {% elsif y %}b" {% else %}" {% endif %}{{row.a}}"#,
            r#""{% if x %}a" {% elsif y %}b" {% else %}" {% endif %}{{ json0 }}"#,
        );
        check(
            r#"{% case x %} " {% when 1 %}"a{% else %}"b{% endcase %}{{row.a}}""#,
            r#"{% case x %} " {% when 1 %}"a{% else %}"b{% endcase %}{{ text0 }}""#,
        );
        check(r#"{% raw %}"{{ {% endraw %}{{row.a}}""#, r#"{% raw %}"{{ {% endraw %}{{ text0 }}""#);
        check(
            r#"{% comment %}"{{row.a}}{% endcomment %}{{row.a}}"#,
            r#"{% comment %}"{{row.a}}{% endcomment %}{{ json0 }}"#,
        );
        check(
            r#"{% capture x %}"{{row.a}}{% endcapture %}{{ x }}"#,
            r#"{% capture x %}"{{row.a}}{% endcapture %}{{ x | n_json }}"#,
        );
    }

    #[test]
    fn a_place_without_an_answer_is_a_problem() {
        check_problem(r#"{"a": "{{row.a}}}"#, "1:18: a JSON string is not closed");
        check_problem("\n\"\\{{row.a}}\"", "2:3: a backslash");
        check_problem(r#"{% if x %}"{% endif %}a""#, "1:12: the ways through this if block");
        check_problem(r#"{% if x %}"{% else %}1{% endif %}""#, "this if block");
        check_problem(r#"{% for x in row.a %}"{% endfor %}""#, "this for block");
    }
}

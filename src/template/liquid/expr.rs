//! Expressions: values, operators and filters.
//!
//! Operators as in LiquidJS: comparisons bind tighter than `not`, `not` tighter than `and` and `or`, which bind alike and to
//! the right: `a and b or c` is `a and (b or c)`. There are no parentheses.

use super::compare::Op;
use super::filters;
use super::parse::{MAX_DEPTH, Parser};
use super::reader::{Fault, Reader};
use super::scope::{self, Named};
use super::syntax::{Call, Expr, Filtered};
use crate::template::TemplateError;
use crate::template::error::suggest;

const COMPARISONS: [(&str, Op); 6] = [
    ("==", Op::Equal),
    ("!=", Op::Unequal),
    ("<=", Op::LessOrEqual),
    (">=", Op::GreaterOrEqual),
    ("<", Op::Less),
    (">", Op::Greater),
];

impl<'t> Parser<'t> {
    /// A whole `EXPRESSION | FILTER …`, with nothing behind it.
    pub(super) fn whole(&mut self, reader: &mut Reader<'t>) -> Result<Filtered, Fault> {
        let value = self.filtered(reader)?;
        self.end(reader)?;
        Ok(value)
    }

    /// Nothing may follow.
    pub(super) fn end(&mut self, reader: &mut Reader<'t>) -> Result<(), Fault> {
        match reader.peek() {
            None => Ok(()),
            Some(c) => Err(Fault::new(reader.at, format!("`{c}` is not expected here"))
                .hint("join values by an operator or a filter, such as `a == b` or `a | append: b`")),
        }
    }

    pub(super) fn filtered(&mut self, reader: &mut Reader<'t>) -> Result<Filtered, Fault> {
        reader.skip();
        let at = reader.at;
        let value = self.logic(reader)?;
        let mut calls = Vec::new();
        while reader.take("|") {
            calls.extend(self.call(reader)?);
        }
        Ok(Filtered { value, filters: calls, at })
    }

    /// Goes one level deeper into an expression.
    fn deeper<T>(
        &mut self,
        reader: &mut Reader<'t>,
        parse: impl FnOnce(&mut Self, &mut Reader<'t>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth >= MAX_DEPTH {
            return Err(Fault::new(reader.at, format!("the expression has more than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let parsed = parse(self, reader);
        self.depth -= 1;
        parsed
    }

    fn logic(&mut self, reader: &mut Reader<'t>) -> Result<Expr, Fault> {
        let left = self.negation(reader)?;
        let op = match () {
            () if reader.take_word("and") => Op::And,
            () if reader.take_word("or") => Op::Or,
            () => return Ok(left),
        };
        Ok(Expr::Binary(op, Box::new(left), Box::new(self.deeper(reader, Self::logic)?)))
    }

    fn negation(&mut self, reader: &mut Reader<'t>) -> Result<Expr, Fault> {
        if reader.take_word("not") {
            return Ok(Expr::Not(Box::new(self.deeper(reader, Self::negation)?)));
        }
        let left = self.value(reader)?;
        let sign = COMPARISONS.iter().find(|(sign, _)| reader.take(sign)).map(|(_, op)| *op);
        let op = sign.or_else(|| reader.take_word("contains").then_some(Op::Contains));
        match op {
            Some(op) => Ok(Expr::Binary(op, Box::new(left), Box::new(self.deeper(reader, Self::negation)?))),
            None => Ok(left),
        }
    }

    /// A literal, a variable or a range, with what is taken out of it.
    pub(super) fn value(&mut self, reader: &mut Reader<'t>) -> Result<Expr, Fault> {
        reader.skip();
        let at = reader.at;
        let base = if let Some(text) = reader.quoted()? {
            Expr::Text(text.into())
        } else if let Some(number) = reader.number()? {
            return Ok(Expr::Num(number));
        } else if reader.peek() == Some('(') {
            self.range(reader)?
        } else {
            match reader.word() {
                "" => return Err(missing(reader)),
                "nil" | "null" => return Ok(Expr::Nil),
                "true" => return Ok(Expr::Bool(true)),
                "false" => return Ok(Expr::Bool(false)),
                "empty" => return Ok(Expr::Empty),
                "blank" => return Ok(Expr::Blank),
                name => return self.variable(name, at, reader),
            }
        };
        let keys = self.keys(reader)?;
        Ok(path(base, keys))
    }

    fn range(&mut self, reader: &mut Reader<'t>) -> Result<Expr, Fault> {
        let at = reader.at;
        reader.take("(");
        let low = self.deeper(reader, Self::value)?;
        if !reader.take("..") {
            return Err(Fault::new(at, "parentheses are for ranges, such as `(1..3)`")
                .hint("Liquid has no grouping: use {% assign %}, or nested {% if %}"));
        }
        let high = self.deeper(reader, Self::value)?;
        if !reader.take(")") {
            return Err(Fault::new(at, "the range is not closed by `)`"));
        }
        Ok(Expr::Range(Box::new(low), Box::new(high)))
    }

    /// What follows a value: `.name`, `[…]`. With each its offset.
    fn keys(&mut self, reader: &mut Reader<'t>) -> Result<Vec<(Expr, usize)>, Fault> {
        let mut keys = Vec::new();
        loop {
            if reader.take_dot() {
                let at = reader.at;
                keys.push((Expr::Text(reader.word().into()), at));
            } else if reader.take_bracket() {
                reader.skip();
                let at = reader.at;
                let key = self.deeper(reader, Self::value)?;
                if !reader.take("]") {
                    return Err(Fault::new(at, "the `[` is not closed by a `]`"));
                }
                keys.push((key, at));
            } else {
                return Ok(keys);
            }
        }
    }

    fn variable(&mut self, name: &str, at: usize, reader: &mut Reader<'t>) -> Result<Expr, Fault> {
        let mut keys = self.keys(reader)?;
        match self.scope.resolve(name) {
            Named::Value(value) => Ok(path(value, keys)),
            Named::Row(slot) => {
                let column = match keys.first() {
                    Some((Expr::Text(column), at)) => Some((column.clone(), *at)),
                    _ => None,
                };
                let whole = slot.map_or(Expr::Row, |slot| Expr::Slot { slot, counter: None });
                let Some((column, at)) = column else { return Ok(path(whole, keys)) };
                if slot.is_some()
                    && super::ABOUT_ROW.contains(&&*column)
                    && self.scope.schema.index_of(&column).is_none()
                {
                    return Ok(path(whole, keys));
                }
                keys.remove(0);
                Ok(path(self.column(&column, at, slot), keys))
            }
            Named::Forloop(depth) => match keys.as_slice() {
                [(Expr::Text(name), at)] => match scope::property(name) {
                    Ok(property) => Ok(Expr::Forloop { depth, property }),
                    Err(hint) => Ok(self.unknown(*at, format!("`forloop` has no `{name}`"), hint)),
                },
                _ => Err(Fault::new(at, "`forloop` is used by its members, such as `forloop.last`")),
            },
            Named::Unknown(hint) => Ok(self.unknown(at, format!("there is no variable `{name}`"), hint)),
        }
    }

    fn column(&mut self, name: &str, at: usize, slot: Option<usize>) -> Expr {
        match (self.scope.schema.index_of(name), slot) {
            (Some(column), None) => Expr::Column(column),
            (Some(column), Some(slot)) => Expr::Member { slot, column },
            (None, _) => {
                let problem = TemplateError::no_column(self.place(at), name, self.scope.schema);
                self.problems.push((at, problem));
                Expr::Nil
            }
        }
    }

    /// Notes a name that nothing answers to and goes on, so that all of them are told.
    fn unknown(&mut self, at: usize, message: String, hint: String) -> Expr {
        self.problem(Fault::new(at, message).hint(hint));
        Expr::Nil
    }

    /// A filter and its arguments; `None` if there is no such filter, which is noted.
    fn call(&mut self, reader: &mut Reader<'t>) -> Result<Option<Call>, Fault> {
        reader.skip();
        let at = reader.at;
        let name = reader.word();
        if name.is_empty() {
            return Err(Fault::new(at, "a filter's name is missing behind the `|`"));
        }
        let (mut args, mut allow_false) = (Vec::new(), None);
        if reader.take(":") {
            while !matches!(reader.peek(), None | Some('|')) {
                match self.argument(name, reader)? {
                    (true, value) => allow_false = Some(value),
                    (false, value) => args.push(value),
                }
                if !reader.take(",") {
                    break;
                }
            }
        }
        let Some(filter) = filters::named(name) else {
            let names = filters::names();
            let hint = match suggest(name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are: {}", names.collect::<Vec<_>>().join(", ")),
            };
            self.unknown(at, format!("there is no filter `{name}`"), hint);
            return Ok(None);
        };
        if let Err(message) = filter.check(&args) {
            return Err(Fault::new(at, message));
        }
        Ok(Some(Call { filter, args, allow_false, at }))
    }

    /// One argument, and whether it is `allow_false: …`, the only one with a name.
    fn argument(&mut self, filter: &str, reader: &mut Reader<'t>) -> Result<(bool, Expr), Fault> {
        let mut ahead = reader.clone();
        let at = ahead.at;
        let key = ahead.word();
        if key.is_empty() || !ahead.take(":") {
            return Ok((false, self.value(reader)?));
        }
        if (filter, key) != ("default", "allow_false") {
            return Err(Fault::new(at, format!("the filter `{filter}` has no argument `{key}`")));
        }
        *reader = ahead;
        Ok((true, self.value(reader)?))
    }
}

fn path(base: Expr, keys: Vec<(Expr, usize)>) -> Expr {
    if keys.is_empty() {
        return base;
    }
    Expr::Path(Box::new(base), keys.into_iter().map(|(key, _)| key).collect())
}

fn missing(reader: &mut Reader<'_>) -> Fault {
    match reader.peek() {
        None => Fault::new(reader.at, "a value is missing"),
        Some(c) => Fault::new(reader.at, format!("a value is missing before `{c}`")),
    }
}

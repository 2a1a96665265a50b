//! Filters of our own: the two private ones that make an output safe, `json`, and `date`.

use super::context::{TO_JSON, TO_TEXT};
use super::view;
use chrono::format::StrftimeItems;
use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime};
use liquid::model::{_ValueView as ValueView, ScalarCow, Value};
use liquid_core::parser::{FilterArguments, ParameterReflection};
use liquid_core::{Error, Expression, Filter, FilterReflection, ParseFilter, Result, Runtime};
use std::fmt;

/// A filter that turns its input into JSON or into the inside of a JSON string.
#[derive(Debug, Clone, Copy)]
pub(super) enum Encode {
    /// `json`, as Census and LiquidJS have it. An indentation is taken and ignored.
    Json,
    /// [`TO_JSON`]
    Outside,
    /// [`TO_TEXT`]
    Inside,
}

impl fmt::Display for Encode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(FilterReflection::name(self))
    }
}

impl FilterReflection for Encode {
    fn name(&self) -> &str {
        match self {
            Encode::Json => "json",
            Encode::Outside => TO_JSON,
            Encode::Inside => TO_TEXT,
        }
    }

    fn description(&self) -> &str {
        "Writes the input as JSON."
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for Encode {
    fn parse(&self, _arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        Ok(Box::new(*self))
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

impl Filter for Encode {
    fn evaluate(&self, input: &dyn ValueView, _runtime: &dyn Runtime) -> Result<Value> {
        let mut out = String::new();
        match self {
            Encode::Json | Encode::Outside => view::json(input, &mut out),
            Encode::Inside => view::within_string(input, &mut out),
        }
        Ok(Value::scalar(out))
    }
}

/// `date: "FORMAT"`. Liquid's own neither reads ISO 8601 nor leaves the system's clock alone: here `now` and `today`
/// are the start of the run, so that a repeat of a webhook has the same body.
#[derive(Debug, Clone, Copy)]
pub(super) struct ParseDate;

impl FilterReflection for ParseDate {
    fn name(&self) -> &str {
        "date"
    }

    fn description(&self) -> &str {
        "Writes a date or time in a strftime format."
    }

    fn positional_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }

    fn keyword_parameters(&self) -> &'static [ParameterReflection] {
        &[]
    }
}

impl ParseFilter for ParseDate {
    fn parse(&self, mut arguments: FilterArguments<'_>) -> Result<Box<dyn Filter>> {
        let format = arguments.positional.next();
        let format = format.ok_or_else(|| Error::with_msg("`date` needs a format, such as `date: \"%Y-%m-%d\"`"))?;
        if let Expression::Literal(literal) = &format {
            items(literal.to_kstr().as_str())?;
        }
        match arguments.positional.next() {
            Some(_) => Err(Error::with_msg("`date` takes one format and nothing else")),
            None => Ok(Box::new(Date { format })),
        }
    }

    fn reflection(&self) -> &dyn FilterReflection {
        self
    }
}

#[derive(Debug)]
struct Date {
    format: Expression,
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "date: {}", self.format)
    }
}

impl Filter for Date {
    fn evaluate(&self, input: &dyn ValueView, runtime: &dyn Runtime) -> Result<Value> {
        let text = input.to_kstr();
        let run_at = || runtime.try_get(&[ScalarCow::new("run_at")]).and_then(|at| moment(at.to_kstr().as_str()));
        let time = match text.as_str() {
            "now" | "today" => run_at(),
            text => moment(text),
        };
        let Some(time) = time else { return Ok(input.to_value()) };
        let format = self.format.evaluate(runtime)?;
        let items = items(format.to_kstr().as_str())?;
        let mut out = String::new();
        fmt::Write::write_fmt(&mut out, format_args!("{}", time.format_with_items(items.into_iter())))
            .map_err(|_| Error::with_msg("the date cannot be written in this format"))?;
        Ok(Value::scalar(out))
    }
}

fn items(format: &str) -> Result<Vec<chrono::format::Item<'static>>> {
    StrftimeItems::new(format)
        .parse_to_owned()
        .map_err(|_| Error::with_msg(format!("`{format}` is not a strftime format, such as `%Y-%m-%d`")))
}

/// ISO 8601 in its usual spellings (UTC where it names no zone), a date, or Unix seconds.
fn moment(text: &str) -> Option<DateTime<FixedOffset>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return DateTime::from_timestamp(seconds, 0).map(|time| time.fixed_offset());
    }
    if let Ok(time) = DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f %z") {
        return Some(time);
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0));
    naive.map(|time| time.and_utc().fixed_offset())
}

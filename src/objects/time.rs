//! What time it is by a server: the `Date` of its answers (RFC 9110, 6.6.1), and how old they are (`Age`, RFC 9111, 5.1).

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use object_store::client::{HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService};
use object_store::{ClientOptions, Error, HeaderMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// What a clock has shown, and when that was by ours.
type Shown = (DateTime<Utc>, Instant);

/// A server's clock, as its newest answer has shown it.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerTime(Arc<Mutex<Option<Shown>>>);

impl ServerTime {
    /// Now, by the server; `None`: no answer has said so yet.
    pub(super) fn now(&self) -> Option<DateTime<Utc>> {
        let (then, at) = (*self.0.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(then + TimeDelta::from_std(at.elapsed()).ok()?)
    }

    /// Makes clients whose answers are looked at.
    pub(super) fn noting<C: HttpConnector>(&self, connector: C) -> Noting<C> {
        Noting { connector, time: self.clone() }
    }

    fn note(&self, headers: &HeaderMap) {
        if let Some(time) = date(headers) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((time, Instant::now()));
        }
    }
}

/// When an answer came, by the clock of whoever made it.
fn date(headers: &HeaderMap) -> Option<DateTime<Utc>> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let made = DateTime::parse_from_rfc2822(text("date")?).ok()?.to_utc();
    let in_caches = text("age").and_then(|age| age.trim().parse::<u32>().ok()).unwrap_or(0);
    Some(made + TimeDelta::seconds(i64::from(in_caches)))
}

#[derive(Debug)]
pub(super) struct Noting<C> {
    connector: C,
    time: ServerTime,
}

impl<C: HttpConnector> HttpConnector for Noting<C> {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient, Error> {
        let client = self.connector.connect(options)?;
        Ok(HttpClient::new(NotingClient { client, time: self.time.clone() }))
    }
}

#[derive(Debug)]
struct NotingClient {
    client: HttpClient,
    time: ServerTime,
}

#[async_trait]
impl HttpService for NotingClient {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.client.execute(request).await?;
        self.time.note(answer.headers());
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use object_store::HeaderValue;

    #[test]
    fn the_date_of_an_answer_and_its_time_in_caches() {
        let of = |headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
            date(&headers.collect::<HeaderMap>()).map(|at| at.to_rfc3339())
        };
        let at = ("date", "Thu, 15 Jan 2026 12:00:00 GMT");
        assert_eq!(of(&[at]).unwrap(), "2026-01-15T12:00:00+00:00");
        assert_eq!(of(&[at, ("age", "90")]).unwrap(), "2026-01-15T12:01:30+00:00");
        assert_eq!(of(&[at, ("age", "-1")]).unwrap(), "2026-01-15T12:00:00+00:00");
        assert_eq!(of(&[("age", "90")]), None);
        assert_eq!(of(&[("date", "yesterday")]), None);
    }

    #[test]
    fn it_goes_on_from_the_newest_answer() {
        let time = ServerTime::default();
        assert_eq!(time.now(), None);
        for day in [15, 14] {
            let value = HeaderValue::from_str(&format!("{day} Jan 2026 12:00:00 GMT")).unwrap();
            time.note(&HeaderMap::from_iter([("date".parse().unwrap(), value)]));
            let now = time.clone().now().unwrap();
            assert!(now.to_rfc3339().starts_with(&format!("2026-01-{day}T12:0")), "{now}");
        }
        time.note(&HeaderMap::new());
        assert!(time.now().is_some(), "an answer that does not say takes nothing away");
    }
}

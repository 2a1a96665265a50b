//! What each kind of destination has of its own: address, key, and how many rows a request carries.

use super::address::{address, base};
use super::{HOW, optional_secret, secret, sending};
use crate::job::document::Document;
use crate::job::problem::Fault;
use crate::job::raw::{
    RawAuth, RawBodyFormat, RawDiff, RawHttp, RawMethod, RawMode, RawRegion, RawRoute, RawRudderstack, RawSegment,
    RawSending, RawTrailspark, RawTrigger,
};
use crate::job::spec::{Auth, Batch, BodyFormat, Destination, DestinationKind, Method, PerOperation, Route, Templated};
use std::path::Path;

const WEBHOOK: &str = "/api/product-orgs/webhook/";
/// What `/v1/batch` takes: 500 KB and 2,500 events (Segment), 4,000 KB (RudderStack). Thousands, not 1,024s: either reading
/// of KB holds.
const SEGMENT_BATCH: Batch = Batch { rows: 2_500, bytes: 500_000 };
const RUDDERSTACK_BATCH: Batch = Batch { rows: 10_000, bytes: 4_000_000 };

pub(super) fn trailspark(doc: &mut Document<'_>, raw: RawTrailspark, home: &Path) -> Option<Destination> {
    let key = raw.key.map(|written| doc.accept("destination.key", secret(&written)).map(|_| written));
    let secret = optional_secret(doc, "destination.secret", raw.secret.as_ref());
    let origin = match (&raw.subdomain, &raw.base_url) {
        (Some(written), None) => doc.accept("destination.subdomain", subdomain(written)),
        (None, Some(written)) => doc.accept("destination.base_url", base(written, "").map(|_| written.clone())),
        (Some(_), Some(_)) => {
            let fault = Fault::new("there is a `subdomain` as well").hint("keep one of the two");
            doc.report("destination.base_url", fault);
            None
        }
        (None, None) => {
            if doc.is_sound("destination") {
                let fault = Fault::new("neither `subdomain` nor `base_url` is set");
                doc.report("destination", fault.hint("subdomain = \"acme\" of https://acme.trailspark.ai"));
            }
            None
        }
    };
    let sending = sending(doc, raw.sending, home);
    let path = format!("{WEBHOOK}{}", key??);
    Some(Destination {
        kind: DestinationKind::Trailspark,
        url: base(&origin?, &path).ok()?,
        url_field: if raw.base_url.is_some() { "destination.base_url or destination.key" } else { "destination.key" },
        secret: secret?,
        ..sending?
    })
}

/// The origin of an organization.
fn subdomain(written: &str) -> Result<String, Fault> {
    let templated = Templated::parse(written)?;
    let is_label = |text: &str| {
        let inner = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&text.len()) && inner && !text.starts_with('-') && !text.ends_with('-')
    };
    if !templated.is_reference_only() && !is_label(written) {
        let fault = Fault::new("is not a subdomain: letters, digits and `-`");
        return Err(fault.hint("`acme` of https://acme.trailspark.ai; another host is a `base_url`"));
    }
    Ok(format!("https://{written}.trailspark.ai"))
}

pub(super) fn segment(doc: &mut Document<'_>, raw: RawSegment, home: &Path) -> Option<Destination> {
    let origin = match (&raw.base_url, raw.region) {
        (Some(_), Some(_)) => {
            let fault = Fault::new("there is a `region` as well").hint("keep one of the two");
            doc.report("destination.base_url", fault);
            None
        }
        (Some(written), None) => Some(written.as_str()),
        (None, Some(RawRegion::Eu)) => Some("https://events.eu1.segmentapis.com"),
        (None, Some(RawRegion::Us) | None) => Some("https://api.segment.io"),
    };
    let url_field = if raw.base_url.is_some() { "destination.base_url" } else { "destination.region" };
    let events = Events { key: raw.write_key, origin, url_field, mode: raw.mode, most: SEGMENT_BATCH };
    no_authorization(doc, &raw.sending, Fault::new("`write_key` makes this header").hint("remove it"));
    let (events, sending) = (events.check(doc), sending(doc, raw.sending, home));
    Some(Destination { kind: DestinationKind::Segment, ..events?.of(sending?) })
}

pub(super) fn rudderstack(doc: &mut Document<'_>, raw: RawRudderstack, home: &Path) -> Option<Destination> {
    let (origin, url_field) = (raw.data_plane_url.as_deref(), "destination.data_plane_url");
    let events = Events { key: raw.write_key, origin, url_field, mode: raw.mode, most: RUDDERSTACK_BATCH };
    no_authorization(doc, &raw.sending, Fault::new("`write_key` makes this header").hint("remove it"));
    let (events, sending) = (events.check(doc), sending(doc, raw.sending, home));
    Some(Destination { kind: DestinationKind::Rudderstack, ..events?.of(sending?) })
}

/// Reports a header that would be overwritten.
fn no_authorization(doc: &mut Document<'_>, sending: &RawSending, fault: Fault) {
    if let Some(name) = sending.headers.keys().find(|name| name.eq_ignore_ascii_case("authorization")) {
        doc.report(&format!("destination.headers.{name}"), fault);
    }
}

/// What Segment and RudderStack have in common.
struct Events<'r> {
    key: Option<String>,
    /// `None`: missing, which is reported.
    origin: Option<&'r str>,
    url_field: &'static str,
    mode: Option<RawMode>,
    most: Batch,
}

struct Checked {
    url: Templated,
    url_field: &'static str,
    auth: Auth,
    batch: Option<Batch>,
}

impl Events<'_> {
    fn check(self, doc: &mut Document<'_>) -> Option<Checked> {
        let field = "destination.write_key";
        let key = self.key.map(|written| doc.accept(field, secret(&written)));
        let (path, batch) = match self.mode.unwrap_or_default() {
            RawMode::Single => ("/v1/group", None),
            RawMode::Batch => ("/v1/batch", Some(self.most)),
        };
        let url = self.origin.map(|origin| doc.accept(self.url_field, base(origin, path)));
        let auth = Auth { user: key??, password: None, user_field: field };
        Some(Checked { url: url??, url_field: self.url_field, auth, batch })
    }
}

impl Checked {
    fn of(self, sending: Destination) -> Destination {
        let Checked { url, url_field, auth, batch } = self;
        Destination { url, url_field, auth: Some(auth), batch, ..sending }
    }
}

pub(super) fn http(doc: &mut Document<'_>, raw: RawHttp, diff: Option<&RawDiff>, home: &Path) -> Option<Destination> {
    let url = raw.url.map(|url| doc.accept("destination.url", address(&url)));
    let secret = optional_secret(doc, "destination.secret", raw.secret.as_ref());
    let auth = match &raw.auth {
        Some(raw) => auth(doc, raw).map(Some),
        None => Some(None),
    };
    if raw.auth.is_some() {
        no_authorization(doc, &raw.sending, Fault::new("`auth` makes this header").hint("keep one of the two"));
    }
    let format = format(raw.format.unwrap_or_default());
    let batch = raw.batch.map(|raw| Batch { rows: raw.rows as usize, bytes: raw.bytes as usize });
    if batch.is_some() && format == BodyFormat::Form {
        let fault = Fault::new("a form holds one row").hint("remove `batch`, or take the format `json` or `ndjson`");
        doc.report("destination.batch", fault);
    }
    let method = method(raw.method, Method::Post);
    let own = PerOperation { added: raw.added, changed: raw.changed, removed: raw.removed };
    let routes = own.map(|name, own| route(doc, name, own.as_ref(), method, diff));
    if batch.is_some() && !method.has_body() {
        let fault = Fault::new(format!("a {} has no body that several rows could stand in", method.as_str()));
        doc.report("destination.batch", fault.hint("remove `batch`, or take another `method`"));
    }
    let url = url.flatten();
    if batch.is_some() {
        one_address(doc, url.as_ref(), &routes, diff);
    }
    let sending = sending(doc, raw.sending, home);
    Some(Destination {
        url: url?,
        routes: routes.try_map(|_, route| route.clone().ok_or(())).ok()?,
        format,
        batch,
        auth: auth?,
        secret: secret?,
        ..sending?
    })
}

/// Several rows in one request have one address.
fn one_address(
    doc: &mut Document<'_>,
    url: Option<&Templated>,
    routes: &PerOperation<Option<Route>>,
    diff: Option<&RawDiff>,
) {
    let with_bodies = routes
        .iter()
        .filter(|(name, route)| is_sent(diff, name) && route.as_ref().is_some_and(|route| route.method.has_body()));
    let fields = with_bodies.filter_map(|(name, route)| match route.as_ref()?.url.as_ref() {
        Some(own) => Some((Route::url_field(name), own)),
        None => Some(("destination.url", url?)),
    });
    let mut fields: Vec<&str> = fields.filter(|(_, url)| url.is_template()).map(|(field, _)| field).collect();
    fields.dedup();
    for field in fields {
        let fault = Fault::new("an address that differs by row takes one row a request");
        doc.report(field, fault.hint("remove `batch`, or take {{…}} out of the address"));
    }
}

/// How an operation is sent; `None` after a report.
fn route(
    doc: &mut Document<'_>,
    name: &'static str,
    raw: Option<&RawRoute>,
    default: Method,
    diff: Option<&RawDiff>,
) -> Option<Route> {
    let Some(raw) = raw else { return Some(Route { method: default, url: None }) };
    if !is_sent(diff, name) {
        let fault = Fault::new(format!("no {name} org is sent"));
        doc.report(
            &format!("destination.{name}"),
            fault.hint(format!("add \"{name}\" to `on` of [diff], or remove this")),
        );
    }
    let url = match &raw.url {
        Some(written) => doc.accept(Route::url_field(name), address(written)).map(Some),
        None => Some(None),
    };
    Some(Route { method: method(raw.method, default), url: url? })
}

/// Whether orgs of this kind of difference are sent.
pub(in crate::job::validate) fn is_sent(diff: Option<&RawDiff>, name: &str) -> bool {
    let trigger = match name {
        "added" => RawTrigger::Added,
        "removed" => RawTrigger::Removed,
        _ => RawTrigger::Changed,
    };
    // What is not known is not held against it.
    diff.is_none_or(|diff| diff.on.contains(&trigger))
}

/// Of two parts one must be secret: a name without a password is a key.
fn auth(doc: &mut Document<'_>, raw: &RawAuth) -> Option<Auth> {
    let field = "destination.auth.user";
    let password = optional_secret(doc, Auth::PASSWORD, raw.password.as_ref());
    let user = raw.user.as_ref().map(|written| {
        let checked = match &raw.password {
            None => secret(written),
            Some(_) => Templated::parse(written).and_then(|user| match written.contains(':') {
                // The first colon ends the name (RFC 7617, 2).
                true => Err(Fault::new("a user name has no colon").hint(HOW)),
                false => Ok(user),
            }),
        };
        doc.accept(field, checked)
    });
    Some(Auth { user: user??, password: password?, user_field: field })
}

fn method(raw: Option<RawMethod>, default: Method) -> Method {
    match raw {
        None => default,
        Some(RawMethod::Post) => Method::Post,
        Some(RawMethod::Put) => Method::Put,
        Some(RawMethod::Patch) => Method::Patch,
        Some(RawMethod::Delete) => Method::Delete,
        Some(RawMethod::Get) => Method::Get,
    }
}

fn format(raw: RawBodyFormat) -> BodyFormat {
    match raw {
        RawBodyFormat::Json => BodyFormat::Json,
        RawBodyFormat::Form => BodyFormat::Form,
        RawBodyFormat::Ndjson => BodyFormat::Ndjson,
    }
}

//! `/api/v1/keys`: what `nightmark keys` does.
//!
//! The text of a key and its secret stand in the answers of `create` and `rotate`, once, which no cache may keep.

use super::AdminState;
use super::access::Noted;
use super::answer::{ApiError, JsonBody, Page, Paging};
use crate::mapping::PayloadTemplate;
use crate::receiver::keys::{self, CreatedKey, KeyError, NewKey, Purpose, Rotation, ShownKey};
use crate::store::{EndpointType, KeyRecord, SignatureCheck, SignatureScheme};
use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use chrono::{DateTime, TimeDelta, Utc};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The handlers.
pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/keys", get(list).post(create))
        .route("/keys/{id}", get(show))
        .route("/keys/{id}/rotate", post(rotate))
        .route("/keys/{id}/revoke", post(revoke))
}

/// What a key is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Create {
    /// For people; need not be unique.
    name: String,
    /// `product-orgs` (the default) or `signal-staging`.
    #[serde(rename = "type")]
    endpoint: Option<String>,
    /// A preset's name or a template as an object; `flat` unless it is given.
    template: Option<Value>,
    /// Whether requests need a secret as well.
    #[serde(default)]
    with_secret: bool,
    /// From when on it is no longer valid.
    expires_at: Option<DateTime<Utc>>,
    /// The signature that requests need.
    signature: Option<CreateSignature>,
    /// Requests a second at most.
    rate: Option<u32>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreateSignature {
    /// `segment` or `standard-webhooks`.
    scheme: String,
    /// `${ENV}` or `${file:PATH}`.
    secret: String,
}

/// How a key is rotated.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotate {
    /// How long the text that it has stays valid: 24 hours unless it is given.
    #[serde(default = "a_day")]
    overlap_seconds: u32,
    /// End an overlap that still runs.
    #[serde(default)]
    end_previous: bool,
}

fn a_day() -> u32 {
    24 * 3600
}

/// A key whose text is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    #[serde(flatten)]
    shown: ShownKey,
    key: String,
    secret: Option<String>,
}

/// The keys, the oldest first
#[utoipa::path(get, path = "/api/v1/keys", operation_id = "listKeys", tag = "keys", security((), ("token" = [])), params(("after" = Option<String>, Query, description = "The `next` of the page before"), ("limit" = Option<u32>, Query, description = "Entries of a page; 100 unless it is said", minimum = 1, maximum = 1000)), 
    responses((status = 200, description = "A page of keys, without their texts", body = Page<ShownKey>), ApiError))]
pub(super) async fn list(State(state): State<AdminState>, paging: Paging) -> Result<Page<ShownKey>, ApiError> {
    // The oldest first. A key that was revoked stays, so the one that a page begins behind does not go away.
    let keys = state.keys.keys().await?;
    let from = match &paging.after {
        None => 0,
        Some(id) => 1 + keys.iter().position(|key| key.id == *id).ok_or_else(|| unknown(id))?,
    };
    let now = state.clock.now();
    let limit = usize::try_from(paging.limit).unwrap_or(usize::MAX);
    let shown = keys.into_iter().skip(from).take(limit + 1).map(|key| ShownKey::new(key, now)).collect();
    Ok(Page::of(shown, paging.limit, |key| key.record.id.clone()))
}

/// One key
#[utoipa::path(get, path = "/api/v1/keys/{id}", operation_id = "showKey", tag = "keys", security((), ("token" = [])), params(("id" = String, Path, description = "The key's id, `key_…`")), 
    responses((status = 200, description = "The key, without its text", body = ShownKey), ApiError))]
pub(super) async fn show(State(state): State<AdminState>, Path(id): Path<String>) -> Result<Json<ShownKey>, ApiError> {
    let key = state.keys.key(&id).await?.ok_or_else(|| unknown(&id))?;
    Ok(shown(&state, key))
}

/// Make a key
///
/// Its text is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/keys", operation_id = "createKey", tag = "keys", security((), ("token" = [])), request_body(content = Create, example = json!({"name": "Segment", "template": "segment"})),
    responses((status = 201, description = "The key with its text, shown this once", body = Created), ApiError))]
pub(super) async fn create(
    State(state): State<AdminState>,
    JsonBody(asked): JsonBody<Create>,
) -> Result<Response, ApiError> {
    let new = new_key(asked)?;
    let created = keys::create(state.keys.as_ref(), state.clock.as_ref(), new).await?;
    Ok((StatusCode::CREATED, once(&state, created)).into_response())
}

/// Give a key another text
///
/// The one that it has stays valid for a while.
#[utoipa::path(post, path = "/api/v1/keys/{id}/rotate", operation_id = "rotateKey", tag = "keys", security((), ("token" = [])), params(("id" = String, Path, description = "The key's id, `key_…`")), request_body = Rotate,
    responses((status = 200, description = "The key with its new text, shown this once", body = Created), ApiError))]
pub(super) async fn rotate(
    State(state): State<AdminState>,
    Path(id): Path<String>,
    JsonBody(asked): JsonBody<Rotate>,
) -> Result<Response, ApiError> {
    let overlap = TimeDelta::seconds(i64::from(asked.overlap_seconds));
    let how = Rotation { overlap, end_previous: asked.end_previous };
    Ok(once(&state, keys::rotate(state.keys.as_ref(), state.clock.as_ref(), &id, how).await?))
}

/// Revoke a key at once and for good
#[utoipa::path(post, path = "/api/v1/keys/{id}/revoke", operation_id = "revokeKey", tag = "keys", security((), ("token" = [])), params(("id" = String, Path, description = "The key's id, `key_…`")), 
    responses((status = 200, description = "The key, revoked", body = ShownKey), ApiError))]
pub(super) async fn revoke(
    State(state): State<AdminState>,
    Path(id): Path<String>,
) -> Result<Json<ShownKey>, ApiError> {
    let key = state.keys.revoke_key(&id, state.clock.now()).await?.ok_or_else(|| unknown(&id))?;
    Ok(shown(&state, key))
}

fn shown(state: &AdminState, key: KeyRecord) -> Json<ShownKey> {
    Json(ShownKey::new(key, state.clock.now()))
}

fn once(state: &AdminState, created: CreatedKey) -> Response {
    let created = Created {
        shown: ShownKey::new(created.record, state.clock.now()),
        key: created.key.expose_secret().to_owned(),
        secret: created.secret.map(|secret| secret.expose_secret().to_owned()),
    };
    // For the audit log.
    let noted = Extension(Noted(format!("key {}", created.shown.record.id)));
    ([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], noted, Json(created)).into_response()
}

/// All problems at once.
fn new_key(asked: Create) -> Result<NewKey, ApiError> {
    let mut problems = Vec::new();
    let endpoint = asked.endpoint.as_deref().map_or(Some(EndpointType::ProductOrgs), EndpointType::parse);
    if endpoint.is_none() {
        problems.push("`type` is `product-orgs` or `signal-staging`".to_owned());
    }
    let template = template(asked.template.as_ref()).map_err(|problem| problems.push(problem)).ok();
    let signature = asked.signature.and_then(|asked| match SignatureScheme::parse(&asked.scheme) {
        Some(scheme) => Some(SignatureCheck { scheme, secret: asked.secret }),
        None => {
            problems.push("`signature.scheme` is `segment` or `standard-webhooks`".to_owned());
            None
        }
    });
    let purpose = match (endpoint, template) {
        (Some(EndpointType::SignalStaging), _) => Purpose::SignalStaging,
        (_, Some(template)) => Purpose::ProductOrgs(template),
        (_, None) => return Err(ApiError::Bad(problems.join("; "))),
    };
    let Create { name, with_secret, expires_at, rate, .. } = asked;
    let new = NewKey { name, purpose, with_secret, expires_at, signature, rate };
    problems.extend(new.check().err().map(|error| error.to_string()));
    match problems.is_empty() {
        true => Ok(new),
        false => Err(ApiError::Bad(problems.join("; "))),
    }
}

fn template(asked: Option<&Value>) -> Result<PayloadTemplate, String> {
    match asked {
        Some(Value::Object(template)) => PayloadTemplate::from_json_text(&Value::from(template.clone()).to_string())
            .map_err(|error| error.about("`template`")),
        Some(Value::String(name)) => PayloadTemplate::preset(name).ok_or_else(no_template),
        None => PayloadTemplate::preset("flat").ok_or_else(no_template),
        Some(_) => Err(no_template()),
    }
}

fn no_template() -> String {
    let presets: Vec<_> = PayloadTemplate::presets().collect();
    format!("`template` is one of {}, or an object such as {{\"product_org_id\": \"groupId\"}}", presets.join(", "))
}

fn unknown(id: &str) -> ApiError {
    KeyError::Unknown(id.to_owned()).into()
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> ApiError {
        match error {
            KeyError::Unfit(words) => ApiError::Bad(words),
            // An id comes from the request's path, where a key's text may stand by mistake.
            KeyError::Unknown(_) => {
                ApiError::NotFound("There is no key with this id; GET /api/v1/keys lists them".to_owned())
            }
            KeyError::Conflict(words) => ApiError::Conflict(words),
            KeyError::Store(error) => error.into(),
        }
    }
}

//! Values on their way to and from Postgres.

use crate::store::StoreError;
use crate::store::columns::{self, Columns};
use chrono::{DateTime, Utc};
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Row, Type};

/// `timestamptz` and its array type; built-in types have the same numbers on every server.
const TIMESTAMPTZ: PgTypeInfo = PgTypeInfo::with_oid(Oid(1184));
const TIMESTAMPTZ_ARRAY: PgTypeInfo = PgTypeInfo::with_oid(Oid(1185));

/// 2000-01-01 in microseconds since 1970: what Postgres counts from.
const EPOCH: i64 = 946_684_800_000_000;

/// A time as Postgres has it, to the microsecond. (sqlx's own support of chrono is a feature that nothing else needs.)
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub DateTime<Utc>);

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        TIMESTAMPTZ
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        TIMESTAMPTZ_ARRAY
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(columns::micros(self.0) - EPOCH, buffer)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        // Prepared statements answer in binary; no others are used here.
        let micros: i64 = Decode::<Postgres>::decode(value)?;
        Ok(Moment(columns::time(micros.saturating_add(EPOCH))?))
    }
}

impl Columns for PgRow {
    fn optional_text(&self, column: &str) -> Result<Option<&str>, StoreError> {
        // Unchecked, so that json is read as the text that it is.
        Ok(self.try_get_unchecked(column)?)
    }

    fn optional_integer(&self, column: &str) -> Result<Option<i64>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn optional_bytes(&self, column: &str) -> Result<Option<&[u8]>, StoreError> {
        Ok(self.try_get(column)?)
    }

    fn optional_time(&self, column: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        Ok(self.try_get::<Option<Moment>, _>(column)?.map(|moment| moment.0))
    }

    fn flag(&self, column: &str) -> Result<bool, StoreError> {
        Ok(self.try_get(column)?)
    }
}

//! The fields of an org that every template may name.

/// The fields that every org has, but for its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// Text.
    Name,
    /// Text.
    PlanId,
    /// Text.
    PlanName,
    /// An integer of at least 0.
    UserCount,
    /// An integer, in cents.
    Mrr,
    /// `active`, `expired` or `converted`.
    TrialStatus,
    /// RFC 3339.
    LastActiveAt,
    /// An object.
    FeatureFlags,
}

impl Field {
    /// Every field.
    pub const ALL: [Field; 8] = [
        Field::Name,
        Field::PlanId,
        Field::PlanName,
        Field::UserCount,
        Field::Mrr,
        Field::TrialStatus,
        Field::LastActiveAt,
        Field::FeatureFlags,
    ];

    /// As it is called in template files.
    pub fn as_str(self) -> &'static str {
        match self {
            Field::Name => "name",
            Field::PlanId => "plan_id",
            Field::PlanName => "plan_name",
            Field::UserCount => "user_count",
            Field::Mrr => "mrr",
            Field::TrialStatus => "trial_status",
            Field::LastActiveAt => "last_active_at",
            Field::FeatureFlags => "feature_flags",
        }
    }
}

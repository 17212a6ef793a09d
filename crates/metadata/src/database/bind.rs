//! Values of statements: three stored types, and how the domain's types become them.

use domain::Timestamp;
use domain::ids::{
    AccountId, DeliveryId, ExportId, KeyId, MeterId, OrganizationId, RateId, RequestId, ScheduleId,
    UserId, WebhookId,
};
use domain::quantity::Quantity;
use domain::webhook::Secret;
use jiff::civil::Date;

/// A value for a marker; the type is known even when the value is missing.
#[derive(Debug, Clone)]
pub(crate) enum Bind {
    Integer(Option<i64>),
    Text(Option<String>),
    Flag(Option<bool>),
}

macro_rules! bind {
    ($variant:ident: $($type:ty => $convert:expr;)*) => {
        $(
            impl From<$type> for Bind {
                fn from(value: $type) -> Self {
                    Self::$variant(Some($convert(value)))
                }
            }

            impl From<Option<$type>> for Bind {
                fn from(value: Option<$type>) -> Self {
                    Self::$variant(value.map($convert))
                }
            }
        )*
    };
}

bind! { Integer:
    i64 => |value| value;
    u32 => i64::from;
    u8 => i64::from;
    // Counters of this crate start at 0 and never get near 2^63.
    u64 => |value| i64::try_from(value).unwrap_or(i64::MAX);
    Timestamp => |value: Timestamp| value.as_microsecond();
}

bind! { Flag:
    bool => |value| value;
}

bind! { Text:
    &str => str::to_owned;
    String => |value| value;
    &String => |value: &String| value.clone();
    Quantity => |value: Quantity| value.to_string();
    AccountId => |value: AccountId| value.to_string();
    OrganizationId => |value: OrganizationId| value.to_string();
    UserId => |value: UserId| value.to_string();
    KeyId => |value: KeyId| value.to_string();
    MeterId => |value: MeterId| value.to_string();
    RateId => |value: RateId| value.to_string();
    ExportId => |value: ExportId| value.to_string();
    RequestId => |value: RequestId| value.to_string();
    ScheduleId => |value: ScheduleId| value.to_string();
    Date => |value: Date| value.to_string();
    DeliveryId => |value: DeliveryId| value.to_string();
    WebhookId => |value: WebhookId| value.to_string();
    &Secret => |value: &Secret| value.reveal().to_owned();
    &[u8; 32] => hexadecimal;
    [u8; 32] => |value: [u8; 32]| hexadecimal(&value);
}

/// Digests are stored as lower-case hexadecimal text.
pub(crate) fn hexadecimal(bytes: &[u8; 32]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(64), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes any text");
            text
        })
}

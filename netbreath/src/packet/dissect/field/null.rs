//! Fields of `null`.

use super::{Kind, field, value};

fields! {
    16, "null", "Null", "Null/Loopback";
    FAMILY = field("null.family", "Family", Kind::U32).names(&value::NULL_FAMILY);
}

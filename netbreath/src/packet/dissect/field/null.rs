//! Fields of `null`.

use super::{Base, Kind, field, value};

fields! {
    16, "null", "Null", "Null/Loopback";
    TYPE = field("null.type", "Type", Kind::U16).base(Base::Hex).names(&value::ETH_TYPE);
    FAMILY = field("null.family", "Family", Kind::U32).names(&value::NULL_FAMILY);
}

//! Fields of `ieee8021ah`.

use super::{Base, Kind, field, value};

fields! {
    4, "ieee8021ah", "IEEE 802.1AH", "IEEE 802.1ah";
    ETYPE = field("ieee8021ah.etype", "Type", Kind::U16).base(Base::Hex).names(&value::ETH_TYPE);
}

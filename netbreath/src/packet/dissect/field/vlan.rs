//! Fields of `vlan`.

use super::{Base, Kind, field, value};

fields! {
    2, "vlan", "VLAN", "802.1Q Virtual LAN";
    PRIORITY = field("vlan.priority", "Priority", Kind::U16).mask(0xe000).names(&value::VLAN_PRIORITY);
    DEI = field("vlan.dei", "DEI", Kind::Bool).width(16).mask(0x1000).words("Eligible", "Ineligible");
    ID = field("vlan.id", "ID", Kind::U16).mask(0xfff);
    ETYPE = field("vlan.etype", "Type", Kind::U16).base(Base::Hex).names(&value::ETH_TYPE);
}

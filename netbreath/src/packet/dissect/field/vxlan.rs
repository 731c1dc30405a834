//! Fields of `vxlan`.

use super::{Base, Kind, field};

fields! {
    14, "vxlan", "VXLAN", "Virtual eXtensible Local Area Network";
    FLAGS = field("vxlan.flags", "Flags", Kind::U16).base(Base::Hex);
    FLAGS_RESERVED = field("vxlan.flags_reserved", "Reserved(R)", Kind::U16).base(Base::Hex).mask(0x77b7);
    FLAG_G = field("vxlan.flag_g", "GBP Extension", Kind::Bool).width(16).mask(0x8000).words("Defined", "Not defined");
    FLAG_I = field("vxlan.flag_i", "VXLAN Network ID (VNI)", Kind::Bool).width(16).mask(0x800);
    FLAG_D = field("vxlan.flag_d", "Don't Learn", Kind::Bool).width(16).mask(0x40);
    FLAG_A = field("vxlan.flag_a", "Policy Applied", Kind::Bool).width(16).mask(0x8);
    GBP = field("vxlan.gbp", "Group Policy ID", Kind::U16);
    VNI = field("vxlan.vni", "VXLAN Network Identifier (VNI)", Kind::U24);
    RESERVED8 = field("vxlan.reserved8", "Reserved", Kind::U8);
}

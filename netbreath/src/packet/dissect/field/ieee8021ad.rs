//! Fields of `ieee8021ad`.

use super::{Kind, field};

fields! {
    3, "ieee8021ad", "IEEE 802.1AD", "IEEE 802.1ad";
    PRIORITY = field("ieee8021ad.priority", "Priority", Kind::U16).mask(0xe000);
    DEI = field("ieee8021ad.dei", "DEI", Kind::U16).mask(0x1000);
    ID = field("ieee8021ad.id", "ID", Kind::U16).mask(0xfff);
}

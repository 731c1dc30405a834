//! Fields of `_ws.malformed`.

use super::{Kind, field};

fields! {
    28, "_ws.malformed", "Malformed packet", "Malformed Packet";
    EXPERT = field("_ws.malformed.expert", "Malformed Packet (Exception occurred)", Kind::None);
}

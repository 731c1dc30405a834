//! Fields of `_ws.expert`.

use super::{Base, Kind, field, value};

fields! {
    27, "_ws.expert", "Expert", "Expert Info";
    MESSAGE = field("_ws.expert.message", "Message", Kind::Str);
    GROUP = field("_ws.expert.group", "Group", Kind::U32).base(Base::None).names(&value::_WS_EXPERT_GROUP);
    SEVERITY = field("_ws.expert.severity", "Severity level", Kind::U32).base(Base::None).names(&value::_WS_EXPERT_SEVERITY);
}

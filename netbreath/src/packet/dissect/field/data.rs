//! Fields of `data`.

use super::{Kind, field};

fields! {
    25, "data", "Data", "Data";
    DATA = field("data.data", "Data", Kind::Bytes);
    TEXT = field("data.text", "Text", Kind::Str);
    LEN = field("data.len", "Length", Kind::I32);
    MD5_HASH = field("data.md5_hash", "Payload MD5 hash", Kind::Str);
}

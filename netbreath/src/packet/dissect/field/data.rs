//! Fields of `data`.

use super::{Kind, field};

fields! {
    25, "data", "Data", "Data";
    DATA = field("data.data", "Data", Kind::Bytes);
    LEN = field("data.len", "Length", Kind::I32);
}

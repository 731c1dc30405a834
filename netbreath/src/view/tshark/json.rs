use super::Fields;
use crate::packet::dissect::{Dissector, Meta};
use std::collections::HashSet;
pub fn write(
    _: &Meta<'_>,
    _: &Dissector,
    _only: Option<&HashSet<String>>,
    _fields: Option<&Fields>,
    _first: bool,
    _: &mut String,
) {
}

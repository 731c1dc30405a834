use crate::packet::dissect::{Dissector, Meta};
use std::collections::HashSet;
pub fn write(_: &Meta<'_>, _: &Dissector, _only: Option<&HashSet<String>>, _: &mut String) {}

//! Counts over all packets: `-z`.
use crate::packet::dissect::{Dissector, Meta};
#[derive(Clone, Debug, PartialEq)]
pub enum Statistic {
    Conversations,
}
impl Statistic {
    pub fn parse(_: &str) -> Result<Statistic, &'static str> {
        Err("there are none yet")
    }
    pub fn wants_fields(&self) -> bool {
        true
    }
}
pub struct Statistics;
impl Statistics {
    pub fn new(_: &[Statistic]) -> Statistics {
        Statistics
    }
    pub fn packet(&mut self, _: &Meta<'_>, _: &Dissector) {}
    pub fn write(&self, _: &mut Vec<u8>) {}
}

//! Names for the kernel's numbers: those that everybody uses, and those that an
//! administrator gave.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Scope, Table};

/// Names of routing tables, of who sets routes, of scopes and of groups.
#[derive(Clone, Debug, Default)]
pub struct NumberNames {
    /// Numbers are shown as such.
    pub numeric: bool,
    pub tables: HashMap<u32, String>,
    pub protocols: HashMap<u32, String>,
    pub scopes: HashMap<u32, String>,
    pub groups: HashMap<u32, String>,
}

impl NumberNames {
    fn pick<'a>(
        &'a self,
        given: &'a HashMap<u32, String>,
        number: u32,
        usual: Option<&'static str>,
    ) -> Cow<'a, str> {
        if self.numeric {
            return number.to_string().into();
        }
        match given.get(&number) {
            Some(name) => Cow::Borrowed(name),
            None => usual.map_or_else(|| number.to_string().into(), Cow::Borrowed),
        }
    }

    pub fn table(&self, table: Table) -> Cow<'_, str> {
        let usual = match table {
            Table::DEFAULT => Some("default"),
            Table::MAIN => Some("main"),
            Table::LOCAL => Some("local"),
            _ => None,
        };
        self.pick(&self.tables, table.0, usual)
    }

    /// The table with this name or number.
    pub fn table_named(&self, typed: &str) -> Option<Table> {
        let usual = match typed {
            "default" => Some(Table::DEFAULT),
            "main" => Some(Table::MAIN),
            "local" => Some(Table::LOCAL),
            _ => None,
        };
        let given = || self.tables.iter().find(|(_, name)| *name == typed);
        usual
            .or_else(|| given().map(|(number, _)| Table(*number)))
            .or_else(|| typed.parse().ok().map(Table))
    }

    /// Who set a route or made a neighbour (`RTPROT_*`).
    pub fn protocol(&self, protocol: u8) -> Cow<'_, str> {
        let usual = match protocol {
            0 => Some("unspec"),
            1 => Some("redirect"),
            2 => Some("kernel"),
            3 => Some("boot"),
            4 => Some("static"),
            8 => Some("gated"),
            9 => Some("ra"),
            10 => Some("mrt"),
            11 => Some("zebra"),
            12 => Some("bird"),
            13 => Some("dnrouted"),
            14 => Some("xorp"),
            15 => Some("ntk"),
            16 => Some("dhcp"),
            18 => Some("keepalived"),
            42 => Some("babel"),
            99 => Some("openr"),
            186 => Some("bgp"),
            187 => Some("isis"),
            188 => Some("ospf"),
            189 => Some("rip"),
            192 => Some("eigrp"),
            _ => None,
        };
        self.pick(&self.protocols, protocol.into(), usual)
    }

    pub fn scope(&self, scope: Scope) -> Cow<'_, str> {
        self.pick(&self.scopes, scope.0.into(), scope.name())
    }

    pub fn group(&self, group: u32) -> Cow<'_, str> {
        self.pick(&self.groups, group, (group == 0).then_some("default"))
    }
}

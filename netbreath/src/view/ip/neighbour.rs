//! `ip neigh`: neighbours.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Style, put_array};
use crate::event::network::{Neighbour, NeighbourFlags, NeighbourState};
use crate::format::put;

pub struct Neighbours<'a> {
    pub all: &'a [Neighbour],
    /// Only of this interface, which then is not named in each line.
    pub dev: Option<&'a str>,
    /// Only in one of these states; usually all but NOARP.
    pub states: Option<NeighbourState>,
    /// Only those for whom we answer.
    pub proxy: bool,
    pub style: &'a Style,
}

impl<'a> Neighbours<'a> {
    fn chosen(&self) -> impl Iterator<Item = Row<'a>> + use<'a> {
        let Neighbours { all, dev, states, proxy, style } = *self;
        all.iter()
            .filter(move |neighbour| {
                let marked = NeighbourFlags::PROXY | NeighbourFlags::EXTERN_LEARN;
                let NeighbourState(state) = neighbour.state;
                let fits = match states {
                    Some(wanted) => wanted.has(state.into()),
                    None => {
                        state & !(NeighbourState::NOARP as u16) != 0 || neighbour.flags.has(marked)
                    }
                };
                neighbour.flags.has(NeighbourFlags::PROXY) == proxy
                    && (proxy || fits)
                    && dev.is_none_or(|dev| neighbour.ifname == dev)
            })
            .map(move |neighbour| Row { neighbour, names_dev: dev.is_none(), style })
    }

    pub fn text(&self, out: &mut Vec<u8>) {
        for row in self.chosen() {
            row.text(out);
        }
    }

    pub fn json(&self, out: &mut Vec<u8>) {
        put_array(self.chosen(), out);
    }
}

struct Row<'a> {
    neighbour: &'a Neighbour,
    names_dev: bool,
    style: &'a Style,
}

impl Row<'_> {
    fn text(&self, out: &mut Vec<u8>) {
        let Row { neighbour, names_dev, style } = self;
        put(out, format_args!("{} ", neighbour.dst));
        if *names_dev {
            put(out, format_args!("dev {} ", style.clean(&neighbour.ifname)));
        }
        if let Some(lladdr) = &neighbour.lladdr {
            put(out, format_args!("lladdr {lladdr} "));
        }
        for (bit, name) in NeighbourFlags::NAMES {
            if neighbour.flags.has(bit) {
                put(out, format_args!("{name} "));
            }
        }
        if style.stats {
            if let Some(ages) = neighbour.ages {
                if ages.references != 0 {
                    put(out, format_args!("ref {} ", ages.references));
                }
                let (used, confirmed) = (ages.used, ages.confirmed);
                put(out, format_args!("used {used}/{confirmed}/{} ", ages.updated));
            }
            if let Some(probes) = neighbour.probes {
                put(out, format_args!("probes {probes} "));
            }
        }
        for (bit, name) in NeighbourState::NAMES {
            if neighbour.state.has(bit) {
                put(out, format_args!("{name} "));
            }
        }
        if let Some(proto) = neighbour.proto {
            put(out, format_args!("proto {} ", style.clean(&style.names.protocol(proto))));
        }
        out.push(b'\n');
    }
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Row { neighbour, names_dev, style } = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("dst", &neighbour.dst)?;
        if *names_dev {
            map.serialize_entry("dev", &neighbour.ifname)?;
        }
        if let Some(lladdr) = &neighbour.lladdr {
            map.serialize_entry("lladdr", lladdr)?;
        }
        for (bit, name) in NeighbourFlags::NAMES {
            if neighbour.flags.has(bit) {
                map.serialize_entry(name, &())?;
            }
        }
        if style.stats {
            if let Some(ages) = neighbour.ages {
                if ages.references != 0 {
                    map.serialize_entry("refcnt", &ages.references)?;
                }
                map.serialize_entry("used", &ages.used)?;
                map.serialize_entry("confirmed", &ages.confirmed)?;
                map.serialize_entry("updated", &ages.updated)?;
            }
            if let Some(probes) = neighbour.probes {
                map.serialize_entry("probes", &probes)?;
            }
        }
        // A proxy has no state, and no such key.
        if neighbour.state.0 != 0 {
            map.serialize_entry("state", &neighbour.state)?;
        }
        if let Some(proto) = neighbour.proto {
            map.serialize_entry("protocol", &style.names.protocol(proto))?;
        }
        map.end()
    }
}

//! Answers a question to the system once: asks the host, makes the view, formats it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::cli::FormatName;
use crate::event::Family;
use crate::event::network::{Address, Link, LinkFlags, NumberNames, Route, Table, hardware_name};
use crate::format::Format;
use crate::format::csv::Csv;
use crate::format::json::Json;
use crate::format::text::{Style, Text};
use crate::host::ethtool::Ethtool;
use crate::host::network::{self, FileError, Network};
use crate::host::{Terminal, netlink};
use crate::name::HostNames;
use crate::plan::network::{
    NeighbourSelect, Object, Question, RouteColumns, RouteSelect, Subject, Watch,
};
use crate::service::{self, Services};
use crate::source::netlink as source;
use crate::view::interface::Interface;
use crate::view::ip::Select;
use crate::view::{Column, arp, explain, group, ifconfig, interface, ip, kind, route, statistic};

pub mod lesson;
pub mod lsof;
pub mod socket;
pub mod tshark;
pub mod who;

/// How long names of hosts are waited for.
const NAMES_LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no interface {name:?}; `netbreath ifconfig -a` lists them")]
    NoInterface { name: String },
    #[error("there is no service {query:?} in /etc/services")]
    NoService { query: String },
    #[error("there is no routing table {name:?}: give a number, or a name out of rt_tables")]
    NoTable { name: String },
    #[error("{name:?} is no routing protocol: give a number, or a name out of rt_protos")]
    NoProtocol { name: String },
    #[error("pid:{typed} is no process id")]
    NoPid { typed: String },
    #[error("{typed:?} is no port: give a number from 0 to 65535, or a name")]
    NoPort { typed: String },
    #[error(
        "ss -s shows the kernel's own counts, which are not in a recording: leave -s out to see \
         its sockets"
    )]
    SummaryOfRecording,
    #[error(
        "a recording knows network namespaces by their numbers only, not as {typed:?}: `netbreath \
         replay FILE trace --columns +netns` shows them"
    )]
    NetnsOfRecording { typed: std::path::PathBuf },
    #[error(transparent)]
    Netlink(#[from] netlink::Error),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Services(#[from] service::Error),
    #[error(transparent)]
    Sockets(#[from] crate::host::socket::Error),
    #[error(transparent)]
    Filter(#[from] crate::view::ss::filter::Error),
    #[error(transparent)]
    Plan(#[from] crate::plan::socket::Error),
}

impl Error {
    /// The exit code that stands for it.
    pub fn code(&self) -> u8 {
        match self {
            Error::NoInterface { .. } | Error::NoService { .. } => 1,
            Error::Netlink(error) if error.is_privilege() => 77,
            Error::Sockets(error) if error.is_privilege() => 77,
            _ => 2,
        }
    }
}

/// Appends the answer to `question`.
pub fn answer(question: &Question, terminal: Terminal, out: &mut Vec<u8>) -> Result<(), Error> {
    let Question { subject, format, names, explain, family } = question;
    if *explain {
        return explanation(subject, *family, terminal.utf8, out);
    }
    let page = Page { format: *format, unicode: terminal.utf8 };
    match subject {
        Subject::Ifconfig { all, short, interface, style } => {
            let detail = *format != FormatName::Text || *style == ifconfig::Style::Bsd;
            let interfaces = interfaces(*all, interface.as_deref(), detail)?;
            match (format, *short) {
                (FormatName::Text, false) => {
                    ifconfig::text(&interfaces, *style, terminal.utf8, out);
                }
                (FormatName::Text, true) => page.table(&interface::SHORT, &interfaces, out),
                _ => page.table(&interface::WHOLE, &interfaces, out),
            }
        }
        Subject::Interfaces { all } => {
            let interfaces = interfaces(*all, None, *format != FormatName::Text)?;
            if *format == FormatName::Text {
                out.extend_from_slice(b"Kernel Interface table\n");
                page.table(&interface::SHORT, &interfaces, out);
            } else {
                page.table(&interface::WHOLE, &interfaces, out);
            }
        }
        Subject::Ip { object, stats, brief, oneline, numeric } => {
            let names = NumberNames { numeric: *numeric, ..network::number_names() };
            let style = ip::Style {
                stats: *stats,
                brief: *brief,
                oneline: *oneline,
                family: *family,
                unicode: terminal.utf8,
                names,
            };
            ip_answer(object, &style, *format == FormatName::Json, out)?;
        }
        Subject::Route { columns } => routes(&page, *columns, *family, *names, out)?,
        Subject::Arp { host, device, bsd } => {
            arp_answer(&page, host.as_deref(), device.as_deref(), *bsd, *names, out)?;
        }
        Subject::Statistics { tcp, udp } => {
            let mut counters = network::counters(*family)?;
            counters.retain(|counter| counter.is_of(*tcp, *udp));
            if *format == FormatName::Text {
                statistic::text(&counters, terminal.utf8, out);
            } else {
                page.rows(&all_of(&statistic::COLUMNS), &statistic::KEYS, &counters, out);
            }
        }
        Subject::Groups => {
            let rows: Vec<group::Row> =
                network::memberships(*family)?.into_iter().map(Into::into).collect();
            if *format == FormatName::Text {
                group::text(&rows, terminal.utf8, out);
            } else {
                page.rows(&all_of(&group::COLUMNS), &group::KEYS, &rows, out);
            }
        }
    }
    Ok(())
}

/// What to watch, with names looked up that only the system knows.
pub fn watched(watch: &Watch) -> Result<source::Ask, Error> {
    if let Some(name) = &watch.dev {
        interface_named(&Network::open()?.links(false)?, name)?;
    }
    let table = match &watch.table {
        _ if watch.all_tables => None,
        None => Some(Table::MAIN),
        Some(name) => Some(table_named(&network::number_names(), name)?),
    };
    Ok(source::Ask {
        links: watch.links,
        addresses: watch.addresses,
        routes: watch.routes,
        neighbours: watch.neighbours,
        family: watch.family,
        dev: watch.dev.clone(),
        table,
    })
}

fn table_named(names: &NumberNames, name: &str) -> Result<Table, Error> {
    names.table_named(name).ok_or_else(|| Error::NoTable { name: name.to_owned() })
}

/// Appends what `/etc/services` knows of `query`, or all of it.
pub fn services(
    query: Option<&str>,
    format: FormatName,
    terminal: Terminal,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let services = Services::read()?;
    let found: Vec<_> = match query {
        None => services.all().to_vec(),
        Some(query) => services.find(query).into_iter().cloned().collect(),
    };
    if let (true, Some(query)) = (found.is_empty(), query) {
        return Err(Error::NoService { query: query.to_owned() });
    }
    let page = Page { format, unicode: terminal.utf8 };
    page.rows(&all_of(&service::COLUMNS), &service::KEYS, &found, out);
    Ok(())
}

/// How an answer is written.
struct Page {
    format: FormatName,
    unicode: bool,
}

impl Page {
    /// Rows under columns, in the format that was asked for.
    fn rows<R: 'static>(
        &self,
        columns: &[&'static Column<R>],
        keys: &[&str],
        rows: &[R],
        out: &mut Vec<u8>,
    ) {
        let mut format: Box<dyn Format<R>> = match self.format {
            FormatName::Json | FormatName::Jsonl => Box::new(Json::new(columns, keys)),
            FormatName::Csv => Box::new(Csv::new(columns)),
            FormatName::Text => {
                let style = Style {
                    colour: false,
                    unicode: self.unicode,
                    timestamps: Default::default(),
                    timezone: TimeZone::UTC,
                };
                Box::new(Text::new(columns, &[], None, style, None))
            }
        };
        format.begin(out);
        for row in rows {
            format.row(row, out);
        }
        format.end(out);
    }

    fn table(&self, keys: &[&str], interfaces: &[Interface], out: &mut Vec<u8>) {
        let columns = interface::columns(keys);
        let keys: Vec<&str> =
            columns.iter().flat_map(|column| column.fields).map(|field| field.key).collect();
        self.rows(&columns, &keys, interfaces, out);
    }
}

fn all_of<R>(columns: &'static [Column<R>]) -> Vec<&'static Column<R>> {
    columns.iter().collect()
}

/// Interfaces with addresses and counters, in the order of their names: those that are
/// up, or all, or one. With `detail`, drivers are asked too.
fn interfaces(all: bool, name: Option<&str>, detail: bool) -> Result<Vec<Interface>, Error> {
    let mut network = Network::open()?;
    let mut links = network.links(true)?;
    let select = Select { dev: name.map(str::to_owned), ..Select::default() };
    links.retain(|link| select.takes(link) && (all || link.flags.has(LinkFlags::UP)));
    if let (true, Some(name)) = (links.is_empty(), name) {
        return Err(Error::NoInterface { name: name.to_owned() });
    }
    links.sort_by_cached_key(|link| natural(&link.ifname));
    described(links, &mut network, detail)
}

fn described(
    links: Vec<Link>,
    network: &mut Network,
    detail: bool,
) -> Result<Vec<Interface>, Error> {
    let mut of: HashMap<u32, Vec<Address>> = HashMap::new();
    for address in network.addresses(None)? {
        of.entry(address.ifindex).or_default().push(address);
    }
    // Why ignored: without it, nothing is known of drivers.
    let ethtool = if detail { Ethtool::open().ok() } else { None };
    let interfaces = links.into_iter().map(|link| {
        let addresses = of.remove(&link.ifindex).unwrap_or_default();
        let mut interface = Interface::new(link, addresses);
        if let Some(ethtool) = &ethtool {
            let ifname = &interface.link.ifname;
            interface.media = ethtool.media(ifname);
            interface.options = ethtool.options(ifname);
            let driver = ethtool.driver(ifname);
            let wireless = network::is_wireless(ifname);
            let kind = kind::of(&interface.link, driver.as_deref(), wireless);
            interface.text.kind = kind.short.into_owned();
            interface.text.explanation = kind.long.into_owned();
        }
        interface
    });
    Ok(interfaces.collect())
}

/// What is seen, in plain words.
fn explanation(
    subject: &Subject,
    family: Option<Family>,
    unicode: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut network = Network::open()?;
    match subject {
        Subject::Route { .. } => {
            let all = network.routes(family.unwrap_or(Family::V4), Some(Table::MAIN))?;
            explain::routes(&all, unicode, out);
        }
        Subject::Arp { device, .. } => {
            let mut all = network.neighbours(Some(Family::V4), false)?;
            all.extend(network.neighbours(Some(Family::V4), true)?);
            all.retain(|neighbour| device.as_ref().is_none_or(|dev| neighbour.ifname == *dev));
            explain::neighbours(&all, unicode, out);
        }
        Subject::Ip { object: Object::Address(select) | Object::Link(select), .. } => {
            if let Some(name) = &select.dev {
                interface_named(&network.links(false)?, name)?;
            }
            let all = explain::chosen(interfaces(true, None, true)?, select);
            explain_interfaces(&all, &mut network, unicode, out);
        }
        Subject::Ifconfig { all, interface, .. } => {
            let all = interfaces(*all, interface.as_deref(), true)?;
            explain_interfaces(&all, &mut network, unicode, out);
        }
        Subject::Interfaces { all } => {
            let all = interfaces(*all, None, true)?;
            explain_interfaces(&all, &mut network, unicode, out);
        }
        // The plan does not let these through.
        Subject::Ip { .. } | Subject::Statistics { .. } | Subject::Groups => {}
    }
    Ok(())
}

fn explain_interfaces(all: &[Interface], network: &mut Network, unicode: bool, out: &mut Vec<u8>) {
    let links: Vec<Link> = all.iter().map(|interface| interface.link.clone()).collect();
    let peers = network.peers(&links);
    explain::interfaces(all, &peers, unicode, out);
}

/// Names in an order in which eth10 comes after eth9.
fn natural(name: &str) -> (String, u64, String) {
    let text = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name.get(text.len()..).and_then(|digits| digits.parse().ok()).unwrap_or(0);
    (text.to_owned(), number, name.to_owned())
}

fn ip_answer(
    object: &Object,
    style: &ip::Style,
    json: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut network = Network::open()?;
    match object {
        Object::Address(select) | Object::Link(select) => {
            let links = network.links(style.stats)?;
            for name in select.dev.iter().chain(&select.master) {
                interface_named(&links, name)?;
            }
            let addresses = match object {
                Object::Address(_) => Some(network.addresses(style.family)?),
                _ => None,
            };
            let addresses = addresses.as_deref();
            let view = ip::Interfaces { links: &links, addresses, select, style };
            if json { view.json(out) } else { view.text(out) }
        }
        Object::Route(select) => {
            let all = chosen_routes(&mut network, select, style)?;
            let protocol =
                select.protocol.as_ref().map(|name| protocol(name, style)).transpose()?;
            let view = ip::Routes {
                all: &all,
                dev: select.dev.as_deref(),
                one_table: !select.all_tables,
                kind: select.kind,
                protocol,
                only_default: select.only_default,
                style,
            };
            if json { view.json(out) } else { view.text(out) }
        }
        Object::Neighbour(NeighbourSelect { dev, states, proxy }) => {
            if let Some(name) = dev {
                interface_named(&network.links(false)?, name)?;
            }
            let all = network.neighbours(style.family, *proxy)?;
            let view = ip::Neighbours {
                all: &all,
                dev: dev.as_deref(),
                states: *states,
                proxy: *proxy,
                style,
            };
            if json { view.json(out) } else { view.text(out) }
        }
    }
    Ok(())
}

fn interface_named<'a>(links: &'a [Link], name: &str) -> Result<&'a Link, Error> {
    let select = Select { dev: Some(name.to_owned()), ..Select::default() };
    let found = links.iter().find(|link| select.takes(link));
    found.ok_or_else(|| Error::NoInterface { name: name.to_owned() })
}

/// IPv4 unless asked otherwise; every family where every table is asked for.
fn chosen_routes(
    network: &mut Network,
    select: &RouteSelect,
    style: &ip::Style,
) -> Result<Vec<Route>, Error> {
    if let Some(name) = &select.dev {
        interface_named(&network.links(false)?, name)?;
    }
    let table = match &select.table {
        _ if select.all_tables => None,
        None => Some(Table::MAIN),
        Some(name) => Some(table_named(&style.names, name)?),
    };
    let families: &[Family] = match style.family {
        Some(Family::V4) => &[Family::V4],
        Some(Family::V6) => &[Family::V6],
        None if select.all_tables => &[Family::V4, Family::V6],
        None => &[Family::V4],
    };
    let mut all = Vec::new();
    for family in families {
        all.extend(network.routes(*family, table)?);
    }
    Ok(all)
}

fn protocol(name: &str, style: &ip::Style) -> Result<u8, Error> {
    (0..=u8::MAX)
        .find(|number| style.names.protocol(*number) == name || number.to_string() == name)
        .ok_or_else(|| Error::NoProtocol { name: name.to_owned() })
}

/// Names of the hosts in an answer, if they are wanted.
fn host_names(wanted: bool, addrs: impl Iterator<Item = IpAddr>) -> HostNames {
    if wanted { HostNames::of(addrs, NAMES_LIMIT) } else { HostNames::off() }
}

fn routes(
    page: &Page,
    columns: RouteColumns,
    family: Option<Family>,
    names: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let title: &[u8];
    let (keys, rows) = if family == Some(Family::V6) {
        title = b"Kernel IPv6 routing table\n";
        let all = network::routes6()?;
        let addrs = all.iter().flat_map(|route| [route.dst.into(), route.gateway.into()]);
        let rows = route::rows6(&all, &host_names(names, addrs));
        (&route::V6[..], rows)
    } else {
        title = b"Kernel IP routing table\n";
        let all = Network::open()?.routes(Family::V4, Some(Table::MAIN))?;
        let addrs = all.iter().flat_map(|route| {
            let hops = route.nexthops.iter().filter_map(|hop| hop.gateway);
            std::iter::once(route.dst).chain(route.gateway).chain(hops)
        });
        let rows = route::rows(&all, &host_names(names, addrs));
        let keys: &[&str] = match columns {
            RouteColumns::Route => &route::ROUTE,
            RouteColumns::Netstat => &route::NETSTAT,
            RouteColumns::Both => &route::BOTH,
        };
        (keys, rows)
    };
    if page.format == FormatName::Text {
        out.extend_from_slice(title);
    }
    page.rows(&route::columns(keys), &route::KEYS, &rows, out);
    Ok(())
}

fn arp_answer(
    page: &Page,
    host: Option<&str>,
    device: Option<&str>,
    bsd: bool,
    names: bool,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut network = Network::open()?;
    let links = network.links(false)?;
    if let Some(device) = device {
        interface_named(&links, device)?;
    }
    let hardware: HashMap<u32, u16> =
        links.iter().map(|link| (link.ifindex, link.hardware)).collect();
    let mut all = network.neighbours(Some(Family::V4), false)?;
    all.extend(network.neighbours(Some(Family::V4), true)?);
    let names = host_names(names, all.iter().map(|neighbour| neighbour.dst));
    let mut rows = arp::rows(&all, &names, |ifindex| {
        hardware.get(&ifindex).and_then(|hardware| hardware_name(*hardware)).unwrap_or("unspec")
    });
    rows.retain(|row| {
        host.is_none_or(|host| row.is_of(host)) && device.is_none_or(|device| row.is_on(device))
    });
    match (page.format, rows.is_empty(), host) {
        (FormatName::Text, true, Some(host)) => {
            crate::format::put(out, format_args!("{host} ({host}) -- no entry\n"));
        }
        (FormatName::Text, true, None) => {}
        (FormatName::Text, false, _) if bsd => arp::bsd(&rows, page.unicode, out),
        _ => page.rows(&all_of(&arp::COLUMNS), &arp::KEYS, &rows, out),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        let mut names = ["eth10", "lo", "eth9", "br-1a", "eth"];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(names, ["br-1a", "eth", "eth9", "eth10", "lo"]);
    }
}

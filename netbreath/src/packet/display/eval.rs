//! A compiled filter and a packet: does it pass?

use std::borrow::Cow;
use std::cmp::Ordering;

use super::compile::{Function, Literal, Relation, Source, Test};
use super::parse::{Layer, Length, Range, Sign};
use crate::packet::dissect::field::{Id, Kind};
use crate::packet::dissect::{Node, Tree, Value};

/// What filters look at.
pub struct Packet<'a> {
    pub tree: &'a Tree,
    pub bytes: &'a [u8],
}

/// A value of a field, or made of some.
#[derive(Clone, Debug)]
enum Item<'a> {
    None,
    Number(i128),
    Double(f64),
    Ipv4(u32, u32),
    Ipv6(u128, u128),
    Bytes(Cow<'a, [u8]>),
    Text(Cow<'a, str>),
    Time(i128),
}

pub fn test(test: &Test, packet: &Packet<'_>) -> bool {
    match test {
        Test::Or(a, b) => self::test(a, packet) || self::test(b, packet),
        Test::And(a, b) => self::test(a, packet) && self::test(b, packet),
        Test::Not(a) => !self::test(a, packet),
        Test::Exists(Source::Field { ids, layers: None }) => {
            packet.tree.nodes.iter().any(|node| node.id.is_some_and(|id| ids.contains(&id)))
        }
        Test::Exists(source) => !items(source, packet).is_empty(),
        Test::Truth(source) => items(source, packet).iter().any(|item| match item {
            Item::Number(number) => *number != 0,
            Item::Double(number) => *number != 0.0,
            Item::Ipv4(addr, _) => *addr != 0,
            Item::Ipv6(addr, _) => *addr != 0,
            Item::Bytes(bytes) => bytes.iter().any(|byte| *byte != 0),
            Item::Time(time) => *time != 0,
            Item::Text(text) => !text.is_empty(),
            Item::None => true,
        }),
        Test::Compare { all, left, op, right } => {
            // Without a list where one value is compared with many.
            if let (Source::Field { ids, layers: None }, Source::Literal(literal)) = (left, right) {
                let right = item_of(literal);
                let mut found = false;
                for node in &packet.tree.nodes {
                    if !node.id.is_some_and(|id| ids.contains(&id)) {
                        continue;
                    }
                    found = true;
                    let passes = relates(&item(node, packet), *op, &right);
                    if passes != *all {
                        return passes;
                    }
                }
                return found && *all;
            }
            let (left, right) = (items(left, packet), items(right, packet));
            if left.is_empty() || right.is_empty() {
                return false;
            }
            let mut pairs = left.iter().flat_map(|a| right.iter().map(move |b| (a, b)));
            if *all {
                pairs.all(|(a, b)| relates(a, *op, b))
            } else {
                pairs.any(|(a, b)| relates(a, *op, b))
            }
        }
        Test::In { all, left, set } => {
            let left = items(left, packet);
            let member = |item: &Item<'_>| {
                set.iter().any(|(first, last)| {
                    let firsts = items(first, packet);
                    match last {
                        None => firsts.iter().any(|one| relates(item, Relation::Eq, one)),
                        Some(last) => {
                            let lasts = items(last, packet);
                            firsts.iter().any(|one| relates(item, Relation::Ge, one))
                                && lasts.iter().any(|one| relates(item, Relation::Le, one))
                        }
                    }
                })
            };
            if *all { !left.is_empty() && left.iter().all(member) } else { left.iter().any(member) }
        }
        Test::Matches { all, left, pattern } => {
            let left = items(left, packet);
            let matches = |item: &Item<'_>| match item {
                Item::Text(text) => pattern.is_match(text.as_bytes()),
                Item::Bytes(bytes) => pattern.is_match(bytes),
                _ => false,
            };
            if *all {
                !left.is_empty() && left.iter().all(matches)
            } else {
                left.iter().any(matches)
            }
        }
    }
}

fn item<'a>(node: &Node, packet: &Packet<'a>) -> Item<'a> {
    let kind = node.id.map_or(Kind::None, Id::kind);
    match node.value {
        Value::Uint(number) => Item::Number(number.into()),
        Value::Int(number) => Item::Number(number.into()),
        Value::Bool(bit) => Item::Number(bit.into()),
        Value::Ipv4(addr) => Item::Ipv4(u32::from_be_bytes(addr), u32::MAX),
        Value::Ipv6(addr) => Item::Ipv6(u128::from_be_bytes(addr), u128::MAX),
        Value::Ether(addr) => Item::Bytes(addr.to_vec().into()),
        Value::Bytes if kind.is_text() => {
            Item::Text(String::from_utf8_lossy(node.bytes(packet.bytes)))
        }
        Value::Bytes => Item::Bytes(node.bytes(packet.bytes).into()),
        Value::Text(span) => Item::Text(packet.tree.text(span).into()),
        Value::Word(word) => Item::Text(word.into()),
        Value::Rel(time) | Value::Abs(time) => Item::Time(time.into()),
        // A protocol is all of its bytes, with what stands inside.
        Value::Whole(end) => {
            let (from, end) = (node.at as usize, (end as usize).min(packet.bytes.len()));
            Item::Bytes(packet.bytes.get(from..end).unwrap_or_default().into())
        }
        Value::None => Item::None,
    }
}

fn item_of(literal: &Literal) -> Item<'_> {
    match literal {
        Literal::Number(number) => Item::Number(*number),
        Literal::Double(number) => Item::Double(*number),
        Literal::Bool(bit) => Item::Number((*bit).into()),
        Literal::Ipv4(addr, mask) => Item::Ipv4(*addr, *mask),
        Literal::Ipv6(addr, mask) => Item::Ipv6(*addr, *mask),
        Literal::Bytes(bytes) => Item::Bytes(bytes.as_slice().into()),
        Literal::Text(text) => Item::Text(text.as_str().into()),
        Literal::Time(time) => Item::Time(*time),
    }
}

fn items<'a>(source: &'a Source, packet: &Packet<'a>) -> Vec<Item<'a>> {
    match source {
        Source::Literal(literal) => vec![item_of(literal)],
        Source::Field { ids, layers } => {
            let nodes = &packet.tree.nodes;
            let mut found = Vec::new();
            let mut layer = 0;
            // All layers of the protocol, for those counted from the last.
            let total = layers
                .as_ref()
                .map_or(0, |_| nodes.iter().filter(|node| is_begin(node, ids)).count() as i64);
            for node in nodes {
                layer += i64::from(is_begin(node, ids));
                let fits = layers.as_ref().is_none_or(|layers| is_in(layers, layer, total));
                if fits && node.id.is_some_and(|id| ids.contains(&id)) {
                    found.push(item(node, packet));
                }
            }
            found
        }
        Source::Slice(inside, ranges) => items(inside, packet)
            .into_iter()
            .filter_map(|item| match item {
                Item::Text(text) => {
                    let bytes = slice(text.as_bytes(), ranges)?;
                    Some(Item::Text(String::from_utf8_lossy(&bytes).into_owned().into()))
                }
                Item::Ipv4(addr, _) => {
                    slice(&addr.to_be_bytes(), ranges).map(|b| Item::Bytes(b.into()))
                }
                Item::Ipv6(addr, _) => {
                    slice(&addr.to_be_bytes(), ranges).map(|b| Item::Bytes(b.into()))
                }
                Item::Bytes(bytes) => slice(&bytes, ranges).map(|bytes| Item::Bytes(bytes.into())),
                _ => None,
            })
            .collect(),
        Source::Minus(inside) => items(inside, packet)
            .into_iter()
            .filter_map(|item| match item {
                Item::Number(number) => Some(Item::Number(-number)),
                Item::Double(number) => Some(Item::Double(-number)),
                Item::Time(time) => Some(Item::Time(-time)),
                _ => None,
            })
            .collect(),
        Source::Arithmetic(sign, left, right) => {
            let (left, right) = (items(left, packet), items(right, packet));
            left.iter().flat_map(|a| right.iter().filter_map(|b| arithmetic(*sign, a, b))).collect()
        }
        Source::Call(function, arguments) => call(*function, arguments, packet),
    }
}

fn is_begin(node: &Node, ids: &[Id]) -> bool {
    node.id
        .is_some_and(|id| id.is_protocol() && ids.iter().any(|one| std::ptr::eq(one.of(), id.of())))
}

fn is_in(layers: &[Layer], layer: i64, total: i64) -> bool {
    let place = |number: i64| if number < 0 { total + 1 + number } else { number };
    layers.iter().any(|one| (place(one.first)..=place(one.last)).contains(&layer))
}

fn slice(bytes: &[u8], ranges: &[Range]) -> Option<Vec<u8>> {
    let total = bytes.len() as i64;
    let mut all = Vec::new();
    for range in ranges {
        let begin = if range.begin < 0 { total + range.begin } else { range.begin };
        let end = match range.length {
            Length::Bytes(len) => begin.checked_add(len)?,
            Length::To(last) => (if last < 0 { total + last } else { last }).checked_add(1)?,
            Length::Rest => total,
        };
        if begin < 0 || begin > end || end > total || begin >= total {
            return None;
        }
        all.extend_from_slice(bytes.get(begin as usize..end as usize)?);
    }
    Some(all)
}

fn arithmetic<'a>(sign: Sign, a: &Item<'a>, b: &Item<'a>) -> Option<Item<'a>> {
    let both = |a: i128, b: i128| {
        Some(match sign {
            Sign::And => a & b,
            Sign::Plus => a.checked_add(b)?,
            Sign::Minus => a.checked_sub(b)?,
            Sign::Times => a.checked_mul(b)?,
            Sign::By => a.checked_div(b)?,
            Sign::Rest => a.checked_rem(b)?,
        })
    };
    match (a, b) {
        (Item::Number(a), Item::Number(b)) => both(*a, *b).map(Item::Number),
        (Item::Time(a), Item::Time(b)) => both(*a, *b).map(Item::Time),
        (Item::Double(a), Item::Double(b)) => Some(Item::Double(match sign {
            Sign::Plus => a + b,
            Sign::Minus => a - b,
            Sign::Times => a * b,
            Sign::By => a / b,
            _ => return None,
        })),
        (Item::Ipv4(a, _), Item::Ipv4(b, _)) => Some(Item::Ipv4(a & b, u32::MAX)),
        (Item::Ipv6(a, _), Item::Ipv6(b, _)) => Some(Item::Ipv6(a & b, u128::MAX)),
        (Item::Bytes(a), Item::Bytes(b)) => {
            Some(Item::Bytes(a.iter().zip(b.iter()).map(|(a, b)| a & b).collect::<Vec<_>>().into()))
        }
        _ => None,
    }
}

fn call<'a>(function: Function, arguments: &'a [Source], packet: &Packet<'a>) -> Vec<Item<'a>> {
    let mut all: Vec<Item<'a>> =
        arguments.iter().flat_map(|source| items(source, packet)).collect();
    match function {
        Function::Count => {
            if all.is_empty() {
                all
            } else {
                vec![Item::Number(all.len() as i128)]
            }
        }
        Function::Upper | Function::Lower => {
            for item in &mut all {
                if let Item::Text(text) = item {
                    let changed = if function == Function::Upper {
                        text.to_ascii_uppercase()
                    } else {
                        text.to_ascii_lowercase()
                    };
                    *item = Item::Text(changed.into());
                }
            }
            all
        }
        Function::Len => all
            .iter()
            .filter_map(|item| match item {
                Item::Text(text) => Some(Item::Number(text.len() as i128)),
                Item::Bytes(bytes) => Some(Item::Number(bytes.len() as i128)),
                _ => None,
            })
            .collect(),
        Function::String => texts(arguments, packet),
        Function::Abs => {
            for item in &mut all {
                match item {
                    Item::Number(number) => *number = number.abs(),
                    Item::Double(number) => *number = number.abs(),
                    Item::Time(time) => *time = time.abs(),
                    _ => {}
                }
            }
            all
        }
        Function::Max | Function::Min => {
            let chosen = all.into_iter().reduce(|a, b| {
                let greater = compare(&b, &a) == Some(Ordering::Greater);
                if greater == (function == Function::Max) { b } else { a }
            });
            chosen.into_iter().collect()
        }
    }
}

/// Values as programs read them.
fn texts<'a>(arguments: &[Source], packet: &Packet<'a>) -> Vec<Item<'a>> {
    let Some(Source::Field { ids, .. }) = arguments.first() else { return Vec::new() };
    let nodes = packet.tree.nodes.iter();
    nodes
        .filter(|node| node.id.is_some_and(|id| ids.contains(&id)))
        .map(|node| {
            let mut text = String::new();
            packet.tree.show(node, packet.bytes, &mut text);
            Item::Text(text.into())
        })
        .collect()
}

fn compare(a: &Item<'_>, b: &Item<'_>) -> Option<Ordering> {
    match (a, b) {
        (Item::Number(a), Item::Number(b)) => Some(a.cmp(b)),
        (Item::Time(a), Item::Time(b)) => Some(a.cmp(b)),
        (Item::Double(a), Item::Double(b)) => a.partial_cmp(b),
        (Item::Ipv4(a, m), Item::Ipv4(b, n)) => Some((a & m & n).cmp(&(b & m & n))),
        (Item::Ipv6(a, m), Item::Ipv6(b, n)) => Some((a & m & n).cmp(&(b & m & n))),
        (Item::Bytes(a), Item::Bytes(b)) => Some(a.cmp(b)),
        (Item::Text(a), Item::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn relates(a: &Item<'_>, op: Relation, b: &Item<'_>) -> bool {
    if op == Relation::Contains {
        return match (a, b) {
            (Item::Text(a), Item::Text(b)) => a.contains(&**b),
            (Item::Bytes(a), Item::Bytes(b)) => has(a, b),
            _ => false,
        };
    }
    let Some(order) = compare(a, b) else { return false };
    match op {
        Relation::Eq => order == Ordering::Equal,
        Relation::Ne => order != Ordering::Equal,
        Relation::Gt => order == Ordering::Greater,
        Relation::Ge => order != Ordering::Less,
        Relation::Lt => order == Ordering::Less,
        Relation::Le => order != Ordering::Greater,
        Relation::Contains => false,
    }
}

/// Whether bytes stand somewhere in others.
fn has(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut from = 0;
    while let Some(at) = bytes.get(from..).and_then(|rest| rest.iter().position(|b| b == first)) {
        let at = from + at;
        if bytes.get(at..).is_some_and(|rest| rest.starts_with(part)) {
            return true;
        }
        from = at + 1;
    }
    false
}

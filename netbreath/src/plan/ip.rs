//! The grammar of `ip` after its options: an object, perhaps a verb, and words that
//! choose.

use super::network::{Error, NeighbourSelect, Object, RouteSelect};
use crate::event::network::{NeighbourState, RouteKind};
use crate::view::ip::Select;

/// `ip`'s own grammar: an object, perhaps a verb, and words that choose. All can be
/// shortened.
pub fn object(words: &[String]) -> Result<Object, Error> {
    const OBJECTS: [(&str, &str); 4] =
        [("address", "addr"), ("link", "link"), ("route", "route"), ("neighbour", "neigh")];
    let Some((first, rest)) = words.split_first() else {
        return Err(Error::NoObject { typed: String::new() });
    };
    // `ip a` and `ip addr`, and the American way to write neighbour.
    let named = OBJECTS.iter().find(|(whole, _)| whole.starts_with(first.as_str()));
    let short = match named {
        Some((_, short)) => *short,
        None if "neighbor".starts_with(first.as_str()) => "neigh",
        None => return Err(Error::NoObject { typed: first.clone() }),
    };
    let rest = match rest.split_first() {
        Some((verb, rest)) if is_show(verb) => rest,
        Some((verb, _)) if is_verb(verb) => {
            return Err(Error::NoVerb { object: short, typed: verb.clone() });
        }
        _ => rest,
    };
    let mut words = Words { object: short, rest: rest.iter() };
    match short {
        "addr" => Ok(Object::Address(interfaces(&mut words)?)),
        "link" => Ok(Object::Link(interfaces(&mut words)?)),
        "route" => Ok(Object::Route(route_words(&mut words)?)),
        _ => Ok(Object::Neighbour(neighbour_words(&mut words)?)),
    }
}

fn is_show(word: &str) -> bool {
    matches!(word, "show" | "sh" | "list" | "lst" | "ls" | "l" | "s")
}

fn is_verb(word: &str) -> bool {
    matches!(
        word,
        "add"
            | "a"
            | "change"
            | "chg"
            | "replace"
            | "append"
            | "prepend"
            | "delete"
            | "del"
            | "d"
            | "flush"
            | "f"
            | "set"
            | "get"
            | "save"
            | "restore"
            | "help"
            | "xstats"
            | "afstats"
            | "property"
    )
}

struct Words<'a> {
    object: &'static str,
    rest: std::slice::Iter<'a, String>,
}

impl Words<'_> {
    fn value(&mut self, word: &'static str) -> Result<String, Error> {
        self.rest.next().cloned().ok_or(Error::NoValue { word })
    }

    fn unknown<T>(&self, typed: &str, known: &'static str) -> Result<T, Error> {
        Err(Error::NoWord { object: self.object, typed: typed.into(), known })
    }
}

fn interfaces(words: &mut Words<'_>) -> Result<Select, Error> {
    let mut select = Select::default();
    while let Some(word) = words.rest.next() {
        match word.as_str() {
            "dev" => select.dev = Some(words.value("dev")?),
            "up" => select.up = true,
            "master" => select.master = Some(words.value("master")?),
            "type" => select.kind = Some(words.value("type")?),
            // A name without `dev` before it.
            _ if select.dev.is_none() => select.dev = Some(word.clone()),
            _ => return words.unknown(word, "dev NAME, up, master NAME, type KIND"),
        }
    }
    Ok(select)
}

fn route_words(words: &mut Words<'_>) -> Result<RouteSelect, Error> {
    let mut select = RouteSelect::default();
    let kind =
        |typed: &str| typed.parse::<RouteKind>().map_err(|_| Error::NoKind { typed: typed.into() });
    while let Some(word) = words.rest.next() {
        match word.as_str() {
            "dev" | "oif" => select.dev = Some(words.value("dev")?),
            "table" => match words.value("table")?.as_str() {
                "all" => select.all_tables = true,
                table => select.table = Some(table.to_owned()),
            },
            "proto" | "protocol" => select.protocol = Some(words.value("proto")?),
            "type" => select.kind = Some(kind(&words.value("type")?)?),
            "default" => select.only_default = true,
            typed => match kind(typed) {
                Ok(kind) => select.kind = Some(kind),
                Err(_) => {
                    let known = "dev NAME, table NAME|all, proto NAME, type KIND, default";
                    return words.unknown(typed, known);
                }
            },
        }
    }
    Ok(select)
}

fn neighbour_words(words: &mut Words<'_>) -> Result<NeighbourSelect, Error> {
    let mut select = NeighbourSelect::default();
    while let Some(word) = words.rest.next() {
        match word.as_str() {
            "dev" => select.dev = Some(words.value("dev")?),
            "proxy" => select.proxy = true,
            "nud" => {
                let typed = words.value("nud")?;
                let state = match typed.as_str() {
                    "all" => u16::MAX.into(),
                    name => NeighbourState::NAMES
                        .into_iter()
                        .find(|(_, known)| known.eq_ignore_ascii_case(name))
                        .map(|(bit, _)| bit)
                        .ok_or(Error::NoState { typed: name.into() })?,
                };
                let before = select.states.map_or(0, |states| states.0);
                let state = u16::try_from(state).unwrap_or(u16::MAX);
                select.states = Some(NeighbourState(before | state));
            }
            typed => return words.unknown(typed, "dev NAME, nud STATE, proxy"),
        }
    }
    Ok(select)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Object, Error> {
        object(&line.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn ip_is_understood_shortened_and_in_full() {
        let dev = |name: &str| Select { dev: Some(name.into()), ..Select::default() };
        assert_eq!(read("a").unwrap(), Object::Address(Select::default()));
        assert_eq!(read("address show dev eth0").unwrap(), Object::Address(dev("eth0")));
        assert_eq!(read("l sh eth0").unwrap(), Object::Link(dev("eth0")));
        assert_eq!(read("neighbor").unwrap(), Object::Neighbour(NeighbourSelect::default()));
        let all = RouteSelect { all_tables: true, ..RouteSelect::default() };
        assert_eq!(read("r show table all").unwrap(), Object::Route(all));
        let Object::Neighbour(select) = read("n show nud failed nud stale").unwrap() else {
            panic!("no neighbours");
        };
        assert_eq!(select.states, Some(NeighbourState(0x24)));
    }

    #[test]
    fn what_is_not_understood_says_what_is() {
        for (line, message) in [
            ("foo", "these are: addr, link, route, neigh"),
            ("addr add 10.0.0.1/8 dev lo", "netbreath observes"),
            ("addr show dev", "dev needs a value"),
            ("addr show a b", "does not know the word \"b\""),
            ("route show type nonsense", "no type of route"),
            ("neigh show nud nonsense", "no state of a neighbour; these are: incomplete"),
        ] {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(message), "{line}: {error}");
        }
    }
}

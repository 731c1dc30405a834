//! Names into fields, literals into values of the field's type, or an error that says what
//! does not fit.

use std::net::{Ipv4Addr, Ipv6Addr};

use regex::bytes::{Regex, RegexBuilder};

use super::parse::{Expr, Layer, Op, Range, Sign, Value, What};
use super::{Place, Problem, problem};
use crate::packet::dissect::field::{Id, Kind, Words, all_by_name, protocols};

#[derive(Debug)]
pub enum Test {
    Or(Box<Test>, Box<Test>),
    And(Box<Test>, Box<Test>),
    Not(Box<Test>),
    /// One of these is there.
    Exists(Source),
    /// One of them is not 0.
    Truth(Source),
    Compare {
        all: bool,
        left: Source,
        op: Relation,
        right: Source,
    },
    In {
        all: bool,
        left: Source,
        set: Vec<(Source, Option<Source>)>,
    },
    Matches {
        all: bool,
        left: Source,
        pattern: Regex,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
    Contains,
}

/// Where values come from.
#[derive(Debug)]
pub enum Source {
    Field { ids: Vec<Id>, layers: Option<Vec<Layer>> },
    Literal(Literal),
    Slice(Box<Source>, Vec<Range>),
    Arithmetic(Sign, Box<Source>, Box<Source>),
    Minus(Box<Source>),
    Call(Function, Vec<Source>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Upper,
    Lower,
    Len,
    Count,
    String,
    Max,
    Min,
    Abs,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    Number(i128),
    Double(f64),
    Bool(bool),
    Ipv4(u32, u32),
    Ipv6(u128, u128),
    Bytes(Vec<u8>),
    Text(String),
    Time(i128),
}

/// What values are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Number(Kind),
    Bool,
    Ipv4,
    Ipv6,
    Ether,
    Bytes,
    Protocol,
    Text,
    Rel,
    Abs,
    Double,
    None,
}

impl Type {
    fn of(kind: Kind) -> Type {
        match kind {
            Kind::Bool => Type::Bool,
            Kind::Ipv4 => Type::Ipv4,
            Kind::Ipv6 => Type::Ipv6,
            Kind::Ether => Type::Ether,
            Kind::Bytes | Kind::Guid => Type::Bytes,
            Kind::Protocol | Kind::Part => Type::Protocol,
            Kind::Rel => Type::Rel,
            Kind::Abs => Type::Abs,
            Kind::Double => Type::Double,
            Kind::None => Type::None,
            kind if kind.is_text() => Type::Text,
            kind => Type::Number(kind),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Type::Number(_) => "a number",
            Type::Bool => "a bit",
            Type::Ipv4 => "an IPv4 address",
            Type::Ipv6 => "an IPv6 address",
            Type::Ether => "an Ethernet address",
            Type::Bytes => "bytes",
            Type::Protocol => "a protocol",
            Type::Text => "a text",
            Type::Rel => "a time in seconds",
            Type::Abs => "a time",
            Type::Double => "a number",
            Type::None => "a label without a value",
        }
    }

    /// Both can be compared.
    fn fits(self, other: Type) -> bool {
        let group = |one| match one {
            Type::Number(_) | Type::Bool => 1,
            Type::Ipv4 => 2,
            Type::Ipv6 => 3,
            Type::Ether | Type::Bytes | Type::Protocol => 4,
            Type::Text => 5,
            Type::Rel => 6,
            Type::Abs => 7,
            Type::Double => 8,
            Type::None => 9,
        };
        group(self) == group(other)
    }

    fn is_bytes(self) -> bool {
        matches!(self, Type::Bytes | Type::Protocol | Type::Ether)
    }
}

pub fn compile(text: &str, tree: &Expr) -> Result<Test, Problem> {
    Compiler { text }.test(tree)
}

struct Compiler<'a> {
    text: &'a str,
}

/// A source, what it is of, and the field it comes from.
struct Typed {
    source: Source,
    of: Type,
    field: Option<Id>,
}

impl Compiler<'_> {
    fn written(&self, place: Place) -> &str {
        self.text.get(place.start..place.end).unwrap_or_default()
    }

    fn test(&self, tree: &Expr) -> Result<Test, Problem> {
        Ok(match tree {
            Expr::Or(a, b) => Test::Or(Box::new(self.test(a)?), Box::new(self.test(b)?)),
            Expr::And(a, b) => Test::And(Box::new(self.test(a)?), Box::new(self.test(b)?)),
            Expr::Not(a) => Test::Not(Box::new(self.test(a)?)),
            Expr::Is(value) => self.is(value)?,
            Expr::Compare { any, left, op, op_place, right } => {
                self.compare(*any, left, *op, *op_place, right)?
            }
            Expr::In { any, left, set, negated } => {
                let typed = self.left(left, "in")?;
                self.comparable(&typed, left.place, "in")?;
                let mut sources = Vec::new();
                for (first, last) in set {
                    let first = self.right(first, &typed)?;
                    let last = last.as_ref().map(|last| self.right(last, &typed)).transpose()?;
                    sources.push((first, last));
                }
                let test = Test::In { all: *any == Some(false), left: typed.source, set: sources };
                if *negated { Test::Not(Box::new(test)) } else { test }
            }
        })
    }

    fn is(&self, value: &Value) -> Result<Test, Problem> {
        match &value.what {
            What::Arithmetic(Sign::And, ..) => {
                let typed = self.left(value, "&")?;
                Ok(Test::Truth(typed.source))
            }
            What::Arithmetic(..) | What::Minus(_) => {
                Err(problem(value.place, "arithmetic alone is no test: compare it with something"))
            }
            What::Call(..) => Err(problem(
                value.place,
                "whether a function is there cannot be asked: compare it with something",
            )),
            What::Text(_) | What::Char(_) => {
                Err(problem(value.place, "a literal alone is no test: name a field or a protocol"))
            }
            _ => match self.entity(value)? {
                Some(typed) => Ok(Test::Exists(typed.source)),
                None => Err(self.unknown(value.place)),
            },
        }
    }

    fn compare(
        &self,
        any: Option<bool>,
        left: &Value,
        op: Op,
        op_place: Place,
        right: &Value,
    ) -> Result<Test, Problem> {
        let sign = self.written(op_place).to_owned();
        let typed = self.left(left, &sign)?;
        self.comparable(&typed, left.place, &sign)?;
        let (relation, all) = match op {
            Op::AnyEq => (Relation::Eq, any == Some(false)),
            Op::AllEq => (Relation::Eq, true),
            Op::AnyNe => (Relation::Ne, false),
            Op::AllNe => (Relation::Ne, any != Some(true)),
            Op::Gt => (Relation::Gt, any == Some(false)),
            Op::Ge => (Relation::Ge, any == Some(false)),
            Op::Lt => (Relation::Lt, any == Some(false)),
            Op::Le => (Relation::Le, any == Some(false)),
            Op::Contains => {
                if !typed.of.is_bytes() && typed.of != Type::Text {
                    return Err(problem(
                        left.place,
                        format!(
                            "{} is {}: `contains` looks into texts and bytes only",
                            self.written(left.place),
                            typed.of.name()
                        ),
                    ));
                }
                (Relation::Contains, any == Some(false))
            }
            Op::Matches => {
                if !typed.of.is_bytes() && typed.of != Type::Text {
                    return Err(problem(
                        left.place,
                        format!(
                            "{} is {}: `matches` looks into texts and bytes only",
                            self.written(left.place),
                            typed.of.name()
                        ),
                    ));
                }
                let What::Text(pattern) = &right.what else {
                    return Err(problem(
                        right.place,
                        "behind `matches` stands a regular expression in double quotes",
                    ));
                };
                let pattern = String::from_utf8_lossy(pattern);
                let pattern = RegexBuilder::new(&pattern)
                    .case_insensitive(true)
                    .unicode(false)
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|error| {
                        let text = error.to_string();
                        let last = text.lines().last().unwrap_or_default();
                        problem(right.place, format!("no regular expression: {last}"))
                    })?;
                let all = any == Some(false);
                return Ok(Test::Matches { all, left: typed.source, pattern });
            }
        };
        let right = if relation == Relation::Contains {
            self.contained(right, &typed)?
        } else {
            self.right(right, &typed)?
        };
        Ok(Test::Compare { all, left: typed.source, op: relation, right })
    }

    fn comparable(&self, typed: &Typed, place: Place, sign: &str) -> Result<(), Problem> {
        if typed.of == Type::None {
            return Err(problem(
                place,
                format!(
                    "{} is there or not, and has no value to compare by `{sign}`: write it alone",
                    self.written(place)
                ),
            ));
        }
        Ok(())
    }

    /// What must be a field or made of one.
    fn left(&self, value: &Value, sign: &str) -> Result<Typed, Problem> {
        match self.entity(value)? {
            Some(typed) => Ok(typed),
            None if matches!(value.what, What::Word(_))
                && looks_like_name(self.written(value.place)) =>
            {
                Err(self.unknown(value.place))
            }
            None => Err(problem(
                value.place,
                format!(
                    "left of `{sign}` must stand a field or a function, not {}",
                    self.written(value.place)
                ),
            )),
        }
    }

    fn unknown(&self, place: Place) -> Problem {
        let name = self.written(place);
        let near = near(name);
        let near = if near.is_empty() {
            "`netbreath tshark -G fields` lists all".to_owned()
        } else {
            format!("near it: {}", near.join(", "))
        };
        problem(place, format!("there is no field or protocol `{name}`; {near}"))
    }

    /// A field, or something made of one; nothing if it is a literal.
    fn entity(&self, value: &Value) -> Result<Option<Typed>, Problem> {
        Ok(Some(match &value.what {
            What::Word(word) => {
                let ids = all_by_name(word);
                let Some(first) = ids.first().copied() else { return Ok(None) };
                Typed {
                    source: Source::Field { ids, layers: None },
                    of: Type::of(first.kind()),
                    field: Some(first),
                }
            }
            What::Text(_) | What::Char(_) => return Ok(None),
            What::Layer(inside, layers) => {
                let typed = self.left(inside, "#")?;
                match typed.source {
                    Source::Field { ids, layers: None } => {
                        let source = Source::Field { ids, layers: Some(layers.clone()) };
                        Typed { source, ..typed }
                    }
                    _ => return Err(problem(value.place, "only a field has layers")),
                }
            }
            What::Slice(inside, ranges) => {
                let typed = self.left(inside, "[")?;
                if !typed.of.is_bytes() && !matches!(typed.of, Type::Text | Type::Ipv4 | Type::Ipv6)
                {
                    return Err(problem(
                        inside.place,
                        format!(
                            "{} is {}, of which no slice can be taken",
                            self.written(inside.place),
                            typed.of.name()
                        ),
                    ));
                }
                Typed {
                    source: Source::Slice(Box::new(typed.source), ranges.clone()),
                    of: if typed.of == Type::Text { Type::Text } else { Type::Bytes },
                    field: None,
                }
            }
            What::Minus(inside) => match self.entity(inside)? {
                None => return Ok(None),
                Some(typed) => {
                    self.numeric(&typed, inside.place)?;
                    Typed {
                        source: Source::Minus(Box::new(typed.source)),
                        of: typed.of,
                        field: None,
                    }
                }
            },
            What::Arithmetic(sign, left, right) => {
                let typed = self.left(left, "arithmetic")?;
                let bytes = typed.of.is_bytes() && typed.of != Type::Protocol
                    || matches!(typed.of, Type::Ipv4 | Type::Ipv6);
                if !(*sign == Sign::And && bytes) {
                    self.numeric(&typed, left.place)?;
                }
                let right = self.right(right, &typed)?;
                let of = typed.of;
                Typed {
                    source: Source::Arithmetic(*sign, Box::new(typed.source), Box::new(right)),
                    of,
                    field: None,
                }
            }
            What::Call(name, place, arguments) => {
                self.call(name, *place, arguments, value.place)?
            }
        }))
    }

    fn numeric(&self, typed: &Typed, place: Place) -> Result<(), Problem> {
        if matches!(typed.of, Type::Number(_) | Type::Rel | Type::Double) {
            return Ok(());
        }
        Err(problem(
            place,
            format!(
                "{} is {}: nothing can be computed with it",
                self.written(place),
                typed.of.name()
            ),
        ))
    }

    fn call(
        &self,
        name: &str,
        place: Place,
        arguments: &[Value],
        whole: Place,
    ) -> Result<Typed, Problem> {
        let (function, least, most) = match name {
            "upper" => (Function::Upper, 1, 1),
            "lower" => (Function::Lower, 1, 1),
            "len" => (Function::Len, 1, 1),
            "count" => (Function::Count, 1, 1),
            "string" => (Function::String, 1, 1),
            "max" => (Function::Max, 1, usize::MAX),
            "min" => (Function::Min, 1, usize::MAX),
            "abs" => (Function::Abs, 1, 1),
            _ => {
                return Err(problem(
                    place,
                    format!(
                        "there is no function {name}: there are upper, lower, len, count, string, \
                         max, min, abs"
                    ),
                ));
            }
        };
        if arguments.len() < least || arguments.len() > most {
            return Err(problem(
                whole,
                format!("{name}() takes {least} argument, not {}", arguments.len()),
            ));
        }
        let mut sources = Vec::new();
        let mut of = Type::Number(Kind::U32);
        for argument in arguments {
            let typed = match self.entity(argument)? {
                Some(typed) => typed,
                None if matches!(function, Function::Max | Function::Min)
                    && !sources.is_empty() =>
                {
                    let like =
                        Typed { source: Source::Literal(Literal::Number(0)), of, field: None };
                    Typed { source: self.right(argument, &like)?, of, field: None }
                }
                None => {
                    return Err(problem(
                        argument.place,
                        format!("{name}() takes a field, not {}", self.written(argument.place)),
                    ));
                }
            };
            match function {
                Function::Upper | Function::Lower => {
                    if typed.of != Type::Text {
                        return Err(problem(
                            argument.place,
                            format!(
                                "{name}() takes a text; {} is {}",
                                self.written(argument.place),
                                typed.of.name()
                            ),
                        ));
                    }
                    of = Type::Text;
                }
                Function::Len => {
                    if typed.of != Type::Text && !typed.of.is_bytes() {
                        return Err(problem(
                            argument.place,
                            format!(
                                "len() takes a text or bytes; {} is {}",
                                self.written(argument.place),
                                typed.of.name()
                            ),
                        ));
                    }
                }
                Function::Count => {}
                Function::String => of = Type::Text,
                Function::Max | Function::Min | Function::Abs => {
                    self.numeric(&typed, argument.place)?;
                    of = typed.of;
                }
            }
            sources.push(typed.source);
        }
        Ok(Typed { source: Source::Call(function, sources), of, field: None })
    }

    /// What is compared with `left`.
    fn right(&self, value: &Value, left: &Typed) -> Result<Source, Problem> {
        let is_literal = matches!(value.what, What::Word(_))
            && (left.of == Type::Text || left.of.is_bytes())
            && all_by_name(self.written(value.place)).is_empty();
        if !is_literal && let Some(typed) = self.entity(value)? {
            if !typed.of.fits(left.of) {
                return Err(problem(
                    value.place,
                    format!(
                        "{} is {}, and cannot be compared with {}",
                        self.written(value.place),
                        typed.of.name(),
                        left.of.name()
                    ),
                ));
            }
            return Ok(typed.source);
        }
        self.literal(value, left).map(Source::Literal)
    }

    /// What `left` is to contain.
    fn contained(&self, value: &Value, left: &Typed) -> Result<Source, Problem> {
        match (&value.what, left.of) {
            (What::Text(text), Type::Text) => {
                Ok(Source::Literal(Literal::Text(String::from_utf8_lossy(text).into_owned())))
            }
            (What::Text(text), _) => Ok(Source::Literal(Literal::Bytes(text.clone()))),
            _ => self.right(value, left),
        }
    }

    fn literal(&self, value: &Value, left: &Typed) -> Result<Literal, Problem> {
        let written = self.written(value.place);
        let no = |what: String| Err(problem(value.place, what));
        let named = left.field.and_then(Id::field);
        if let What::Minus(inside) = &value.what {
            return match self.literal(inside, left)? {
                Literal::Number(number) => Ok(Literal::Number(-number)),
                Literal::Double(number) => Ok(Literal::Double(-number)),
                Literal::Time(time) => Ok(Literal::Time(-time)),
                _ => no(format!("{written} has no negative")),
            };
        }
        let text = match &value.what {
            What::Word(word) => word.clone(),
            What::Text(text) => String::from_utf8_lossy(text).into_owned(),
            What::Char(byte) => match left.of {
                Type::Number(_) => return Ok(Literal::Number((*byte).into())),
                Type::Text => return Ok(Literal::Text(char::from(*byte).to_string())),
                _ if left.of.is_bytes() => return Ok(Literal::Bytes(vec![*byte])),
                _ => return no(format!("a character is no {}", left.of.name())),
            },
            _ => return no(format!("{written} is no literal")),
        };
        let is_quoted = matches!(value.what, What::Text(_));
        match left.of {
            Type::Number(kind) => {
                if !is_quoted && let Some(number) = number(&text) {
                    let most = if kind.is_signed() {
                        (1_i128 << (kind.bits() - 1)) - 1
                    } else {
                        (1_i128 << kind.bits()) - 1
                    };
                    if number > most {
                        return no(format!(
                            "{text} is too large: {most} is the most that {} can be",
                            left.field.map_or("it", Id::name)
                        ));
                    }
                    return Ok(Literal::Number(number));
                }
                // The name of a number.
                if let Some(Words::Names(names)) = named.map(|field| field.words)
                    && let Some((number, _)) =
                        names.iter().find(|(_, name)| name.eq_ignore_ascii_case(&text))
                {
                    return Ok(Literal::Number((*number).into()));
                }
                if let Some(Words::Names(names)) = named.map(|field| field.words) {
                    let some: Vec<&str> = names.iter().take(4).map(|(_, name)| *name).collect();
                    return no(format!(
                        "`{text}` is no number, nor a name of one: they are {}, …",
                        some.join(", ")
                    ));
                }
                no(format!("`{text}` is no number"))
            }
            Type::Double => match text.parse::<f64>() {
                Ok(number) => Ok(Literal::Double(number)),
                Err(_) => no(format!("`{text}` is no number")),
            },
            Type::Bool => {
                if let Some(number) = number(&text) {
                    return Ok(Literal::Bool(number != 0));
                }
                let words = match named.map(|field| field.words) {
                    Some(Words::Bit(set, clear)) => Some((set, clear)),
                    _ => None,
                };
                match text.as_str() {
                    "True" | "TRUE" => Ok(Literal::Bool(true)),
                    "False" | "FALSE" => Ok(Literal::Bool(false)),
                    _ => match words {
                        Some((set, _)) if set.eq_ignore_ascii_case(&text) => {
                            Ok(Literal::Bool(true))
                        }
                        Some((_, clear)) if clear.eq_ignore_ascii_case(&text) => {
                            Ok(Literal::Bool(false))
                        }
                        _ => no(format!("`{text}` is no value of a bit: 1, 0, True or False")),
                    },
                }
            }
            Type::Ipv4 if !is_quoted => ipv4(&text, value.place),
            Type::Ipv6 if !is_quoted => ipv6(&text, value.place),
            Type::Ipv4 | Type::Ipv6 => no(format!("an address stands without quotes: {text}")),
            Type::Ether => match bytes(&text) {
                Some(bytes) if bytes.len() == 6 => Ok(Literal::Bytes(bytes)),
                Some(bytes) if bytes.len() < 6 && !is_quoted => {
                    no(format!("`{text}` has too few bytes for an Ethernet address: it has 6"))
                }
                _ => no(format!("`{text}` is no Ethernet address")),
            },
            Type::Bytes | Type::Protocol => {
                if is_quoted {
                    let What::Text(text) = &value.what else { return no(String::new()) };
                    return Ok(Literal::Bytes(text.clone()));
                }
                match bytes(&text) {
                    Some(bytes) => Ok(Literal::Bytes(bytes)),
                    None => no(format!(
                        "`{text}` is no bytes: hexadecimal ones as 0a:1b, or a text in double quotes"
                    )),
                }
            }
            Type::Text => Ok(Literal::Text(text)),
            Type::Rel => match seconds(&text) {
                Some(time) => Ok(Literal::Time(time)),
                None => no(format!("`{text}` is no time in seconds")),
            },
            Type::Abs => match date(&text) {
                Some(time) => Ok(Literal::Time(time)),
                None => no(format!(
                    "`{text}` is no time: as \"2011-07-04 12:34:56\" or \"Nov 12, 1999 08:55:44.123\""
                )),
            },
            Type::None => no("it has no value".to_owned()),
        }
    }
}

fn looks_like_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Names near to a wrong one.
fn near(name: &str) -> Vec<&'static str> {
    let name = name.to_ascii_lowercase();
    let mut all: Vec<(usize, &'static str)> = Vec::new();
    for (_, protocol) in protocols() {
        let fields = protocol.fields.iter().map(|field| field.name);
        for known in fields.chain([protocol.name]) {
            if known.len().abs_diff(name.len()) <= 3 {
                let distance = distance(name.as_bytes(), known.as_bytes());
                if distance <= 2 && distance < known.len() {
                    all.push((distance, known));
                }
            }
        }
    }
    all.sort();
    all.dedup();
    // The nearest only.
    let least = all.first().map_or(0, |(distance, _)| *distance);
    all.into_iter().filter(|(d, _)| *d == least).take(3).map(|(_, name)| name).collect()
}

/// How many letters must change.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if a.len() > 100 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut before = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = before + usize::from(x != y);
            before = row[j + 1];
            row[j + 1] = change.min(before + 1).min(row[j] + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Decimal, hexadecimal, octal or binary.
pub fn number(text: &str) -> Option<i128> {
    let lower = text.to_ascii_lowercase();
    let number = if let Some(hex) = lower.strip_prefix("0x") {
        u64::from_str_radix(hex, 16).ok()?
    } else if let Some(bits) = lower.strip_prefix("0b") {
        u64::from_str_radix(bits, 2).ok()?
    } else if lower.len() > 1 && lower.starts_with('0') {
        u64::from_str_radix(&lower, 8).ok()?
    } else if lower.starts_with(|c: char| c.is_ascii_digit()) {
        lower.parse::<u64>().ok()?
    } else {
        return None;
    };
    Some(number.into())
}

/// Bytes in hexadecimal, with or without something between.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("0x") {
        let hex = if hex.len() % 2 == 1 { format!("0{hex}") } else { hex.to_owned() };
        return bytes(&hex);
    }
    let separated = text.contains([':', '-', '.']);
    if separated {
        return text
            .split([':', '-', '.'])
            .map(|part| (1..=2).contains(&part.len()).then(|| u8::from_str_radix(part, 16).ok())?)
            .collect();
    }
    if !text.is_ascii() || text.is_empty() {
        return None;
    }
    if text.len() == 1 {
        return u8::from_str_radix(text, 16).ok().map(|byte| vec![byte]);
    }
    if text.len() % 2 == 1 {
        return None;
    }
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()).collect()
}

fn ipv4(text: &str, place: Place) -> Result<Literal, Problem> {
    let (addr, prefix) = match text.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix)),
        None => (text, None),
    };
    let Ok(addr) = addr.parse::<Ipv4Addr>() else {
        return Err(problem(place, format!("`{text}` is no IPv4 address")));
    };
    let bits = match prefix.map(str::parse::<u32>) {
        None => 32,
        Some(Ok(bits)) if bits <= 32 => bits,
        Some(_) => return Err(problem(place, "the prefix of an IPv4 address has 0 to 32 bits")),
    };
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    Ok(Literal::Ipv4(addr.into(), mask))
}

fn ipv6(text: &str, place: Place) -> Result<Literal, Problem> {
    let (addr, prefix) = match text.split_once('/') {
        Some((addr, prefix)) => (addr, Some(prefix)),
        None => (text, None),
    };
    let Ok(addr) = addr.parse::<Ipv6Addr>() else {
        return Err(problem(place, format!("`{text}` is no IPv6 address")));
    };
    let bits = match prefix.map(str::parse::<u32>) {
        None => 128,
        Some(Ok(bits)) if bits <= 128 => bits,
        Some(_) => return Err(problem(place, "the prefix of an IPv6 address has 0 to 128 bits")),
    };
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Ok(Literal::Ipv6(addr.into(), mask))
}

/// Seconds with a point, in nanoseconds.
fn seconds(text: &str) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() && part.is_empty() || part.len() > 9 {
        return None;
    }
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    let part: i128 =
        if part.is_empty() { 0 } else { format!("{part:0<9}").parse::<u64>().ok()?.into() };
    Some(whole * 1_000_000_000 + part)
}

/// A date and a time in this machine's zone, or seconds since the epoch.
fn date(text: &str) -> Option<i128> {
    if text.starts_with(|c: char| c.is_ascii_digit()) && !text.contains(['-', ':', ' ']) {
        return seconds(text);
    }
    let text = text.trim();
    let (text, utc) = match text.strip_suffix('Z').or_else(|| text.strip_suffix(" UTC")) {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let zone = if utc { jiff::tz::TimeZone::UTC } else { jiff::tz::TimeZone::system() };
    for format in [
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%Y-%m-%d",
        "%b %d, %Y %H:%M:%S%.f",
        "%b %d, %Y %H:%M",
        "%b %d, %Y",
    ] {
        let Ok(time) = jiff::fmt::strtime::parse(format, text) else { continue };
        let civil = time.to_datetime().or_else(|_| time.to_date().map(|date| date.at(0, 0, 0, 0)));
        if let Ok(civil) = civil
            && let Ok(zoned) = civil.to_zoned(zone.clone())
        {
            return Some(zoned.timestamp().as_nanosecond());
        }
    }
    None
}

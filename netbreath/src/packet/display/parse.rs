//! Tokens in a tree. Precedence, from loose to tight: or, and, not, comparisons, `&`,
//! plus and minus, times, a minus before.

use super::lex::{Token, Tokens};
use super::{DEEPEST, Place, Problem, problem};

#[derive(Clone, Debug)]
pub enum Expr {
    Or(Box<Expr>, Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Compare {
        any: Option<bool>,
        left: Value,
        op: Op,
        op_place: Place,
        right: Value,
    },
    In {
        any: Option<bool>,
        left: Value,
        set: Vec<(Value, Option<Value>)>,
        negated: bool,
    },
    /// Something is there, or a number is not 0.
    Is(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    AnyEq,
    AllEq,
    AnyNe,
    AllNe,
    Gt,
    Ge,
    Lt,
    Le,
    Contains,
    Matches,
}

#[derive(Clone, Debug)]
pub struct Value {
    pub what: What,
    pub place: Place,
}

#[derive(Clone, Debug)]
pub enum What {
    Word(String),
    Text(Vec<u8>),
    Char(u8),
    Call(String, Place, Vec<Value>),
    Slice(Box<Value>, Vec<Range>),
    Layer(Box<Value>, Vec<Layer>),
    Arithmetic(Sign, Box<Value>, Box<Value>),
    Minus(Box<Value>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    And,
    Plus,
    Minus,
    Times,
    By,
    Rest,
}

/// A part of bytes; a negative begin counts from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub begin: i64,
    pub length: Length,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Bytes(i64),
    /// To this place, which is part of it.
    To(i64),
    Rest,
}

/// Which occurrences of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    pub first: i64,
    pub last: i64,
}

struct Parser<'a> {
    text: &'a str,
    tokens: &'a Tokens,
    at: usize,
    depth: usize,
}

pub fn parse(text: &str, tokens: &Tokens) -> Result<Expr, Problem> {
    let mut parser = Parser { text, tokens, at: 0, depth: 0 };
    if tokens.is_empty() {
        return Err(Problem { place: None, what: "the filter is empty".to_owned() });
    }
    let tree = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(tree),
        Some(_) => Err(parser.unexpected()),
    }
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn place(&self) -> Place {
        let end = self.text.len();
        self.tokens.get(self.at).map_or(Place { start: end, end }, |(_, place)| *place)
    }

    fn unexpected(&self) -> Problem {
        match self.tokens.get(self.at) {
            Some((_, place)) => {
                let text = self.text.get(place.start..place.end).unwrap_or_default();
                problem(*place, format!("`{}` was not expected here", text.escape_debug()))
            }
            None => Problem { place: None, what: "the filter ends too early".to_owned() },
        }
    }

    fn sign(&mut self, sign: &str) -> bool {
        let is = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at += usize::from(is);
        is
    }

    fn word(&mut self, words: &[&str]) -> bool {
        let is = matches!(self.peek(), Some(Token::Word(found)) if words.contains(&found.as_str()));
        self.at += usize::from(is);
        is
    }

    fn deeper(&mut self) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(problem(self.place(), "the filter is nested too deeply"));
        }
        Ok(())
    }

    fn or(&mut self) -> Result<Expr, Problem> {
        let mut left = self.and()?;
        while self.word(&["or"]) || self.sign("||") {
            let right = self.and()?;
            left = Expr::Or(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Problem> {
        let mut left = self.not()?;
        while self.word(&["and"]) || self.sign("&&") {
            let right = self.not()?;
            left = Expr::And(Box::new(left), Box::new(right));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Problem> {
        self.deeper()?;
        let tree = if self.word(&["not"]) || self.sign("!") {
            Expr::Not(Box::new(self.not()?))
        } else if self.sign("(") {
            let inside = self.or()?;
            if !self.sign(")") {
                return Err(self.unexpected());
            }
            inside
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn comparison(&mut self) -> Result<Expr, Problem> {
        let any = if self.word(&["any"]) {
            Some(true)
        } else if self.word(&["all"]) {
            Some(false)
        } else {
            None
        };
        let mut left = self.value()?;
        let mut whole: Option<Expr> = None;
        loop {
            let negated = matches!(self.peek(), Some(Token::Word(word)) if word == "not")
                && matches!(self.tokens.get(self.at + 1), Some((Token::Word(word), _)) if word == "in");
            self.at += usize::from(negated);
            let one = if self.word(&["in"]) {
                let set = self.set()?;
                let tree = Expr::In { any, left: left.clone(), set, negated };
                return Ok(join(whole, tree));
            } else if let Some((op, op_place)) = self.op() {
                let right = self.value()?;
                let tree = Expr::Compare { any, left, op, op_place, right: right.clone() };
                left = right;
                tree
            } else {
                return match whole {
                    Some(whole) => Ok(whole),
                    None if any.is_some() => Err(self.unexpected()),
                    None => Ok(Expr::Is(left)),
                };
            };
            whole = Some(join(whole, one));
        }
    }

    fn op(&mut self) -> Option<(Op, Place)> {
        let place = self.place();
        let op = match self.peek()? {
            Token::Sign("==") => Op::AnyEq,
            Token::Sign("===") => Op::AllEq,
            Token::Sign("!=") => Op::AllNe,
            Token::Sign("!==" | "~=") => Op::AnyNe,
            Token::Sign(">") => Op::Gt,
            Token::Sign(">=") => Op::Ge,
            Token::Sign("<") => Op::Lt,
            Token::Sign("<=") => Op::Le,
            Token::Sign("~") => Op::Matches,
            Token::Word(word) => match word.as_str() {
                "eq" | "any_eq" => Op::AnyEq,
                "all_eq" => Op::AllEq,
                "ne" | "all_ne" => Op::AllNe,
                "any_ne" => Op::AnyNe,
                "gt" => Op::Gt,
                "ge" => Op::Ge,
                "lt" => Op::Lt,
                "le" => Op::Le,
                "contains" => Op::Contains,
                "matches" => Op::Matches,
                _ => return None,
            },
            _ => return None,
        };
        self.at += 1;
        Some((op, place))
    }

    fn set(&mut self) -> Result<Vec<(Value, Option<Value>)>, Problem> {
        if !self.sign("{") {
            return Err(self.unexpected());
        }
        let mut set = Vec::new();
        loop {
            let first = self.value()?;
            let last = if self.sign("..") { Some(self.value()?) } else { None };
            set.push((first, last));
            if self.sign(",") {
                continue;
            }
            if self.sign("}") {
                return Ok(set);
            }
            return Err(self.unexpected());
        }
    }

    fn value(&mut self) -> Result<Value, Problem> {
        let mut left = self.sum()?;
        while self.sign("&") || self.word(&["bitwise_and", "bitand"]) {
            let right = self.sum()?;
            left = arithmetic(Sign::And, left, right);
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Value, Problem> {
        let mut left = self.product()?;
        loop {
            let sign = if self.sign("+") {
                Sign::Plus
            } else if self.sign("-") {
                Sign::Minus
            } else {
                return Ok(left);
            };
            let right = self.product()?;
            left = arithmetic(sign, left, right);
        }
    }

    fn product(&mut self) -> Result<Value, Problem> {
        let mut left = self.unary()?;
        loop {
            let sign = if self.sign("*") {
                Sign::Times
            } else if self.sign("/") {
                Sign::By
            } else if self.sign("%") {
                Sign::Rest
            } else {
                return Ok(left);
            };
            let right = self.unary()?;
            left = arithmetic(sign, left, right);
        }
    }

    fn unary(&mut self) -> Result<Value, Problem> {
        let place = self.place();
        if self.sign("-") {
            self.deeper()?;
            let value = self.unary()?;
            self.depth -= 1;
            let place = place.to(value.place);
            return Ok(Value { what: What::Minus(Box::new(value)), place });
        }
        if self.sign("+") {
            return self.atom();
        }
        self.atom()
    }

    fn atom(&mut self) -> Result<Value, Problem> {
        let place = self.place();
        let what = match self.peek() {
            Some(Token::Word(word)) => {
                const KEYWORDS: [&str; 17] = [
                    "and",
                    "or",
                    "in",
                    "eq",
                    "ne",
                    "gt",
                    "ge",
                    "lt",
                    "le",
                    "contains",
                    "matches",
                    "any_eq",
                    "any_ne",
                    "all_eq",
                    "all_ne",
                    "not",
                    "bitwise_and",
                ];
                if KEYWORDS.contains(&word.as_str()) {
                    return Err(self.unexpected());
                }
                let word = word.clone();
                self.at += 1;
                if self.sign("(") {
                    let arguments = self.arguments()?;
                    What::Call(word, place, arguments)
                } else {
                    What::Word(word)
                }
            }
            Some(Token::Text(text)) => {
                let text = text.clone();
                self.at += 1;
                What::Text(text)
            }
            Some(Token::Char(byte)) => {
                let byte = *byte;
                self.at += 1;
                What::Char(byte)
            }
            Some(Token::Sign("{")) => {
                // Braces keep arithmetic together.
                self.deeper()?;
                self.at += 1;
                let inside = self.value()?;
                if !self.sign("}") {
                    return Err(self.unexpected());
                }
                self.depth -= 1;
                inside.what
            }
            _ => return Err(self.unexpected()),
        };
        let end = self.tokens.get(self.at.wrapping_sub(1)).map_or(place, |(_, place)| *place);
        let mut value = Value { what, place: place.to(end) };
        loop {
            let here = self.place();
            match self.peek() {
                Some(Token::Sign("#")) => {
                    self.at += 1;
                    let layers = self.layers()?;
                    let place = value.place.to(here);
                    value = Value { what: What::Layer(Box::new(value), layers), place };
                }
                Some(Token::Slice(inside)) => {
                    let ranges = ranges(inside)
                        .ok_or_else(|| problem(here, format!("`[{inside}]` is no slice: [BEGIN:LENGTH], [BEGIN-END], [BEGIN] or [:LENGTH]")))?;
                    self.at += 1;
                    let place = value.place.to(here);
                    value = Value { what: What::Slice(Box::new(value), ranges), place };
                }
                _ => return Ok(value),
            }
        }
    }

    fn arguments(&mut self) -> Result<Vec<Value>, Problem> {
        self.deeper()?;
        let mut arguments = Vec::new();
        if self.sign(")") {
            self.depth -= 1;
            return Ok(arguments);
        }
        loop {
            arguments.push(self.value()?);
            if self.sign(",") {
                continue;
            }
            if self.sign(")") {
                self.depth -= 1;
                return Ok(arguments);
            }
            return Err(self.unexpected());
        }
    }

    /// `#1`, `#[1-2]`.
    fn layers(&mut self) -> Result<Vec<Layer>, Problem> {
        let unexpected = self.unexpected();
        let token = self.tokens.get(self.at).ok_or(unexpected)?;
        self.at += 1;
        let number = |text: &str| text.trim().parse::<i64>().ok();
        match &token.0 {
            Token::Word(word) => match number(word) {
                Some(number) if number != 0 => Ok(vec![Layer { first: number, last: number }]),
                _ => Err(problem(token.1, "behind # stands the number of a layer, from 1 on")),
            },
            Token::Slice(inside) => {
                let mut layers = Vec::new();
                for range in ranges(inside).unwrap_or_default() {
                    let (first, last) = match range.length {
                        Length::Bytes(1) => (range.begin, range.begin),
                        Length::Bytes(len) => (range.begin, range.begin + len - 1),
                        Length::To(last) => (range.begin, last),
                        Length::Rest => (range.begin, i64::MAX),
                    };
                    layers.push(Layer { first, last });
                }
                if layers.is_empty() {
                    return Err(problem(token.1, "behind # stands the number of a layer"));
                }
                Ok(layers)
            }
            _ => Err(problem(token.1, "behind # stands the number of a layer, from 1 on")),
        }
    }
}

fn join(whole: Option<Expr>, one: Expr) -> Expr {
    match whole {
        Some(whole) => Expr::And(Box::new(whole), Box::new(one)),
        None => one,
    }
}

fn arithmetic(sign: Sign, left: Value, right: Value) -> Value {
    let place = left.place.to(right.place);
    Value { what: What::Arithmetic(sign, Box::new(left), Box::new(right)), place }
}

/// `0:3`, `0-2`, `:4`, `4:`, `1`, several with commas.
fn ranges(text: &str) -> Option<Vec<Range>> {
    let number = |text: &str| -> Option<i64> {
        let text = text.trim();
        let (sign, digits) = match text.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, text),
        };
        let value = match digits.strip_prefix("0x") {
            Some(hex) => i64::from_str_radix(hex, 16).ok()?,
            None => digits.parse::<i64>().ok()?,
        };
        (value <= i64::from(i32::MAX)).then_some(sign * value)
    };
    let mut ranges = Vec::new();
    for part in text.split(',') {
        let part = part.trim();
        let range = if let Some((begin, length)) = part.split_once(':') {
            let begin = if begin.trim().is_empty() { 0 } else { number(begin)? };
            if length.trim().is_empty() {
                Range { begin, length: Length::Rest }
            } else {
                let length = number(length).filter(|length| *length > 0)?;
                Range { begin, length: Length::Bytes(length) }
            }
        } else if let Some(dash) = part.get(1..).and_then(|rest| rest.find('-')) {
            let (begin, last) = (number(&part[..=dash])?, number(&part[dash + 2..])?);
            Range { begin, length: Length::To(last) }
        } else {
            Range { begin: number(part)?, length: Length::Bytes(1) }
        };
        ranges.push(range);
    }
    Some(ranges)
}

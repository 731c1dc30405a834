//! The running kernel's type information (BTF), as far as netbreath asks it: where
//! is this member in that structure, and how many parameters has this function?
//!
//! aya parses the same bytes to find the ids of attach points, but shows neither
//! members nor parameters.

use std::path::Path;

/// Type information of one kernel.
pub struct Btf {
    bytes: Vec<u8>,
    /// Where the strings start.
    strings: usize,
    /// Where each type is described, by its id. Id 0 is `void`. There are more than
    /// 100,000, and we ask for a dozen: a table by name would cost more than it saves.
    types: Vec<u32>,
}

/// Bytes that are no BTF.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    #[error("{path} is no BTF: {what} at byte {at}")]
    Format { path: String, what: &'static str, at: usize },
}

// Kinds of types, Documentation/bpf/btf.rst.
const PTR: u32 = 2;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const FWD: u32 = 7;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC: u32 = 12;
const TYPE_TAG: u32 = 18;

const MAGIC: u16 = 0xeb9f;
/// Bytes of the header.
const HEADER: u32 = 24;
/// Bytes that describe any type: name, info, size or type.
const TYPE: usize = 12;
/// Bytes that describe a member: name, type, offset.
const MEMBER: usize = 12;
/// Bytes that describe an enumerator: name, value.
const ENUMERATOR: usize = 8;

impl Btf {
    /// Where the kernel shows its own.
    pub const KERNEL: &str = "/sys/kernel/btf/vmlinux";

    /// Reads the BTF file at `path`.
    pub fn read(path: &Path) -> Result<Btf, Error> {
        let name = path.display().to_string();
        let bytes =
            std::fs::read(path).map_err(|source| Error::Read { path: name.clone(), source })?;
        Btf::parse(bytes).map_err(|(what, at)| Error::Format { path: name, what, at })
    }

    fn parse(bytes: Vec<u8>) -> Result<Btf, (&'static str, usize)> {
        let word = |at: usize| {
            let part = bytes.get(at..at + 4).ok_or(("cut short", at))?;
            Ok(u32::from_ne_bytes([part[0], part[1], part[2], part[3]]))
        };
        if bytes.get(..2) != Some(&MAGIC.to_ne_bytes()) {
            return Err(("no magic number", 0));
        }
        let header = word(4)? as usize;
        let start = header + word(8)? as usize;
        let end = start + word(12)? as usize;
        let strings = header + word(16)? as usize;

        let mut types = Vec::with_capacity((end - start) / 28);
        types.push(start as u32);
        let mut at = start;
        while at < end {
            let info = word(at + 4)?;
            let count = count(info);
            types.push(at as u32);
            at += TYPE
                + match kind(info) {
                    1 | 14 | 17 => 4,
                    ARRAY => 12,
                    STRUCT | UNION | 15 | 19 => 12 * count,
                    6 | 13 => 8 * count,
                    2 | 7..=12 | 16 | 18 => 0,
                    _ => return Err(("a type of unknown kind", at)),
                };
        }
        Ok(Btf { bytes, strings, types })
    }

    /// BTF with types of the same ids, in which only those with these names are more
    /// than placeholders. aya looks up ids of attach points by name and needs no more;
    /// it takes a quarter of the time and of the memory that the whole would.
    pub fn outline(&self, wanted: &[String]) -> Vec<u8> {
        let mut strings = vec![0];
        let mut types = Vec::new();
        // Nobody asks for what comes behind the last that is wanted.
        let mut end = 0;
        for at in self.types.iter().skip(1).map(|at| *at as usize) {
            let info = self.word(at + 4).unwrap_or(0);
            let name = matches!(kind(info), FUNC | TYPEDEF)
                .then(|| wanted.iter().find(|name| self.is_named(at, name)))
                .flatten();
            let words = match name {
                Some(name) => {
                    let place = strings.len() as u32;
                    strings.extend_from_slice(name.as_bytes());
                    strings.push(0);
                    [place, kind(info) << 24, 0]
                }
                None => [0, FWD << 24, 0],
            };
            types.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
            if name.is_some() {
                end = types.len();
            }
        }
        types.truncate(end);
        let (types_len, strings_len) = (types.len() as u32, strings.len() as u32);
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [HEADER, 0, types_len, types_len, strings_len] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    /// Where the first structures with these names are described. One pass for all:
    /// the types are more than the processor's cache holds.
    pub fn structures(&self, names: &[&str]) -> Vec<Option<usize>> {
        let mut found = vec![None; names.len()];
        for at in self.types.iter().skip(1).map(|at| *at as usize) {
            if self.word(at + 4).is_none_or(|info| kind(info) != STRUCT) {
                continue;
            }
            for (name, found) in names.iter().zip(&mut found) {
                if found.is_none() && self.is_named(at, name) {
                    *found = Some(at);
                }
            }
        }
        found
    }

    /// Offset in bytes of a member, such as `__sk_common.skc_net.net`, in the structure
    /// that is described at `at`. Members of anonymous structures and unions count as
    /// their parent's. A bit-field has no such offset.
    pub fn offset(&self, mut at: usize, path: &str) -> Option<u32> {
        let mut offset = 0;
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let (bits, member) = self.member(at, name.as_bytes())?;
            if bits % 8 != 0 {
                return None;
            }
            offset += bits / 8;
            if names.peek().is_some() {
                at = self.resolve(member)?;
            }
        }
        Some(offset)
    }

    /// The id of a kernel function.
    pub fn function(&self, name: &str) -> Option<u32> {
        let at = self.find(FUNC, name)? as u32;
        // Descriptions stand in the order of ids.
        self.types.get(1..)?.binary_search(&at).ok().map(|place| place as u32 + 1)
    }

    /// How many parameters a kernel function has.
    pub fn parameters(&self, function: &str) -> Option<usize> {
        let prototype = self.word(self.find(FUNC, function)? + 8)?;
        Some(count(self.word(self.at(prototype)? + 4)?))
    }

    /// How many arguments a tracepoint has, beside the data of who listens to it.
    pub fn arguments(&self, tracepoint: &str) -> Option<usize> {
        // typedef void (*btf_trace_NAME)(void *, …);
        let pointer = self.word(self.find(TYPEDEF, &format!("btf_trace_{tracepoint}"))? + 8)?;
        let prototype = self.word(self.at(pointer)? + 8)?;
        count(self.word(self.at(prototype)? + 4)?).checked_sub(1)
    }

    /// The names of an enumeration and their numbers; none where the kernel has no such
    /// enumeration.
    pub fn enumerators(&self, name: &str) -> Vec<(u32, String)> {
        let Some(at) = self.find(ENUM, name) else { return Vec::new() };
        let count = self.word(at + 4).map_or(0, count);
        (0..count)
            .filter_map(|i| {
                let place = at + TYPE + i * ENUMERATOR;
                Some((self.word(place + 4)?, self.string(self.word(place)?)?))
            })
            .collect()
    }

    /// The string at offset `at`.
    fn string(&self, at: u32) -> Option<String> {
        let bytes = self.bytes.get(self.strings + at as usize..)?;
        let end = bytes.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }

    /// Where the first type of this kind and name is described.
    fn find(&self, wanted: u32, name: &str) -> Option<usize> {
        self.types.iter().skip(1).map(|at| *at as usize).find(|at| {
            self.word(at + 4).is_some_and(|info| kind(info) == wanted) && self.is_named(*at, name)
        })
    }

    /// Whether the type that is described at `at` has this name.
    fn is_named(&self, at: usize, name: &str) -> bool {
        self.word(at).is_some_and(|at| self.has(at, name.as_bytes()))
    }

    /// Whether the string at offset `at` is `name`.
    fn has(&self, at: u32, name: &[u8]) -> bool {
        let at = self.strings + at as usize;
        self.bytes.get(at..at + name.len()) == Some(name)
            && self.bytes.get(at + name.len()) == Some(&0)
    }

    /// Where the type with this id is described.
    fn at(&self, id: u32) -> Option<usize> {
        self.types.get(id as usize).map(|at| *at as usize)
    }

    /// A member of the type at `at`: its offset in bits and its type.
    fn member(&self, at: usize, wanted: &[u8]) -> Option<(u32, u32)> {
        let info = self.word(at + 4)?;
        if !matches!(kind(info), STRUCT | UNION) {
            return None;
        }
        // With this flag, the upper eight bits of an offset are a bit-field's width.
        let has_widths = info >> 31 == 1;
        for i in 0..count(info) {
            let member = at + TYPE + i * MEMBER;
            let (name, id, offset) =
                (self.word(member)?, self.word(member + 4)?, self.word(member + 8)?);
            let bits = if has_widths { offset & 0x00ff_ffff } else { offset };
            if name != 0 {
                if self.has(name, wanted) {
                    let is_bit_field = has_widths && offset >> 24 != 0;
                    return (!is_bit_field).then_some((bits, id));
                }
            } else if let Some((inner, id)) = self.member(self.resolve(id)?, wanted) {
                return Some((bits + inner, id));
            }
        }
        None
    }

    /// Where the type is described that stands behind names and qualifiers.
    fn resolve(&self, id: u32) -> Option<usize> {
        let mut at = self.at(id)?;
        // A chain that is longer than this is no kernel's.
        for _ in 0..32 {
            match kind(self.word(at + 4)?) {
                TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => {
                    at = self.at(self.word(at + 8)?)?;
                }
                PTR => return None,
                _ => return Some(at),
            }
        }
        None
    }

    fn word(&self, at: usize) -> Option<u32> {
        let part = self.bytes.get(at..at + 4)?;
        Some(u32::from_ne_bytes([part[0], part[1], part[2], part[3]]))
    }
}

const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

const fn count(info: u32) -> usize {
    (info & 0xffff) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF of: struct net { int a; struct { union { int b; int c; }; }; unsigned d:3; };
    /// typedef const struct net net_t; struct sock { int x; net_t net; struct net *p; };
    /// int f(int, int); typedef int (*btf_trace_t)(int, int);
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0net\0a\0b\0c\0d\0sock\0x\0p\0f\0net_t\0btf_trace_t\0";
        let name = |text: &str| {
            let text = format!("\0{text}\0");
            strings.windows(text.len()).position(|w| w == text.as_bytes()).unwrap() as u32 + 1
        };
        let info = |kind: u32, count: u32| kind << 24 | count;
        let flag = 1 << 31;
        let words: Vec<u32> = vec![
            name("int"),
            info(1, 0),
            4,
            32, // 1
            0,
            info(UNION, 2),
            4,
            name("b"),
            1,
            0,
            name("c"),
            1,
            0, // 2
            0,
            info(STRUCT, 1),
            4,
            0,
            2,
            0, // 3
            name("net"),
            info(STRUCT, 3) | flag,
            12, // 4
            name("a"),
            1,
            0,
            0,
            3,
            32,
            name("d"),
            1,
            3 << 24 | 64,
            0,
            info(CONST, 0),
            4, // 5
            name("net_t"),
            info(TYPEDEF, 0),
            5, // 6
            0,
            info(PTR, 0),
            4, // 7
            name("sock"),
            info(STRUCT, 3),
            24, // 8
            name("x"),
            1,
            0,
            name("net"),
            6,
            32,
            name("p"),
            7,
            128,
            0,
            info(13, 2),
            1,
            0,
            1,
            0,
            1, // 9
            name("f"),
            info(FUNC, 1),
            9, // 10
            0,
            info(PTR, 0),
            9, // 11
            name("btf_trace_t"),
            info(TYPEDEF, 0),
            11, // 12
        ];
        let types: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        let mut bytes = 0xeb9f_u16.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        for word in [24, 0, types.len() as u32, types.len() as u32, strings.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        bytes
    }

    fn offset(btf: &Btf, structure: &str, path: &str) -> Option<u32> {
        btf.offset(btf.structures(&[structure])[0]?, path)
    }

    #[test]
    fn members_are_found_through_names_qualifiers_and_anonymous_parts() {
        let btf = Btf::parse(sample()).unwrap();
        assert_eq!(offset(&btf, "net", "a"), Some(0));
        assert_eq!(offset(&btf, "net", "c"), Some(4));
        assert_eq!(offset(&btf, "sock", "net.b"), Some(8));
        assert_eq!(offset(&btf, "sock", "p"), Some(16));
        // Not through a pointer, not a bit-field, not what is not there.
        assert_eq!(offset(&btf, "sock", "p.a"), None);
        assert_eq!(offset(&btf, "net", "d"), None);
        assert_eq!(offset(&btf, "net", "x"), None);
        assert_eq!(offset(&btf, "none", "a"), None);
        assert_eq!(btf.parameters("f"), Some(2));
        assert_eq!(btf.parameters("g"), None);
        assert_eq!(btf.function("f"), Some(10));
        assert_eq!(btf.arguments("t"), Some(1));
        assert_eq!(btf.arguments("f"), None);
    }

    #[test]
    fn an_outline_keeps_ids_and_the_wanted_names() {
        let whole = Btf::parse(sample()).unwrap();
        let outline = Btf::parse(whole.outline(&["f".to_owned(), "net_t".to_owned()])).unwrap();
        assert!(outline.types.len() <= whole.types.len());
        for (kind, name) in [(FUNC, "f"), (TYPEDEF, "net_t")] {
            let id = |btf: &Btf| {
                let at = btf.find(kind, name).unwrap() as u32;
                btf.types.iter().skip(1).position(|other| *other == at)
            };
            assert_eq!(id(&outline), id(&whole));
        }
        assert!(outline.find(STRUCT, "sock").is_none());
        assert!(outline.bytes.len() < whole.bytes.len());
    }

    #[test]
    fn bytes_that_are_cut_or_foreign_are_refused() {
        assert!(Btf::parse(b"ELF".to_vec()).is_err());
        let whole = sample();
        let strings = whole.len() - 57;
        for len in 0..strings {
            // Never a panic; an error, but where only unused strings are missing.
            if let Ok(btf) = Btf::parse(whole[..len].to_vec()) {
                let _ = offset(&btf, "sock", "net.b");
            }
        }
    }
}

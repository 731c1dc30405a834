//! What a field is.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::PROTOCOLS;

/// A field, by its protocol and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u16);

/// The place that stands for the protocol itself.
const WHOLE: u16 = 0xff;

impl Id {
    pub const fn new(protocol: u16, place: u16) -> Id {
        assert!(place < WHOLE);
        Id(protocol << 8 | place)
    }

    pub const fn protocol(protocol: u16) -> Id {
        Id(protocol << 8 | WHOLE)
    }

    pub const fn is_protocol(self) -> bool {
        self.0 & WHOLE == WHOLE
    }

    pub fn of(self) -> &'static Protocol {
        PROTOCOLS[usize::from(self.0 >> 8)]
    }

    /// The field; nothing if it is a protocol.
    pub fn field(self) -> Option<&'static Field> {
        self.of().fields.get(usize::from(self.0 & WHOLE))
    }

    /// As filters call it.
    pub fn name(self) -> &'static str {
        self.field().map_or(self.of().name, |field| field.name)
    }

    pub fn kind(self) -> Kind {
        self.field().map_or(Kind::Protocol, |field| field.kind)
    }
}

/// Everything about a protocol.
pub struct Protocol {
    /// As filters call it: `tcp`.
    pub name: &'static str,
    /// As columns and messages call it: `TCP`.
    pub short: &'static str,
    pub title: &'static str,
    pub fields: &'static [Field],
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Protocol,
    /// A part of a protocol that filters take for one: its bytes.
    Part,
    /// It is there or not.
    None,
    Bool,
    U8,
    U16,
    U24,
    U32,
    U40,
    U48,
    U64,
    I8,
    I16,
    I32,
    I64,
    Ipv4,
    Ipv6,
    Ether,
    Bytes,
    Str,
    /// Ends with a zero byte.
    Strz,
    StrPad,
    StrTrunc,
    /// Its length stands before it.
    UintStr,
    /// Nanoseconds.
    Rel,
    /// Nanoseconds since the epoch.
    Abs,
    /// The number of another packet.
    Frame,
    Double,
    Guid,
}

impl Kind {
    /// The name that Wireshark has for it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Protocol | Kind::Part => "FT_PROTOCOL",
            Kind::None => "FT_NONE",
            Kind::Bool => "FT_BOOLEAN",
            Kind::U8 => "FT_UINT8",
            Kind::U16 => "FT_UINT16",
            Kind::U24 => "FT_UINT24",
            Kind::U32 => "FT_UINT32",
            Kind::U40 => "FT_UINT40",
            Kind::U48 => "FT_UINT48",
            Kind::U64 => "FT_UINT64",
            Kind::I8 => "FT_INT8",
            Kind::I16 => "FT_INT16",
            Kind::I32 => "FT_INT32",
            Kind::I64 => "FT_INT64",
            Kind::Ipv4 => "FT_IPv4",
            Kind::Ipv6 => "FT_IPv6",
            Kind::Ether => "FT_ETHER",
            Kind::Bytes => "FT_BYTES",
            Kind::Str => "FT_STRING",
            Kind::Strz => "FT_STRINGZ",
            Kind::StrPad => "FT_STRINGZPAD",
            Kind::StrTrunc => "FT_STRINGZTRUNC",
            Kind::UintStr => "FT_UINT_STRING",
            Kind::Rel => "FT_RELATIVE_TIME",
            Kind::Abs => "FT_ABSOLUTE_TIME",
            Kind::Frame => "FT_FRAMENUM",
            Kind::Double => "FT_DOUBLE",
            Kind::Guid => "FT_GUID",
        }
    }

    /// Bits of a number.
    pub fn bits(self) -> u32 {
        match self {
            Kind::U8 | Kind::I8 => 8,
            Kind::U16 | Kind::I16 => 16,
            Kind::U24 => 24,
            Kind::U40 => 40,
            Kind::U48 => 48,
            Kind::U64 | Kind::I64 => 64,
            _ => 32,
        }
    }

    pub fn is_text(self) -> bool {
        matches!(self, Kind::Str | Kind::Strz | Kind::StrPad | Kind::StrTrunc | Kind::UintStr)
    }

    pub fn is_unsigned(self) -> bool {
        matches!(
            self,
            Kind::U8
                | Kind::U16
                | Kind::U24
                | Kind::U32
                | Kind::U40
                | Kind::U48
                | Kind::U64
                | Kind::Frame
        )
    }

    pub fn is_signed(self) -> bool {
        matches!(self, Kind::I8 | Kind::I16 | Kind::I32 | Kind::I64)
    }
}

/// How a number is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base {
    #[default]
    Dec,
    Hex,
    DecHex,
    HexDec,
    Oct,
    /// Whoever finds it says how.
    Custom,
    /// Names only.
    None,
    Port,
    UdpPort,
    Oui,
}

/// Names of numbers.
pub type Names = &'static [(u64, &'static str)];

/// What a value is called.
#[derive(Clone, Copy)]
pub enum Words {
    None,
    Names(Names),
    /// Of a bit that is set, and of one that is not.
    Bit(&'static str, &'static str),
}

/// Everything about a field.
pub struct Field {
    /// As filters call it: `tcp.srcport`.
    pub name: &'static str,
    /// As trees call it: `Source Port`.
    pub title: &'static str,
    pub kind: Kind,
    pub base: Base,
    /// Bits of the number that a bit is in.
    pub width: u32,
    /// Which bits of the number it is; 0 for all.
    pub mask: u64,
    pub words: Words,
}

pub const fn field(name: &'static str, title: &'static str, kind: Kind) -> Field {
    Field { name, title, kind, base: Base::Dec, width: 0, mask: 0, words: Words::None }
}

impl Field {
    pub const fn base(mut self, base: Base) -> Field {
        self.base = base;
        self
    }

    pub const fn width(mut self, bits: u32) -> Field {
        self.width = bits;
        self
    }

    pub const fn mask(mut self, mask: u64) -> Field {
        self.mask = mask;
        self
    }

    pub const fn names(mut self, names: &'static Names) -> Field {
        self.words = Words::Names(names);
        self
    }

    pub const fn words(mut self, set: &'static str, clear: &'static str) -> Field {
        self.words = Words::Bit(set, clear);
        self
    }

    /// What this number is called.
    pub fn word(&self, value: u64) -> Option<&'static str> {
        match self.words {
            Words::Names(names) => {
                names.iter().find(|(number, _)| *number == value).map(|(_, name)| *name)
            }
            _ => None,
        }
    }
}

/// All protocols.
pub fn protocols() -> impl Iterator<Item = (Id, &'static Protocol)> {
    (0_u16..).map(Id::protocol).zip(PROTOCOLS)
}

/// The field or protocol with this name.
pub fn by_name(name: &str) -> Option<Id> {
    all_by_name(name).first().copied()
}

/// All fields and protocols with this name.
pub fn all_by_name(name: &str) -> Vec<Id> {
    static ALL: OnceLock<HashMap<&'static str, Vec<Id>>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all: HashMap<_, Vec<Id>> = HashMap::new();
        for (place, protocol) in (0_u16..).zip(PROTOCOLS) {
            all.entry(protocol.name).or_default().push(Id::protocol(place));
            for (field, index) in protocol.fields.iter().zip(0_u16..) {
                all.entry(field.name).or_default().push(Id::new(place, index));
            }
        }
        all
    });
    all.get(name).cloned().unwrap_or_default()
}

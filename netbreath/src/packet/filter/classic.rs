//! Programs of the classic packet filter (McCanne and Jacobson, 1993; linux/filter.h).

/// An instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    pub code: u16,
    /// How many instructions to pass over, if a comparison is true or not.
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

// Parts of a code.
pub const LD: u16 = 0x00;
pub const LDX: u16 = 0x01;
pub const ST: u16 = 0x02;
pub const STX: u16 = 0x03;
pub const ALU: u16 = 0x04;
pub const JMP: u16 = 0x05;
pub const RET: u16 = 0x06;
pub const MISC: u16 = 0x07;
pub const W: u16 = 0x00;
pub const H: u16 = 0x08;
pub const B: u16 = 0x10;
pub const IMM: u16 = 0x00;
pub const ABS: u16 = 0x20;
pub const IND: u16 = 0x40;
pub const MEM: u16 = 0x60;
pub const LEN: u16 = 0x80;
pub const MSH: u16 = 0xa0;
pub const ADD: u16 = 0x00;
pub const SUB: u16 = 0x10;
pub const MUL: u16 = 0x20;
pub const DIV: u16 = 0x30;
pub const OR: u16 = 0x40;
pub const AND: u16 = 0x50;
pub const LSH: u16 = 0x60;
pub const RSH: u16 = 0x70;
pub const NEG: u16 = 0x80;
pub const MOD: u16 = 0x90;
pub const XOR: u16 = 0xa0;
pub const JA: u16 = 0x00;
pub const JEQ: u16 = 0x10;
pub const JGT: u16 = 0x20;
pub const JGE: u16 = 0x30;
pub const JSET: u16 = 0x40;
/// The operand is X, and not k.
pub const X: u16 = 0x08;
/// What is returned is A, and not k.
pub const A: u16 = 0x10;
pub const TAX: u16 = 0x00;
pub const TXA: u16 = 0x80;

/// Words of memory that a program has.
pub const MEMORY: usize = 16;

/// Loads from here on are no bytes of the packet (`SKF_AD_OFF`).
pub const ANCILLARY: u32 = 0xffff_f000;
/// Below that are loads that count from another header (`SKF_LL_OFF`).
pub const OTHER_HEADERS: u32 = 0xffe0_0000;

impl Instruction {
    /// Lets nothing through.
    pub const REJECT: Instruction = Instruction { code: RET, jt: 0, jf: 0, k: 0 };

    /// From the four numbers that libpcap writes.
    pub fn read(text: &str) -> Option<Instruction> {
        let mut words = text.split_whitespace();
        let mut word = || words.next()?.parse::<u32>().ok();
        Some(Instruction {
            code: word()?.try_into().ok()?,
            jt: word()?.try_into().ok()?,
            jf: word()?.try_into().ok()?,
            k: word()?,
        })
    }

    /// The size of a load in bytes.
    pub const fn size(self) -> u32 {
        match self.code & 0x18 {
            H => 2,
            B => 1,
            _ => 4,
        }
    }
}

/// Whether a program lets a packet through, of which these bytes are there. A program that is
/// none lets nothing through.
pub fn run(program: &[Instruction], packet: &[u8], len: u32) -> bool {
    step(program, packet, len).is_some_and(|answer| answer != 0)
}

fn step(program: &[Instruction], packet: &[u8], len: u32) -> Option<u32> {
    let (mut a, mut x) = (0u32, 0u32);
    let mut memory = [0u32; MEMORY];
    let mut at = 0;
    loop {
        let instruction = program.get(at)?;
        at += 1;
        let Instruction { code, jt, jf, k } = *instruction;
        let operand = if code & X != 0 { x } else { k };
        match code & 0x07 {
            LD => {
                a = match code & 0xe0 {
                    IMM => k,
                    LEN => len,
                    MEM => *memory.get(k as usize)?,
                    ABS => load(packet, k, instruction.size())?,
                    IND => load(packet, x.checked_add(k)?, instruction.size())?,
                    _ => return None,
                }
            }
            LDX => {
                x = match code & 0xe0 {
                    IMM => k,
                    LEN => len,
                    MEM => *memory.get(k as usize)?,
                    MSH => 4 * (load(packet, k, 1)? & 0xf),
                    _ => return None,
                }
            }
            ST => *memory.get_mut(k as usize)? = a,
            STX => *memory.get_mut(k as usize)? = x,
            ALU => {
                a = match code & 0xf0 {
                    ADD => a.wrapping_add(operand),
                    SUB => a.wrapping_sub(operand),
                    MUL => a.wrapping_mul(operand),
                    DIV => a.checked_div(operand)?,
                    MOD => a.checked_rem(operand)?,
                    OR => a | operand,
                    AND => a & operand,
                    XOR => a ^ operand,
                    LSH => a.checked_shl(operand).unwrap_or(0),
                    RSH => a.checked_shr(operand).unwrap_or(0),
                    NEG => a.wrapping_neg(),
                    _ => return None,
                }
            }
            JMP => {
                let is_true = match code & 0xf0 {
                    JA => {
                        at = at.checked_add(k as usize)?;
                        continue;
                    }
                    JEQ => a == operand,
                    JGT => a > operand,
                    JGE => a >= operand,
                    JSET => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(if is_true { jt } else { jf });
            }
            RET => return Some(if code & 0x18 == A { a } else { k }),
            _ => match code & 0xf8 {
                TAX => x = a,
                TXA => a = x,
                _ => return None,
            },
        }
    }
}

fn load(packet: &[u8], offset: u32, size: u32) -> Option<u32> {
    let offset = offset as usize;
    let bytes = packet.get(offset..offset.checked_add(size as usize)?)?;
    Some(bytes.iter().fold(0, |all, byte| all << 8 | u32::from(*byte)))
}

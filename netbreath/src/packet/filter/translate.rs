//! From the classic packet filter to a program of the kernel's that runs where traffic is
//! controlled.
//!
//! A is r9, X and the memory lie on the stack. A load looks into the part of the packet that
//! lies in one piece, and asks a helper where it goes beyond that. Whatever the classic
//! machine takes for the end of a program, such as a load behind the packet's end, lets the
//! packet not through. A packet whose tag (IEEE 802.1Q) the device has taken out is filtered
//! as if it had it, since so it is written: there are two programs in one then.

use super::classic::{self, Instruction};

/// Which way packets go that the program filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    In = 0,
    Out = 1,
}

/// Why a program cannot be translated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the filter needs something that programs of the kernel cannot have: {what}")]
    Unknown { what: String },
    #[error("the filter is too long for a program of the kernel")]
    TooLong,
}

/// An instruction of the kernel's machine, as it wants it (`struct bpf_insn`).
pub type Word = u64;

// Registers.
const R0: u8 = 0;
const R1: u8 = 1;
const R2: u8 = 2;
const R3: u8 = 3;
const R4: u8 = 4;
/// The context.
const CTX: u8 = 6;
/// The packet's beginning, and the end of the part that lies in one piece.
const DATA: u8 = 7;
const END: u8 = 8;
const A: u8 = 9;
const FRAME: u8 = 10;

// Places on the stack.
const LOADED: i16 = -8;
const X: i16 = -16;
const TAG: i16 = -24;
const KEPT: i16 = -32;
const SUM: i16 = -40;
const MEMORY: i16 = -104;

// Offsets in `struct __sk_buff`.
const LEN: i16 = 0;
const PACKET_TYPE: i16 = 4;
const MARK: i16 = 8;
const QUEUE: i16 = 12;
const PROTOCOL: i16 = 16;
const VLAN_PRESENT: i16 = 20;
const VLAN_TCI: i16 = 24;
const VLAN_PROTO: i16 = 28;
const IFINDEX: i16 = 40;
const HASH: i16 = 68;
const DATA_OFFSET: i16 = 76;
const END_OFFSET: i16 = 80;

const TAIL_CALL: i32 = 12;
const LOAD_BYTES: i32 = 26;

/// `PACKET_OUTGOING` of linux/if_packet.h.
const OUTGOING: i32 = 4;

/// What the program answers: whoever comes next shall decide.
const NEXT: i32 = -1;

/// Where a tag stands in a packet that has one.
const TAG_AT: u32 = 12;
const TAG_LEN: u32 = 4;

/// Translates a filter for packets that go this way. The program calls what stands at
/// `index` in the map with the descriptor `map` if it lets a packet through. `tags`: the
/// device may have taken a tag out.
pub fn translate(
    program: &[Instruction],
    way: Way,
    tags: bool,
    map: i32,
    index: i32,
) -> Result<Vec<Word>, Error> {
    let mut code = Code { words: Vec::new(), way, rejects: Vec::new(), accepts: Vec::new() };
    code.begin();
    if tags {
        code.load(W, R0, CTX, VLAN_PRESENT);
        let plain = code.jump_if(JNE32, R0, 0);
        code.program(program, false)?;
        code.land(plain)?;
        code.tag();
        code.program(program, true)?;
    } else {
        code.program(program, false)?;
    }
    code.end(map, index)?;
    Ok(code.words)
}

/// No packet is as long, so what is added to an offset cannot overflow.
const FURTHEST: u32 = 0x3fff_ffff;

struct Code {
    words: Vec<Word>,
    way: Way,
    /// Jumps to where packets are not let through, or are.
    rejects: Vec<usize>,
    accepts: Vec<usize>,
}

// Operation codes.
const ALU32: u8 = 0x04;
const ALU64: u8 = 0x07;
const JMP32: u8 = 0x06;
const JMP64: u8 = 0x05;
const BY_REGISTER: u8 = 0x08;
const MOV: u8 = 0xb0;
const ADD: u8 = 0x00;
const AND: u8 = 0x50;
const OR: u8 = 0x40;
const LSH: u8 = 0x60;
const RSH: u8 = 0x70;
const SUB: u8 = 0x10;
const NEG: u8 = 0x80;
const W: u8 = 0x00;
const H: u8 = 0x08;
const B: u8 = 0x10;
const DW: u8 = 0x18;
const LOAD: u8 = 0x61;
const STORE: u8 = 0x63;
const TO_BIG_ENDIAN: u8 = 0xdc;
const JA: u8 = 0x05;
const JEQ32: u8 = 0x16;
const JNE32: u8 = 0x56;
const JGT32: u8 = 0x26;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

fn word(code: u8, to: u8, from: u8, offset: i16, k: i32) -> Word {
    u64::from(code)
        | u64::from(to | from << 4) << 8
        | u64::from(offset.cast_unsigned()) << 16
        | u64::from(k.cast_unsigned()) << 32
}

impl Code {
    fn put(&mut self, code: u8, to: u8, from: u8, offset: i16, k: i32) {
        self.words.push(word(code, to, from, offset, k));
    }

    fn mov(&mut self, to: u8, from: u8) {
        self.put(ALU64 | MOV | BY_REGISTER, to, from, 0, 0);
    }

    fn set(&mut self, to: u8, k: u32) {
        self.put(ALU32 | MOV, to, 0, 0, k.cast_signed());
    }

    fn load(&mut self, size: u8, to: u8, from: u8, offset: i16) {
        self.put(LOAD | size, to, from, offset, 0);
    }

    fn store(&mut self, from: u8, offset: i16) {
        self.put(STORE, FRAME, from, offset, 0);
    }

    /// A jump that is to land later.
    fn jump_if(&mut self, code: u8, register: u8, k: u32) -> usize {
        self.put(code, register, 0, 0, k.cast_signed());
        self.words.len() - 1
    }

    fn jump(&mut self) -> usize {
        self.put(JA, 0, 0, 0, 0);
        self.words.len() - 1
    }

    /// Has a jump land here.
    fn land(&mut self, jump: usize) -> Result<(), Error> {
        let here = self.words.len();
        self.aim(jump, here)
    }

    fn aim(&mut self, jump: usize, to: usize) -> Result<(), Error> {
        let offset = i16::try_from(to - jump - 1).map_err(|_| Error::TooLong)?;
        self.words[jump] |= u64::from(offset.cast_unsigned()) << 16;
        Ok(())
    }

    fn reject_if(&mut self, code: u8, register: u8, k: u32) {
        let jump = self.jump_if(code, register, k);
        self.rejects.push(jump);
    }

    fn begin(&mut self) {
        self.mov(CTX, R1);
        self.load(W, DATA, CTX, DATA_OFFSET);
        self.load(W, END, CTX, END_OFFSET);
        self.set(A, 0);
        for place in [LOADED, X, TAG, KEPT, SUM] {
            self.put(0x7a, FRAME, 0, place, 0);
        }
        for place in 0..classic::MEMORY as i16 {
            self.put(0x62, FRAME, 0, MEMORY + 4 * place, 0);
        }
    }

    /// Puts the tag on the stack, as a packet has it.
    fn tag(&mut self) {
        self.load(W, R0, CTX, VLAN_PROTO);
        self.put(TO_BIG_ENDIAN, R0, 0, 0, 16);
        self.put(ALU32 | LSH, R0, 0, 0, 16);
        self.load(W, R2, CTX, VLAN_TCI);
        self.put(ALU32 | AND, R2, 0, 0, 0xffff);
        self.put(ALU32 | OR | BY_REGISTER, R0, R2, 0, 0);
        self.store(R0, TAG);
    }

    fn end(&mut self, map: i32, index: i32) -> Result<(), Error> {
        let accepts = std::mem::take(&mut self.accepts);
        if !accepts.is_empty() {
            for jump in accepts {
                self.land(jump)?;
            }
            self.mov(R1, CTX);
            // The map's address, which the kernel puts in the place of its descriptor.
            self.put(0x18, R2, 1, 0, map);
            self.put(0, 0, 0, 0, 0);
            self.set(R3, index.cast_unsigned());
            self.put(CALL, 0, 0, 0, TAIL_CALL);
        }
        for jump in std::mem::take(&mut self.rejects) {
            self.land(jump)?;
        }
        self.put(ALU64 | MOV, R0, 0, 0, NEXT);
        self.put(EXIT, 0, 0, 0, 0);
        Ok(())
    }

    /// One program. `tagged`: the packets' tags are on the stack.
    fn program(&mut self, program: &[Instruction], tagged: bool) -> Result<(), Error> {
        // Where each classic instruction begins, and jumps with the one that they go to.
        let mut begins = Vec::with_capacity(program.len());
        let mut jumps: Vec<(usize, usize)> = Vec::new();
        let reached = reached(program);
        for (at, (instruction, reached)) in program.iter().zip(&reached).enumerate() {
            begins.push(self.words.len());
            // The kernel takes no program with instructions that nothing leads to.
            if *reached {
                self.instruction(at, instruction, tagged, &mut jumps)?;
            }
        }
        // A program that has no end lets nothing through.
        if reached.last() == Some(&true) && program.last().is_some_and(|last| !is_last(last)) {
            let jump = self.jump();
            self.rejects.push(jump);
        }
        for (jump, to) in jumps {
            match begins.get(to) {
                Some(begin) => self.aim(jump, *begin)?,
                None => self.rejects.push(jump),
            }
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        at: usize,
        instruction: &Instruction,
        tagged: bool,
        jumps: &mut Vec<(usize, usize)>,
    ) -> Result<(), Error> {
        let Instruction { code, jt, jf, k } = *instruction;
        let unknown = || Error::Unknown { what: format!("the instruction {code:#x} {k:#x}") };
        match code & 0x07 {
            classic::LD => match code & 0xe0 {
                classic::IMM => self.set(A, k),
                classic::LEN => self.length(A, tagged),
                classic::MEM => self.load(W, A, FRAME, memory(k).ok_or_else(unknown)?),
                classic::ABS if k >= classic::ANCILLARY => {
                    self.ancillary(k - classic::ANCILLARY, tagged)?;
                }
                classic::ABS if k >= classic::OTHER_HEADERS => return Err(unknown()),
                classic::ABS => self.fixed(k, instruction.size(), tagged)?,
                classic::IND => self.indirect(k, instruction.size(), tagged)?,
                _ => return Err(unknown()),
            },
            classic::LDX => match code & 0xe0 {
                classic::IMM => {
                    self.set(R0, k);
                    self.store(R0, X);
                }
                classic::LEN => {
                    self.length(R0, tagged);
                    self.store(R0, X);
                }
                classic::MEM => {
                    self.load(W, R0, FRAME, memory(k).ok_or_else(unknown)?);
                    self.store(R0, X);
                }
                classic::MSH if k < classic::OTHER_HEADERS => {
                    // A is kept.
                    self.store(A, KEPT);
                    self.fixed(k, 1, tagged)?;
                    self.put(ALU32 | AND, A, 0, 0, 0xf);
                    self.put(ALU32 | LSH, A, 0, 0, 2);
                    self.store(A, X);
                    self.load(W, A, FRAME, KEPT);
                }
                _ => return Err(unknown()),
            },
            classic::ST => self.store(A, memory(k).ok_or_else(unknown)?),
            classic::STX => {
                self.load(W, R0, FRAME, X);
                self.store(R0, memory(k).ok_or_else(unknown)?);
            }
            classic::ALU => self.arithmetic(code, k).ok_or_else(unknown)?,
            classic::JMP => {
                if code & 0xf0 == classic::JA {
                    let to = at + 1 + k as usize;
                    let jump = self.jump();
                    jumps.push((jump, to));
                    return Ok(());
                }
                // The same codes in both machines.
                let compare = JMP32 | (code & 0xf0) as u8;
                if !matches!(
                    code & 0xf0,
                    classic::JEQ | classic::JGT | classic::JGE | classic::JSET
                ) {
                    return Err(unknown());
                }
                let jump = if code & classic::X != 0 {
                    self.load(W, R0, FRAME, X);
                    self.put(compare | BY_REGISTER, A, R0, 0, 0);
                    self.words.len() - 1
                } else {
                    self.jump_if(compare, A, k)
                };
                jumps.push((jump, at + 1 + usize::from(jt)));
                if jf != 0 {
                    let jump = self.jump();
                    jumps.push((jump, at + 1 + usize::from(jf)));
                }
            }
            classic::RET => {
                if code & 0x18 == classic::A {
                    self.reject_if(JEQ32, A, 0);
                    let jump = self.jump();
                    self.accepts.push(jump);
                } else {
                    let jump = self.jump();
                    if k == 0 { &mut self.rejects } else { &mut self.accepts }.push(jump);
                }
            }
            _ => match code & 0xf8 {
                classic::TAX => self.store(A, X),
                classic::TXA => self.load(W, A, FRAME, X),
                _ => return Err(unknown()),
            },
        }
        Ok(())
    }

    fn arithmetic(&mut self, code: u16, k: u32) -> Option<()> {
        let operation = (code & 0xf0) as u8;
        let by_x = code & classic::X != 0;
        if by_x && operation != NEG {
            self.load(W, R0, FRAME, X);
        }
        match code & 0xf0 {
            classic::DIV | classic::MOD => {
                if by_x {
                    self.reject_if(JEQ32, R0, 0);
                } else if k == 0 {
                    let jump = self.jump();
                    self.rejects.push(jump);
                    return Some(());
                }
            }
            // The kernel's machine shifts by no more than 31, the classic one out of sight.
            classic::LSH | classic::RSH if by_x => {
                self.put(JMP32 | 0xb0, R0, 0, 1, 31);
                self.set(A, 0);
                self.put(ALU32 | AND, R0, 0, 0, 31);
            }
            classic::LSH | classic::RSH if k > 31 => {
                self.set(A, 0);
                return Some(());
            }
            classic::NEG => {
                self.put(ALU32 | NEG, A, 0, 0, 0);
                return Some(());
            }
            classic::ADD
            | classic::SUB
            | classic::MUL
            | classic::OR
            | classic::AND
            | classic::XOR
            | classic::LSH
            | classic::RSH => {}
            _ => return None,
        }
        if by_x {
            self.put(ALU32 | operation | BY_REGISTER, A, R0, 0, 0);
        } else {
            self.put(ALU32 | operation, A, 0, 0, k.cast_signed());
        }
        Some(())
    }

    fn length(&mut self, to: u8, tagged: bool) {
        self.load(W, to, CTX, LEN);
        if tagged {
            self.put(ALU32 | ADD, to, 0, 0, TAG_LEN as i32);
        }
    }

    /// What is no byte of the packet: `SKF_AD_*` of linux/filter.h.
    fn ancillary(&mut self, what: u32, tagged: bool) -> Result<(), Error> {
        match what {
            0 => {
                self.load(W, A, CTX, PROTOCOL);
                self.put(TO_BIG_ENDIAN, A, 0, 0, 16);
            }
            // That a packet goes out is noted only where packet sockets get it.
            4 if self.way == Way::Out => self.set(A, OUTGOING as u32),
            4 => self.load(W, A, CTX, PACKET_TYPE),
            8 => self.load(W, A, CTX, IFINDEX),
            20 => self.load(W, A, CTX, MARK),
            24 => self.load(W, A, CTX, QUEUE),
            32 => self.load(W, A, CTX, HASH),
            44 => self.load(W, A, CTX, VLAN_TCI),
            48 => self.set(A, tagged.into()),
            60 => {
                self.load(W, A, CTX, VLAN_PROTO);
                self.put(TO_BIG_ENDIAN, A, 0, 0, 16);
            }
            _ => {
                return Err(Error::Unknown { what: format!("what is numbered {what}") });
            }
        }
        Ok(())
    }

    /// Loads bytes at an offset that is known.
    fn fixed(&mut self, offset: u32, size: u32, tagged: bool) -> Result<(), Error> {
        let end = offset.saturating_add(size);
        if !tagged || end <= TAG_AT {
            return self.at(offset, size);
        }
        if offset >= TAG_AT + TAG_LEN {
            return self.at(offset - TAG_LEN, size);
        }
        if offset >= TAG_AT && end <= TAG_AT + TAG_LEN {
            self.of_tag(offset, size);
            return Ok(());
        }
        // Partly in the tag: byte by byte.
        self.set(A, 0);
        for byte in offset..end {
            self.store(A, SUM);
            self.fixed(byte, 1, true)?;
            self.load(W, R0, FRAME, SUM);
            self.put(ALU32 | LSH, R0, 0, 0, 8);
            self.put(ALU32 | OR | BY_REGISTER, A, R0, 0, 0);
        }
        Ok(())
    }

    /// Bytes of the tag.
    fn of_tag(&mut self, offset: u32, size: u32) {
        self.load(W, A, FRAME, TAG);
        let behind = 8 * (TAG_AT + TAG_LEN - offset - size);
        if behind > 0 {
            self.put(ALU32 | RSH, A, 0, 0, behind as i32);
        }
        if size < 4 {
            self.put(ALU32 | AND, A, 0, 0, (1 << (8 * size)) - 1);
        }
    }

    /// Loads bytes of the packet as it is.
    fn at(&mut self, offset: u32, size: u32) -> Result<(), Error> {
        /// The verifier follows pointers into packets no further.
        const FURTHEST: u32 = 0x7fff;
        let mut slow = None;
        if offset + size <= FURTHEST {
            self.mov(R2, DATA);
            self.put(ALU64 | ADD, R2, 0, 0, (offset + size) as i32);
            self.put(JMP64 | 0x20 | BY_REGISTER, R2, END, 0, 0);
            slow = Some(self.words.len() - 1);
            self.load(width(size), A, DATA, offset as i16);
        }
        let done = slow.map(|slow| (slow, self.jump()));
        if let Some((slow, _)) = done {
            self.land(slow)?;
        }
        self.set(R2, offset);
        self.ask(size);
        if let Some((_, done)) = done {
            self.land(done)?;
        }
        self.swap(size);
        Ok(())
    }

    /// Loads bytes at X and an offset.
    fn indirect(&mut self, offset: u32, size: u32, tagged: bool) -> Result<(), Error> {
        self.load(W, R2, FRAME, X);
        if offset > FURTHEST {
            // What overflows is the end for the classic machine.
            let jump = self.jump();
            self.rejects.push(jump);
            return Ok(());
        }
        self.reject_if(JGT32, R2, FURTHEST);
        self.put(ALU32 | ADD, R2, 0, 0, offset.cast_signed());
        if tagged {
            // Behind the tag, before it, or else in a place where no filter looks that knows
            // how long the header before it is.
            self.put(JMP32 | 0x30, R2, 0, 2, (TAG_AT + TAG_LEN) as i32);
            self.reject_if(JGT32, R2, TAG_AT - size);
            self.put(JA, 0, 0, 1, 0);
            self.put(ALU32 | SUB, R2, 0, 0, TAG_LEN as i32);
        }
        // So far the verifier follows.
        let slow = self.jump_if(JGT32, R2, 0x7fff);
        self.mov(R3, DATA);
        self.put(ALU64 | ADD | BY_REGISTER, R3, R2, 0, 0);
        self.mov(R4, R3);
        self.put(ALU64 | ADD, R4, 0, 0, size as i32);
        self.put(JMP64 | 0x20 | BY_REGISTER, R4, END, 0, 0);
        let beyond = self.words.len() - 1;
        self.load(width(size), A, R3, 0);
        let done = self.jump();
        self.land(slow)?;
        self.land(beyond)?;
        self.ask(size);
        self.land(done)?;
        self.swap(size);
        Ok(())
    }

    /// Has the helper load bytes at the offset in r2.
    fn ask(&mut self, size: u32) {
        self.mov(R1, CTX);
        self.mov(R3, FRAME);
        self.put(ALU64 | ADD, R3, 0, 0, LOADED.into());
        self.set(R4, size);
        self.put(CALL, 0, 0, 0, LOAD_BYTES);
        let failed = self.words.len();
        self.put(JMP64 | 0x50, R0, 0, 0, 0);
        self.rejects.push(failed);
        self.load(width(size), A, FRAME, LOADED);
    }

    fn swap(&mut self, size: u32) {
        if size > 1 {
            self.put(TO_BIG_ENDIAN, A, 0, 0, 8 * size.cast_signed());
        }
    }
}

/// Nothing follows it.
const fn is_last(instruction: &Instruction) -> bool {
    let Instruction { code, k, .. } = *instruction;
    match code & 0x07 {
        classic::RET => true,
        classic::JMP => code & 0xf0 == classic::JA,
        // Nothing is left to do after these, either: see `arithmetic` and `indirect`.
        classic::ALU => {
            matches!(code & 0xf0, classic::DIV | classic::MOD) && code & classic::X == 0 && k == 0
        }
        classic::LD => code & 0xe0 == classic::IND && k > FURTHEST,
        _ => false,
    }
}

/// Whether anything leads to each instruction.
fn reached(program: &[Instruction]) -> Vec<bool> {
    let mut reached = vec![false; program.len()];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    // All jumps go on.
    for (at, instruction) in program.iter().enumerate() {
        if !reached[at] {
            continue;
        }
        let Instruction { code, jt, jf, k } = *instruction;
        let next: [Option<usize>; 2] = if code & 0x07 == classic::JMP {
            match code & 0xf0 {
                classic::JA => [Some(k as usize), None],
                _ => [Some(jt.into()), Some(jf.into())],
            }
        } else if is_last(instruction) {
            [None, None]
        } else {
            [Some(0), None]
        };
        for skip in next.into_iter().flatten() {
            if let Some(reached) = reached.get_mut(at + 1 + skip) {
                *reached = true;
            }
        }
    }
    reached
}

const fn width(size: u32) -> u8 {
    match size {
        1 => B,
        2 => H,
        8 => DW,
        _ => W,
    }
}

fn memory(k: u32) -> Option<i16> {
    (k < classic::MEMORY as u32).then_some(MEMORY + 4 * k as i16)
}

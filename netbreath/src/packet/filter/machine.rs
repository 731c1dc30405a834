//! As much of the kernel's machine as translated filters use, to compare them with the
//! classic ones: on packets of which only a part lies in one piece, as the kernel has them.

use super::translate::{Way, Word, translate};
use super::{classic, compile};
use crate::packet::link_type;

struct Packet<'a> {
    bytes: &'a [u8],
    /// How many of them lie in one piece.
    linear: usize,
    /// The tag that the device has taken out: protocol and tag.
    tag: Option<(u16, u16)>,
}

const CONTEXT: u64 = 0x1000;
const DATA: u64 = 0x10_0000;
const STACK: u64 = 0x100_0000;

/// Whether a program lets a packet through. It panics where the kernel would refuse the
/// program.
fn run(program: &[Word], packet: &Packet) -> bool {
    let mut registers = [0u64; 11];
    registers[1] = CONTEXT;
    registers[10] = STACK;
    let mut stack = [0xee_u8; 512];
    let mut at = 0;
    for _ in 0..100_000 {
        let word = program[at];
        at += 1;
        let code = word as u8;
        let (to, from) = ((word >> 8 & 15) as usize, (word >> 12 & 15) as usize);
        let (offset, k) = ((word >> 16) as i16, (word >> 32) as i32);
        let operand = if code & 8 != 0 { registers[from] } else { i64::from(k) as u64 };
        let wide = code & 7 == 7 || code & 7 == 5;
        let jump = |at: usize| (at as i64 + i64::from(offset)) as usize;
        match code {
            0x95 => {
                assert_eq!(registers[0] as i32, -1);
                return false;
            }
            0x18 => {
                registers[to] = i64::from(k) as u64;
                at += 1;
            }
            0x85 if k == 12 => {
                assert_eq!((registers[1], registers[2], registers[3]), (CONTEXT, 77, 2));
                return true;
            }
            0x85 => {
                assert_eq!((k, registers[1]), (26, CONTEXT));
                let (begin, len) = (registers[2] as usize, registers[4] as usize);
                let place = (registers[3] + 512 - STACK) as usize;
                let bytes = packet.bytes.get(begin..begin + len);
                registers[0] = match bytes {
                    Some(bytes) => {
                        stack[place..place + len].copy_from_slice(bytes);
                        0
                    }
                    None => -14_i64 as u64,
                };
                // The kernel forgets these.
                for register in &mut registers[1..6] {
                    *register = 0xdead_dead_dead_dead;
                }
            }
            0x05 => at = jump(at),
            0xdc => {
                registers[to] = match k {
                    16 => u64::from((registers[to] as u16).swap_bytes()),
                    _ => u64::from((registers[to] as u32).swap_bytes()),
                }
            }
            _ => match code & 7 {
                4 | 7 => {
                    let a = registers[to];
                    let (x, y) =
                        if wide { (a, operand) } else { (a & 0xffff_ffff, operand & 0xffff_ffff) };
                    let narrow = |value: u32| u64::from(value);
                    let (p, q) = (x as u32, y as u32);
                    registers[to] = match (code & 0xf0, wide) {
                        (0x00, true) => x.wrapping_add(y),
                        (0xb0, true) => y,
                        (0xb0, false) => narrow(q),
                        (0x00, false) => narrow(p.wrapping_add(q)),
                        (0x10, false) => narrow(p.wrapping_sub(q)),
                        (0x20, false) => narrow(p.wrapping_mul(q)),
                        (0x30, false) => narrow(p / q),
                        (0x90, false) => narrow(p % q),
                        (0x40, false) => narrow(p | q),
                        (0x50, false) => narrow(p & q),
                        (0xa0, false) => narrow(p ^ q),
                        (0x60, false) => narrow(p << q),
                        (0x70, false) => narrow(p >> q),
                        (0x80, false) => narrow(p.wrapping_neg()),
                        other => panic!("{other:?}"),
                    };
                }
                5 | 6 => {
                    let a = registers[to];
                    let (x, y) =
                        if wide { (a, operand) } else { (a & 0xffff_ffff, operand & 0xffff_ffff) };
                    let taken = match code & 0xf0 {
                        0x10 => x == y,
                        0x20 => x > y,
                        0x30 => x >= y,
                        0x40 => x & y != 0,
                        0x50 => x != y,
                        0xb0 => x <= y,
                        other => panic!("{other:#x}"),
                    };
                    if taken {
                        at = jump(at);
                    }
                }
                1 => {
                    let size = [4, 2, 1, 8][usize::from(code >> 3 & 3)];
                    let place = registers[from].wrapping_add_signed(offset.into());
                    registers[to] = read(packet, &stack, place, size);
                }
                2 | 3 => {
                    let size = [4, 2, 1, 8][usize::from(code >> 3 & 3)];
                    let value = if code & 7 == 3 { registers[from] } else { i64::from(k) as u64 };
                    let place = registers[to].wrapping_add_signed(offset.into());
                    let place = (place + 512 - STACK) as usize;
                    stack[place..place + size].copy_from_slice(&value.to_le_bytes()[..size]);
                }
                other => panic!("{other}"),
            },
        }
    }
    panic!("the program has no end");
}

fn read(packet: &Packet, stack: &[u8; 512], place: u64, size: usize) -> u64 {
    let tag = packet.tag;
    if (CONTEXT..CONTEXT + 200).contains(&place) {
        assert_eq!(size, 4);
        return match place - CONTEXT {
            0 => packet.bytes.len() as u64,
            20 => tag.is_some().into(),
            24 => tag.map_or(0, |(_, tag)| tag.into()),
            28 => tag.map_or(0, |(protocol, _)| protocol.swap_bytes().into()),
            76 => DATA,
            80 => DATA + packet.linear as u64,
            other => panic!("{other}"),
        };
    }
    let from = |bytes: &[u8], begin: usize| {
        let mut value = [0; 8];
        value[..size].copy_from_slice(&bytes[begin..begin + size]);
        u64::from_le_bytes(value)
    };
    if (DATA..DATA + packet.linear as u64).contains(&place) {
        return from(&packet.bytes[..packet.linear], (place - DATA) as usize);
    }
    from(stack, (place + 512 - STACK) as usize)
}

/// Numbers that look like chance and are the same in each run (xorshift).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize]
    }
}

/// A packet that filters find something in.
fn packet(chance: &mut Chance, link_type: u16) -> Vec<u8> {
    let mut bytes = Vec::new();
    if link_type == link_type::ETHERNET {
        bytes.extend((0..12).map(|_| chance.one(&[0, 1, 0xff])));
        if chance.below(6) == 0 {
            bytes.extend([0x81, 0, 0, chance.one(&[1, 2])]);
        }
        bytes.extend(chance.one(&[[8_u8, 0], [8, 0], [0x86, 0xdd], [8, 6], [0x88, 0x47]]));
    }
    let v6 = bytes.ends_with(&[0x86, 0xdd]) || bytes.is_empty() && chance.below(3) == 0;
    let proto = chance.one(&[6, 6, 17, 17, 1, 58, 132, 2]);
    if v6 {
        bytes.extend([0x60, 0, 0, 0, 0, 20, proto, 64]);
        for _ in 0..2 {
            bytes.extend([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            bytes.push(chance.one(&[1, 2]));
        }
    } else {
        let options = chance.below(3) as u8;
        let fragment = chance.one(&[[0_u8, 0], [0x40, 0], [0x20, 0], [0, 9]]);
        bytes.extend([0x45 + options, 0, 0, 60, 0, 1, fragment[0], fragment[1], 64, proto, 0, 0]);
        for _ in 0..2 {
            bytes.extend(chance.one(&[[10_u8, 0, 0, 1], [10, 0, 0, 2], [192, 168, 1, 1]]));
        }
        bytes.extend((0..4 * options).map(|_| 1));
    }
    bytes.extend(chance.one(&[[0_u8, 80], [0, 53], [0x1f, 0x90], [200, 1]]));
    bytes.extend(chance.one(&[[0_u8, 80], [0, 53], [0x1f, 0x90], [200, 2]]));
    bytes.extend((0..chance.below(60)).map(|_| chance.one(&[0, 1, 2, 0x10, 0x12, 0x50, 0xff])));
    let len = if chance.below(4) == 0 { chance.below(80) as usize } else { bytes.len() };
    bytes.truncate(len);
    bytes
}

const WORDS: &[&str] = &[
    "tcp",
    "udp",
    "icmp",
    "icmp6",
    "ip",
    "ip6",
    "arp",
    "sctp",
    "igmp",
    "port 80",
    "port 53",
    "src port 8080",
    "dst port 80",
    "tcp port 80",
    "udp port 53",
    "portrange 50-100",
    "host 10.0.0.1",
    "src host 10.0.0.2",
    "dst net 10.0.0.0/24",
    "net 192.168.0.0/16",
    "ip6 host 2001:db8::1",
    "src host 2001:db8::2",
    "greater 60",
    "less 70",
    "len > 54",
    "ip[0] & 0xf > 5",
    "tcp[tcpflags] & (tcp-syn|tcp-ack) != 0",
    "tcp[13] = 0x12",
    "ip[6:2] & 0x1fff != 0",
    "udp[4:2] > 0x100",
    "ip proto 17",
    "ip6 proto 6",
    "ip[8] < 65",
    "icmp[icmptype] = icmp-echo",
    "ip protochain 6",
    "tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x01020000",
    "ip[2:2] - 20 > 30",
    "ip[9] * 2 = 12",
    "(ip[3] + ip[1]) / 2 != 7",
    "ip[3] % 7 = 4",
    "1 << ip[8] > 3",
    "ip broadcast",
    "ip multicast",
    "ip6 multicast",
];

const ETHERNET_WORDS: &[&str] = &[
    "ether broadcast",
    "ether multicast",
    "ether host 00:01:ff:00:01:ff",
    "ether proto 0x0800",
    "vlan",
    "vlan 1",
    "ether[0] & 1 = 0",
    "ether[12:2] > 1500",
    "mpls",
];

fn expression(chance: &mut Chance, link_type: u16, depth: u32) -> String {
    match chance.below(if depth == 0 { 1 } else { 5 }) {
        0 | 1 if link_type == link_type::ETHERNET && chance.below(4) == 0 => {
            chance.one(ETHERNET_WORDS).to_owned()
        }
        0 | 1 => chance.one(WORDS).to_owned(),
        2 => format!("not ({})", expression(chance, link_type, depth - 1)),
        n => format!(
            "({}) {} ({})",
            expression(chance, link_type, depth - 1),
            if n == 3 { "and" } else { "or" },
            expression(chance, link_type, depth - 1)
        ),
    }
}

#[test]
fn translated_filters_say_what_classic_ones_say() {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let (mut compiled, mut passed, mut refused) = (0, 0u64, 0u64);
    for _ in 0..1500 {
        let link_type = chance.one(&[link_type::ETHERNET, link_type::ETHERNET, link_type::RAW]);
        let text = expression(&mut chance, link_type, 3);
        // Not all combinations make sense to libpcap.
        let Ok(program) = compile(&text, link_type) else { continue };
        compiled += 1;
        let kernel = translate(&program, Way::In, false, 77, 2).unwrap();
        for _ in 0..60 {
            let bytes = packet(&mut chance, link_type);
            let linear = chance.below(bytes.len() as u64 + 1) as usize;
            let expected = classic::run(&program, &bytes, bytes.len() as u32);
            let packet = Packet { bytes: &bytes, linear, tag: None };
            assert_eq!(
                run(&kernel, &packet),
                expected,
                "{text}: {bytes:x?}, {linear} in one piece"
            );
            *(if expected { &mut passed } else { &mut refused }) += 1;
        }
    }
    assert!(compiled > 1000, "{compiled}");
    // A test in which all is refused would show nothing.
    assert!(passed > 10_000 && refused > 10_000, "{passed} {refused}");
}

#[test]
fn our_classic_machine_says_what_libpcap_says() {
    let mut chance = Chance(77);
    let mut passed = 0;
    for _ in 0..300 {
        let text = expression(&mut chance, link_type::ETHERNET, 2);
        let Ok(program) = compile(&text, link_type::ETHERNET) else { continue };
        let dead = pcap::Capture::dead(pcap::Linktype(1)).unwrap();
        let Ok(reference) = dead.compile(&text, true) else { continue };
        for _ in 0..60 {
            let bytes = packet(&mut chance, link_type::ETHERNET);
            let expected = reference.filter(&bytes);
            assert_eq!(classic::run(&program, &bytes, bytes.len() as u32), expected, "{text}");
            passed += u32::from(expected);
        }
    }
    assert!(passed > 1000, "{passed}");
}

#[test]
fn any_program_says_the_same() {
    let mut chance = Chance(4711);
    let (mut passed, mut refused) = (0, 0);
    for _ in 0..4000 {
        let len = 3 + chance.below(20);
        let mut program: Vec<classic::Instruction> = (0..len)
            .map(|at| {
                let left = (len - at) as u8;
                let small = [0, 1, 2, 3, 4, 7, 12, 14, 16, 20, 31, 32, 33];
                let k = match chance.below(8) {
                    0 => chance.next() as u32,
                    _ => chance.one(&small),
                };
                let jump = |chance: &mut Chance| chance.below(left.into()) as u8;
                let code = match chance.below(8) {
                    0 => chance.one(&[0x20, 0x28, 0x30, 0x40, 0x48, 0x50, 0x00, 0x80]),
                    1 => chance.one(&[0x01, 0x81, 0xb1, 0x07, 0x87]),
                    2 => chance.one(&[0x60, 0x61, 0x02, 0x03]),
                    3 | 4 => {
                        chance.one(&[0x04, 0x14, 0x24, 0x34, 0x44, 0x54, 0x64, 0x74, 0x94, 0xa4])
                            | chance.one(&[0, 8])
                    }
                    5 => 0x84,
                    6 => chance.one(&[0x15, 0x25, 0x35, 0x45]) | chance.one(&[0, 8]),
                    _ => chance.one(&[0x05, 0x16, 0x16, 0x06]),
                };
                let k = match code {
                    0x60 | 0x61 | 0x02 | 0x03 => k & 15,
                    0x05 => jump(&mut chance).into(),
                    // Loads that are none of the packet's have tests of their own.
                    0x20 | 0x28 | 0x30 | 0xb1 => k & 0xff,
                    0x40 | 0x48 | 0x50 => k & 0x3fff_ffff,
                    _ => k,
                };
                classic::Instruction { code, jt: jump(&mut chance), jf: jump(&mut chance), k }
            })
            .collect();
        program.push(classic::Instruction { code: 0x16, jt: 0, jf: 0, k: 0 });
        let kernel = translate(&program, Way::In, false, 77, 2).unwrap();
        for _ in 0..20 {
            let bytes = packet(&mut chance, link_type::ETHERNET);
            let linear = chance.below(bytes.len() as u64 + 1) as usize;
            let expected = classic::run(&program, &bytes, bytes.len() as u32);
            let packet = Packet { bytes: &bytes, linear, tag: None };
            assert_eq!(run(&kernel, &packet), expected, "{program:?}: {bytes:x?}");
            *(if expected { &mut passed } else { &mut refused }) += 1;
        }
    }
    assert!(passed > 10_000 && refused > 10_000, "{passed} {refused}");
}

#[test]
fn a_packet_is_filtered_with_the_tag_that_its_device_has_taken_out() {
    let mut chance = Chance(31);
    let (mut passed, mut refused) = (0, 0);
    for round in 0..600 {
        let text = match round % 3 {
            0 => "vlan 1 and tcp port 80".to_owned(),
            1 => format!("vlan and ({})", expression(&mut chance, link_type::RAW, 1)),
            _ => expression(&mut chance, link_type::ETHERNET, 2),
        };
        let Ok(program) = compile(&text, link_type::ETHERNET) else { continue };
        let kernel = translate(&program, Way::In, true, 77, 2).unwrap();
        for _ in 0..40 {
            let bytes = packet(&mut chance, link_type::ETHERNET);
            if bytes.len() < 14 {
                continue;
            }
            let tag = chance.one(&[Some((0x8100, 1)), Some((0x8100, 7)), None]);
            let whole = match tag {
                Some((protocol, tag)) => {
                    let tag = [u16::to_be_bytes(protocol), u16::to_be_bytes(tag)].concat();
                    [&bytes[..12], &tag, &bytes[12..]].concat()
                }
                None => bytes.clone(),
            };
            let expected = classic::run(&program, &whole, whole.len() as u32);
            let linear = chance.below(bytes.len() as u64 + 1) as usize;
            let packet = Packet { bytes: &bytes, linear, tag };
            assert_eq!(run(&kernel, &packet), expected, "{text}: {tag:?} {bytes:x?}");
            *(if expected { &mut passed } else { &mut refused }) += 1;
        }
    }
    assert!(passed > 1000 && refused > 1000, "{passed} {refused}");
}

//! `--explain`: what one line of a tool says, in a few sentences under it.

use std::net::IpAddr;

use netbreath_common::tcp::TcpState;

use super::page::{USUAL_WIDTH, paragraph};
use super::{Language, Lesson, of_cause, of_errno, of_event, of_flags, of_state, of_transition};
use crate::event::segment::Moment;
use crate::event::{Body, Closed, ConnectFailed, Drop, Event, Reset, State};
use crate::table::socket::{Proto, Socket, Sockets, TimerKind};

/// Explanations are to be written, so: in which language, and how wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    pub language: Language,
    pub width: usize,
}

impl Explained {
    /// For a terminal so wide, if there is one.
    pub fn new(language: Language, width: Option<usize>) -> Explained {
        Explained { language, width: width.unwrap_or(USUAL_WIDTH).max(40) }
    }

    /// Appends an explanation under a line.
    pub fn put(self, text: &str, out: &mut Vec<u8>) {
        let mut lines = String::new();
        paragraph(text, self.width, "    ", "    ", &mut lines);
        out.extend_from_slice(lines.as_bytes());
    }

    /// The same of an event.
    pub fn event(self, event: &Event, out: &mut Vec<u8>) {
        self.put(&self::event(event, self.language), out);
    }

    /// The same of a socket.
    pub fn socket(self, socket: &Socket, sockets: &Sockets, out: &mut Vec<u8>) {
        self.put(&self::socket(socket, sockets, self.language), out);
    }

    /// The same of a segment, by the letters of its flags.
    pub fn flags(self, flags: &str, out: &mut Vec<u8>) {
        self.put(&self::flags(flags, self.language), out);
    }
}

/// What happened, who acted, whether it is normal.
pub fn event(event: &Event, language: Language) -> String {
    let lesson = match &event.body {
        Body::State(State { old, new, .. }) => of_transition(*old, *new, language),
        Body::ConnectFailed(ConnectFailed { error: Some(error), .. }) => of_errno(*error, language),
        Body::Closed(closed) => match &**closed {
            Closed { cause: Some(cause), .. } => of_cause(*cause, language),
            _ => None,
        },
        Body::Seed(seed) => of_state(seed.state, language),
        _ => None,
    };
    let mut text = String::new();
    if let Body::Reset(Reset { received, .. }) = &event.body {
        text.push_str(match received {
            true => language.choose("It came in. ", "受信したリセットです。"),
            false => language.choose("This machine sent it. ", "このマシンが送ったリセットです。"),
        });
    }
    if let Some(lesson) = lesson.or_else(|| of_event(&event.body, language)) {
        text.push_str(&summary(lesson, language));
    }
    if let Body::Reset(Reset { reason: Some(reason), .. })
    | Body::Drop(Drop { reason: Some(reason), .. }) = &event.body
    {
        text.push_str(&match language {
            Language::En => format!(" The kernel's reason: {}.", shown(reason)),
            Language::Ja => format!("カーネルの示す理由は {} です。", shown(reason)),
        });
    }
    text
}

/// What a moment of a ladder says, and what to look at next.
pub fn moment(moment: &Moment, language: Language) -> String {
    let event = match moment {
        Moment::Segment(segment) => return flags(&segment.flags, language),
        Moment::Event(event) => event,
    };
    let mut text = self::event(event, language);
    if let Body::State(State { old, new, .. }) = &event.body
        && let Some(lesson) = of_transition(*old, *new, language)
    {
        text.push_str(language.choose(" Next: ", "【次に見る】"));
        text.push_str(lesson.next);
    }
    text
}

/// A word from outside, without what could steer a terminal.
fn shown(word: &str) -> String {
    let mut bytes = Vec::new();
    crate::format::put_name(&mut bytes, word.as_bytes(), true);
    String::from_utf8(bytes).unwrap_or_default()
}

/// A lesson in three sentences.
pub fn summary(lesson: &Lesson, language: Language) -> String {
    let Lesson { what, who, normal, .. } = lesson;
    match language {
        Language::En => format!("{what} Who: {who} Normal: {normal}"),
        Language::Ja => format!("{what}【誰が】{who}【普通か】{normal}"),
    }
}

/// What flags say.
pub fn flags(flags: &str, language: Language) -> String {
    let lessons = of_flags(flags, language);
    let texts: Vec<&str> = lessons.iter().map(|lesson| lesson.what).collect();
    texts.join(language.choose(" ", ""))
}

/// What a row of a table of sockets says.
pub fn socket(socket: &Socket, sockets: &Sockets, language: Language) -> String {
    let mut says: Vec<String> = Vec::new();
    match socket.proto {
        Proto::Tcp | Proto::Mptcp => {
            if let Some(lesson) = of_state(socket.state, language) {
                says.push(lesson.what.to_owned());
            }
        }
        proto => says.push(other(proto, socket, language).to_owned()),
    }
    if let Some((local, remote)) = socket.inet() {
        let waits = remote.port == 0;
        says.extend(place(local.addr, remote.addr, waits, language).map(str::to_owned));
    }
    says.extend(queues(socket, language));
    says.extend(timer(socket, language));
    says.extend(holder(socket, sockets, language));
    says.join(language.choose(" ", ""))
}

fn other(proto: Proto, socket: &Socket, language: Language) -> &'static str {
    match proto {
        Proto::Udp | Proto::UdpLite => match socket.state {
            TcpState::Established => language.choose(
                "A UDP socket that has called connect(): it talks to one peer only. Nothing was \
                 agreed upon with that peer.",
                "connect() 済みの UDP ソケットで、1 つの相手とだけやり取りします。相手との間で\
                 何かを取り決めたわけではありません。",
            ),
            _ => language.choose(
                "A UDP socket: it takes datagrams from anybody. UDP has no connections and no \
                 states.",
                "UDP ソケットで、誰からのデータグラムでも受け取ります。UDP には接続も状態も\
                 ありません。",
            ),
        },
        Proto::Raw => language.choose(
            "A raw socket: it takes whole IP packets of one protocol, as ping does.",
            "raw ソケットです。ping のように、特定プロトコルの IP パケットをそのまま扱います。",
        ),
        Proto::UnixStream | Proto::UnixDgram | Proto::UnixSeqpacket => match socket.state {
            TcpState::Listen => language.choose(
                "A server for processes of this machine: it waits for connections to this path.",
                "このマシンのプロセス向けのサーバーで、このパスへの接続を待っています。",
            ),
            _ => language.choose(
                "A UNIX socket: two processes of this machine talk over it, without any network.",
                "UNIX ソケットです。ネットワークを使わず、このマシンのプロセス同士が通信します。",
            ),
        },
        Proto::PacketRaw | Proto::PacketDgram => language.choose(
            "A packet socket: its process sees the packets of an interface, as tcpdump does.",
            "パケットソケットです。tcpdump のように、インターフェースのパケットを見ます。",
        ),
        Proto::Netlink => language.choose(
            "A netlink socket: a process talks with the kernel over it.",
            "netlink ソケットです。プロセスがカーネルと通信します。",
        ),
        Proto::Tcp | Proto::Mptcp => "",
    }
}

fn place(local: IpAddr, remote: IpAddr, waits: bool, language: Language) -> Option<&'static str> {
    if waits && local.is_unspecified() {
        Some(language.choose(
            "It is reached by every address of this machine, from everywhere.",
            "このマシンのどのアドレスからでも、どこからでも届きます。",
        ))
    } else if waits && local.is_loopback() {
        Some(
            language.choose(
                "It is reached from this machine only.",
                "このマシンの中からしか届きません。",
            ),
        )
    } else if !waits && (remote.is_loopback() || remote == local) {
        Some(
            language
                .choose("The other end is on this machine too.", "相手もこのマシンの中にいます。"),
        )
    } else {
        None
    }
}

fn queues(socket: &Socket, language: Language) -> Option<String> {
    let (received, sent) = (socket.recv_q, socket.send_q);
    let text = match (language, socket.is_listening()) {
        (_, true) if socket.proto.is_unix() => return None,
        (_, true) if received == 0 => return None,
        (Language::En, true) => {
            format!("Connections that wait for accept(): {received}; {sent} may.")
        }
        (Language::Ja, true) => {
            format!("accept() を待っている接続が {received} 件あります (上限 {sent})。")
        }
        (_, false) if received == 0 && sent == 0 => return None,
        (Language::En, false) => {
            format!("{received} bytes wait to be read here, {sent} for the peer's ACK.")
        }
        (Language::Ja, false) => {
            format!("未読が {received} バイト、ACK 待ちが {sent} バイトあります。")
        }
    };
    Some(text)
}

fn timer(socket: &Socket, language: Language) -> Option<String> {
    let seconds = socket.timer.left.div_ceil(1000);
    let times = socket.timer.retrans;
    match (socket.timer.kind, language) {
        (TimerKind::Retransmit, Language::En) if times > 0 => {
            Some(format!("It has been sent again {times} times; next in {seconds} s."))
        }
        (TimerKind::Retransmit, Language::Ja) if times > 0 => {
            Some(format!("すでに {times} 回再送し、次は {seconds} 秒後です。"))
        }
        (TimerKind::TimeWait, Language::En) => Some(format!("It ends in {seconds} s.")),
        (TimerKind::TimeWait, Language::Ja) => Some(format!("あと {seconds} 秒で消えます。")),
        (TimerKind::Probe, Language::En) => {
            Some("The peer's window is 0: it is asked again and again.".to_owned())
        }
        (TimerKind::Probe, Language::Ja) => {
            Some("相手のウィンドウが 0 なので、繰り返し問い合わせています。".to_owned())
        }
        _ => None,
    }
}

fn holder(socket: &Socket, sockets: &Sockets, language: Language) -> Option<String> {
    let holders = sockets.holders.of(socket.inode);
    let Some(first) = holders.first() else {
        let orphan = socket.inode == 0
            && matches!(
                socket.state,
                TcpState::FinWait1 | TcpState::FinWait2 | TcpState::LastAck | TcpState::Closing
            );
        return orphan.then(|| {
            language
                .choose(
                    "No process holds it any more: the kernel completes it alone.",
                    "持ち主のプロセスはもうなく、カーネルだけで後始末をしています。",
                )
                .to_owned()
        });
    };
    let process = sockets.holders.process(first.pid);
    let name = process
        .map_or_else(|| "?".to_owned(), |process| shown(&String::from_utf8_lossy(&process.comm)));
    let (pid, fd, more) = (first.pid, first.fd, holders.len() - 1);
    Some(match (language, more) {
        (Language::En, 0) => format!("{name} (process {pid}) holds it as descriptor {fd}."),
        (Language::En, _) => {
            format!("{name} (process {pid}) holds it as descriptor {fd}, and so do {more} more.")
        }
        (Language::Ja, 0) => {
            format!("{name} (プロセス {pid}) が記述子 {fd} として持っています。")
        }
        (Language::Ja, _) => {
            format!("{name} (プロセス {pid}) が記述子 {fd} として持ち、ほかに {more} 件あります。")
        }
    })
}

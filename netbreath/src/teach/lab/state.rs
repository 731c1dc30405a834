//! Each state, held for as long as one likes to look at it.

use netbreath_common::tcp::TcpState;

use super::{AT, Error, Scenario, Stage, client_in, close, server_in};
use crate::event::Body;
use crate::lesson::language::Both;

macro_rules! held {
    ($name:literal, $topic:literal, $play:ident, $en:literal, $ja:literal) => {
        Scenario {
            name: concat!("state ", $name),
            promise: Both(
                concat!("The state ", $name, ", held and looked at."),
                concat!("状態 ", $name, " を留めて観察します。"),
            ),
            question: Both(
                "Which of the two sockets will be in it, and what keeps it there?",
                "2 つのソケットのどちらがこの状態になり、何がそこに留めるのでしょうか。",
            ),
            answer: Both($en, $ja),
            lessons: &[$topic],
            play: $play,
        }
    };
}

pub const ALL: &[Scenario] = &[
    held!(
        "CLOSE",
        "CLOSE",
        closed,
        "A socket that was made and not used is in CLOSE. The tables of sockets do not show it: \
         it has no port, and hangs in no table of the kernel's. lsof finds it by its descriptor.",
        "作られただけで使われていないソケットは CLOSE です。ポートがなくカーネルのどの表にも載らないので、\
         ソケットの一覧には現れません。lsof なら記述子から見つけられます。"
    ),
    held!(
        "LISTEN",
        "LISTEN",
        listen,
        "The server's socket, for as long as the server lives: a listener has no peer, and so \
         nothing can take it out of the state but its own process.",
        "サーバーのソケットです。リスナーには相手がいないので、自分のプロセス以外にこの状態を終わらせるものは\
         ありません。"
    ),
    held!(
        "SYN_SENT",
        "SYN_SENT",
        syn_sent,
        "The client's: the server does not hear the SYN, so that no answer comes.",
        "クライアントのソケットです。SYN がサーバーに届かず、応答がないためです。"
    ),
    held!(
        "SYN_RECV",
        "SYN_RECV",
        syn_recv,
        "The server's: SYN+ACK does not reach the client, so that its ACK does not come. It \
         belongs to no process, and has no inode: it is a request socket.",
        "サーバー側です。SYN+ACK がクライアントに届かず、ACK が来ません。プロセスも inode もない、リクエスト\
         ソケットです。"
    ),
    held!(
        "ESTABLISHED",
        "ESTABLISHED",
        established,
        "Both. Nothing keeps them there: no packet has to be sent for a connection to be open.",
        "両方です。留めておく力は要りません。パケットが 1 つも流れなくても接続は開いたままです。"
    ),
    held!(
        "FIN_WAIT1",
        "FIN_WAIT1",
        fin_wait1,
        "The client's: it has closed, but the server does not hear its FIN.",
        "クライアントのソケットです。閉じたのに、FIN がサーバーに届いていません。"
    ),
    held!(
        "FIN_WAIT2",
        "FIN_WAIT2",
        fin_wait2,
        "The client's: the server's kernel has acknowledged the FIN, its program does not close.",
        "クライアントのソケットです。サーバーのカーネルは FIN に ACK を返しましたが、プログラムが閉じません。"
    ),
    held!(
        "CLOSE_WAIT",
        "CLOSE_WAIT",
        fin_wait2,
        "The server's: its program does not close, and nothing else can do it.",
        "サーバーのソケットです。プログラムが閉じない限り、ほかの誰にもどうにもできません。"
    ),
    held!(
        "CLOSING",
        "CLOSING",
        closing,
        "The server's: it has the client's FIN, but no ACK of its own, since the client hears \
         nothing.",
        "サーバーのソケットです。クライアントの FIN は受け取りましたが、クライアントに何も届かないため、自分の \
         FIN への ACK が来ません。"
    ),
    held!(
        "LAST_ACK",
        "LAST_ACK",
        last_ack,
        "The server's: it closed second, and the client does not hear its FIN.",
        "サーバーのソケットです。後から閉じましたが、その FIN がクライアントに届きません。"
    ),
    held!(
        "TIME_WAIT",
        "TIME_WAIT",
        time_wait,
        "The client's, which closed first. Nothing keeps it there but the kernel's timer of 60 \
         seconds, and no process has it.",
        "先に閉じたクライアント側です。留めているのはカーネルの 60 秒のタイマーだけで、プロセスは持っていません。"
    ),
];

fn closed(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.client("open c")?;
    stage.table()?;
    // The only way out of it here, and the way back.
    stage.client_fails(&format!("connect c {AT}"))?;
    stage.see("CLOSE", client_in(TcpState::Close))
}

fn listen(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    stage.see_transition(TcpState::Close, TcpState::Listen, 1)?;
    stage.table()
}

fn syn_sent(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    stage.server("deaf l on")?;
    stage.client("open c")?;
    stage.client(&format!("begin c {AT}"))?;
    stage.see("SYN_SENT", client_in(TcpState::SynSent))?;
    stage.table()
}

fn syn_recv(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    stage.client("open c")?;
    stage.client("deaf c on")?;
    stage.client(&format!("begin c {AT}"))?;
    stage.see("the SYN", |event| matches!(event.body, Body::HalfOpen(_)))?;
    stage.table()?;
    // It hears the next SYN+ACK: only now is there a full socket that passes the state.
    stage.client("deaf c off")?;
    stage.client("connected c")?;
    stage.see_transition(TcpState::SynRecv, TcpState::Established, 1)
}

fn established(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.see_transition(TcpState::SynRecv, TcpState::Established, 1)?;
    stage.table()
}

fn fin_wait1(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.server("deaf s on")?;
    stage.client("close c")?;
    stage.see("FIN_WAIT1", client_in(TcpState::FinWait1))?;
    stage.table()
}

fn fin_wait2(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("shutdown c")?;
    stage.see("FIN_WAIT2", client_in(TcpState::FinWait2))?;
    stage.see("CLOSE_WAIT", server_in(TcpState::CloseWait))?;
    stage.table()
}

fn closing(stage: &mut Stage<'_>) -> Result<(), Error> {
    close::crossed(stage)?;
    stage.table()
}

fn last_ack(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("shutdown c")?;
    stage.see("CLOSE_WAIT", server_in(TcpState::CloseWait))?;
    stage.see("FIN_WAIT2", client_in(TcpState::FinWait2))?;
    stage.client("deaf c on")?;
    stage.server("close s")?;
    stage.see("LAST_ACK", server_in(TcpState::LastAck))?;
    stage.table()
}

fn time_wait(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("close c")?;
    stage.see("CLOSE_WAIT", server_in(TcpState::CloseWait))?;
    stage.server("close s")?;
    stage.see("TIME_WAIT", client_in(TcpState::TimeWait))?;
    stage.table()
}

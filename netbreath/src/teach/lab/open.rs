//! How connections begin, and how they do not.

use netbreath_common::tcp::TcpState;

use super::{AT, Error, Scenario, Stage, client_in, server_in};
use crate::lesson::language::Both;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "open",
        promise: Both(
            "A connection is opened with three packets and closed by the client.",
            "3 つのパケットで接続を開き、クライアントから閉じます。",
        ),
        question: Both(
            "Which side is in TIME_WAIT in the end, and how many packets does it take to close?",
            "最後に TIME_WAIT になるのはどちら側でしょうか。閉じるのにパケットはいくつ要るでしょうか。",
        ),
        answer: Both(
            "The client closed first, so it is the client that waits. Closing took a FIN and an \
             ACK each way: three packets where the second FIN comes with the ACK of the first, \
             four where it comes later.",
            "先に閉じたクライアントが TIME_WAIT で待ちます。閉じるには双方向の FIN と ACK が必要で、2 つ目の \
             FIN が 1 つ目への ACK と一緒なら 3 つ、遅れて出れば 4 つのパケットになります。",
        ),
        lessons: &["SYN_SENT -> ESTABLISHED", "ESTABLISHED -> FIN_WAIT1", "TIME_WAIT"],
        play: open,
    },
    Scenario {
        name: "refused",
        promise: Both(
            "A client connects to a port where nobody listens.",
            "誰も待っていないポートに接続してみます。",
        ),
        question: Both(
            "How long does connect() take to fail, and who says no?",
            "connect() が失敗するまでの時間は。断るのは誰でしょうか。",
        ),
        answer: Both(
            "It fails at once. No process says no: the kernel of the host answers the SYN with \
             RST, and connect() gives ECONNREFUSED.",
            "すぐに失敗します。断るのはプロセスではなく、ホストのカーネルです。SYN に RST を返し、connect() は \
             ECONNREFUSED になります。",
        ),
        lessons: &["ECONNREFUSED", "R.", "SYN_SENT -> CLOSE"],
        play: refused,
    },
    Scenario {
        name: "filtered",
        promise: Both(
            "A client connects to a server that hears nothing, as behind a firewall that drops.",
            "パケットを黙って捨てるファイアウォールの向こうのように、何も届かないサーバーに接続してみます。",
        ),
        question: Both(
            "How often is the SYN sent, and at which intervals?",
            "SYN は何回、どんな間隔で送られるでしょうか。",
        ),
        answer: Both(
            "The SYN was sent again after about a second each time (here twice; usually \
             tcp_syn_retries = 6 times, at intervals that grow), and then connect() gave \
             ETIMEDOUT. Nothing tells a dropped SYN from a dead host.",
            "SYN は約 1 秒後に再送されました (ここでは 2 回。通常は tcp_syn_retries = 6 回で、間隔は延びて\
             いきます)。その後 connect() は ETIMEDOUT になります。SYN が捨てられているのか、ホストが落ちて\
             いるのかは区別できません。",
        ),
        lessons: &["ETIMEDOUT", "retransmit", "SYN_SENT"],
        play: filtered,
    },
    Scenario {
        name: "simultaneous-open",
        promise: Both(
            "Two clients connect to each other: nobody listens, and yet it works.",
            "2 つのクライアントが互いに接続します。待ち受ける側がいないのに成功します。",
        ),
        question: Both(
            "Can a connection come about without any listener?",
            "リスナーなしで接続は成立するでしょうか。",
        ),
        answer: Both(
            "It can: a SYN that meets a socket in SYN_SENT takes it to SYN_RECV, not by a \
             listener, and SYN+ACK completes it. In Linux this is the only way for a full socket \
             to stay in SYN_RECV.",
            "成立します。SYN_SENT のソケットに SYN が届くと、リスナーなしで SYN_RECV に移り、SYN+ACK で\
             完了します。Linux で通常のソケットが SYN_RECV に留まるのはこの場合だけです。",
        ),
        lessons: &["SYN_SENT -> SYN_RECV", "SYN_RECV"],
        play: simultaneous,
    },
    Scenario {
        name: "close-before-open",
        promise: Both(
            "A process closes a connection whose handshake is not complete.",
            "ハンドシェイクが終わらないうちに閉じてみます。",
        ),
        question: Both(
            "Which state follows SYN_RECV, if the process closes?",
            "SYN_RECV のソケットを閉じると、次はどの状態でしょうか。",
        ),
        answer: Both(
            "FIN_WAIT1: the peer must have got the SYN, so it must get a FIN too. This needs a \
             full socket in SYN_RECV, and so a simultaneous open.",
            "FIN_WAIT1 です。相手は SYN を受け取っているはずなので、FIN も送らなければなりません。これには \
             SYN_RECV の通常のソケット、つまり同時オープンが必要です。",
        ),
        lessons: &["SYN_RECV -> FIN_WAIT1"],
        play: close_before_open,
    },
    Scenario {
        name: "half-open-reset",
        promise: Both(
            "A client goes away in the middle of the handshake.",
            "ハンドシェイクの途中でクライアントがいなくなります。",
        ),
        question: Both(
            "In which state is the listener after the reset?",
            "リセットの後、リスナーはどの状態でしょうか。",
        ),
        answer: Both(
            "In LISTEN, as all the time. In the book the half-open connection goes back from \
             SYN_RECV to LISTEN (note 1 of figure 5); in Linux the listener never left LISTEN, \
             and only a small request socket is dropped.",
            "ずっと LISTEN のままです。教科書では SYN_RECV から LISTEN に戻りますが (図 5 の注 1)、Linux の\
             リスナーはもともと LISTEN を離れておらず、小さなリクエストソケットが捨てられるだけです。",
        ),
        lessons: &["SYN_RECV -> LISTEN", "SYN_RECV -> CLOSE", "half_open"],
        play: half_open_reset,
    },
    Scenario {
        name: "accept-queue",
        promise: Both(
            "A server does not call accept(), and its queue is full.",
            "サーバーが accept() を呼ばず、キューが満杯になります。",
        ),
        question: Both(
            "The queue has room for two. What does the third client see?",
            "キューには 2 つ入ります。3 番目のクライアントにはどう見えるでしょうか。",
        ),
        answer: Both(
            "The first two are connected, though no program has accepted them. The SYN of the \
             third is dropped without a word, and it stays in SYN_SENT: to it, the server looks \
             like a firewall. Recv-Q of the listener shows how many wait.",
            "最初の 2 つは、プログラムが accept しないうちに接続が確立します。3 番目の SYN は黙って捨てられ、\
             SYN_SENT のまま残ります。クライアントからはファイアウォールと区別できません。リスナーの Recv-Q \
             が待っている数を示します。",
        ),
        lessons: &["Recv-Q", "accept", "LISTEN"],
        play: accept_queue,
    },
    Scenario {
        name: "syn-backlog",
        promise: Both(
            "Half-open connections fill the queue, and SYN cookies let an honest client in.",
            "ハーフオープンの接続でキューが埋まり、SYN クッキーが正直なクライアントを救います。",
        ),
        question: Both(
            "The queue of half-open connections is full. Can a new client connect?",
            "ハーフオープンのキューが満杯です。新しいクライアントは接続できるでしょうか。",
        ),
        answer: Both(
            "It can: the kernel remembers nothing of its SYN, but hides what it needs in the \
             sequence number of SYN+ACK, and reads it out of the ACK that comes back. The event \
             half_open says that a SYN cookie came back.",
            "接続できます。カーネルは SYN を記憶せず、必要な情報を SYN+ACK のシーケンス番号に埋め込み、返って\
             きた ACK から取り出します。half_open イベントに SYN クッキーが返ったと出ます。",
        ),
        lessons: &["SYN_RECV", "half_open"],
        play: syn_backlog,
    },
    Scenario {
        name: "flags",
        promise: Both(
            "Every flag letter of tcpdump goes over the line once.",
            "tcpdump のフラグをひととおり流します。",
        ),
        question: Both(
            "Which of the letters S F P R U W E . have you never seen in a trace?",
            "S F P R U W E . のうち、実際に見たことがないものはどれでしょうか。",
        ),
        answer: Both(
            "A SYN that asks for ECN is [SEW], the answer [S.E]. Urgent data is [P.U]. A segment \
             without any flag is none of TCP's: a raw socket made it, and the closed port answered \
             with RST.",
            "ECN を求める SYN は [SEW]、その応答は [S.E]、緊急データは [P.U] です。フラグのないセグメントは \
             raw ソケットで作ったもので、閉じたポートは RST で答えました。",
        ),
        lessons: &["S", "E", "W", "U", "none"],
        play: flags,
    },
];

fn open(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("write c 100")?;
    stage.server("read s")?;
    stage.client("close c")?;
    stage.see("the end of the client's FIN", server_in(TcpState::CloseWait))?;
    stage.server("close s")?;
    stage.see("TIME_WAIT", client_in(TcpState::TimeWait))?;
    stage.table()?;
    stage.server("close l")?;
    stage.see_transition(TcpState::Listen, TcpState::Close, 1)
}

fn refused(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.client("open c")?;
    stage.client_fails(&format!("connect c {AT}"))?;
    stage.see_flags("R.")?;
    stage.see_transition(TcpState::SynSent, TcpState::Close, 1)
}

fn filtered(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    stage.server("deaf l on")?;
    stage.client("open c")?;
    stage.client("syns c 2")?;
    stage.client(&format!("begin c {AT}"))?;
    stage.table()?;
    stage.see_transition(TcpState::SynSent, TcpState::Close, 1)?;
    stage.client_fails("connected c").map(drop)
}

/// Two sockets at fixed ports; the first one's SYN comes again when the second is there.
fn crossing(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.client("open c")?;
    stage.client("bind c 127.0.0.1:7001")?;
    stage.server("open s")?;
    stage.server(&format!("bind s {AT}"))?;
    // Nobody is there yet when the first SYN comes: the RST must not be heard.
    stage.client("deaf c on")?;
    stage.client(&format!("begin c {AT}"))?;
    stage.server("begin s 127.0.0.1:7001")?;
    stage.see("the SYN that comes again", server_in(TcpState::SynRecv))
}

fn simultaneous(stage: &mut Stage<'_>) -> Result<(), Error> {
    crossing(stage)?;
    stage.table()?;
    stage.client("deaf c off")?;
    stage.client("connected c")?;
    stage.server("connected s")?;
    stage.client("close c")?;
    stage.see("the client's FIN", server_in(TcpState::CloseWait))?;
    stage.server("close s")?;
    stage.see("TIME_WAIT", client_in(TcpState::TimeWait))
}

fn close_before_open(stage: &mut Stage<'_>) -> Result<(), Error> {
    crossing(stage)?;
    stage.server("close s")?;
    stage.see_transition(TcpState::SynRecv, TcpState::FinWait1, 1)?;
    stage.table()
}

fn half_open_reset(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.set("tcp_synack_retries", "1")?;
    stage.listen(5)?;
    stage.client("open c")?;
    stage.client("deaf c on")?;
    stage.client(&format!("begin c {AT}"))?;
    stage.see("the SYN", |event| matches!(event.body, crate::event::Body::HalfOpen(_)))?;
    stage.table()?;
    stage.client("close c")?;
    // SYN+ACK comes again to nobody, and is answered.
    stage.see_flags("R")?;
    stage.see_transition(TcpState::SynRecv, TcpState::Close, 1)?;
    stage.table()
}

fn accept_queue(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(1)?;
    for name in ["a", "b"] {
        stage.client(&format!("open {name}"))?;
        stage.client(&format!("connect {name} {AT}"))?;
    }
    stage.see_transition(TcpState::SynRecv, TcpState::Established, 2)?;
    stage.client("open c")?;
    stage.client(&format!("begin c {AT}"))?;
    stage.see("a SYN that is sent again", |event| {
        matches!(event.body, crate::event::Body::Retransmit(_))
    })?;
    stage.table()?;
    // Room for it: the next SYN is answered.
    stage.server("accept l s")?;
    stage.client("connected c").map(drop)
}

fn syn_backlog(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.set("tcp_syncookies", "1")?;
    stage.listen(2)?;
    for name in ["a", "b", "d", "e"] {
        stage.client(&format!("open {name}"))?;
        stage.client(&format!("deaf {name} on"))?;
        stage.client(&format!("begin {name} {AT}"))?;
    }
    stage.table()?;
    stage.client("open c")?;
    stage.client(&format!("connect c {AT}"))?;
    stage.server("accept l s")?;
    stage.see("the SYN cookie", |event| {
        matches!(&event.body, crate::event::Body::HalfOpen(half_open) if half_open.syn_cookie)
    })
}

fn flags(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.set("tcp_ecn", "1")?;
    stage.meet()?;
    stage.client("write c 5")?;
    stage.client("urgent c")?;
    stage.see_flags("P.U")?;
    stage.server("read s")?;
    stage.client("close c")?;
    stage.server("close s")?;
    stage.client("bare - 127.0.0.1:9")?;
    stage.see_flags("none")?;
    stage.see_flags("R.")
}

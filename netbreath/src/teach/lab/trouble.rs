//! What goes wrong while a connection is open.

use netbreath_common::tcp::TcpState;

use super::{AT, Error, Scenario, Stage, client_in, server_in};
use crate::event::segment::Moment;
use crate::lesson::language::Both;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "close-wait-leak",
        promise: Both(
            "A server forgets to close, and collects CLOSE_WAIT.",
            "サーバーが閉じ忘れ、CLOSE_WAIT がたまっていきます。",
        ),
        question: Both(
            "Three clients are gone. What is left of them on the server, and for how long?",
            "クライアント 3 つはもういません。サーバーには何が、いつまで残るでしょうか。",
        ),
        answer: Both(
            "Three sockets in CLOSE_WAIT, for as long as the server lives: there is no timeout. The \
             column PID/Program name names the culprit; its descriptors are what it will run out \
             of.",
            "CLOSE_WAIT のソケットが 3 つ、サーバーが生きている限り残ります。タイムアウトはありません。\
             PID/Program name の列が犯人です。やがて記述子を使い果たします。",
        ),
        lessons: &["CLOSE_WAIT", "PID/Program name", "FD"],
        play: leak,
    },
    Scenario {
        name: "retransmission",
        promise: Both("A packet is lost, and sent again.", "パケットが失われ、再送されます。"),
        question: Both(
            "The program wrote once. Does it have to do anything when a packet gets lost?",
            "プログラムの書き込みは 1 回です。パケットが失われたら、何かする必要があるでしょうか。",
        ),
        answer: Both(
            "Nothing: the kernel sends again what is not acknowledged, after at least 200 ms and \
             then twice as long each time. Until then it counts in Send-Q.",
            "何も要りません。ACK の来ないデータはカーネルが再送します。最初は 200 ms 以上待ち、その後は倍々に\
             延びます。その間、データは Send-Q に数えられます。",
        ),
        lessons: &["retransmit", "Send-Q", "Timer"],
        play: loss,
    },
    Scenario {
        name: "zero-window",
        promise: Both(
            "A receiver does not read, and stops the sender.",
            "受信側が読まず、送信側が止められます。",
        ),
        question: Both(
            "The receiver has stopped reading. Who stops the sender, and how?",
            "受信側が読むのをやめました。送信側を止めるのは誰で、どうやって止めるのでしょうか。",
        ),
        answer: Both(
            "The receiver's kernel: the window in its ACKs goes down to 0. The sender's kernel \
             keeps the rest in Send-Q and asks from time to time (timer probe). As soon as the \
             program reads, the window opens.",
            "受信側のカーネルです。ACK に載せるウィンドウを 0 まで縮めます。送信側のカーネルは残りを Send-Q \
             にためて、時々問い合わせます (タイマー probe)。プログラムが読めばウィンドウは開きます。",
        ),
        lessons: &["Recv-Q", "Send-Q", "Timer"],
        play: zero_window,
    },
    Scenario {
        name: "keepalive",
        promise: Both(
            "The peer vanishes without a word, and keep-alive finds out.",
            "相手が黙って消え、キープアライブがそれに気づきます。",
        ),
        question: Both(
            "No data is sent. Would the connection ever notice that the peer is gone?",
            "データは流れていません。相手が消えたことに、いつか気づくでしょうか。",
        ),
        answer: Both(
            "Not by itself: an idle connection sends nothing. Keep-alive asks (here every second, \
             usually after two hours), and after so many questions without an answer the \
             connection ends with ETIMEDOUT.",
            "自然には気づきません。何もしない接続は何も送らないからです。キープアライブが (ここでは 1 秒おき、\
             通常は 2 時間後から) 問い合わせ、応答がなければ ETIMEDOUT で終わります。",
        ),
        lessons: &["ETIMEDOUT", "timeout", "ESTABLISHED"],
        play: keepalive,
    },
];

fn leak(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    for (client, server) in [("a", "s1"), ("b", "s2"), ("c", "s3")] {
        stage.client(&format!("open {client}"))?;
        stage.client(&format!("connect {client} {AT}"))?;
        stage.server(&format!("accept l {server}"))?;
        stage.client(&format!("close {client}"))?;
    }
    stage.see_transition(TcpState::Established, TcpState::CloseWait, 3)?;
    stage.table()
}

fn loss(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.server("deaf s on")?;
    stage.client("write c 100")?;
    stage.see("data that is sent again", |event| {
        matches!(event.body, crate::event::Body::Retransmit(_))
    })?;
    stage.table()?;
    stage.server("deaf s off")?;
    stage.server("read s")?;
    stage.client("close c")?;
    stage.server("close s")?;
    stage.see("TIME_WAIT", client_in(TcpState::TimeWait))
}

fn zero_window(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    // Small buffers are full soon; those of a connection come from its listener.
    stage.server("receive-buffer l 4096")?;
    stage.client("open c")?;
    stage.client("send-buffer c 16384")?;
    stage.client(&format!("connect c {AT}"))?;
    stage.server("accept l s")?;
    stage.client("fill c")?;
    let at: std::net::SocketAddr = AT.parse().unwrap_or(std::net::SocketAddr::from(([0; 4], 0)));
    let full = |moment: &Moment| matches!(moment, Moment::Segment(segment) if segment.from == at && segment.window == 0);
    stage.watch.until("a window of 0", super::LIMIT, |moments| moments.iter().any(full))?;
    stage.table()?;
    stage.server("read s")?;
    let opens = |moments: &[Moment]| {
        let closed = moments.iter().position(full);
        closed.is_some_and(|closed| {
            moments[closed..].iter().any(
                |moment| matches!(moment, Moment::Segment(one) if one.from == at && one.window > 0),
            )
        })
    };
    Ok(stage.watch.until("a window that opens", super::LIMIT, opens)?)
}

fn keepalive(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("keepalive c")?;
    stage.server("deaf s on")?;
    stage.table()?;
    stage.see_transition(TcpState::Established, TcpState::Close, 1)?;
    stage.client_fails("read c")?;
    // The peer knows nothing of it.
    stage.table()?;
    stage.server("deaf s off")?;
    stage.server("write s 1")?;
    stage.see("the reset", server_in(TcpState::Close))
}

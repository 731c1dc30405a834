//! How connections end.

use netbreath_common::tcp::TcpState;

use super::{AT, Error, Scenario, Stage, client_in, server_in};
use crate::lesson::language::Both;

pub const ALL: &[Scenario] = &[
    Scenario {
        name: "close-server",
        promise: Both(
            "The server closes first, as HTTP/1.0 servers do.",
            "HTTP/1.0 のサーバーのように、サーバーから先に閉じます。",
        ),
        question: Both("Who has the TIME_WAIT now?", "今度 TIME_WAIT になるのはどちらでしょうか。"),
        answer: Both(
            "The server: TIME_WAIT is not for clients or servers, but for who closes first. A \
             busy server that closes first collects thousands.",
            "サーバーです。TIME_WAIT はクライアントかサーバーかではなく、先に閉じた側に残ります。先に閉じる\
             忙しいサーバーには数千個たまります。",
        ),
        lessons: &["TIME_WAIT", "LAST_ACK -> CLOSE"],
        play: server_first,
    },
    Scenario {
        name: "half-close",
        promise: Both(
            "One side says that it sends no more, and goes on reading.",
            "片方が「もう送らない」と告げたまま、受信を続けます。",
        ),
        question: Both(
            "After the client's FIN, can the server still send?",
            "クライアントの FIN の後も、サーバーは送れるでしょうか。",
        ),
        answer: Both(
            "It can: FIN closes one direction only. The client stays in FIN_WAIT2 and reads, the \
             server in CLOSE_WAIT and writes, for as long as both like.",
            "送れます。FIN が閉じるのは片方向だけです。クライアントは FIN_WAIT2 で読み続け、サーバーは \
             CLOSE_WAIT で書き続けられます。",
        ),
        lessons: &["shutdown", "FIN_WAIT2", "CLOSE_WAIT"],
        play: half,
    },
    Scenario {
        name: "simultaneous-close",
        promise: Both(
            "Both sides close at the same moment, and their FINs cross.",
            "双方が同時に閉じ、FIN がすれ違います。",
        ),
        question: Both("How many TIME_WAITs are left?", "TIME_WAIT はいくつ残るでしょうか。"),
        answer: Both(
            "Two: each side closed before it had seen the other's FIN, so each waits. The one \
             whose FIN was not acknowledged yet when the other's came passes CLOSING.",
            "2 つです。どちらも相手の FIN を見る前に閉じたので、双方が待ちます。自分の FIN への ACK より先に\
             相手の FIN を受け取った側は CLOSING を通ります。",
        ),
        lessons: &["FIN_WAIT1 -> CLOSING", "CLOSING -> TIME_WAIT"],
        play: simultaneous,
    },
    Scenario {
        name: "rst-unread",
        promise: Both(
            "A server closes without having read all.",
            "サーバーが受信データを読み残したまま閉じます。",
        ),
        question: Both(
            "Does close() send FIN or RST, and what does the client get?",
            "close() が送るのは FIN でしょうか、RST でしょうか。クライアントには何が起こるでしょうか。",
        ),
        answer: Both(
            "RST: a FIN would tell the client that all was read. The client gets ECONNRESET, and \
             what was on its way to it is lost. Read to the end before you close.",
            "RST です。FIN では「全部読んだ」と伝わってしまうからです。クライアントは ECONNRESET を受け、\
             届く途中のデータも失われます。閉じる前に最後まで読みましょう。",
        ),
        lessons: &["unread", "ECONNRESET", "ESTABLISHED -> CLOSE"],
        play: unread,
    },
    Scenario {
        name: "rst-linger",
        promise: Both(
            "A client closes with SO_LINGER and a time of 0.",
            "クライアントが SO_LINGER を 0 秒にして閉じます。",
        ),
        question: Both(
            "Which states does the client pass after ESTABLISHED?",
            "クライアントは ESTABLISHED の後、どの状態を通るでしょうか。",
        ),
        answer: Both(
            "None but CLOSE: a reset ends everything at once, and there is no TIME_WAIT. The price \
             is that the peer sees an error, and that data may be lost.",
            "CLOSE だけです。リセットですべてが即座に終わり、TIME_WAIT も残りません。代わりに相手はエラーを\
             受け、データが失われることがあります。",
        ),
        lessons: &["linger", "R.", "ESTABLISHED -> CLOSE"],
        play: linger,
    },
    Scenario {
        name: "time-wait",
        promise: Both(
            "A client uses up its ports: every one is in TIME_WAIT.",
            "クライアントのポートがすべて TIME_WAIT になり、使い切られます。",
        ),
        question: Both(
            "This client has four ports. What does its fifth connect() say?",
            "このクライアントのポートは 4 つだけです。5 回目の connect() はどうなるでしょうか。",
        ),
        answer: Both(
            "EADDRNOTAVAIL: no port is left for this server's address, for 60 seconds. No process \
             holds the four, so that nothing can be closed or killed. Close from the server's \
             side, keep connections open, or allow tcp_tw_reuse.",
            "EADDRNOTAVAIL です。このサーバー宛てのポートが 60 秒間なくなりました。4 つの TIME_WAIT は\
             どのプロセスのものでもないので、閉じることも終了させることもできません。接続を使い回すか、\
             サーバー側から閉じるか、tcp_tw_reuse を有効にします。",
        ),
        lessons: &["TIME_WAIT", "EADDRNOTAVAIL", "FIN_WAIT2 -> TIME_WAIT"],
        play: time_wait,
    },
    Scenario {
        name: "time-wait-reuse",
        promise: Both(
            "A new connection with the same two ends takes the place of one in TIME_WAIT.",
            "同じ両端の新しい接続が、TIME_WAIT を置き換えます。",
        ),
        question: Both(
            "The server is in TIME_WAIT for this client's port. Is a new SYN from it refused?",
            "サーバー側はこのクライアントのポートについて TIME_WAIT です。同じポートからの新しい SYN は\
             拒否されるでしょうか。",
        ),
        answer: Both(
            "It is taken: its sequence number (or timestamp) shows that it is newer than all that \
             went before, so that nothing can be confused, and TIME_WAIT ends early.",
            "受け入れられます。シーケンス番号 (またはタイムスタンプ) から以前のものより新しいとわかるので、\
             取り違えの恐れがなく、TIME_WAIT は早めに終わります。",
        ),
        lessons: &["TIME_WAIT -> CLOSE", "TIME_WAIT"],
        play: reuse,
    },
    Scenario {
        name: "port-blocked",
        promise: Both(
            "A server is started again while its old connections are in TIME_WAIT.",
            "前の接続が TIME_WAIT のうちに、サーバーを再起動します。",
        ),
        question: Both(
            "Nobody listens any more. Can the new server bind to its port?",
            "もう誰も待ち受けていません。新しいサーバーは同じポートに bind できるでしょうか。",
        ),
        answer: Both(
            "Not without SO_REUSEADDR: bind() says EADDRINUSE, since a connection of the old \
             server is in TIME_WAIT at that port. With SO_REUSEADDR it works at once.",
            "SO_REUSEADDR がなければできません。前のサーバーの接続がそのポートで TIME_WAIT にあるため、bind() \
             は EADDRINUSE になります。SO_REUSEADDR があればすぐに成功します。",
        ),
        lessons: &["EADDRINUSE", "TIME_WAIT"],
        play: blocked,
    },
    Scenario {
        name: "orphan",
        promise: Both(
            "A closed socket waits in FIN_WAIT2 for a peer that does not close.",
            "閉じたソケットが、閉じようとしない相手を FIN_WAIT2 で待ちます。",
        ),
        question: Both(
            "The peer never closes. How long does FIN_WAIT2 last?",
            "相手はいつまでも閉じません。FIN_WAIT2 はどれだけ続くでしょうか。",
        ),
        answer: Both(
            "tcp_fin_timeout, here 2 seconds instead of 60: nobody holds the socket any more, so \
             that the kernel may end it. With shutdown() instead of close() it would have lasted \
             for ever.",
            "tcp_fin_timeout の時間です (ここでは 60 秒ではなく 2 秒)。持ち主がいないので、カーネルが片づけ\
             られます。close() ではなく shutdown() だったなら、いつまでも続きます。",
        ),
        lessons: &["FIN_WAIT2", "FIN_WAIT2 -> CLOSE"],
        play: orphan,
    },
];

fn server_first(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.server("close s")?;
    stage.see("the server's FIN", client_in(TcpState::CloseWait))?;
    stage.client("close c")?;
    stage.see("TIME_WAIT", server_in(TcpState::TimeWait))?;
    stage.table()
}

fn half(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("shutdown c")?;
    stage.see("FIN_WAIT2", client_in(TcpState::FinWait2))?;
    stage.server("read s")?;
    stage.server("write s 1000")?;
    stage.client("read c")?;
    stage.table()?;
    stage.server("close s")?;
    stage.see("TIME_WAIT", client_in(TcpState::TimeWait))
}

/// Both deaf while they close: on loopback, FINs cannot cross by themselves.
pub fn crossed(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("deaf c on")?;
    stage.server("deaf s on")?;
    stage.client("shutdown c")?;
    stage.server("shutdown s")?;
    stage.server("deaf s off")?;
    stage.see("CLOSING", server_in(TcpState::Closing))
}

fn simultaneous(stage: &mut Stage<'_>) -> Result<(), Error> {
    crossed(stage)?;
    stage.table()?;
    stage.client("deaf c off")?;
    stage.see("TIME_WAIT", client_in(TcpState::TimeWait))?;
    stage.see("TIME_WAIT", server_in(TcpState::TimeWait))
}

fn unread(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("write c 1000")?;
    stage.server("read s 10")?;
    stage.server("close s")?;
    stage.see("the reset", client_in(TcpState::Close))?;
    stage.client_fails("read c").map(drop)
}

fn linger(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.client("linger c")?;
    stage.client("close c")?;
    stage.see("the reset", server_in(TcpState::Close))?;
    stage.server_fails("read s")?;
    stage.table()
}

fn time_wait(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.set("ip_local_port_range", "40000 40003")?;
    stage.set("tcp_tw_reuse", "0")?;
    stage.listen(5)?;
    for _ in 0..4 {
        stage.client("open c")?;
        stage.client(&format!("connect c {AT}"))?;
        stage.server("accept l s")?;
        stage.client("close c")?;
        stage.server("read s")?;
        stage.server("close s")?;
    }
    stage.see_transition(TcpState::FinWait2, TcpState::TimeWait, 4)?;
    stage.client("open c")?;
    stage.client_fails(&format!("connect c {AT}"))?;
    stage.table()
}

fn reuse(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.listen(5)?;
    for (socket, again) in [("a", false), ("b", true)] {
        stage.client(&format!("open {socket}"))?;
        stage.client(&format!("reuse {socket}"))?;
        stage.client(&format!("bind {socket} 127.0.0.1:7001"))?;
        stage.client(&format!("connect {socket} {AT}"))?;
        stage.server("accept l s")?;
        if !again {
            stage.server("close s")?;
            stage.see("the server's FIN", client_in(TcpState::CloseWait))?;
            stage.client(&format!("close {socket}"))?;
            stage.see("TIME_WAIT", server_in(TcpState::TimeWait))?;
            stage.table()?;
        }
    }
    stage.see_transition(TcpState::TimeWait, TcpState::Close, 1)?;
    stage.table()
}

fn blocked(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.meet()?;
    stage.server("close s")?;
    stage.see("the server's FIN", client_in(TcpState::CloseWait))?;
    stage.client("close c")?;
    stage.see("TIME_WAIT", server_in(TcpState::TimeWait))?;
    stage.server("close l")?;
    stage.table()?;
    stage.server("open n")?;
    stage.server_fails(&format!("bind n {AT}"))?;
    stage.server("reuse n")?;
    stage.server(&format!("bind n {AT}"))?;
    stage.server("listen n 5").map(drop)
}

fn orphan(stage: &mut Stage<'_>) -> Result<(), Error> {
    stage.set("tcp_fin_timeout", "2")?;
    stage.meet()?;
    stage.client("close c")?;
    stage.see("FIN_WAIT2", client_in(TcpState::FinWait2))?;
    stage.table()?;
    stage.see_transition(TcpState::FinWait2, TcpState::Close, 1)?;
    stage.table()
}

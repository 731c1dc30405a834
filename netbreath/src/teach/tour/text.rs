//! The words of the tour.

use crate::lesson::Language;
use crate::lesson::language::Both;

/// A step of the tour.
pub struct Step {
    /// What is done, and its name in the recording.
    pub name: &'static str,
    pub title: Both,
    pub text: Both,
    /// The command of the tutorial, its replacement, and ours.
    pub classic: &'static str,
    pub modern: &'static str,
    pub netbreath: &'static str,
    /// Commands that are shown, and which of their lines.
    pub screens: &'static [(&'static str, &'static str)],
    /// Columns that are explained.
    pub columns: &'static [&'static str],
}

pub const STEPS: [Step; 7] = [
    Step {
        name: "listen",
        title: Both("A server starts", "サーバーが起動する"),
        text: Both(
            "A small HTTP server has just started: process {server} called socket(), bind() to \
             127.0.0.1:{port} and listen(). The kernel's own hook saw it. No packet was sent.",
            "小さな HTTP サーバーが起動しました。プロセス {server} が socket()、127.0.0.1:{port} への \
             bind()、listen() を呼び、その瞬間をカーネル内のフックが捉えました。パケットはまだ 1 つも\
             流れていません。",
        ),
        classic: "python3 -m http.server {port}",
        modern: "bpftrace -e 'tracepoint:sock:inet_sock_set_state { ... }'",
        netbreath: "sudo netbreath trace --port {port}",
        screens: &[],
        columns: &["PROCESS", "LOCAL", "REMOTE", "TRANSITION"],
    },
    Step {
        name: "netstat",
        title: Both("Who listens?", "誰が待ち受けているか"),
        text: Both(
            "The table of sockets has a line for it, in the state LISTEN. The address tells who \
             can reach it: 127.0.0.1 is this machine only.",
            "ソケットの表に LISTEN 状態の行が現れます。アドレスを見れば誰から届くかがわかります。\
             127.0.0.1 なら、このマシンの中からだけです。",
        ),
        classic: "netstat -an | grep LISTEN",
        modern: "ss -tln",
        netbreath: "netbreath netstat -tlnp",
        screens: &[("netstat -tlnp", "listener")],
        columns: &[
            "Proto",
            "Recv-Q",
            "Send-Q",
            "Local Address",
            "Foreign Address",
            "State",
            "PID/Program name",
        ],
    },
    Step {
        name: "lsof",
        title: Both("Which process is it?", "どのプロセスか"),
        text: Both(
            "A socket is a file to its process, so the list of open files leads from the port to \
             the process. It must be {server}.",
            "プロセスから見ればソケットもファイルです。開いているファイルの一覧から、ポートの持ち主の\
             プロセスにたどり着けます。{server} のはずです。",
        ),
        classic: "lsof -i:{port} -nP",
        modern: "ss -tlnp 'sport = :{port}'",
        netbreath: "netbreath lsof -nP -i :{port}",
        screens: &[("lsof -nP -i :{port}", "")],
        columns: &["COMMAND", "PID", "USER", "FD", "TYPE", "DEVICE", "SIZE/OFF", "NODE", "NAME"],
    },
    Step {
        name: "ifconfig",
        title: Both("Which interface has this address?", "そのアドレスはどのインターフェースか"),
        text: Both(
            "127.0.0.1 belongs to lo, the loopback interface: what is sent there never leaves the \
             machine, but it is made of real packets, and can be watched. mtu is the most bytes \
             that a packet may have; RX and TX count what came and went.",
            "127.0.0.1 はループバックインターフェース lo のアドレスです。ここへ送ったものはマシンの外へ\
             出ませんが、本物のパケットなので観察できます。mtu はパケットの最大バイト数、RX と TX は受信\
             と送信の累計です。",
        ),
        classic: "ifconfig lo",
        modern: "ip -s addr show lo",
        netbreath: "netbreath ifconfig lo",
        screens: &[("ifconfig lo", "")],
        columns: &[],
    },
    Step {
        name: "get",
        title: Both("One GET /", "GET / を 1 回"),
        text: Both(
            "A client (process {client}) connected from its port {client_port} and asked for /. \
             The port was chosen by the kernel. These are the packets, as tcpdump writes them, and \
             under each what its flags say. After the handshake of three packets come the request \
             and the answer, each with its acknowledgement.",
            "クライアント (プロセス {client}) がポート {client_port} から接続し、/ を要求しました。\
             このポート番号はカーネルが選んだものです。パケットを tcpdump の書式で示し、その下にフラグの\
             意味を添えます。3 つのパケットによるハンドシェイクの後に、要求と応答が、それぞれ確認応答と\
             ともに流れます。",
        ),
        classic: "tcpdump -i lo port {port} -nn",
        modern: "tshark -i lo -f 'port {port}'",
        netbreath: "sudo netbreath tcpdump -i lo port {port} -nn",
        screens: &[("netstat -antp", "connection")],
        columns: &[],
    },
    Step {
        name: "close",
        title: Both("The connection closes", "接続を閉じる"),
        text: Both(
            "The client has what it wanted and closed first. Both sides send a FIN, and each is \
             acknowledged. Look at the two life lines: who closes first waits in TIME_WAIT, and \
             the server passes CLOSE_WAIT and LAST_ACK.",
            "クライアントは用が済み、先に閉じました。双方が FIN を送り、それぞれ確認応答を受けます。左右の\
             ライフラインを見比べてください。先に閉じた側が TIME_WAIT で待ち、サーバー側は CLOSE_WAIT と \
             LAST_ACK を通ります。",
        ),
        classic: "netstat -an | grep {port}",
        modern: "ss -tan '( sport = :{port} or dport = :{port} )'",
        netbreath: "netbreath netstat -antpo",
        screens: &[("netstat -antpo", "connection")],
        columns: &["Timer"],
    },
    Step {
        name: "wait",
        title: Both("TIME_WAIT", "TIME_WAIT"),
        text: Both(
            "The line in TIME_WAIT has no process: the client may end, and it stays. The kernel \
             keeps the two ends for 60 seconds, so that an old packet cannot be taken for one of \
             a new connection, and so that a FIN that is sent again gets its answer.",
            "TIME_WAIT の行にはプロセスがありません。クライアントが終了しても残ります。カーネルは両端の組を \
             60 秒間押さえておき、古いパケットが新しい接続のものと取り違えられないように、また再送された \
             FIN に答えられるようにします。",
        ),
        classic: "",
        modern: "ss -tano state time-wait",
        netbreath: "netbreath explain TIME_WAIT",
        screens: &[],
        columns: &[],
    },
];

/// What is said between the steps.
#[derive(Clone, Copy, Debug)]
pub enum Word {
    Title,
    Live,
    Recorded,
    Taken,
    Enter,
    Classic,
    Modern,
    Netbreath,
    Ladder,
    Left,
    Over,
    NotOver,
    Skipped,
    End,
}

impl Word {
    const fn both(self) -> Both {
        match self {
            Word::Title => Both(
                "Feel the breath of TCP/IP: one web page, from the server's start to the end of \
                 TIME_WAIT.",
                "TCP/IP の息吹を感じる: Web ページ 1 枚を、サーバーの起動から TIME_WAIT の終わりまで追い\
                 かけます。",
            ),
            Word::Live => Both(
                "This happens now, on this machine: a server and a client of netbreath's own, on \
                 the loopback interface.",
                "これはすべて、今このマシンで起きていることです。netbreath 自身のサーバーとクライアント\
                 が、ループバックインターフェース上で通信します。",
            ),
            Word::Recorded => Both(
                "This is a recording, made on another machine: to see it live takes root (sudo \
                 netbreath tour), since kernel programs are loaded. Process ids, ports and times \
                 are those of the recording.",
                "これは別のマシンでの録画です。実際に動かすにはカーネルにプログラムを読み込むため root \
                 権限が必要です (sudo netbreath tour)。プロセス番号、ポート、時刻は録画時のものです。",
            ),
            Word::Taken => Both(
                " The port {taken} is taken by somebody else, so that the server has port {port}.",
                "ポート {taken} は使用中だったので、サーバーはポート {port} を使います。",
            ),
            Word::Enter => Both("[Enter: next, q: end]", "[Enter: 次へ, q: 終了]"),
            Word::Classic => Both("classic", "定番"),
            Word::Modern => Both("modern", "現在の Linux"),
            Word::Netbreath => Both("netbreath", "netbreath"),
            Word::Ladder => Both(
                "At the left is the client, at the right the server; time goes down. Words are \
                 states and calls, arrows are packets. (SYN_RECV) is the half-open connection, \
                 which is no full socket yet; a * marks what the kernel does not announce.",
                "左がクライアント、右がサーバーで、時間は上から下へ流れます。文字は状態と呼び出し、矢印は\
                 パケットです。(SYN_RECV) はまだ本物のソケットになっていないハーフオープンの接続、* は\
                 カーネルが知らせず netbreath が補ったものです。",
            ),
            Word::Left => Both("about {left} seconds left", "残りおよそ {left} 秒"),
            Word::Over => Both(
                "TIME_WAIT is over: the two ends are free again.",
                "TIME_WAIT が終わり、両端の組がまた使えるようになりました。",
            ),
            Word::NotOver => Both(
                "TIME_WAIT is not over yet; the kernel will end it without us.",
                "TIME_WAIT はまだ終わっていませんが、あとはカーネルが片づけます。",
            ),
            Word::Skipped => Both(
                "The wait is skipped here: the kernel ends it without us.",
                "ここでは待ち時間を省きます。あとはカーネルが片づけます。",
            ),
            Word::End => Both("That was it. Go on with:", "おしまいです。次はこちらをどうぞ:"),
        }
    }

    pub const fn of(self, language: Language) -> &'static str {
        self.both().of(language)
    }

    /// With values for what stands in braces.
    pub fn with(self, language: Language, values: &[(&str, &str)]) -> String {
        let mut text = self.of(language).to_owned();
        for (name, value) in values {
            text = text.replace(name, value);
        }
        text
    }
}

//! `cargo xtask bench`: what watching costs, next to not watching and to other tracers,
//! and how long answers take.
//! It reports; it judges nothing, and so fails only if it could not measure.

mod capture;
mod churn;
mod hooks;
mod network;
mod output;
mod packets;
mod process_clock;
mod replay;
mod report;
mod sockets;
mod statistic;
mod top;
mod trace;
mod tracer;

use anyhow::Result;

use crate::workspace::Workspace;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(clap::Subcommand)]
enum Subject {
    /// Measure `netbreath trace` on connections over the loopback interface
    Trace(trace::Args),
    /// Measure questions about many interfaces and routes, beside ip, ifconfig and route
    Network(network::Args),
    /// Measure questions about many sockets and their holders, beside ss, netstat and lsof
    Sockets(sockets::Args),
    /// Measure what `netbreath capture` costs a sender, beside tcpdump and dumpcap
    Capture(capture::Args),
    /// Measure how fast a recording is read, into tables and into formats
    Replay(replay::Args),
    /// Measure how long `netbreath top` draws with many connections and many events
    Top(top::Args),
    /// Measure packets as text, beside tcpdump and tshark
    Packets(packets::Args),
    /// Measure each kernel program on the same load
    Hooks(hooks::Args),
    /// The load: connections in a network namespace of its own
    #[command(hide = true)]
    Churn(churn::Args),
    /// A process that holds sockets
    #[command(hide = true)]
    Hold(sockets::Hold),
}

pub fn start(workspace: &Workspace, args: &Args) -> Result<()> {
    match &args.subject {
        Subject::Trace(args) => trace::start(workspace, args),
        Subject::Network(args) => network::start(workspace, args),
        Subject::Sockets(args) => sockets::start(workspace, args),
        Subject::Hold(args) => sockets::hold(args),
        Subject::Capture(args) => capture::start(workspace, args),
        Subject::Replay(args) => replay::start(workspace, args),
        Subject::Top(args) => top::start(workspace, args),
        Subject::Packets(args) => packets::start(workspace, args),
        Subject::Hooks(args) => hooks::start(workspace, args),
        Subject::Churn(args) => churn::start(args),
    }
}

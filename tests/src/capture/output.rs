//! What becomes of packets: files for others, lines for people, and what goes wrong there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Capture, Part, Ports, TCP, file, judge, namespace};
use crate::fault::{Folder, Report};

/// What a program of Wireshark's says, which must find nothing to complain of.
fn ask(report: &mut Report, program: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    let complaints = String::from_utf8_lossy(&output.stderr);
    // Being root is not ours to mend.
    let complaints: Vec<&str> =
        complaints.lines().filter(|line| !line.contains("Running as user")).collect();
    report.check(output.status.success() && complaints.is_empty(), || {
        format!("{program} {args:?}: {}: {complaints:?}", output.status)
    });
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The file as tshark, capinfos, editcap and tcpdump read it.
pub fn read_by_wireshark(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let capture = Capture::start(netns.fd(), &["--comments"])?;
    let mut server = Part::start(netns.fd(), &["tcp-server", "127.0.0.1:0", "2"])?;
    let port = server.number()?;
    let mut client = Part::start(netns.fd(), &["tcp-client", &format!("127.0.0.1:{port}"), "2"])?;
    client.done()?;
    server.done()?;
    let captured = capture.stop()?;
    let path = captured.path.display().to_string();
    let count = captured.file.packets.len();
    let mode = fs::metadata(&captured.path)?.permissions().mode() & 0o777;
    report.equal("mode of the file", &mode, &0o600);

    // Blocks about processes are frames of their own to versions that do not know them.
    let fields = ["-T", "fields", "-e", "tcp.srcport", "-e", "frame.comment", "-e", "frame.len"];
    let read = ask(report, "tshark", &[&["-r", &path, "-Y", "tcp"], &fields[..]].concat())?;
    let rows: Vec<Vec<&str>> = read.lines().map(|line| line.split('\t').collect()).collect();
    report.equal("packets of tshark", &rows.len(), &count);
    for (row, packet) in rows.iter().zip(&captured.file.packets) {
        let ends = packet.ends().context("a packet without ports")?;
        let server_sent = u32::from(ends.source) == port;
        let pid = if server_sent { server.pid() } else { client.pid() };
        report.equal("owner in the file", &packet.pid, &pid);
        let [source, comment, len] = row[..] else { anyhow::bail!("row {row:?}") };
        report.equal("port that tshark reads", &source, &&*ends.source.to_string());
        report.equal("length that tshark reads", &len, &&*packet.len.to_string());
        report.check(comment.contains(&format!("[{pid}] > ")), || {
            format!("comment that tshark reads: {comment:?}, not of {pid}")
        });
    }

    let info = ask(report, "capinfos", &["-M", "-c", "-o", "-E", "-I", &path])?;
    report.holds("capinfos", &info, &format!("Number of packets:   {count}"));
    report.holds("capinfos", &info, "Name = lo");
    report.holds("capinfos", &info, "Time precision = nanoseconds");
    let folder = Folder::new()?;
    let copy = folder.file("copy.pcapng").display().to_string();
    ask(report, "editcap", &[&path, &copy])?;
    let again = ask(report, "capinfos", &["-M", "-c", &copy])?;
    report.holds("capinfos of a copy", &again, &format!("Number of packets:   {count}"));
    let mut tcpdump = Command::new("tcpdump");
    let output = tcpdump.args(["-nn", "-r", &path]).output().context("run tcpdump")?;
    let lines = String::from_utf8_lossy(&output.stdout).lines().count();
    report.equal("lines of tcpdump", &lines, &count);
    Ok(())
}

/// One datagram and its answer, captured with these options to a file that is then given back.
fn one_datagram(args: &[&str]) -> Result<(Capture, u32)> {
    let netns = namespace()?;
    let capture = Capture::start_with(netns.fd(), Folder::new()?, args)?;
    let mut server = Part::start(netns.fd(), &["udp-server", "127.0.0.1:0", "1"])?;
    let to = format!("127.0.0.1:{}", server.number()?);
    let mut client = Part::start(netns.fd(), &["udp-client", &to, "1"])?;
    client.done()?;
    server.done()?;
    let mut capture = capture;
    capture.signal(libc::SIGINT);
    let code = capture.end()?;
    ensure!(code == Some(0), "it ended with {code:?}: {}", capture.talk());
    Ok((capture, client.pid()))
}

/// The classic format.
pub fn classic(report: &mut Report) -> Result<()> {
    let folder = Folder::new()?;
    let path = folder.file("packets.pcap").display().to_string();
    one_datagram(&["--pcap", "-w", &path])?;
    let info = ask(report, "capinfos", &["-M", "-c", "-t", "-E", &path])?;
    report.holds("capinfos", &info, "nsecpcap");
    report.holds("capinfos", &info, "Number of packets:   2");
    let said = ask(report, "tshark", &["-r", &path, "-T", "fields", "-e", "udp.length"])?;
    report.equal("packets of tshark", &said.lines().count(), &2);
    Ok(())
}

/// Lines for people.
pub fn lines(report: &mut Report) -> Result<()> {
    let (capture, client) = one_datagram(&["udp"])?;
    let out = capture.out();
    let lines: Vec<&str> = out.lines().collect();
    report.equal("lines", &lines.len(), &2);
    report.check(lines.iter().all(|line| line.contains(" lo out 127.0.0.1:")), || out.clone());
    report
        .check(lines.first().is_some_and(|line| line.contains(&format!("[{client}] > "))), || {
            out.clone()
        });
    report.check(lines.last().is_some_and(|line| line.ends_with(&format!("[{client}]"))), || {
        out.clone()
    });
    report.holds("the summary", &capture.talk(), "2 packets captured, 2 let through");
    Ok(())
}

/// On a full disk, whole packets are left, and it is told what is missing.
pub fn full_disk(report: &mut Report) -> Result<()> {
    let folder = Folder::new()?;
    let disk = folder.file("disk");
    fs::create_dir(&disk)?;
    let disk = Mounted::small(&disk)?;
    let path = disk.0.join("packets.pcapng");
    let netns = namespace()?;
    let args = ["-w", &path.display().to_string()];
    let mut capture = Capture::start_with(netns.fd(), Folder::new()?, &args)?;
    // More than the disk has.
    let mut blast = Part::start(netns.fd(), &["udp-blast", "127.0.0.1:9", "5000"])?;
    blast.done()?;
    let code = capture.end()?;
    report.equal("exit code", &code, &Some(2));
    let talk = capture.talk();
    report.holds("the error", &talk, "No space left on device");
    report.holds("the error", &talk, "packets are there");
    let read = file::read(&path)?;
    report.check(!read.packets.is_empty(), || "nothing is left".to_owned());
    let told = format!("{} packets are there", read.packets.len());
    report.holds("the error", &talk, &told);
    ask(report, "capinfos", &["-M", "-c", &path.display().to_string()])?;
    Ok(())
}

/// A disk of 64 KiB, as long as this is there.
struct Mounted<'a>(&'a Path);

impl Mounted<'_> {
    fn small(place: &Path) -> Result<Mounted<'_>> {
        use std::ffi::CString;
        let path = CString::new(place.as_os_str().as_encoded_bytes())?;
        // SAFETY: all pointers are NUL-terminated strings.
        let done = unsafe {
            libc::mount(
                c"none".as_ptr(),
                path.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                c"size=64k".as_ptr().cast(),
            )
        };
        ensure!(done == 0, "mount: {}", std::io::Error::last_os_error());
        Ok(Mounted(place))
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        if let Ok(path) = std::ffi::CString::new(self.0.as_os_str().as_encoded_bytes()) {
            // SAFETY: a NUL-terminated string.
            unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
        }
    }
}

/// Who reads goes away: that is no error, and what was not read is told.
pub fn broken_pipe(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let folder = Folder::new()?;
    let fifo = folder.file("fifo");
    let path = std::ffi::CString::new(fifo.as_os_str().as_encoded_bytes())?;
    // SAFETY: a NUL-terminated string.
    ensure!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) } == 0, "mkfifo");
    // Read and write at once, so that opening it waits for nobody.
    let reader = fs::OpenOptions::new().read(true).write(true).open(&fifo)?;
    let args = ["-w", &fifo.display().to_string()];
    let mut capture = Capture::start_with(netns.fd(), Folder::new()?, &args)?;
    drop(reader);
    let mut blast = Part::start(netns.fd(), &["udp-blast", "127.0.0.1:9", "10"])?;
    blast.done()?;
    let code = capture.end()?;
    report.equal("exit code", &code, &Some(0));
    report.holds("it", &capture.talk(), "packets could not be given to it");
    Ok(())
}

/// The same filters as tcpdump's, on the same packets: the same number passes.
pub fn filter_of_tcpdump(report: &mut Report) -> Result<()> {
    const FILTERS: &[&str] = &[
        "tcp",
        "ip6",
        "icmp6 or icmp",
        "portrange 1-65535 and not tcp",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) != 0",
        "len > 80",
        "greater 75 and udp",
        "tcp[((tcp[12] & 0xf0) >> 2):4] = 0x7069643d",
        "ether[12:2] = 0x800 and ip[8] = 64",
        "ip6 protochain 6",
        "vlan",
        "outbound",
        "inbound",
        "tcp and udp",
    ];
    let netns = namespace()?;
    // Each is loaded on its own, which takes a moment; many more are compared without the
    // kernel, beside the code that translates them.
    let mut captures = Vec::new();
    for filter in FILTERS {
        captures.push(Capture::start(netns.fd(), &["-s", "200", "-B", "256K", filter])?);
    }
    // Everything, for tcpdump to filter.
    let all = Capture::start(netns.fd(), &[])?;
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let mut server = Part::start(netns.fd(), &["tcp-server", address, "2"])?;
        let host = address.trim_end_matches('0');
        let to = format!("{host}{}", server.number()?);
        let mut client = Part::start(netns.fd(), &["tcp-client", &to, "2"])?;
        client.done()?;
        server.done()?;
        let mut server = Part::start(netns.fd(), &["udp-server", address, "3"])?;
        let to = format!("{host}{}", server.number()?);
        let mut client = Part::start(netns.fd(), &["udp-client", &to, "3"])?;
        client.done()?;
        server.done()?;
    }
    Part::start(netns.fd(), &["ping", "127.0.0.1:1", "2"])?.done()?;
    let all = all.stop()?;
    let path = all.path.display().to_string();
    let mut some = 0;
    for (filter, capture) in FILTERS.iter().zip(captures) {
        let passed = capture.stop()?.file.packets.len();
        // Files do not tell which way their packets went.
        let expected = match *filter {
            "outbound" => all.file.packets.len(),
            "inbound" => 0,
            filter => {
                let mut tcpdump = Command::new("tcpdump");
                let output = tcpdump.args(["-nn", "-r", &path, filter]).output()?;
                let said = String::from_utf8_lossy(&output.stderr);
                let nothing = said.contains("rejects all packets");
                ensure!(output.status.success() || nothing, "{tcpdump:?}: {said}");
                String::from_utf8_lossy(&output.stdout).lines().count()
            }
        };
        some += usize::from(passed > 0);
        report.check(passed == expected, || {
            format!("{filter}: {passed} packets, but {expected} of tcpdump's")
        });
    }
    report.check(some > 8, || format!("only {some} of the filters let anything through"));
    Ok(())
}

/// The rung without programs: the same packets, and no owners.
pub fn packet_socket(report: &mut Report) -> Result<()> {
    let netns = namespace()?;
    let ours = Capture::start(netns.fd(), &["tcp"])?;
    let socket = Capture::start(netns.fd(), &["--hook", "packet", "tcp"])?;
    let mut server = Part::start(netns.fd(), &["tcp-server", "127.0.0.1:0", "3"])?;
    let port = server.number()?;
    let to = format!("127.0.0.1:{port}");
    let mut client = Part::start(netns.fd(), &["tcp-client", &to, "3"])?;
    client.done()?;
    server.done()?;
    // Not of TCP, so for neither.
    Part::start(netns.fd(), &["udp-blast", "127.0.0.1:9", "5"])?.done()?;
    let (ours, socket) = (ours.stop()?, socket.stop()?);
    let data = |file: &file::File| {
        let mut all: Vec<Vec<u8>> = file.packets.iter().map(|packet| packet.data.clone()).collect();
        all.sort();
        all
    };
    let count = ours.file.packets.len();
    report.check(count >= 24, || format!("{count} packets"));
    report.equal("packets", &socket.file.packets.len(), &count);
    report.check(data(&ours.file) == data(&socket.file), || {
        "both rungs do not have the same packets".to_owned()
    });
    report.check(socket.file.packets.iter().all(|packet| packet.pid == 0), || {
        "a packet socket knows no owners".to_owned()
    });
    let [seen, passed, lost, delivered] = socket.file.statistics[0];
    report.equal(
        "counts",
        &(seen, passed, lost, delivered),
        &(count as u64, count as u64, 0, count as u64),
    );
    let mut ports = Ports::default();
    ports.add(TCP, port, server.pid());
    judge(report, &ours.file, &ports);
    Ok(())
}

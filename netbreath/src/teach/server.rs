//! The smallest HTTP server that a browser understands, and a segment that no TCP sends.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

const BODY: &str = "Hello. This page came over TCP.\n";

/// Answers every connection of this listener, each on a thread of its own.
pub fn start(listener: Socket) {
    thread::spawn(move || {
        // Whoever comes may take any time.
        let _ = listener.set_read_timeout(None);
        loop {
            match listener.accept() {
                Ok((socket, _)) => {
                    thread::spawn(move || answer(socket.into()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    });
}

/// Answers requests until the client has closed.
fn answer(stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut lines = BufReader::new(stream.try_clone()?);
    let mut out = &stream;
    loop {
        let mut request = false;
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line.trim_end().is_empty() {
                break;
            }
            request = true;
        }
        if request {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ";
            let page = format!("{head}{}\r\n\r\n{BODY}", BODY.len());
            out.write_all(page.as_bytes())?;
        }
    }
}

/// Sends a segment without any flag to an IPv4 address: no TCP does that, so it takes a raw
/// socket (RFC 9293, section 3.1 for the layout).
pub fn bare(to: SocketAddr) -> io::Result<()> {
    let SocketAddr::V4(to) = to else {
        return Err(io::Error::other("only IPv4 addresses are known here"));
    };
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::TCP))?;
    let from = *to.ip();
    let mut segment = [0_u8; 20];
    segment[..2].copy_from_slice(&40_000_u16.to_be_bytes());
    segment[2..4].copy_from_slice(&to.port().to_be_bytes());
    // The header has five words of four bytes.
    segment[12] = 5 << 4;
    segment[14..16].copy_from_slice(&512_u16.to_be_bytes());
    let pseudo: Vec<u8> =
        [&from.octets()[..], &to.ip().octets(), &[0, 6, 0, segment.len() as u8], &segment].concat();
    let mut sum: u32 =
        pseudo.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    segment[16..18].copy_from_slice(&(!(sum as u16)).to_be_bytes());
    socket.send_to(&segment, &SockAddr::from(SocketAddrV4::new(*to.ip(), 0))).map(drop)
}

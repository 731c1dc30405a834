//! Connections of others, all over 127.0.0.0/8, as fast as told, until killed.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::log::Socket;
use super::play::Play;
use crate::socket;
use crate::step::{Call, Family, Proto};

/// Connections in a second: ten events each, and two CPUs for all.
pub const RATE: usize = 2000;

/// They write nothing down: nobody asks about them.
pub fn play(play: &mut Play) -> Result<()> {
    let (listener, port) = play.listen()?;
    play.server("nb-churn-server", move |_| {
        loop {
            let fd = socket::accept(listener.fd, Call::Accept4).map_err(super::log::sys)?;
            socket::drain(fd);
            Socket { fd, ..listener }.close()?;
        }
    })?;
    play.trace()?;
    let (start, rate) = (Instant::now(), play.count as u64);
    for number in 0_u32.. {
        let due = Duration::from_micros(u64::from(number) * 1_000_000 / rate.max(1));
        if let Some(early) = due.checked_sub(start.elapsed())
            && early > Duration::from_millis(2)
        {
            std::thread::sleep(early);
        }
        let to =
            ([127, 1 + (number >> 16) as u8 % 250, (number >> 8) as u8, number as u8 | 1], port);
        let fd = socket::open(Family::V4, Proto::Tcp).map_err(super::log::sys)?;
        socket::connect(fd, to.into(), true).map_err(super::log::sys)?;
        socket::send(fd, 16).map_err(super::log::sys)?;
        socket::close(fd).map_err(super::log::sys)?;
    }
    Ok(())
}

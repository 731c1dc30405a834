//! When a packet was seen, in the five ways of -t.

use jiff::tz::TimeZone;

use super::{Printer, put};

/// What is written of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// The day's clock
    #[default]
    Clock,
    /// Nothing (-t)
    None,
    /// Seconds since the epoch (-tt)
    Epoch,
    /// Since the packet before (-ttt)
    SincePrevious,
    /// The date, too (-tttt)
    Date,
    /// Since the first packet (-ttttt)
    SinceFirst,
}

/// What the next time is written with.
#[derive(Default)]
pub(super) struct Clock {
    /// The second that was written last, and its text.
    last: Option<(i64, String)>,
    /// What differences are counted from.
    reference: Option<i128>,
    zone: Option<TimeZone>,
}

const SECOND: i128 = 1_000_000_000;

impl Printer {
    pub(super) fn time(&mut self, wall: i128) {
        let unit = if self.style.nanoseconds { 1 } else { 1000 };
        // Digits that are not shown are no part of differences.
        let wall = wall.div_euclid(unit) * unit;
        match self.style.times {
            Times::None => return,
            Times::Clock | Times::Date => {
                let second = wall.div_euclid(SECOND) as i64;
                match &self.clock.last {
                    Some((last, text)) if *last == second => {
                        self.out.extend_from_slice(text.as_bytes());
                    }
                    _ => {
                        let text = self.second(second);
                        self.text(&text);
                        self.clock.last = Some((second, text));
                    }
                }
                self.fraction(wall.rem_euclid(SECOND) as u32);
            }
            Times::Epoch => {
                put!(self, "{}", wall.div_euclid(SECOND));
                self.fraction(wall.rem_euclid(SECOND) as u32);
            }
            Times::SincePrevious | Times::SinceFirst => {
                let reference = *self.clock.reference.get_or_insert(wall);
                let since = wall - reference;
                self.text(if since < 0 { "-" } else { " " });
                let since = since.abs();
                let seconds = since / SECOND;
                put!(
                    self,
                    "{:02}:{:02}:{:02}",
                    seconds / 3600 % 24,
                    seconds / 60 % 60,
                    seconds % 60
                );
                self.fraction((since % SECOND) as u32);
                if self.style.times == Times::SincePrevious {
                    self.clock.reference = Some(wall);
                }
            }
        }
        self.out.push(b' ');
    }

    fn second(&mut self, second: i64) -> String {
        let zone = self.clock.zone.get_or_insert_with(TimeZone::system).clone();
        match jiff::Timestamp::from_second(second) {
            Ok(time) => {
                let time = time.to_zoned(zone);
                let form =
                    if self.style.times == Times::Date { "%Y-%m-%d %H:%M:%S" } else { "%H:%M:%S" };
                time.strftime(form).to_string()
            }
            Err(_) => "[Error converting time]".to_owned(),
        }
    }

    /// Nanoseconds as six digits, or as nine.
    fn fraction(&mut self, nanoseconds: u32) {
        self.out.push(b'.');
        let (mut rest, digits) =
            if self.style.nanoseconds { (nanoseconds, 9) } else { (nanoseconds / 1000, 6) };
        let mut text = [b'0'; 9];
        for digit in text[..digits].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.out.extend_from_slice(&text[..digits]);
    }
}

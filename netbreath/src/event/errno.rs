//! Errors of the socket calls, by the name of their `errno`.

/// An `errno`, by Linux's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub u32);

/// Number (include/uapi/asm-generic/errno.h), name, and what it means to a connection.
const KNOWN: [(u32, &str, &str); 25] = [
    (1, "EPERM", "forbidden"),
    (4, "EINTR", "interrupted"),
    (5, "EIO", "input/output error"),
    (11, "EAGAIN", "no free port or entry"),
    (12, "ENOMEM", "no memory"),
    (13, "EACCES", "forbidden"),
    (22, "EINVAL", "invalid"),
    (32, "EPIPE", "broken pipe"),
    (64, "ENONET", "host isolated"),
    (71, "EPROTO", "protocol error"),
    (90, "EMSGSIZE", "message too long"),
    (92, "ENOPROTOOPT", "protocol not available"),
    (95, "EOPNOTSUPP", "not supported"),
    (98, "EADDRINUSE", "address in use"),
    (99, "EADDRNOTAVAIL", "no local address"),
    (100, "ENETDOWN", "network down"),
    (101, "ENETUNREACH", "network unreachable"),
    (103, "ECONNABORTED", "aborted"),
    (104, "ECONNRESET", "reset"),
    (105, "ENOBUFS", "no buffers"),
    (110, "ETIMEDOUT", "timed out"),
    (111, "ECONNREFUSED", "refused"),
    (112, "EHOSTDOWN", "host down"),
    (113, "EHOSTUNREACH", "host unreachable"),
    // What stands for all that no socket call is known to give.
    UNKNOWN,
];

const UNKNOWN: (u32, &str, &str) = (u32::MAX, "EUNKNOWN", "unknown error");

impl Errno {
    /// The error with this number, or nothing for 0.
    pub const fn new(number: u32) -> Option<Errno> {
        if number == 0 { None } else { Some(Errno(number)) }
    }

    fn row(self) -> (u32, &'static str, &'static str) {
        KNOWN.into_iter().find(|(number, ..)| *number == self.0).unwrap_or(UNKNOWN)
    }

    /// Its name, such as `ECONNREFUSED`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// What it means, in a word or two.
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    /// The error with this name.
    pub fn named(name: &str) -> Option<Errno> {
        KNOWN.iter().find(|(_, known, _)| *known == name).map(|(number, ..)| Errno(*number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_numbers() {
        for (number, name, _) in KNOWN {
            assert_eq!(Errno::named(name), Errno::new(number));
            assert_eq!(Errno(number).name(), name);
        }
        assert_eq!(Errno::new(0), None);
        assert_eq!(Errno(9999).name(), "EUNKNOWN");
    }
}

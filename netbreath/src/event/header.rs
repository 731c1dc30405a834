//! The first line of a recording: where and how it was made.

use serde::{Deserialize, Serialize};

/// The number of this format. It goes up when what is written before would be
/// misunderstood; new keys and new events do not change it.
pub const FORMAT: u32 = 1;

/// The value of `event` on the first line.
pub const NAME: &str = "recording";

/// What a recording says of itself. Keys that are null could not be known, or were masked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// When the first event was, in wall-clock nanoseconds since the epoch.
    pub at: i64,
    pub format: u32,
    /// The program that wrote it, with its version.
    pub program: String,
    /// Operating system, as Rust names them: `linux`, `macos`.
    pub platform: String,
    /// Processor architecture: `x86_64`, `aarch64`.
    pub machine: String,
    /// Release of the kernel.
    pub kernel: Option<String>,
    /// Name of the host.
    pub host: Option<String>,
    /// Where events come from: `ebpf`, `netlink`, `pcap`.
    pub source: String,
    /// Inode number of the network namespace that the recorder was in.
    pub netns: Option<u32>,
    /// Wall-clock time of boot at the beginning, in nanoseconds since the epoch; `clock`
    /// events tell when it moves.
    pub boot: Option<i64>,
    /// Addresses and names are not the true ones.
    pub masked: bool,
    /// What could not be seen from the start, in words; the `gap` events tell more.
    pub gaps: Vec<String>,
}

impl Header {
    /// Appends the line, with its newline.
    pub fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        // Serializing our own plain data into memory cannot fail.
        let _infallible = serde_json::to_writer(&mut *out, self);
        // Behind `at`, as on every line.
        let event = format!(",\"event\":\"{NAME}\"");
        let comma = out[begin..].iter().position(|byte| *byte == b',');
        let comma = comma.map_or(out.len(), |comma| begin + comma);
        out.splice(comma..comma, event.into_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_survives_the_way_there_and_back_and_unknown_keys_are_passed_over() {
        let header = Header {
            at: 7,
            format: FORMAT,
            program: "netbreath 0.1.0".into(),
            platform: "linux".into(),
            kernel: Some("6.12".into()),
            gaps: vec!["a\x1b[31m".into()],
            ..Header::default()
        };
        let mut line = Vec::new();
        header.write(&mut line);
        let text = String::from_utf8(line).unwrap();
        assert!(text.starts_with(r#"{"at":7,"event":"recording","format":1,"program":"#), "{text}");
        assert!(!text.contains('\x1b'));
        let more = text.replacen('{', r#"{"later":[{"x":1}],"#, 1);
        assert_eq!(serde_json::from_str::<Header>(&more).unwrap(), header);
        let wrong = text.replace(r#""format":1"#, r#""format":"one""#);
        assert!(serde_json::from_str::<Header>(&wrong).is_err());
    }
}

//! Recordings from outside: made, replayed, masked, stopped, read by later versions.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

mod script;

/// A recording of format 1, as it was first written. It stays as it is: whoever changes
/// the format must still read it.
const STORED: [&str; 2] = ["tests/recording/v1.jsonl", "tests/recording/v1.jsonl.zst"];

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netbreath"));
    command.args(arguments).env("LC_ALL", "C.UTF-8").env("TZ", "UTC").stdin(Stdio::null());
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// A folder that is gone when the test is.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Folder {
        let path = std::env::temp_dir().join(format!("netbreath-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_stored_recording_of_the_first_format_is_read_for_good() {
    let shown = STORED.map(|path| {
        assert!(Path::new(path).is_file(), "{path}");
        let (code, out, talk) = run(&["replay", path, "trace", "-n"]);
        assert_eq!(code, Some(0), "{talk}");
        out
    });
    assert_eq!(shown[0], shown[1]);
    insta::assert_snapshot!(shown[0]);
    // And nothing in it was passed over, or understood otherwise: it is what it was.
    let (_, out, _) = run(&["replay", STORED[1], "trace", "--format", "jsonl"]);
    let stored = fs::read_to_string(STORED[0]).unwrap();
    assert_eq!(out, stored.split_once('\n').unwrap().1);
}

#[test]
fn what_is_recorded_is_replayed_byte_for_byte_in_every_format() {
    let folder = Folder::new("recorded");
    let first = folder.file("first.jsonl");
    fs::write(&first, script::recording()).unwrap();
    for name in ["again.jsonl", "again.jsonl.zst"] {
        let again = folder.file(name);
        for format in ["text", "json", "jsonl", "csv"] {
            let view = ["trace", "-n", "--format", format];
            let live = run(&[&view[..], &["--replay", &first, "--record", &again]].concat());
            assert_eq!(live.0, Some(0), "{}", live.2);
            let replayed = run(&[&["replay", &again], &view[..]].concat());
            assert_eq!(replayed, live, "{name} {format}");
        }
    }
    let text = fs::read_to_string(folder.file("again.jsonl")).unwrap();
    let header = text.lines().next().unwrap();
    assert!(
        header.contains(r#","event":"recording","format":1,"program":"netbreath "#),
        "{header}"
    );
    assert!(header.contains(r#""gaps":["3 records were lost","#), "{header}");
    let boot = format!(r#""boot":{},"#, script::BOOT);
    assert!(header.contains(&boot) && header.contains(r#""masked":false"#), "{header}");
}

#[test]
fn filters_choose_from_a_recording() {
    let events = |more: &[&str]| {
        let line = [
            &["replay", STORED[0], "trace", "-n", "--columns", "event,pid", "--format", "csv"],
            more,
        ];
        let (_, out, talk) = run(&line.concat());
        assert!(!talk.contains("netbreath:"), "{talk}");
        out.lines().skip(1).filter(|line| !line.contains("gap")).count()
    };
    let all = events(&[]);
    assert_eq!(all, script::rows());
    let nginx = events(&["--comm", "nginx"]);
    let curl = events(&["--pid", "4242"]);
    assert!(nginx > 0 && curl > 0 && nginx + curl < all, "{nginx} {curl} {all}");
    assert_eq!(events(&["--port", "443"]), curl);
    assert_eq!(events(&["--addr", "10.0.0.0/8", "--lport", "8080"]), nginx);
    assert_eq!(events(&["--netns", "1"]), 0);
    assert_eq!(events(&["--event", "accept"]), 1);
    assert_eq!(events(&["--cgroup", "/system.slice", "--comm", "curl"]), curl);
    assert!(events(&["--state", "LISTEN"]) >= 1);
    let (code, _, talk) = run(&["trace", "--replay", STORED[0], "--", "true"]);
    assert!(code == Some(2) && talk.contains("exclude each other"), "{talk}");
}

#[test]
fn a_masked_recording_has_no_true_name_or_address() {
    let folder = Folder::new("masked");
    let masked = folder.file("masked.jsonl");
    let (code, ..) = run(&["trace", "--replay", STORED[0], "--record", &masked, "--mask"]);
    assert_eq!(code, Some(0));
    let text = fs::read_to_string(&masked).unwrap();
    for secret in [
        "192.168.100",
        "93.184",
        "10.0.0",
        "1234:5678",
        "nginx",
        "curl",
        "/usr",
        "slice",
        "\"builder\"",
    ] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    assert!(text.contains("\"masked\":true") && text.contains("process-1"));
    // The same events, one for one.
    let rows = |path: &str| run(&["replay", path, "trace", "-n"]).1.lines().count();
    assert_eq!(rows(&masked), rows(STORED[0]));
    let (code, _, talk) = run(&["trace", "--mask", "--replay", STORED[0]]);
    assert!(code == Some(2) && talk.contains("--record"), "{talk}");
}

#[test]
fn a_replay_stops_at_a_time() {
    let lines = |at: &str| {
        let (code, out, talk) = run(&["replay", "--at", at, STORED[0]]);
        (code, out.lines().count(), talk)
    };
    // The header and the first transition.
    assert_eq!(lines("+10us").1, 0);
    assert_eq!(lines("+1ms").1, 2);
    assert_eq!(lines("03:04:05.001").1, 2);
    assert_eq!(lines("2026-01-02T03:04:05.001Z").1, 2);
    let (code, count, talk) = lines("noon");
    assert!((code, count) == (Some(2), 0) && talk.contains("is no time"), "{talk}");
}

#[test]
fn what_cannot_be_shown_or_written_says_why() {
    for (line, message) in [
        ("replay tests/recording/v1.jsonl lsof", "these can: trace, ss"),
        ("replay tests/recording/v1.jsonl record -o x", "these can: trace, ss"),
        ("replay tests/recording/v1.jsonl nosuch", "unrecognized subcommand"),
        ("replay --speed 0 tests/recording/v1.jsonl", "is no speed"),
        ("replay /nonexistent", "cannot read the recording"),
        (
            "trace --replay tests/recording/v1.jsonl --record /nonexistent/x",
            "cannot write the recording",
        ),
        (
            "trace --replay tests/recording/v1.jsonl --record /dev/full",
            "cannot write the recording /dev/full: No space",
        ),
        ("trace --speed 2", "--replay"),
    ] {
        let (code, _, talk) = run(&line.split(' ').collect::<Vec<_>>());
        assert!(code == Some(2) && talk.contains(message), "{line}: {code:?} {talk}");
    }
}

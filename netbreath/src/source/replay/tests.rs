//! What strangers may put into a recording, and what is made of it.

use std::io::Cursor;

use super::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

fn play(bytes: &[u8], play: Play) -> (Vec<Event>, u64) {
    let path = std::env::temp_dir().join(format!(
        "netbreath-replay-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    std::fs::write(&path, bytes).unwrap();
    let mut source = open(&path).unwrap().play(play);
    std::fs::remove_file(&path).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut all = Vec::new();
    loop {
        let mut events = Vec::new();
        runtime.block_on(source.next(&mut events)).unwrap();
        if events.is_empty() {
            return (all, source.lost());
        }
        all.append(&mut events);
    }
}

fn clock(at: u64) -> String {
    format!(r#"{{"at":{},"event":"clock","via":"timer","boot":5000}}"#, 5000 + at)
}

fn gaps(events: &[Event]) -> Vec<String> {
    let gaps = events.iter().filter_map(|event| match &event.body {
        Body::Gap(gap) => Some(format!("{}: {}", gap.what, gap.why)),
        _ => None,
    });
    gaps.collect()
}

#[test]
fn unknown_events_and_lines_that_are_none_are_passed_over_and_counted() {
    let long = "x".repeat(reader::LONGEST + 5);
    let text = [
        r#"{"at":1,"event":"recording","format":1,"program":"later","new":{"a":[1]}}"#,
        &clock(1),
        r#"{"at":2,"event":"teleport","via":"magic","state":7}"#,
        r#"{"at":"soon","event":"state"}"#,
        "\u{1b}[31mred\0",
        &long,
        r#"{"at":5002,"event":"clock","via":"timer","boot":5000,"later":[{}]}"#,
        "",
        r#"{"at":5003,"event":"state","via":"kernel"}"#,
        // Deep nesting does not exhaust the stack.
        &format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000)),
        &clock(9),
    ]
    .join("\n");
    let (events, lost) = play(text.as_bytes(), Play::default());
    assert_eq!(events.len(), 5, "{events:?}");
    let gaps = gaps(&events);
    assert!(gaps[0].starts_with("1 events of the recording are of a kind"), "{gaps:?}");
    assert!(gaps[0].ends_with(r#"on line 3: of kind "teleport""#), "{gaps:?}");
    assert!(gaps[1].starts_with("5 lines of the recording are no events"), "{gaps:?}");
    assert!(gaps[1].contains("on line 4: "), "{gaps:?}");
    assert_eq!((lost, gaps.len()), (6, 2));
}

#[test]
fn frames_one_after_the_other_are_one_recording_and_a_cut_one_is_a_gap() {
    let pack = |text: &str| compress_to_vec(text.as_bytes(), CompressionLevel::Fastest);
    let mut bytes = pack(&format!("{}\n", clock(1)));
    // A frame to be passed over (RFC 8878, 3.1.2), and a line that lies in two frames.
    bytes.extend_from_slice(&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    let (line, whole) = (clock(2), bytes.len());
    bytes.extend(pack(&line[..10]));
    bytes.extend(pack(&line[10..]));
    let (events, lost) = play(&bytes, Play::default());
    assert_eq!((events.len(), lost), (2, 0), "{events:?}");
    for len in [whole + 2, whole + 6, bytes.len() - 5, bytes.len() - 1] {
        let (events, lost) = play(&bytes[..len], Play::default());
        assert_eq!((events.len(), lost), (2, 1), "{len}: {events:?}");
    }
    // Any byte may be wrong: never a panic, never more than there was.
    for at in 4..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x55;
        let mut reader = Reader::of(Cursor::new(wrong)).unwrap();
        while let Read::Line = reader.next().unwrap() {}
        assert!(reader.number() < 10);
    }
}

#[test]
fn it_stops_where_it_is_told() {
    let text: Vec<String> = (0..10).map(|second| clock(second * 1_000_000_000)).collect();
    let until = |until| play(text.join("\n").as_bytes(), Play { until, ..Play::default() }).0.len();
    assert_eq!(until(None), 10);
    assert_eq!(until(Some(At::Since(Duration::from_secs(3)))), 4);
    assert_eq!(until(Some(At::Wall(5_000 + 2_500_000_000))), 3);
    assert_eq!(until(Some(At::Wall(0))), 0);
}

#[test]
fn at_a_speed_it_takes_its_time() {
    let text: Vec<String> = (0..4).map(|n| clock(n * 1_000_000_000)).collect();
    let begin = std::time::Instant::now();
    let speed = Some(30.0);
    let (events, _) = play(text.join("\n").as_bytes(), Play { speed, ..Play::default() });
    // Never sooner: how much later is the machine's affair.
    assert!(begin.elapsed() >= Duration::from_millis(100) && events.len() == 4);
}

#[test]
fn a_later_format_is_refused_in_words() {
    let path = std::env::temp_dir().join(format!("netbreath-later-{}", std::process::id()));
    std::fs::write(&path, "{\"at\":1,\"event\":\"recording\",\"format\":2}\n").unwrap();
    let error = open(&path).unwrap_err().to_string();
    assert!(
        error.ends_with("has format 2, and this netbreath reads format 1 at most: use a newer one"),
        "{error}"
    );
    std::fs::write(&path, "hello\n").unwrap();
    let mut source = open(&path).unwrap().play(Play::default());
    assert!(source.event().unwrap_err().to_string().contains("line 1 of"));
    std::fs::remove_file(&path).unwrap();
}

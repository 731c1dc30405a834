//! temporary
mod event;
mod filter;
mod source;
use source::Source;
#[tokio::main(flavor = "current_thread")]
async fn main() {
    let ask = source::Ask { filter: Default::default(), ring_size: 8<<20, max_sockets: 262144, accept_hook: true, owner_from_cpu: false };
    let t = std::time::Instant::now();
    let mut s = source::ebpf::open(&ask).unwrap_or_else(|e| panic!("{e}"));
    eprintln!("open {:?}", t.elapsed());
    for r in s.reached() { eprintln!("{} {:?} {:?}", r.ladder.hook.name(), r.rung.map(|r| r.attach.to_string()), r.refused.iter().map(|(a,b)| format!("{} {b}", a.attach)).collect::<Vec<_>>()); }
    let mut v = Vec::new();
    let end = std::time::Instant::now() + std::time::Duration::from_secs(std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(3));
    while std::time::Instant::now() < end {
        let _ = tokio::time::timeout_at(end.into(), s.next(&mut v)).await;
        for e in v.drain(..) { println!("{}", serde_json::to_string(&event::Line::new(&e, 0)).unwrap()); }
    }
    s.finish(&mut v).unwrap();
    for e in v.drain(..) { println!("{}", serde_json::to_string(&event::Line::new(&e, 0)).unwrap()); }
}

fn main() {
    let dir = std::env::args().nth(1).unwrap();
    for c in netbreath_tests::dissect::capture::all() { c.write(std::path::Path::new(&format!("{dir}/{}.pcap", c.name))).unwrap(); }
}

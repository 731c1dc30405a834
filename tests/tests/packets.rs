fn main() {
    let folder = std::path::PathBuf::from(std::env::args().nth(1).unwrap());
    for c in netbreath_tests::crafted::whole() {
        c.write(&folder).unwrap();
    }
}

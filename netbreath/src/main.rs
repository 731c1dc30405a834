//! temporary
mod event;
mod filter;
mod source;
mod doctor;
fn main() {
    print!("{}", if std::env::args().nth(1).is_some() {doctor::load_all().1} else {doctor::examine().1});
}

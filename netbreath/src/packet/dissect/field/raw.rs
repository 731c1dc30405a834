//! Fields of `raw`.

fields! {
    17, "raw", "Raw", "Raw packet data";
}

//! Fields of `data-text-lines`.

fields! {
    26, "data-text-lines", "Line-based text data", "Line-based text data";
}

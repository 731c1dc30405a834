//! Fields of `_ws.short`.

fields! {
    29, "_ws.short", "Short frame", "Short Frame";
}

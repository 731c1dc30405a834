//! Fields of `mdns`.

fields! {
    20, "mdns", "mDNS", "Multicast Domain Name System";
}

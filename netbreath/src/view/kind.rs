//! What an interface is, in plain words: from what the kernel says of it, from its
//! driver, and from its name where there are rules for names.

use std::borrow::Cow;

use crate::event::network::{Link, LinkFlags};

/// What an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// A few words, for a column.
    pub short: Cow<'static, str>,
    /// A sentence or two.
    pub long: Cow<'static, str>,
}

const fn kind(short: &'static str, long: &'static str) -> Kind {
    Kind { short: Cow::Borrowed(short), long: Cow::Borrowed(long) }
}

/// What `link` is. `driver` is its driver's name, `wireless` whether it is a radio.
pub fn of(link: &Link, driver: Option<&str>, wireless: bool) -> Kind {
    if link.flags.has(LinkFlags::LOOPBACK) {
        return LOOPBACK;
    }
    let name = link.ifname.as_str();
    match link.kind.as_deref() {
        Some("bridge") => return bridge(name),
        Some("tun") if link.tap => return TAP,
        Some("vlan") => return vlan(link),
        Some(other) => {
            let known = VIRTUAL.iter().find(|(kind, ..)| *kind == other);
            return match known {
                Some((_, short, long)) => kind(short, long),
                None => Kind {
                    short: format!("{other} (virtual)").into(),
                    long: format!("A virtual interface of the kind {other}.").into(),
                },
            };
        }
        None => {}
    }
    if wireless {
        return WIRELESS;
    }
    // Before there were kinds, tun interfaces told their driver only.
    match (driver, link.hardware) {
        (Some("tun"), 1) => TAP,
        (Some("tun"), _) => kind("tun", VIRTUAL_TUN),
        (Some("ena"), _) => ENI,
        (Some("veth"), _) => kind("veth", VIRTUAL_VETH),
        (Some("bridge"), _) => bridge(name),
        (Some("virtio_net"), _) => VIRTIO,
        (Some("vmxnet3" | "hv_netvsc" | "xen_netfront" | "gve"), 1) => GUEST,
        (_, 512) => kind("ppp", "A point-to-point link (PPP): a modem, or a tunnel."),
        (_, 32) => kind("InfiniBand", "An InfiniBand adapter that carries IP."),
        (_, 280) => kind("CAN", "A CAN bus, as in vehicles; it carries no IP."),
        (_, 768 | 769 | 776 | 778 | 823) => {
            kind("tunnel", "A tunnel: what goes in is sent to its other end inside other packets.")
        }
        (_, 1) => by_name(name).unwrap_or(WIRED),
        _ => by_name(name).unwrap_or(kind("other", "An interface of a type of its own.")),
    }
}

const LOOPBACK: Kind = kind(
    "loopback",
    "The machine's way to itself: what is sent here never leaves it. Programs that talk over \
     127.0.0.1, ::1 or any other address of this machine use it.",
);
const WIRED: Kind = kind("wired", "A wired network adapter (Ethernet).");
const WIRELESS: Kind = kind(
    "wireless",
    "A radio (Wi-Fi). The kernel shows it as if it were Ethernet; the frames in the air look \
     different.",
);
const ENI: Kind = kind(
    "AWS ENI",
    "An elastic network interface of AWS: a virtual adapter whose addresses and security groups \
     are set outside of this machine.",
);
const VIRTIO: Kind = kind(
    "virtual wired",
    "The adapter that a hypervisor gives to its guest (virtio): to this machine it is a wired one.",
);
const GUEST: Kind = kind(
    "virtual wired",
    "The adapter that a hypervisor gives to its guest: to this machine it is a wired one.",
);
const TAP: Kind = kind(
    "tap",
    "A program's end of an Ethernet link (tap): what is sent here is read by that program, as \
     frames. Virtual machines and some VPNs are connected so.",
);
const VIRTUAL_TUN: &str = "A program's end of a link (tun): what is sent here is read by that \
     program, as IP packets without a link header. VPNs work so.";
const VIRTUAL_VETH: &str = "One end of a virtual cable: what goes in here comes out at the other \
     end. Containers are mostly connected so.";

/// By the kernel's name for the kind.
static VIRTUAL: [(&str, &str, &str); 20] = [
    ("veth", "veth", VIRTUAL_VETH),
    ("tun", "tun", VIRTUAL_TUN),
    ("bond", "bond", "Several adapters that act as one: for more speed, or so that one may fail."),
    ("team", "team", "Several adapters that act as one, led by a program (team)."),
    (
        "wireguard",
        "WireGuard",
        "A WireGuard VPN: what is sent here goes encrypted over UDP to the peer whose allowed \
         addresses fit.",
    ),
    ("dummy", "dummy", "An interface that drops what it is given: a place for addresses."),
    (
        "macvlan",
        "macvlan",
        "A second link address on another adapter: the network sees a machine of its own.",
    ),
    ("macvtap", "macvtap", "As macvlan, but read by a program: virtual machines use it."),
    ("ipvlan", "ipvlan", "A second IP stack on another adapter that shares its link address."),
    ("vxlan", "VXLAN", "An Ethernet network over UDP (VXLAN): it joins networks of containers."),
    ("geneve", "Geneve", "An Ethernet network over UDP (Geneve)."),
    ("gre", "GRE tunnel", "A tunnel: packets travel inside others (GRE)."),
    ("gretap", "GRE tunnel", "A tunnel for Ethernet frames (GRE)."),
    ("ipip", "IP tunnel", "A tunnel: IPv4 packets travel inside IPv4 packets."),
    ("sit", "IPv6 tunnel", "A tunnel: IPv6 packets travel inside IPv4 packets."),
    ("ip6tnl", "IPv6 tunnel", "A tunnel: packets travel inside IPv6 packets."),
    ("vrf", "VRF", "A routing table of its own for the interfaces that belong to it."),
    ("ifb", "ifb", "A detour for traffic that comes in, so that it can be shaped."),
    ("xfrm", "IPsec", "What is sent here is encrypted by IPsec."),
    ("nlmon", "nlmon", "Shows netlink messages to a sniffer; it carries no traffic."),
];

fn bridge(name: &str) -> Kind {
    let hexadecimal = |text: &str| text.len() == 12 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if name == "docker0" {
        kind(
            "docker bridge",
            "Docker's bridge: a virtual switch. Containers are plugged into it, and this machine \
             forwards for them.",
        )
    } else if name.strip_prefix("br-").is_some_and(hexadecimal) {
        kind(
            "docker bridge",
            "A bridge of Docker: a virtual switch for a network made with `docker network create`.",
        )
    } else if name.starts_with("virbr") {
        kind(
            "libvirt bridge",
            "A bridge of libvirt: a virtual switch for virtual machines (KVM, QEMU). It is not \
             VMware's: that calls its own vmnet.",
        )
    } else if name.starts_with("lxcbr") || name.starts_with("lxdbr") || name.starts_with("incusbr")
    {
        kind("LXC bridge", "A bridge of LXC: a virtual switch for containers.")
    } else if name.starts_with("cni") || name.starts_with("podman") {
        kind("container bridge", "A virtual switch for containers (CNI, Podman or Kubernetes).")
    } else {
        kind(
            "bridge",
            "A virtual switch: a frame that comes in at one of its ports leaves by the port \
             behind which its receiver was last seen, or by all of them.",
        )
    }
}

fn vlan(link: &Link) -> Kind {
    let over = link.link.as_ref().and_then(|lower| lower.ifname.as_deref());
    let (number, over) = (link.vlan.unwrap_or(0), over.unwrap_or("another interface"));
    Kind {
        short: format!("vlan {number}").into(),
        long: format!(
            "VLAN {number} on {over}: frames leave by {over} with a tag of this number, and those \
             that come with it end up here."
        )
        .into(),
    }
}

/// What rules for names tell: macOS has fixed ones.
fn by_name(name: &str) -> Option<Kind> {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    Some(match prefix {
        "utun" => kind("VPN tunnel", "A tunnel of macOS (utun): VPNs and iCloud services use it."),
        "awdl" => kind(
            "Apple Wireless Direct Link",
            "Apple's radio link from device to device: AirDrop and AirPlay use it.",
        ),
        "llw" => kind("low-latency Wi-Fi", "A low-latency link of Apple's over Wi-Fi."),
        "pktap" => kind("packet tap", "Shows packets of other interfaces to a sniffer (macOS)."),
        "bridge" => kind("bridge", "A virtual switch (macOS, for example Thunderbolt Bridge)."),
        "gif" | "stf" => kind("tunnel", "A tunnel for IPv6 (BSD and macOS)."),
        "ap" => kind("access point", "This machine's radio as an access point (macOS)."),
        "vmnet" => kind("VMware network", "A virtual network of VMware."),
        "wlan" | "wl" | "wlp" | "wlx" => WIRELESS,
        "wwan" => kind("mobile", "A modem for a mobile network."),
        _ => return None,
    })
}

/// What a name says by the rules of systemd for Linux, or by the kernel's or macOS's.
pub fn name_words(name: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if name.strip_prefix("eth").is_some_and(digits) {
        return Some(
            "eth and a number: in the order in which the kernel found the adapters, which can \
             change from one start to the next"
                .into(),
        );
    }
    if name.strip_prefix("en").is_some_and(digits) {
        return Some("en and a number: an Ethernet or Wi-Fi adapter of macOS".into());
    }
    if name.strip_prefix("wlan").is_some_and(digits) {
        return Some("wlan and a number: a radio, in the order in which it was found".into());
    }
    let (what, rest) = [
        ("en", "Ethernet"),
        ("wl", "wireless"),
        ("ww", "mobile network"),
        ("ib", "InfiniBand"),
        ("sl", "serial line"),
    ]
    .into_iter()
    .find_map(|(prefix, what)| name.strip_prefix(prefix).map(|rest| (what, rest)))?;
    let place = place_words(rest)?;
    Some(format!("{} is {what}, {rest} is {place} (the rules of systemd)", &name[..2]))
}

/// Where the adapter sits: `o1`, `s5`, `p3s0f1`, `x` and a link address.
fn place_words(rest: &str) -> Option<String> {
    if let Some(mac) = rest.strip_prefix('x') {
        let is_mac = mac.len() == 12 && mac.bytes().all(|b| b.is_ascii_hexdigit());
        return is_mac.then(|| "its link address".to_owned());
    }
    if let Some(mut text) = rest.strip_prefix('P').and_then(skip_number).or(Some(rest)) {
        let mut words = Vec::new();
        while let Some(letter) = text.chars().next() {
            let after = &text[letter.len_utf8()..];
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            let (number, next) = after.split_at(end);
            let what = match letter {
                'o' => "number NUMBER of the board",
                's' => "slot NUMBER",
                'p' => "bus NUMBER",
                'f' => "function NUMBER",
                'd' => "port NUMBER",
                'n' => "port NUMBER",
                'u' => "USB port NUMBER",
                'v' => "virtual function NUMBER",
                'c' => "configuration NUMBER",
                'i' => "interface NUMBER",
                'a' => "ACPI index NUMBER",
                _ => return None,
            };
            if number.is_empty() {
                return None;
            }
            words.push(what.replace("NUMBER", number));
            text = next;
        }
        return (!words.is_empty()).then(|| words.join(", "));
    }
    None
}

fn skip_number(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    (rest.len() < text.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(ifname: &str, kind: Option<&str>, driver: Option<&str>) -> String {
        let link = Link {
            ifname: ifname.into(),
            kind: kind.map(str::to_owned),
            hardware: 1,
            ..Link::default()
        };
        of(&link, driver, false).short.into_owned()
    }

    #[test]
    fn interfaces_are_told_apart() {
        for (name, kind, driver, expected) in [
            ("eth0", None, None, "wired"),
            ("ens5", None, Some("ena"), "AWS ENI"),
            ("eth0", None, Some("virtio_net"), "virtual wired"),
            ("virbr0", Some("bridge"), None, "libvirt bridge"),
            ("docker0", Some("bridge"), None, "docker bridge"),
            ("br-0123456789ab", Some("bridge"), None, "docker bridge"),
            ("br0", Some("bridge"), None, "bridge"),
            ("vethab", Some("veth"), None, "veth"),
            ("tun0", Some("tun"), None, "tun"),
            ("wg0", Some("wireguard"), None, "WireGuard"),
            ("x0", Some("newkind"), None, "newkind (virtual)"),
            ("awdl0", None, None, "Apple Wireless Direct Link"),
            ("utun3", None, None, "VPN tunnel"),
        ] {
            assert_eq!(short(name, kind, driver), expected, "{name}");
        }
        assert!(bridge("virbr0").long.contains("not VMware's"));
    }

    #[test]
    fn names_are_read_by_the_rules_that_made_them() {
        let words = |name: &str| name_words(name).unwrap_or_default();
        assert_eq!(
            words("enp3s0f1"),
            "en is Ethernet, p3s0f1 is bus 3, slot 0, function 1 (the rules of systemd)"
        );
        assert_eq!(words("ens5"), "en is Ethernet, s5 is slot 5 (the rules of systemd)");
        assert_eq!(
            words("eno1"),
            "en is Ethernet, o1 is number 1 of the board (the rules of systemd)"
        );
        assert!(words("enx0123456789ab").contains("its link address"));
        assert!(words("wlp2s0").starts_with("wl is wireless"));
        assert!(words("eth0").starts_with("eth and a number"));
        assert!(words("en0").contains("macOS"));
        for name in ["lo", "docker0", "enormous", "ens", "enp3q", ""] {
            assert_eq!(name_words(name), None, "{name}");
        }
    }
}

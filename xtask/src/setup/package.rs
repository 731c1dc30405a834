//! Commands that only the distribution can give.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Build,
    Test,
    Vm,
    Cross,
    CrossVm,
}

struct Need {
    command: &'static str,
    purpose: Purpose,
    what_for: &'static str,
    debian: &'static str,
    fedora: &'static str,
    arch: &'static str,
}

const NEEDS: &[Need] = &[
    Need {
        command: "cc",
        purpose: Purpose::Build,
        what_for: "links Rust programs",
        debian: "gcc libc6-dev",
        fedora: "gcc",
        arch: "gcc",
    },
    Need {
        command: "pcap-config",
        purpose: Purpose::Build,
        what_for: "comes with libpcap, which reads filters for packets",
        debian: "libpcap-dev",
        fedora: "libpcap-devel",
        arch: "libpcap",
    },
    Need {
        command: "ip",
        purpose: Purpose::Test,
        what_for: "tests make network namespaces",
        debian: "iproute2",
        fedora: "iproute",
        arch: "iproute2",
    },
    Need {
        command: "ss",
        purpose: Purpose::Test,
        what_for: "tests compare with what it shows",
        debian: "iproute2",
        fedora: "iproute",
        arch: "iproute2",
    },
    Need {
        command: "ifconfig",
        purpose: Purpose::Test,
        what_for: "tests compare with what it, route, arp and netstat show",
        debian: "net-tools",
        fedora: "net-tools",
        arch: "net-tools",
    },
    Need {
        command: "lsof",
        purpose: Purpose::Test,
        what_for: "tests compare with what it shows",
        debian: "lsof",
        fedora: "lsof",
        arch: "lsof",
    },
    Need {
        command: "tcpdump",
        purpose: Purpose::Test,
        what_for: "tests compare with what it captures",
        debian: "tcpdump",
        fedora: "tcpdump",
        arch: "tcpdump",
    },
    Need {
        command: "tshark",
        purpose: Purpose::Test,
        what_for: "tests have it, capinfos and editcap read our files",
        debian: "tshark wireshark-common",
        fedora: "wireshark-cli",
        arch: "wireshark-cli",
    },
    Need {
        command: "qemu-system-x86_64",
        purpose: Purpose::Vm,
        what_for: "tests run on other kernels in it",
        debian: "qemu-system-x86",
        fedora: "qemu-system-x86-core",
        arch: "qemu-system-x86",
    },
    Need {
        command: "aarch64-linux-gnu-gcc",
        purpose: Purpose::Cross,
        what_for: "links programs for aarch64",
        debian: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
        fedora: "gcc-aarch64-linux-gnu",
        arch: "aarch64-linux-gnu-gcc",
    },
    Need {
        command: "qemu-system-aarch64",
        purpose: Purpose::CrossVm,
        what_for: "a test runs on aarch64 in it",
        debian: "qemu-system-arm",
        fedora: "qemu-system-aarch64-core",
        arch: "qemu-system-aarch64",
    },
    Need {
        command: "xz",
        purpose: Purpose::Vm,
        what_for: "unpacks other kernels' modules",
        debian: "xz-utils",
        fedora: "xz",
        arch: "xz",
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Debian,
    Fedora,
    Arch,
}

impl Family {
    fn packages(self, need: &Need) -> &'static str {
        match self {
            Self::Debian => need.debian,
            Self::Fedora => need.fedora,
            Self::Arch => need.arch,
        }
    }

    fn install(self) -> &'static str {
        match self {
            Self::Debian => "apt-get install -y --no-install-recommends",
            Self::Fedora => "dnf install -y",
            Self::Arch => "pacman -S --needed",
        }
    }
}

/// What `/etc/os-release` says.
pub struct Release {
    pub id: String,
    pub codename: String,
    pub family: Option<Family>,
}

impl Release {
    pub fn read() -> Self {
        // Why no error: without the file there is no family, and that is said where it matters.
        Self::parse(&fs::read_to_string("/etc/os-release").unwrap_or_default())
    }

    fn parse(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let id = value("ID");
        let family = std::iter::once(id.as_str())
            .chain(value("ID_LIKE").split_whitespace())
            .find_map(|id| match id {
                "debian" | "ubuntu" => Some(Family::Debian),
                "fedora" | "rhel" | "centos" => Some(Family::Fedora),
                "arch" => Some(Family::Arch),
                _ => None,
            });
        Self { codename: value("VERSION_CODENAME"), family, id }
    }
}

/// Makes sure that the commands for these purposes are there.
pub fn require(purposes: &[Purpose]) -> Result<()> {
    let missing = missing(purposes);
    if missing.is_empty() {
        return Ok(());
    }
    for need in &missing {
        eprintln!("setup: {} is missing: {}", need.command, need.what_for);
    }
    let Some(family) = Release::read().family else {
        bail!(
            "setup: this distribution is not known here: install what gives {}, and start again",
            commands(&missing)
        );
    };
    let packages = packages(family, &missing);
    let line = format!("{} {}", family.install(), packages.join(" "));
    if family != Family::Debian || !process::is_root() {
        let sudo = if process::is_root() { "" } else { "sudo " };
        bail!("setup: packages are missing; this installs them:\n    {sudo}{line}");
    }
    eprintln!("setup: {line}");
    apt_get_install(&packages)?;
    let still = self::missing(purposes);
    if !still.is_empty() {
        bail!("setup: `{line}` went well, but there is no {} in PATH", commands(&still));
    }
    Ok(())
}

fn missing(purposes: &[Purpose]) -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| purposes.contains(&need.purpose))
        .filter(|need| process::find(need.command).is_none())
        .collect()
}

fn commands(needs: &[&Need]) -> String {
    let commands: Vec<_> = needs.iter().map(|need| need.command).collect();
    commands.join(", ")
}

/// Each package once, in the table's order.
fn packages(family: Family, needs: &[&Need]) -> Vec<&'static str> {
    let mut packages = Vec::new();
    for package in needs.iter().flat_map(|need| family.packages(need).split_whitespace()) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    packages
}

fn apt_get_install(packages: &[&str]) -> Result<()> {
    let install = || {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["install", "-y", "--no-install-recommends"])
            .args(packages);
        command
    };
    // Why not update at once: it takes longer than the rest, and fresh lists need none.
    if process::run(&mut install()).is_ok() {
        return Ok(());
    }
    eprintln!("setup: apt-get update, since the package lists are missing or old");
    process::run(Command::new("apt-get").arg("update"))
        .context("setup: the package lists cannot be had: is there a network?")?;
    process::run(&mut install()).context("setup: the packages cannot be installed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_known_by_their_relatives() {
        for (text, family) in [
            ("ID=debian\n", Some(Family::Debian)),
            ("ID=ubuntu\nID_LIKE=debian\n", Some(Family::Debian)),
            ("ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n", Some(Family::Debian)),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Some(Family::Fedora)),
            ("ID=manjaro\nID_LIKE=arch\n", Some(Family::Arch)),
            ("ID=nixos\n", None),
            ("", None),
        ] {
            assert_eq!(Release::parse(text).family, family, "{text}");
        }
    }

    #[test]
    fn the_codename_is_read() {
        let release = Release::parse("PRETTY_NAME=\"x\"\nVERSION_CODENAME=trixie\nID=debian\n");
        assert_eq!(release.codename, "trixie");
        assert_eq!(release.id, "debian");
    }

    #[test]
    fn a_package_is_named_once() {
        let needs: Vec<&Need> = NEEDS.iter().collect();
        assert_eq!(
            packages(Family::Debian, &needs),
            [
                "gcc",
                "libc6-dev",
                "libpcap-dev",
                "iproute2",
                "net-tools",
                "lsof",
                "tcpdump",
                "tshark",
                "wireshark-common",
                "qemu-system-x86",
                "gcc-aarch64-linux-gnu",
                "libc6-dev-arm64-cross",
                "qemu-system-arm",
                "xz-utils"
            ]
        );
        assert_eq!(
            packages(Family::Fedora, &needs),
            [
                "gcc",
                "libpcap-devel",
                "iproute",
                "net-tools",
                "lsof",
                "tcpdump",
                "wireshark-cli",
                "qemu-system-x86-core",
                "gcc-aarch64-linux-gnu",
                "qemu-system-aarch64-core",
                "xz"
            ]
        );
    }

    #[test]
    fn every_need_is_complete() {
        for need in NEEDS {
            for text in [need.command, need.what_for, need.debian, need.fedora, need.arch] {
                assert!(!text.is_empty(), "{}", need.command);
            }
        }
    }
}

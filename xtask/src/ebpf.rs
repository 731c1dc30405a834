//! How the eBPF crate is built: the one recipe, for `netbreath/build.rs` (which includes
//! this file by its path) and for the lints here. So it uses the standard library only.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The binary that `cargo` makes of the eBPF crate.
pub const PACKAGE: &str = "netbreath-ebpf";
/// A second one of the same crate, with the program for questions that are answered once.
#[allow(dead_code, reason = "for the build script")]
pub const HOLDER: &str = "netbreath-holder";

/// What of the cargo or clippy that called us must not reach the cargo that we call: flags
/// and wrappers are meant for the host's code, a fixed target would win over ours, and
/// build scripts that depend on HOST would run again for each kind of caller.
const NOT_INHERITED: &[&str] = &[
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "HOST",
    "RUSTC",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTDOC",
    "RUSTFLAGS",
    "TARGET",
];

/// Profile values that BTF and the verifier depend on, whatever the workspace's release
/// profile says.
const PROFILE: &[&str] = &[
    "profile.release.codegen-units=1",
    "profile.release.debug=2",
    "profile.release.lto='off'",
    "profile.release.opt-level=3",
    "profile.release.strip='none'",
];

/// Everything that one build of the eBPF crate depends on.
pub struct Recipe<'a> {
    pub cargo: &'a Path,
    pub workspace: &'a Path,
    pub target_dir: &'a Path,
    pub linker: &'a Path,
    /// Where the sources of `core` are, if not in the sysroot.
    pub rust_src: Option<&'a Path>,
    /// As in `CARGO_CFG_TARGET_ARCH`: which kernel's register layout the programs are for.
    pub arch: &'a str,
    /// As in `CARGO_CFG_TARGET_ENDIAN`.
    pub endian: &'a str,
}

impl Recipe<'_> {
    /// `cargo SUBCOMMAND` for the eBPF crate; the caller adds what else it wants.
    pub fn command(&self, subcommand: &str) -> Command {
        let mut command = Command::new(self.cargo);
        for key in NOT_INHERITED {
            command.env_remove(key);
        }
        if let Some(rust_src) = self.rust_src {
            // Why: cargo has no documented way to say this, and the sysroot may be read-only.
            command.env("__CARGO_TESTS_ONLY_SRC_ROOT", rust_src.join("library"));
        }
        // Why: `-Z build-std` is unstable, and a stable compiler is the only one we ask for.
        command.env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_ENCODED_RUSTFLAGS", self.flags().join("\u{1f}"));
        command.current_dir(self.workspace).arg(subcommand);
        for value in PROFILE {
            command.arg("--config").arg(value);
        }
        command
            .args(["--package", PACKAGE, "--release", "--locked"])
            .args(["-Z", "build-std=core", "--target", self.triple()])
            .arg("--target-dir")
            .arg(self.ebpf_dir());
        command
    }

    /// The ELF file that `command("build")` leaves of one of the binaries.
    #[allow(dead_code, reason = "for the build script")]
    pub fn object(&self, binary: &str) -> PathBuf {
        self.ebpf_dir().join(self.triple()).join("release").join(binary)
    }

    /// Apart from the caller's own folder: its cargo holds the lock of that one. And one
    /// for each architecture: the object's name does not tell them apart.
    fn ebpf_dir(&self) -> PathBuf {
        if self.arch == std::env::consts::ARCH {
            self.target_dir.join("ebpf")
        } else {
            self.target_dir.join(format!("ebpf-{}", self.arch))
        }
    }

    fn triple(&self) -> &'static str {
        if self.endian == "big" { "bpfeb-unknown-none" } else { "bpfel-unknown-none" }
    }

    fn flags(&self) -> Vec<String> {
        vec![
            format!("--cfg=bpf_target_arch=\"{}\"", self.arch),
            "--check-cfg=cfg(bpf_target_arch,values(any()))".to_owned(),
            format!("-Clinker={}", self.linker.display()),
            "-Clink-arg=--btf".to_owned(),
            "-Ctarget-cpu=v3".to_owned(),
        ]
    }
}

/// Where setup puts the linker.
pub fn linker(tools: &Path) -> PathBuf {
    tools.join("bin").join("bpf-linker")
}

/// Where setup puts the sources of `core` if it may not write to the sysroot.
pub fn kept_rust_src(tools: &Path, release: &str) -> PathBuf {
    tools.join(format!("rust-src-{release}"))
}

/// Whether `folder` holds the sources of the standard library.
pub fn is_rust_src(folder: &Path) -> bool {
    folder.join("library/core/src/lib.rs").is_file()
}

/// Where rustc's own sources are, if they are there.
pub fn sysroot_rust_src(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib/src/rust")
}

/// What `rustc ARGS` answers, trimmed.
pub fn ask_rustc(rustc: &Path, args: &[&str]) -> Result<String, String> {
    let asked = format!("{} {}", rustc.display(), args.join(" "));
    let output = Command::new(rustc)
        .args(args)
        .output()
        .map_err(|error| format!("cannot run `{asked}`: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("`{asked}` failed: {}", said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The release out of `rustc -vV`: `1.95.0`.
pub fn release(verbose_version: &str) -> Option<&str> {
    verbose_version.lines().find_map(|line| line.strip_prefix("release: "))
}

//! bpf-linker, built once from its source into the target folder.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::ebpf;
use crate::process;
use crate::workspace::Workspace;

/// The last release that can load LLVM out of rustc's own library, so that no LLVM package
/// is needed.
const VERSION: &str = "0.10.4";
/// The LLVM of the compiler in `rust-toolchain.toml`.
const FEATURES: &str = "rust-llvm-22";

pub fn require(workspace: &Workspace) -> Result<()> {
    if is_there(&workspace.tools) {
        return Ok(());
    }
    eprintln!("setup: bpf-linker {VERSION} ... installing (about 2 minutes, once)");
    let scratch = workspace.tools.join("bpf-linker-build");
    let mut cargo = workspace.cargo();
    cargo
        .args(["install", "bpf-linker", "--version", VERSION])
        .args(["--locked", "--force", "--no-default-features", "--features", FEATURES])
        .arg("--root")
        .arg(&workspace.tools)
        // Why: so an interrupted build goes on where it was.
        .arg("--target-dir")
        .arg(&scratch);
    // Why: flags for our code are not for this tool's.
    for key in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(key);
    }
    process::run(&mut cargo)
        .context("setup: bpf-linker cannot be installed: see cargo's errors above")?;
    // Why no error: it costs space only.
    let _ = fs::remove_dir_all(&scratch);
    eprintln!("setup: bpf-linker {VERSION} ... done");
    Ok(())
}

fn is_there(tools: &Path) -> bool {
    ebpf::linker(tools).is_file()
        && fs::read_to_string(tools.join(".crates.toml"))
            .is_ok_and(|installed| names_version(&installed, VERSION))
}

/// Whether cargo's own list of what it has installed names that version.
fn names_version(installed: &str, version: &str) -> bool {
    installed.lines().any(|line| line.starts_with(&format!("\"bpf-linker {version} ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_version_will_do() {
        let installed =
            "[v1]\n\"bpf-linker 0.10.4 (registry+https://example.org)\" = [\"bpf-linker\"]\n";
        assert!(names_version(installed, "0.10.4"));
        assert!(!names_version(installed, "0.10.5"));
        assert!(!names_version(installed, "0.10"));
    }
}

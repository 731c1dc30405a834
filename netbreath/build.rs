//! Builds the kernel programs and puts them into `OUT_DIR` as `netbreath.bpf.o` and
//! `holder.bpf.o`, for Linux.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use object::build::elf::{Builder, SectionData};

// Only a part of the recipe is for us; the rest is for `cargo xtask`.
#[allow(dead_code)]
#[path = "../xtask/src/ebpf.rs"]
mod ebpf;

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            println!("cargo::error={message}");
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={KEEP_LINES}");
    if variable("CARGO_CFG_TARGET_OS")? != "linux" {
        return Ok(());
    }
    let manifest_dir = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let workspace = manifest_dir
        .parent()
        .ok_or("netbreath is built inside its workspace, and there is none around it")?;
    for path in
        ["netbreath-ebpf", "netbreath-common", "Cargo.lock", "Cargo.toml", "xtask/src/ebpf.rs"]
    {
        println!("cargo::rerun-if-changed={}", workspace.join(path).display());
    }

    let out_dir = PathBuf::from(variable("OUT_DIR")?);
    let tools = tools(&out_dir);
    let linker =
        linker(tools.as_deref()).ok_or("bpf-linker is missing: run `cargo xtask setup`")?;
    println!("cargo::rerun-if-changed={}", linker.display());
    let rust_src = rust_src(Path::new(&variable("RUSTC")?), tools.as_deref())?;

    let cargo = PathBuf::from(variable("CARGO")?);
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let endian = variable("CARGO_CFG_TARGET_ENDIAN")?;
    let recipe = ebpf::Recipe {
        cargo: &cargo,
        workspace,
        // Why: beside the tools, so that debug, release and clippy share one build of core.
        target_dir: tools.as_deref().and_then(Path::parent).unwrap_or(&out_dir),
        linker: &linker,
        rust_src: rust_src.as_deref(),
        arch: &arch,
        endian: &endian,
    };
    let mut command = recipe.command("build");
    // Why quiet: what is left on stderr is warnings and errors.
    let output = command
        .args(["--quiet", "--color", "never"])
        .output()
        .map_err(|error| format!("cannot run cargo for {}: {error}", ebpf::PACKAGE))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        for line in said.lines() {
            eprintln!("{line}");
        }
        return Err(format!(
            "the kernel programs ({}) do not build: see the errors below, or run `cargo xtask lint`",
            ebpf::PACKAGE
        ));
    }
    for line in said.lines().filter(|line| !line.trim().is_empty()) {
        println!("cargo::warning={line}");
    }

    for (program, name) in [(ebpf::PACKAGE, "netbreath.bpf.o"), (ebpf::HOLDER, "holder.bpf.o")] {
        let object = recipe.object(program);
        let stripped = strip(&object)
            .map_err(|error| format!("cannot strip {}: {error}", object.display()))?;
        let copy = out_dir.join(name);
        fs::write(&copy, stripped)
            .map_err(|error| format!("cannot write {}: {error}", copy.display()))?;
    }
    Ok(())
}

/// Set while netbreath is built, the verifier's logs tell source lines.
const KEEP_LINES: &str = "NETBREATH_BPF_LINES";

/// The object without its DWARF, which no kernel reads and which is four fifths of it, and
/// without the lines of its source code, of which the loader would keep a copy for each
/// program, 10 MB in all. Its BTF stays.
fn strip(object: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let bytes = fs::read(object)?;
    let mut elf = Builder::read(&*bytes)?;
    let lines = env::var_os(KEEP_LINES).is_some();
    for section in &mut elf.sections {
        let name = section.name.to_string();
        // What `.BTF.ext` refers to, no loader looks up.
        section.delete =
            name.starts_with(".debug") || name.starts_with(".rel.debug") || name == ".rel.BTF.ext";
        if let (false, ".BTF.ext", SectionData::Data(data)) = (lines, &*name, &mut section.data) {
            *data = without_lines(data)?.into();
        }
    }
    elf.delete_orphans();
    // LLVM keeps the sections' names with the symbols' in one section; this writer does not.
    let names = elf.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    elf.write(&mut stripped)?;
    Ok(stripped)
}

/// The functions of a section `.BTF.ext`, which some programs need, without the lines that come
/// behind them. Its header: magic number, version and flags (4 bytes), its length, then place
/// and length of the functions, of the lines, and of what is to be relocated
/// (`Documentation/bpf/btf.rst`).
fn without_lines(whole: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    const BEHIND: std::ops::Range<usize> = 16..32;
    let word = |at: usize| -> Result<usize, Box<dyn Error>> {
        let bytes = whole.get(at..at + 4).ok_or(".BTF.ext is cut short")?;
        Ok(u32::from_le_bytes(bytes.try_into()?) as usize)
    };
    let (header, functions, len) = (word(4)?, word(8)?, word(12)?);
    let end = header + functions + len;
    let mut rest = whole.get(..end).ok_or(".BTF.ext is cut short")?.to_vec();
    rest[BEHIND.start.min(header)..BEHIND.end.min(header)].fill(0);
    Ok(rest)
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|error| format!("cargo gave no {name}: {error}"))
}

/// The folder that `cargo xtask setup` fills, in the target folder we are built into.
fn tools(out_dir: &Path) -> Option<PathBuf> {
    out_dir
        .ancestors()
        .map(|folder| folder.join("tools"))
        .find(|tools| ebpf::linker(tools).is_file())
}

fn linker(tools: Option<&Path>) -> Option<PathBuf> {
    if let Some(tools) = tools {
        return Some(ebpf::linker(tools));
    }
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join("bpf-linker"))
        .find(|linker| linker.is_file())
}

/// None: cargo finds them in the sysroot by itself.
fn rust_src(rustc: &Path, tools: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let sysroot = PathBuf::from(ebpf::ask_rustc(rustc, &["--print", "sysroot"])?);
    if ebpf::is_rust_src(&ebpf::sysroot_rust_src(&sysroot)) {
        return Ok(None);
    }
    let version = ebpf::ask_rustc(rustc, &["-vV"])?;
    tools
        .zip(ebpf::release(&version))
        .map(|(tools, release)| ebpf::kept_rust_src(tools, release))
        .filter(|kept| ebpf::is_rust_src(kept))
        .map(Some)
        .ok_or_else(|| "the sources of core (rust-src) are missing: run `cargo xtask setup`".into())
}

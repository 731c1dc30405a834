//! Packages out of other suites of Debian, with an apt configuration of its own: the
//! system's sources, lists and caches are left alone, and no root is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::package::{Family, Release};
use crate::process;

/// Used where the machine's own sources name no mirror of Debian.
const PUBLIC_MIRROR: &str = "http://deb.debian.org/debian";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Where newer compilers are to be found, the likelier first.
const SUITES: &[&str] = &["trixie-backports", "sid"];

pub struct Apt {
    folder: PathBuf,
    /// Of another machine, as Debian calls it.
    arch: Option<&'static str>,
    mirror: String,
    signed_by: Option<String>,
}

pub struct Package {
    name: String,
    pub version: String,
    suite: &'static str,
}

impl Apt {
    /// None where there is no apt.
    pub fn here(tools: &Path) -> Option<Self> {
        let release = Release::read();
        if release.family != Some(Family::Debian)
            || ["apt-get", "apt-cache", "dpkg-deb"]
                .iter()
                .any(|command| process::find(command).is_none())
        {
            return None;
        }
        let own =
            (release.id == "debian").then(|| mirror(read_sources(), &release.codename)).flatten();
        let keyring = || Path::new(KEYRING).exists().then(|| KEYRING.to_owned());
        Some(Self {
            folder: tools.join("apt"),
            arch: None,
            signed_by: own.as_ref().and_then(|source| source.signed_by.clone()).or_else(keyring),
            mirror: own.map_or_else(|| PUBLIC_MIRROR.to_owned(), |source| source.uri),
        })
    }

    /// For packages of another architecture.
    pub fn of_arch(self, arch: &'static str) -> Self {
        Self { arch: Some(arch), ..self }
    }

    /// The first version that will do, suite by suite.
    pub fn find(&self, name: &str, will_do: impl Fn(&str) -> bool) -> Result<Package> {
        let mut seen = Vec::new();
        for suite in SUITES.iter().copied() {
            self.refresh(suite)?;
            let answer = process::answer(self.command("apt-cache", suite).args(["madison", name]))?;
            let versions = madison(&answer);
            if let Some(version) = versions.iter().find(|version| will_do(version)) {
                return Ok(Package { name: name.to_owned(), version: version.clone(), suite });
            }
            seen.push(format!("{suite} has {}", versions.join(", ")));
        }
        bail!("no fitting {name} on {}: {}", self.mirror, seen.join("; "))
    }

    /// Downloads and unpacks it; gives the folder that stands for `/`.
    pub fn unpack(&self, package: &Package) -> Result<PathBuf> {
        let Package { name, version, suite } = package;
        let root = self.folder.join("root");
        fresh(&root)?;
        self.unpack_into(&root, suite, &format!("{name}={version}"))?;
        Ok(root)
    }

    /// Gets the list of what a suite has.
    pub fn refresh(&self, suite: &str) -> Result<()> {
        self.prepare(suite)?;
        process::run(self.command("apt-get", suite).args(["-q", "update"])).with_context(|| {
            format!("the package list of {suite} cannot be had from {}", self.mirror)
        })
    }

    /// The names of a refreshed suite's packages that begin so.
    pub fn names(&self, suite: &str, beginning: &str) -> Result<Vec<String>> {
        let answer =
            process::answer(self.command("apt-cache", suite).args(["pkgnames", beginning]))?;
        Ok(answer.lines().map(str::to_owned).collect())
    }

    /// What a refreshed suite says of a package.
    pub fn describe(&self, suite: &str, name: &str) -> Result<String> {
        process::answer(self.command("apt-cache", suite).args(["show", "--no-all-versions", name]))
    }

    /// Downloads a package and unpacks it into a folder that stands for `/`.
    pub fn unpack_into(&self, root: &Path, suite: &str, package: &str) -> Result<()> {
        let downloads = self.folder.join("downloads");
        fresh(&downloads)?;
        process::run(
            self.command("apt-get", suite)
                .args(["-q", "download", package])
                .current_dir(&downloads),
        )?;
        let file = fs::read_dir(&downloads)
            .with_context(|| format!("cannot read {}", downloads.display()))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .with_context(|| format!("apt-get left no package in {}", downloads.display()))?;
        process::run(Command::new("dpkg-deb").arg("-x").arg(file).arg(root))
    }

    /// What is got is in its place: the rest is some 500 MB.
    pub fn clean(&self) {
        // Why no error: it costs space only.
        let _ = fs::remove_dir_all(&self.folder);
    }

    fn prepare(&self, suite: &str) -> Result<()> {
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = self.suite_folder(suite).join(folder);
            fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let file = self.suite_folder(suite).join("sources.list");
        let signed_by = self
            .signed_by
            .as_ref()
            .map_or_else(String::new, |keyring| format!("[signed-by={keyring}] "));
        fs::write(&file, format!("deb {signed_by}{} {suite} main\n", self.mirror))
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn suite_folder(&self, suite: &str) -> PathBuf {
        match self.arch {
            Some(arch) => self.folder.join(format!("{suite}-{arch}")),
            None => self.folder.join(suite),
        }
    }

    fn command(&self, program: &str, suite: &str) -> Command {
        let folder = self.suite_folder(suite);
        let mut command = Command::new(program);
        for (key, value) in [
            ("Dir::Etc::SourceList", folder.join("sources.list")),
            ("Dir::Etc::SourceParts", "/dev/null".into()),
            ("Dir::State::Lists", folder.join("lists")),
            ("Dir::Cache", folder.join("cache")),
            // Why: the user _apt may not enter a target folder that is in a home.
            ("APT::Sandbox::User", "root".into()),
            ("Acquire::Languages", "none".into()),
        ] {
            command.arg("-o").arg(format!("{key}={}", value.display()));
        }
        if let Some(arch) = self.arch {
            for key in ["APT::Architecture", "APT::Architectures"] {
                command.arg("-o").arg(format!("{key}={arch}"));
            }
        }
        command
    }
}

fn fresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder)
            .with_context(|| format!("cannot empty the folder {}", folder.display()))?;
    }
    fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// `1.95.0+dfsg1-2~bpo13+1` is a version of 1.95.0, and `1.95.01-1` is not.
pub fn is_version_of(version: &str, release: &str) -> bool {
    version
        .strip_prefix(release)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit() || next == '.'))
}

/// The versions out of `apt-cache madison`.
fn madison(answer: &str) -> Vec<String> {
    answer
        .lines()
        .filter_map(|line| line.split('|').nth(1))
        .map(|version| version.trim().to_owned())
        .collect()
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Source {
    uri: String,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
}

/// Where this machine gets its distribution from.
fn mirror(sources: Vec<Source>, codename: &str) -> Option<Source> {
    sources.into_iter().find(|source| {
        source.suites.iter().any(|suite| suite == codename)
            && source.components.iter().any(|component| component == "main")
            // Why: other projects name their suites after Debian's too.
            && source.uri.contains("debian")
    })
}

fn read_sources() -> Vec<Source> {
    let etc = Path::new("/etc/apt");
    let mut files: Vec<PathBuf> = fs::read_dir(etc.join("sources.list.d"))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files.insert(0, etc.join("sources.list"));
    files
        .iter()
        .filter_map(|file| {
            let text = fs::read_to_string(file).ok()?;
            match file.extension()?.to_str()? {
                "list" => Some(one_line_sources(&text)),
                "sources" => Some(stanza_sources(&text)),
                _ => None,
            }
        })
        .flatten()
        .collect()
}

/// `deb [option=value ...] uri suite component ...`
fn one_line_sources(text: &str) -> Vec<Source> {
    text.lines()
        .filter_map(|line| {
            let line = line.split('#').next()?.trim();
            let mut rest = line.strip_prefix("deb")?;
            if !rest.starts_with(char::is_whitespace) {
                return None;
            }
            rest = rest.trim_start();
            let mut signed_by = None;
            if let Some(bracketed) = rest.strip_prefix('[') {
                let (options, after) = bracketed.split_once(']')?;
                signed_by = options
                    .split_whitespace()
                    .find_map(|option| option.strip_prefix("signed-by="))
                    .map(str::to_owned);
                rest = after;
            }
            let mut words = rest.split_whitespace().map(str::to_owned);
            Some(Source {
                uri: words.next()?,
                suites: vec![words.next()?],
                components: words.collect(),
                signed_by,
            })
        })
        .collect()
}

/// The newer form: stanzas of `Key: value`, where one stanza can name several addresses.
fn stanza_sources(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    // Why the empty line more: it ends the last stanza too.
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(of_stanza(&std::mem::take(&mut stanza)));
        } else if line.starts_with(char::is_whitespace) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    sources
}

fn of_stanza(stanza: &[(String, String)]) -> Vec<Source> {
    let value = |key: &str| {
        stanza.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value.as_str())
    };
    let words =
        |key: &str| -> Vec<String> { value(key).split_whitespace().map(str::to_owned).collect() };
    if value("enabled") == "no" || !words("types").iter().any(|kind| kind == "deb") {
        return Vec::new();
    }
    // Why only a path: a key can also stand there itself, which one line cannot repeat.
    let signed_by = Some(value("signed-by"))
        .filter(|path| path.starts_with('/') && !path.contains(char::is_whitespace))
        .map(str::to_owned);
    words("uris")
        .into_iter()
        .map(|uri| Source {
            uri,
            suites: words("suites"),
            components: words("components"),
            signed_by: signed_by.clone(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_sources_are_read() {
        let text = "# deb http://off.example/debian trixie main\n\
                    deb-src http://src.example/debian trixie main\n\
                    deb http://plain.example/debian trixie main contrib # the usual\n\
                    deb [arch=amd64 signed-by=/k.gpg] http://options.example/debian trixie-updates main\n";
        let sources = one_line_sources(text);
        assert_eq!(sources.len(), 2);
        assert_eq!(sources[0].uri, "http://plain.example/debian");
        assert_eq!(sources[0].components, ["main", "contrib"]);
        assert_eq!(sources[0].signed_by, None);
        assert_eq!(sources[1].suites, ["trixie-updates"]);
        assert_eq!(sources[1].signed_by.as_deref(), Some("/k.gpg"));
    }

    #[test]
    fn stanzas_are_read() {
        let text = "Types: deb deb-src\n\
                    # a comment inside\n\
                    URIs: http://a.example/debian http://b.example/debian\n\
                    Suites: trixie\n trixie-updates\n\
                    Components: main\n\
                    Signed-By: /k.gpg\n\
                    \n\
                    Types: deb\nURIs: http://off.example/debian\nSuites: trixie\nComponents: main\nEnabled: no\n\
                    \n\
                    Types: deb\nURIs: http://key.example/debian\nSuites: trixie\nComponents: main\n\
                    Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n";
        let sources = stanza_sources(text);
        let uris: Vec<_> = sources.iter().map(|source| source.uri.as_str()).collect();
        assert_eq!(
            uris,
            ["http://a.example/debian", "http://b.example/debian", "http://key.example/debian"]
        );
        assert_eq!(sources[0].suites, ["trixie", "trixie-updates"]);
        assert_eq!(sources[0].signed_by.as_deref(), Some("/k.gpg"));
        assert_eq!(sources[2].signed_by, None);
    }

    #[test]
    fn the_mirror_is_where_the_distribution_comes_from() {
        let sources = one_line_sources(
            "deb http://other.example/apt trixie main\n\
             deb http://sec.example/debian-security trixie-security main\n\
             deb http://mirror.example/debian trixie main\n",
        );
        let uri = |codename| mirror(sources.clone(), codename).map(|source| source.uri);
        assert_eq!(uri("trixie").as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(uri("bookworm"), None);
    }

    #[test]
    fn versions_are_listed() {
        let answer = " rust-src | 1.95.0+dfsg1-2~bpo13+1 | http://m.example/debian trixie-backports/main amd64 Packages\n \
                      rust-src | 1.90.0+dfsg1-1 | http://m.example/debian trixie-backports/main amd64 Packages\n";
        assert_eq!(madison(answer), ["1.95.0+dfsg1-2~bpo13+1", "1.90.0+dfsg1-1"]);
        assert!(madison("").is_empty());
    }

    #[test]
    fn the_version_has_to_be_the_compilers() {
        assert!(is_version_of("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_version_of("1.95.0-1", "1.95.0"));
        assert!(!is_version_of("1.95.01-1", "1.95.0"));
        assert!(!is_version_of("1.94.0+dfsg1-1", "1.95.0"));
    }
}

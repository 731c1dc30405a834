//! `--follow`: netbreath beside a network that changes.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Place, words};
use crate::tracer;

/// A netbreath that follows.
pub struct Watcher {
    child: Child,
    folder: PathBuf,
}

impl Watcher {
    /// Starts `netbreath LINE --follow`, or a trace, and waits until everything is
    /// watched.
    pub fn start(place: &Place, line: &str) -> Result<Watcher> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder =
            std::env::temp_dir().join(format!("netbreath-watch-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let child = place.netns.inside(|| {
            let talk = fs::File::create(folder.join("talk"))?;
            Command::new(tracer::binary()?)
                .args(words(line))
                .args((!line.starts_with("trace")).then_some("--follow"))
                .arg("--output")
                .arg(folder.join("out"))
                .arg("--ready-file")
                .arg(folder.join("ready"))
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .stderr(talk)
                .spawn()
                .context("start netbreath")
        })?;
        let watcher = Watcher { child, folder };
        let ready = watcher.folder.join("ready");
        place.wait("netbreath to watch", || Ok(ready.exists()))?;
        Ok(watcher)
    }

    pub fn pid(&self) -> libc::pid_t {
        self.child.id() as libc::pid_t
    }

    /// What it has written so far.
    pub fn text(&self) -> String {
        fs::read_to_string(self.folder.join("out")).unwrap_or_default()
    }

    /// The events that it has written so far.
    pub fn events(&self) -> Result<Vec<Value>> {
        let text = self.text();
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).context(line.to_owned())).collect()
    }

    /// Ends it as Ctrl-C does; its exit code.
    pub fn end(&mut self) -> Result<Option<i32>> {
        // SAFETY: the process is our child and has not been waited for.
        ensure!(unsafe { libc::kill(self.pid(), libc::SIGINT) } == 0, "cannot end netbreath");
        Ok(self.child.wait().context("wait for netbreath")?.code())
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        // Why ignored: it may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// An event in short: `link v0 changed down`, so that a list of them can be read.
pub fn brief(event: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(text).collect()
    };
    let kind = text(&event["event"]);
    let thing = &event[kind.as_str()];
    let name = thing.get("ifname").or_else(|| thing.get("dev")).map(text).unwrap_or_default();
    let rest = match kind.as_str() {
        "link" => match list(&thing["flags"]).iter().any(|flag| flag == "UP") {
            true => "up".to_owned(),
            false => "down".to_owned(),
        },
        "address" => format!("{}/{}", text(&thing["local"]), thing["prefixlen"]),
        "route" => {
            format!("{}/{} via {}", text(&thing["dst"]), thing["dst_len"], text(&thing["gateway"]))
        }
        "neighbour" => format!("{} {}", text(&thing["dst"]), list(&thing["state"]).join(" ")),
        _ => String::new(),
    };
    format!("{kind} {name} {} {rest}", text(&event["change"]))
}

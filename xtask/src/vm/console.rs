//! What init prints, read: which command ran, how it ended, and what its tests said.

/// Before everything that init itself says.
const MARK: &str = "@vm: ";

/// What one VM has told.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Set when init runs: all before is the kernel's boot.
    pub release: Option<String>,
    /// What is not as it should be, without being anybody's test.
    pub troubles: Vec<String>,
    pub runs: Vec<Run>,
    pub is_over: bool,
}

/// A command and what it printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Run {
    pub name: String,
    pub printed: Vec<String>,
    /// `exit 0`, or what else; None if it was not seen to end.
    pub end: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    Skipped(String),
}

impl Session {
    pub fn line(&mut self, line: &str) {
        let Some((word, rest)) =
            line.strip_prefix(MARK).map(|mark| mark.split_once(' ').unwrap_or((mark, "")))
        else {
            if let Some(run) = self.runs.last_mut().filter(|run| run.end.is_none()) {
                run.printed.push(line.to_owned());
            }
            return;
        };
        match word {
            "ready" => self.release = Some(rest.to_owned()),
            "run" => self.runs.push(Run { name: rest.to_owned(), ..Run::default() }),
            "end" => {
                if let Some(run) = self.runs.last_mut() {
                    run.end = Some(rest.split_once(": ").map_or(rest, |(_, end)| end).to_owned());
                }
            }
            "off" => self.is_over = true,
            _ => self.troubles.push(rest.to_owned()),
        }
    }
}

impl Run {
    pub fn is_good(&self) -> bool {
        self.end.as_deref() == Some("exit 0")
    }

    /// What each test came to, in the order in which they ended.
    pub fn tests(&self) -> Vec<(String, Outcome)> {
        let mut tests = Vec::new();
        let mut open: Option<&str> = None;
        for line in &self.printed {
            let (name, word) = match line.strip_prefix("test ").and_then(|l| l.split_once(" ... "))
            {
                Some((name, word)) => (name.trim(), word),
                // Why: what a test prints itself can come between its name and its outcome.
                None => match open {
                    Some(name) => (name, line.as_str()),
                    None => continue,
                },
            };
            open = match outcome(word.trim()) {
                Some(outcome) => {
                    tests.push((name.to_owned(), outcome));
                    None
                }
                None => Some(name),
            };
        }
        for (name, outcome) in &mut tests {
            if let Outcome::Skipped(reason) = outcome
                && reason.is_empty()
            {
                *reason = self.reason(name).unwrap_or("it gave no reason").to_owned();
            }
        }
        tests
    }

    /// Why a test was skipped: it says so in a line of its own.
    fn reason(&self, name: &str) -> Option<&str> {
        self.printed.iter().find_map(|line| {
            let (_, said) = line.split_once("SKIPPED ")?;
            said.strip_prefix(name)?.strip_prefix(": ")
        })
    }
}

fn outcome(word: &str) -> Option<Outcome> {
    match word {
        "ok" => Some(Outcome::Passed),
        "FAILED" => Some(Outcome::Failed),
        "ignored" => Some(Outcome::Skipped(String::new())),
        _ => word.strip_prefix("ignored, ").map(|reason| Outcome::Skipped(reason.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(text: &str) -> Session {
        let mut session = Session::default();
        for line in text.lines() {
            session.line(line);
        }
        session
    }

    #[test]
    fn a_whole_session_is_read() {
        let session = session(
            "noise before\n@vm: ready 6.12.1\n@vm: trouble cannot load x\n\n@vm: run doctor\n\
             netbreath can trace here.\n\n@vm: end doctor after 0.5 s: exit 0\nnoise\n\
             @vm: run kernel\n@vm: end kernel after 3.0 s: not done within 3 s\n@vm: off\n",
        );
        assert_eq!(session.release.as_deref(), Some("6.12.1"));
        assert_eq!(session.troubles, ["cannot load x"]);
        assert!(session.is_over);
        assert_eq!(session.runs[0].name, "doctor");
        assert_eq!(session.runs[0].printed, ["netbreath can trace here.", ""]);
        assert!(session.runs[0].is_good());
        assert_eq!(session.runs[1].end.as_deref(), Some("not done within 3 s"));
        assert!(!session.runs[1].is_good());
    }

    #[test]
    fn a_session_that_stops_has_an_open_run() {
        let session = session("@vm: ready 6.1\n@vm: run kernel\nrunning 3 tests\n");
        assert_eq!(session.runs[0].end, None);
        assert!(!session.is_over && !session.runs[0].is_good());
    }

    #[test]
    fn outcomes_of_tests_are_read() {
        let session = session(
            "@vm: run kernel\nrunning 5 tests\nSKIPPED family::mptcp: no mptcp: EPROTO\n\
             test close::client_first   ... ok\n\
             test close::both_at_once   ... close::both_at_once: 60 checks\nok\n\
             test family::mptcp         ... ignored\n\
             test owner::threads        ... FAILED\n\
             test owner::late           ... ignored, too slow\n\
             test result: FAILED. 2 passed; 1 failed; 2 ignored; 0 measured\n",
        );
        assert_eq!(
            session.runs[0].tests(),
            [
                ("close::client_first".to_owned(), Outcome::Passed),
                ("close::both_at_once".to_owned(), Outcome::Passed),
                ("family::mptcp".to_owned(), Outcome::Skipped("no mptcp: EPROTO".to_owned())),
                ("owner::threads".to_owned(), Outcome::Failed),
                ("owner::late".to_owned(), Outcome::Skipped("too slow".to_owned())),
            ]
        );
    }
}

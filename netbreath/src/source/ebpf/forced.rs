//! Rungs that are asked for by name, as tests do: `HOOK=RUNG`.

use netbreath_common::hook::Hook;

use super::hooks::{self, Ladder, Rung};

/// In place of a rung: the hook is left out.
const NONE: &str = "none";

/// The one rung that a hook may be attached by.
#[derive(Clone, Copy)]
pub struct Forced {
    pub hook: Hook,
    /// None: by none at all.
    pub rung: Option<&'static Rung>,
}

/// Why a rung cannot be forced.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("--rung {typed:?} is not HOOK=RUNG, such as {example:?}")]
    NoPair { typed: String, example: String },
    #[error("--rung {typed:?}: there is no hook {hook:?}; these are: {}", hook_names().join(", "))]
    NoHook { typed: String, hook: String },
    #[error(
        "--rung {typed:?}: the hook {hook} has no rung {rung:?}; its rungs are: {choices} \
         (a beginning that only one has is enough)"
    )]
    NoRung { typed: String, hook: &'static str, rung: String, choices: String },
    #[error(
        "--rung {typed:?}: {rung:?} is the beginning of several rungs of the hook {hook}: {choices}"
    )]
    Ambiguous { typed: String, hook: &'static str, rung: String, choices: String },
    #[error("--rung {typed:?}: the hook {hook} has been given a rung already")]
    Twice { typed: String, hook: &'static str },
}

/// What was typed, each as `HOOK=RUNG`.
pub fn forced(typed: &[String]) -> Result<Vec<Forced>, Error> {
    let mut all: Vec<Forced> = Vec::new();
    for typed in typed {
        let one = one(typed)?;
        if all.iter().any(|other| other.hook == one.hook) {
            return Err(Error::Twice { typed: typed.clone(), hook: one.hook.name() });
        }
        all.push(one);
    }
    Ok(all)
}

fn one(typed: &str) -> Result<Forced, Error> {
    let no_pair = || {
        let example = hooks::all()
            .find_map(|ladder| Some((ladder, ladder.rungs.first()?)))
            .map(|(ladder, rung)| format!("{}={}", ladder.hook.name(), ladder.name_of(rung)));
        Error::NoPair { typed: typed.to_owned(), example: example.unwrap_or_default() }
    };
    let (hook, rung) = typed.split_once('=').ok_or_else(no_pair)?;
    let (hook, rung) = (hook.trim(), rung.trim());
    let Some(ladder) = hooks::all().find(|ladder| ladder.hook.name() == hook) else {
        return Err(Error::NoHook { typed: typed.to_owned(), hook: hook.to_owned() });
    };
    let hook = ladder.hook;
    if rung == NONE {
        return Ok(Forced { hook, rung: None });
    }
    if let Some(exact) = ladder.rungs.iter().find(|other| ladder.name_of(other) == rung) {
        return Ok(Forced { hook, rung: Some(exact) });
    }
    let fitting: Vec<&Rung> =
        ladder.rungs.iter().filter(|other| ladder.name_of(other).starts_with(rung)).collect();
    let (typed, hook_name) = (typed.to_owned(), hook.name());
    match fitting[..] {
        [only] => Ok(Forced { hook, rung: Some(only) }),
        [_, _, ..] if !rung.is_empty() => Err(Error::Ambiguous {
            typed,
            hook: hook_name,
            rung: rung.to_owned(),
            choices: names(ladder, &fitting),
        }),
        _ => Err(Error::NoRung {
            typed,
            hook: hook_name,
            rung: rung.to_owned(),
            choices: choices(ladder),
        }),
    }
}

fn hook_names() -> Vec<&'static str> {
    hooks::all().map(|ladder| ladder.hook.name()).collect()
}

fn choices(ladder: &Ladder) -> String {
    let rungs: Vec<&Rung> = ladder.rungs.iter().collect();
    format!("{}, {NONE:?}", names(ladder, &rungs))
}

fn names(ladder: &Ladder, rungs: &[&Rung]) -> String {
    rungs.iter().map(|rung| format!("{:?}", ladder.name_of(rung))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(typed: &[&str]) -> Result<Vec<(&'static str, Option<&'static str>)>, String> {
        let typed: Vec<String> = typed.iter().map(|&typed| typed.to_owned()).collect();
        forced(&typed)
            .map(|all| {
                all.iter().map(|one| (one.hook.name(), one.rung.map(|rung| rung.program))).collect()
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn every_rung_is_found_by_the_name_that_doctor_prints() {
        for ladder in hooks::all() {
            for rung in ladder.rungs {
                let typed = format!("{}={}", ladder.hook.name(), ladder.name_of(rung));
                assert_eq!(
                    parsed(&[&typed]),
                    Ok(vec![(ladder.hook.name(), Some(rung.program))]),
                    "{typed}"
                );
            }
        }
    }

    #[test]
    fn a_beginning_is_enough_and_none_is_no_rung() {
        assert_eq!(
            parsed(&["sock_state=kprobe", "accept=none", "receive = tp_btf tcp"]),
            Ok(vec![
                ("sock_state", Some("nb_state_kp")),
                ("accept", None),
                ("receive", Some("nb_recv_adjust")),
            ])
        );
    }

    #[test]
    fn wrong_names_list_the_choices() {
        for (typed, parts) in [
            (&["accept"][..], &["is not HOOK=RUNG", "such as"][..]),
            (&["acept=kprobe"], &["no hook \"acept\"", "accept, ", "sock_state"]),
            (&["connect=xdp"], &["has no rung \"xdp\"", "\"kprobe tcp_connect\"", "\"none\""]),
            (&["connect="], &["has no rung \"\"", "\"kprobe tcp_connect\""]),
            (&["accept=fexit"], &["several rungs", "(2 parameters)", "(4 parameters)"]),
            (&["accept=none", "accept=kprobe"], &["has been given a rung already"]),
        ] {
            let error = parsed(typed).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{typed:?}: {error}");
            }
        }
    }

    #[test]
    fn names_of_rungs_are_unique_in_their_ladder() {
        for ladder in hooks::all() {
            for (i, rung) in ladder.rungs.iter().enumerate() {
                let name = ladder.name_of(rung);
                assert_ne!(name, NONE);
                assert!(ladder.rungs[..i].iter().all(|other| ladder.name_of(other) != name));
            }
        }
    }
}

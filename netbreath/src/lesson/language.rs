//! In which language people are spoken to.

use clap::ValueEnum;

/// A language that the lessons are in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, ValueEnum)]
pub enum Language {
    /// English
    #[default]
    En,
    /// Japanese
    Ja,
}

impl Language {
    /// That of the environment's locale for messages: the first of these that is set says.
    /// Japanese takes a terminal that can show it.
    pub fn of_locale(variable: impl Fn(&str) -> Option<String>, utf8: bool) -> Language {
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        match locale {
            Some(locale) if utf8 && locale.starts_with("ja") => Language::Ja,
            _ => Language::En,
        }
    }

    /// Of two texts the one in this language.
    pub const fn choose(self, english: &'static str, japanese: &'static str) -> &'static str {
        match self {
            Language::En => english,
            Language::Ja => japanese,
        }
    }
}

/// A text in both languages.
#[derive(Clone, Copy, Debug)]
pub struct Both(pub &'static str, pub &'static str);

impl Both {
    pub const fn of(self, language: Language) -> &'static str {
        language.choose(self.0, self.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locale_says_which() {
        let of = |pairs: &'static [(&str, &str)], utf8| {
            let variable = |name: &str| {
                pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            };
            Language::of_locale(variable, utf8)
        };
        assert_eq!(of(&[("LANG", "ja_JP.UTF-8")], true), Language::Ja);
        assert_eq!(of(&[("LANG", "ja_JP.eucJP")], false), Language::En);
        assert_eq!(of(&[("LC_ALL", "C.UTF-8"), ("LANG", "ja_JP.UTF-8")], true), Language::En);
        assert_eq!(of(&[("LC_ALL", ""), ("LC_MESSAGES", "ja_JP.utf8")], true), Language::Ja);
        assert_eq!(of(&[], true), Language::En);
    }
}

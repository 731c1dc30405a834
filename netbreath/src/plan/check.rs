//! What `netbreath check` means.

use super::{Error, duration, network};
use crate::check::{Rule, Rules};
use crate::cli::{CheckArgs, Deny};
use crate::lint::{Name, Thresholds};

/// The rules that were typed.
pub fn rules(args: &CheckArgs, mut thresholds: Thresholds) -> Result<Rules, Error> {
    let mut rules = Vec::new();
    let mut add = |rule: Rule| {
        // One rule about CLOSE_WAIT is enough.
        let same = |other: &Rule| {
            *other == rule || rule.lint().is_some_and(|lint| other.lint() == Some(lint))
        };
        if !rules.iter().any(same) {
            rules.push(rule);
        }
    };
    if let Some(typed) = &args.max_close_wait {
        thresholds.close_wait = duration(typed)?;
        add(Rule::MaxCloseWait(thresholds.close_wait));
    }
    for deny in &args.deny {
        let lint = match deny {
            Deny::Rst => {
                add(Rule::NoReset);
                continue;
            }
            Deny::Retransmit => {
                add(Rule::NoRetransmit);
                continue;
            }
            Deny::Drop => {
                add(Rule::NoDrop);
                continue;
            }
            Deny::ConnectFailed => {
                add(Rule::NoConnectFailed);
                continue;
            }
            Deny::Loss => {
                add(Rule::NoLoss);
                continue;
            }
            Deny::Lints => {
                Name::ALL.into_iter().filter(|lint| lint.is_fault()).for_each(|lint| {
                    add(Rule::No(lint));
                });
                continue;
            }
            Deny::CloseWait => Name::CloseWait,
            Deny::SynSent => Name::SynSent,
            Deny::RetransmitBurst => Name::RetransmitBurst,
            Deny::AcceptQueue => Name::AcceptQueue,
            Deny::PortExhaustion => Name::PortExhaustion,
            Deny::UnreadReset => Name::UnreadReset,
            Deny::WildcardListener => Name::WildcardListener,
            Deny::HalfOpenFlood => Name::HalfOpenFlood,
        };
        add(Rule::No(lint));
    }
    if let Some(typed) = &args.max_connect {
        add(Rule::MaxConnect(duration(typed)?));
    }
    if let Some(most) = args.max_retransmits {
        add(Rule::MaxRetransmits(most));
    }
    if !args.allow_remote.is_empty() {
        let networks =
            args.allow_remote.iter().map(|typed| network(typed)).collect::<Result<_, _>>()?;
        add(Rule::AllowRemote(networks));
    }
    if let Some(least) = args.min_connections {
        add(Rule::MinConnections(least));
    }
    if rules.is_empty() {
        return Err(Error::NoRule);
    }
    Ok(Rules { rules, thresholds })
}

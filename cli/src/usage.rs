//! What is said of flags that cannot be used: one line, with what to do and where the flags are.

use clap::error::ErrorKind;
use clap::{Command, Error};

/// One line for an error; nothing where it is no error but help, the version, or a command that has to be chosen.
pub(crate) fn line(error: &Error, command: &Command, arguments: &[String]) -> Option<String> {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return None;
    }
    let text = error.render().to_string();
    let text = text.split("\nUsage:").next().unwrap_or_default();
    let text = text.split("\nFor more information").next().unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").replace(" tip: ", "; ");
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    Some(format!("{text}; see `{} --help`", path(command, arguments)))
}

/// The command that was meant, with those above it.
fn path(command: &Command, arguments: &[String]) -> String {
    let mut path = command.get_name().to_owned();
    let mut current = command;
    for argument in arguments {
        let Some(next) = current.find_subcommand(argument) else { break };
        path.push(' ');
        path.push_str(argument);
        current = next;
    }
    path
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::commands::Cli;

    fn said(arguments: &[&str]) -> Option<String> {
        let all = std::iter::once("segment-pushwoosh").chain(arguments.iter().copied());
        let error = Cli::command().try_get_matches_from(all).unwrap_err();
        let arguments: Vec<String> = arguments.iter().map(|one| (*one).to_owned()).collect();
        line(&error, &Cli::command().name("segment-pushwoosh"), &arguments)
    }

    #[test]
    fn bad_flags_get_one_line_that_says_where_the_flags_are() {
        for (arguments, parts) in [
            (
                vec!["erase"],
                ["--app <CODE> --user-id <ID>", "see `segment-pushwoosh erase --help`"],
            ),
            (
                vec!["queue", "list", "--ap", "x"],
                ["a similar argument exists: '--app'", "see `segment-pushwoosh queue list --help`"],
            ),
            (
                vec!["queue", "list", "--reason", "x"],
                ["refused_by_pushwoosh", "see `segment-pushwoosh queue list --help`"],
            ),
            (vec!["nonsense"], ["nonsense", "see `segment-pushwoosh --help`"]),
        ] {
            let line = said(&arguments).unwrap();
            assert!(!line.contains('\n'), "{line}");
            assert!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
        assert_eq!(said(&["queue", "list", "--help"]), None);
        assert_eq!(said(&["--version"]), None);
    }

    /// Of every command that people see.
    fn each(command: &Command, path: &str, look: &mut impl FnMut(&str, &str)) {
        let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        look(path, &text);
        for next in command.get_subcommands().filter(|next| !next.is_hide_set()) {
            each(next, &format!("{path} {}", next.get_name()), look);
        }
    }

    #[test]
    fn every_command_has_an_example_and_says_what_it_ends_with() {
        each(&Cli::command(), "segment-pushwoosh", &mut |path, help| {
            assert!(help.contains("Example"), "{path}: no example");
            assert!(
                help.contains(&format!("{path} ")) || help.contains("| segment-pushwoosh"),
                "{path}: {help}"
            );
            assert!(help.contains("nds with 0"), "{path}: no exit codes");
        });
    }
}

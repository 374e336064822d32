//! What a trigger does that its author may not expect.

use super::lexer::tokens;
use super::names::{FUNCTIONS, field};
use super::parser::parse;
use super::token::Token;

/// What a trigger does that its author may not expect, in the order in which it is written.
pub fn lint(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let mut lints = Vec::new();
    if tokens.is_empty() {
        lints.push("it cannot be read: there is a character that the language does not have, or a text without an end".to_owned());
    }
    let mut levels = Levels(vec![None]);
    for position in 0..tokens.len() {
        let (before, rest) = tokens.split_at(position);
        lints.extend(levels.lint(before.last(), rest).map(str::to_owned));
        lints.extend(lint_token(rest));
    }
    if let Err(error) = parse(tokens) {
        lints.push(format!("{text:?} selects nothing: {error}"));
    }
    lints
}

/// Levels of parentheses, each with the conjunction that was last seen on it: whether it is `or`.
struct Levels(Vec<Option<bool>>);

impl Levels {
    fn lint(&mut self, before: Option<&Token>, rest: &[Token]) -> Option<&'static str> {
        match rest.first()? {
            Token::Conjunction { or } => {
                let seen = self.0.last_mut()?.replace(*or);
                seen.is_some_and(|seen| seen != *or).then_some(
                    "`and` and `or` on one level: the last one counts for all; use parentheses",
                )
            }
            Token::Open => {
                self.0.push(None);
                let nested = self.0.len() > 2;
                match before {
                    Some(Token::Name(name)) if nested && FUNCTIONS.contains(&name.as_str()) => {
                        Some("functions in parentheses end the group at their own parenthesis")
                    }
                    _ => nested.then_some("parentheses in parentheses cannot be read"),
                }
            }
            Token::Close => {
                // An unmatched closing parenthesis ends no level.
                if self.0.len() > 1 {
                    self.0.pop();
                }
                None
            }
            _ => None,
        }
    }
}

/// The first of these tokens, with those after it.
fn lint_token(tokens: &[Token]) -> Option<String> {
    let after = tokens.get(1);
    match tokens.first()? {
        Token::Text(value) if value.starts_with('\'') => Some(format!(
            "{value} is in single quotes, which become part of the text: single quotes never match"
        )),
        Token::Text(_) if matches!(after, Some(Token::Text(_) | Token::Name(_))) => {
            Some("what follows a text must be white space, `,`, `)` or `]`: without white space the rest is lost".to_owned())
        }
        Token::Operator("!") if after == Some(&Token::Open) => {
            Some("`!` before a parenthesis is ignored".to_owned())
        }
        Token::Name(name) if matches!(name.as_str(), "AND" | "OR" | "And" | "Or") => {
            Some(format!("{name} is ignored: write it in lower case"))
        }
        Token::Name(name)
            if matches!(after, Some(Token::Operator(operator)) if *operator != "!")
                && field(name).is_none() =>
        {
            Some(format!("{name} is no field that triggers know: the condition is dropped"))
        }
        Token::Name(name) if name == "match" => {
            // `match`, `(`, the field, `,`, the pattern.
            let pattern = tokens.get(4).map(Token::text).unwrap_or_default();
            (!pattern.contains('*')).then(|| "match() needs a `*` at the start or the end of its pattern: without one the first character is cut off".to_owned())
        }
        Token::Name(name)
            if after == Some(&Token::Open) && !FUNCTIONS.contains(&name.as_str()) =>
        {
            Some(format!("{name}() is no function that triggers know"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unexpected_behaviour_is_reported() {
        assert!(lint("type = \"track\" and event = \"A\"").is_empty());
        assert!(lint("(type = \"track\" or type = \"page\") and userId != null").is_empty());
        for (text, part) in [
            ("type = \"a\" or type = \"b\" and event = \"c\"", "the last one"),
            ("type = 'track'", "single quotes"),
            ("!(type = \"track\")", "`!` before a parenthesis"),
            ("type = \"track\" and anonymousId = \"x\"", "anonymousId"),
            ("type = \"track\"or type = \"page\"", "white space"),
            ("type = \"track\" AND event = \"x\"", "lower case"),
            (
                "(contains(event, \"x\") or type = \"b\") and name = \"c\"",
                "functions in parentheses",
            ),
            ("match(event, \"Order\")", "`*`"),
            ("type = $x", "cannot be read"),
        ] {
            let lints = lint(text);
            assert!(lints.iter().any(|lint| lint.contains(part)), "{text}: {lints:?}");
        }
    }
}

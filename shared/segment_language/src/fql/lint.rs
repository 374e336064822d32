//! What a trigger does that its author may not expect.

use super::lexer::tokens;
use super::names::{FUNCTIONS, field};
use super::parser::{in_words, parse};
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
        lints.push(format!("{text:?} selects nothing: {}", in_words(&error)));
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
    fn a_trigger_without_surprises_has_no_lints() {
        for text in [
            r#"type = "track" and event = "A""#,
            r#"(type = "track" or type = "page") and userId != null"#,
            r#"(type = "track" and name = "a") or (type = "page" and name = "b")"#,
            r#"contains(event, "x") and match(event, "Order*") and match(event, "*Order")"#,
            r#"!contains(event, "x") and properties.a > 5"#,
        ] {
            assert_eq!(lint(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn unexpected_behaviour_is_reported() {
        const NESTED: &str = "parentheses in parentheses cannot be read";
        const MIXED: &str =
            "`and` and `or` on one level: the last one counts for all; use parentheses";
        const IGNORED: &str = "`!` before a parenthesis is ignored";
        const FUNCTION: &str = "functions in parentheses end the group at their own parenthesis";
        const REST: &str = "what follows a text must be white space, `,`, `)` or `]`: without white space the rest is lost";
        const STAR: &str = "match() needs a `*` at the start or the end of its pattern: without one the first character is cut off";
        for (text, lints) in [
            (r#"type = "a" or type = "b" and event = "c""#, vec![MIXED]),
            (r#"(type = "a" or type = "b" and event = "c") or name = "d""#, vec![MIXED]),
            (r#"type = "a") and name = "b" or name = "c""#, vec![MIXED]),
            (
                "type = 'track'",
                vec![
                    "'track' is in single quotes, which become part of the text: single quotes never match",
                ],
            ),
            (r#"!(type = "track")"#, vec![IGNORED]),
            (
                r#"type = "track" and anonymousId = "x""#,
                vec!["anonymousId is no field that triggers know: the condition is dropped"],
            ),
            (r#"type = "track"or type = "page""#, vec![REST, REST]),
            (r#"type = "track""x""#, vec![REST, REST]),
            (
                r#"type = "track" AND event = "x""#,
                vec![REST, "AND is ignored: write it in lower case"],
            ),
            (
                r#"type = "track" Or event = "x""#,
                vec![REST, "Or is ignored: write it in lower case"],
            ),
            (r#"(contains(event, "x") or type = "b") and name = "c""#, vec![FUNCTION]),
            (r#"match(event, "Order")"#, vec![STAR]),
            (
                r#"type = "a" and starts(event, "x")"#,
                vec!["starts() is no function that triggers know"],
            ),
            (
                r#"((type = "a"))"#,
                vec![
                    NESTED,
                    "\"((type = \\\"a\\\"))\" selects nothing: it has no condition that Segment can read",
                ],
            ),
            (
                "type = ?",
                vec![
                    "it cannot be read: there is a character that the language does not have, or a text without an end",
                    "\"type = ?\" selects nothing: it has no condition that Segment can read",
                ],
            ),
        ] {
            assert_eq!(lint(text), lints, "{text}");
        }
    }
}

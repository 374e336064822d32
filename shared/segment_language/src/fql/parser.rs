//! Tokens become conditions. Segment's parser checks little: it takes the two tokens after a field
//! for operator and value, whatever they are, passes over what it does not know, and has one
//! conjunction per level, the last.

use std::collections::VecDeque;

use super::lexer::Token;
use super::{Condition, Expected, Field, Group, Operator};
use crate::path::Path;

/// What JavaScript says where there is nothing to select by.
const NOTHING: &str = "Cannot read properties of undefined (reading 'type')";

/// The functions of the language.
const FUNCTIONS: [&str; 2] = ["contains", "match"];

/// Levels of parentheses; Segment's parser goes wrong long before.
const MAX_DEPTH: usize = 50;

/// The conditions of a trigger.
pub(super) fn parse(tokens: Vec<Token>) -> Result<Group, String> {
    match group(tokens.into(), 0)? {
        Condition::Group(group) => Ok(group),
        Condition::Nothing => Err(NOTHING.to_owned()),
        leaf @ Condition::Leaf { .. } => Ok(Group { any: false, children: vec![leaf] }),
    }
}

/// What the tokens select by: nothing, one condition, or a group of several.
fn group(tokens: VecDeque<Token>, depth: usize) -> Result<Condition, String> {
    let (any, mut children) = level(tokens, depth)?;
    if children.len() > 1 {
        return Ok(Condition::Group(Group { any, children }));
    }
    Ok(children.pop().unwrap_or(Condition::Nothing))
}

fn level(mut tokens: VecDeque<Token>, depth: usize) -> Result<(bool, Vec<Condition>), String> {
    let (mut any, mut children, mut negated) = (false, Vec::new(), false);
    while let Some(token) = tokens.pop_front().filter(|token| *token != Token::End) {
        let not = std::mem::take(&mut negated);
        match token {
            Token::Name(name) if FUNCTIONS.contains(&name.as_str()) => {
                children.extend(function(&name, !not, &mut tokens)?);
            }
            Token::Name(name) => {
                if let Some(field) = field(&name) {
                    children.push(leaf(field, &mut tokens)?);
                }
            }
            Token::Conjunction { or } => any = or,
            Token::Operator("!") => negated = true,
            Token::Open => children.push(parentheses(&mut tokens, depth)?),
            _ => {}
        }
    }
    Ok((any, children))
}

/// What is in parentheses ends at the first closing one, whatever was opened in between.
fn parentheses(tokens: &mut VecDeque<Token>, depth: usize) -> Result<Condition, String> {
    let close = tokens.iter().position(|token| *token == Token::Close).ok_or(NOTHING)?;
    if depth == MAX_DEPTH {
        return Err("too many parentheses".to_owned());
    }
    let mut inner: VecDeque<Token> = tokens.drain(..=close).collect();
    inner.pop_back();
    inner.push_back(Token::End);
    group(inner, depth + 1)
}

/// The parts of an event that have parts themselves.
const PARTS: [&str; 3] = ["properties", "traits", "context"];

/// The field of a comparison: by the first part of its name.
fn field(name: &str) -> Option<Field> {
    let first = name.split('.').next().unwrap_or_default();
    let named = ["type", "event", "name", "userId"].into_iter().find(|field| *field == first);
    named
        .map(Field::Named)
        .or_else(|| Some(below(PARTS.into_iter().find(|part| *part == first)?, name)))
}

/// The field of a function: `type` is none, and a part's name need only be how it begins.
fn argument(name: &str) -> Option<Field> {
    let named = ["event", "name", "userId"].into_iter().find(|field| *field == name);
    named
        .map(Field::Named)
        .or_else(|| Some(below(PARTS.into_iter().find(|part| name.starts_with(part))?, name)))
}

fn below(part: &'static str, name: &str) -> Field {
    let path = name.strip_prefix(part).and_then(|rest| rest.strip_prefix('.')).unwrap_or(name);
    Field::Below(part, Path::parse(path))
}

fn leaf(field: Field, tokens: &mut VecDeque<Token>) -> Result<Condition, String> {
    let operator = tokens.pop_front().ok_or("Operator token is missing")?;
    let value = tokens.pop_front().ok_or("Value token is missing")?;
    let below = matches!(field, Field::Below(..));
    let existence = below || matches!(field, Field::Named("name" | "userId"));
    let truth = below || matches!(field, Field::Named("userId"));
    let (operator, text) = (operator.text(), value.text());
    let boolean = match (&value, text.as_str()) {
        (Token::Name(_), "true") => Some(true),
        (Token::Name(_), "false") => Some(false),
        _ => None,
    };
    let null = text == "null";
    let number = matches!(value, Token::Number(_));
    let operator = match operator.as_str() {
        "=" if null && existence => Operator::Exists(false),
        "!=" if null && existence => Operator::Exists(true),
        "=" if number && below => Operator::NumberEquals,
        "!=" if number && below => Operator::NumberNotEquals,
        "=" if truth && boolean.is_some() => Operator::Is(boolean == Some(true)),
        "=" => Operator::Equals,
        "!=" => Operator::NotEquals,
        "<" => Operator::Less,
        "<=" => Operator::LessOrEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterOrEqual,
        _ => Operator::Unknown,
    };
    let expected = match (value, boolean.filter(|_| below)) {
        (_, Some(value)) => Expected::Bool(value),
        (Token::Number(number), None) => Expected::Number(number),
        (_, None) => Expected::Text(unquoted(&text)),
    };
    Ok(Condition::Leaf { field, operator, expected })
}

/// Without double quotes around it; single ones stay.
fn unquoted(text: &str) -> String {
    let text = text.strip_prefix('"').unwrap_or(text);
    text.strip_suffix('"').unwrap_or(text).to_owned()
}

/// `contains(field, "value")` and `match(field, "pattern")`. A field that they do not take gives
/// nothing.
fn function(
    name: &str,
    wanted: bool,
    tokens: &mut VecDeque<Token>,
) -> Result<Option<Condition>, String> {
    tokens.pop_front();
    let missing = |which: &str| format!("{name}() is missing a {which} argument");
    let first = tokens.pop_front().ok_or_else(|| missing("1st"))?;
    tokens.pop_front();
    let value = tokens.pop_front().ok_or_else(|| missing("2nd"))?.text();
    tokens.pop_front();
    let text = unquoted(&value);
    let (operator, expected) = if name == "contains" {
        (Operator::Contains(wanted), text)
    } else if value.ends_with("*\"") {
        (Operator::StartsWith(wanted), without_last(&text))
    } else {
        // Segment expects a star in front, and cuts off whatever is there.
        (Operator::EndsWith(wanted), text.chars().skip(1).collect())
    };
    let field = argument(&first.text());
    Ok(field.map(|field| Condition::Leaf { field, operator, expected: Expected::Text(expected) }))
}

fn without_last(text: &str) -> String {
    let mut chars = text.chars();
    chars.next_back();
    chars.as_str().to_owned()
}

/// What will surprise.
pub(super) fn lint(text: &str, tokens: &[Token]) -> Vec<String> {
    let mut lints = Vec::new();
    let mut say = |lint: String| lints.push(lint);
    if tokens.is_empty() {
        say("it cannot be read: there is a character that the language does not have, or a text without an end".to_owned());
    }
    let (mut depth, mut conjunctions): (usize, Vec<Option<bool>>) = (0, vec![None]);
    let mut before: Option<&Token> = None;
    for (position, token) in tokens.iter().enumerate() {
        let after = tokens.get(position + 1);
        match token {
            Token::Conjunction { or } => {
                if let Some(seen) = conjunctions.last_mut()
                    && seen.replace(*or).is_some_and(|seen| seen != *or)
                {
                    say(
                        "`and` and `or` on one level: the last one counts for all; use parentheses"
                            .to_owned(),
                    );
                }
            }
            Token::Text(value) if value.starts_with('\'') => {
                say(format!(
                    "{value} is in single quotes, which become part of the text: single quotes never match"
                ));
            }
            Token::Text(_) if matches!(after, Some(Token::Text(_) | Token::Name(_))) => {
                say("what follows a text must be white space, `,`, `)` or `]`: without white space the rest is lost".to_owned());
            }
            Token::Open => {
                depth += 1;
                conjunctions.push(None);
                let function =
                    matches!(before, Some(Token::Name(name)) if FUNCTIONS.contains(&name.as_str()));
                if matches!(before, Some(Token::Operator("!"))) {
                    say("`!` before a parenthesis is ignored".to_owned());
                }
                if depth > 1 && function {
                    say("functions in parentheses end the group at their own parenthesis"
                        .to_owned());
                } else if depth > 1 {
                    say("parentheses in parentheses cannot be read".to_owned());
                }
            }
            Token::Close => {
                depth = depth.saturating_sub(1);
                conjunctions.pop();
            }
            Token::Name(name) if matches!(name.as_str(), "AND" | "OR" | "And" | "Or") => {
                say(format!("{name} is ignored: write it in lower case"));
            }
            Token::Name(name)
                if matches!(after, Some(Token::Operator(operator)) if *operator != "!")
                    && field(name).is_none() =>
            {
                say(format!("{name} is no field that triggers know: the condition is dropped"));
            }
            Token::Name(name) if name == "match" => {
                let pattern = tokens.get(position + 4).map(Token::text).unwrap_or_default();
                if !pattern.contains('*') {
                    say("match() needs a `*` at the start or the end of its pattern: without one the first character is cut off".to_owned());
                }
            }
            Token::Name(name)
                if after == Some(&Token::Open) && !FUNCTIONS.contains(&name.as_str()) =>
            {
                say(format!("{name}() is no function that triggers know"));
            }
            _ => {}
        }
        before = Some(token);
    }
    if let Err(error) = parse(tokens.to_vec()) {
        say(format!("{text:?} selects nothing: {error}"));
    }
    lints
}

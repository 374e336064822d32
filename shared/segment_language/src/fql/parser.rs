//! Tokens become conditions. Segment's parser checks little: it uses the two tokens after a field as
//! operator and value, whatever they are, ignores what it does not know, and keeps one conjunction
//! per level, the last.

use std::collections::VecDeque;

use super::condition::{Condition, EventField, Expected, Group, Operator};
use super::names::{FUNCTIONS, argument, field};
use super::token::Token;

/// JavaScript's error for a trigger without conditions.
const NOTHING: &str = "Cannot read properties of undefined (reading 'type')";

/// An error of [`parse`] for people: Segment's own words, where these say something.
pub(crate) fn in_words(error: &str) -> &str {
    if error == NOTHING { "it has no condition that Segment can read" } else { error }
}

/// The conditions of a trigger.
pub(super) fn parse(tokens: Vec<Token>) -> Result<Group, String> {
    match group(tokens.into())? {
        Condition::Group(group) => Ok(group),
        Condition::Nothing => Err(NOTHING.to_owned()),
        leaf @ Condition::Leaf { .. } => Ok(Group { any: false, children: vec![leaf] }),
    }
}

/// The condition that the tokens state: none, a single one, or a group.
fn group(tokens: VecDeque<Token>) -> Result<Condition, String> {
    let (any, children) = level(tokens)?;
    Ok(match <[Condition; 1]>::try_from(children) {
        Ok([only]) => only,
        Err(children) if children.is_empty() => Condition::Nothing,
        Err(children) => Condition::Group(Group { any, children }),
    })
}

fn level(mut tokens: VecDeque<Token>) -> Result<(bool, Vec<Condition>), String> {
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
            Token::Open => children.push(parentheses(&mut tokens)?),
            _ => {}
        }
    }
    Ok((any, children))
}

/// A group in parentheses ends at the first closing one, even if others were opened inside: these
/// fail, since they have no closing one. So there are never more than two levels.
fn parentheses(tokens: &mut VecDeque<Token>) -> Result<Condition, String> {
    let close = tokens.iter().position(|token| *token == Token::Close).ok_or(NOTHING)?;
    let mut inner: VecDeque<Token> = tokens.drain(..=close).collect();
    inner.pop_back();
    inner.push_back(Token::End);
    group(inner)
}

fn leaf(field: EventField, tokens: &mut VecDeque<Token>) -> Result<Condition, String> {
    let operator = tokens.pop_front().ok_or("Operator token is missing")?;
    let value = tokens.pop_front().ok_or("Value token is missing")?;
    let below = matches!(field, EventField::Below(..));
    let existence = below || matches!(field, EventField::Named("name" | "userId"));
    let truth = below || matches!(field, EventField::Named("userId"));
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

/// Without the double quotes around it; single quotes stay.
fn unquoted(text: &str) -> String {
    let text = text.strip_prefix('"').unwrap_or(text);
    text.strip_suffix('"').unwrap_or(text).to_owned()
}

/// `contains(field, "value")` and `match(field, "pattern")`. No condition if the field is unknown.
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
        // Segment expects `*` as the first character, and drops whatever the first character is.
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

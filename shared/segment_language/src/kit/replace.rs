//! `@replace`: literal patterns, JavaScript's replacement patterns.

use super::error::EvaluationError;
use super::node::Replacement;
use super::reads::Reads;
use super::state::State;
use super::syntax::MAX_PATTERN;
use crate::js::length;

/// Applies a replacement to a text.
pub(super) fn replace<R: Reads>(
    text: &str,
    replacement: &Replacement,
    state: &mut State<R>,
) -> Result<String, EvaluationError> {
    check_length("pattern", &replacement.pattern)?;
    check_length("replacement", &replacement.with)?;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, found, after)) = find(rest, replacement) {
        out.push_str(before);
        let start = text.len() - rest.len() + before.len();
        let before = text.get(..start).unwrap_or_default();
        expand(&replacement.with, before, found, after, &mut out);
        state.check(&out)?;
        rest = after;
        if !replacement.global {
            break;
        }
    }
    out.push_str(rest);
    state.check(&out)?;
    Ok(out)
}

/// Fails where the mapping was not validated (elements of arrays) and is too long.
fn check_length(name: &str, text: &str) -> Result<(), EvaluationError> {
    if length(text) > MAX_PATTERN {
        let message = format!("@replace requires a \"{name}\" less than 10 characters");
        return Err(EvaluationError::new(message));
    }
    Ok(())
}

/// The text before the first occurrence, the occurrence, and the text after it.
fn find<'t>(text: &'t str, replacement: &Replacement) -> Option<(&'t str, &'t str, &'t str)> {
    let pattern = replacement.pattern.as_str();
    if !replacement.ignore_case {
        let at = text.find(pattern)?;
        let (before, rest) = text.split_at_checked(at)?;
        let (found, after) = rest.split_at_checked(pattern.len())?;
        return Some((before, found, after));
    }
    text.char_indices().find_map(|(at, _)| {
        let (before, rest) = text.split_at_checked(at)?;
        let mut chars = rest.chars();
        let matches = pattern
            .chars()
            .all(|wanted| chars.next().is_some_and(|c| canonical(c) == canonical(wanted)));
        let after = chars.as_str();
        let found = rest.get(..rest.len() - after.len())?;
        matches.then_some((before, found, after))
    })
}

/// The form in which characters are compared if case is ignored: the upper case, if that is a single
/// character of the same plane, and not ASCII for a character that is not.
/// <https://tc39.es/ecma262/#sec-runtime-semantics-canonicalize-ch>
fn canonical(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) if u32::from(c) <= 0xFFFF && (c.is_ascii() || !one.is_ascii()) => one,
        _ => c,
    }
}

/// `$$`, `$&`, `` $` `` and `$'`; any other dollar stands for itself.
fn expand(replacement: &str, before: &str, found: &str, after: &str, out: &mut String) {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        let special = if c == '$' { chars.peek().copied() } else { None };
        match special {
            Some('$') => out.push('$'),
            Some('&') => out.push_str(found),
            Some('`') => out.push_str(before),
            Some('\'') => out.push_str(after),
            _ => {
                out.push(c);
                continue;
            }
        }
        chars.next();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_replaced_as_javascript_does() {
        let run = |text: &str, pattern: &str, with: &str, ignore_case: bool, global: bool| {
            let replacement = Replacement {
                pattern: pattern.to_owned(),
                with: with.to_owned(),
                ignore_case,
                global,
            };
            replace(text, &replacement, &mut State::<()>::default()).unwrap()
        };
        assert_eq!(run("banana", "a", "[$&]", false, true), "b[a]n[a]n[a]");
        assert_eq!(run("banana", "a", "$$$1", false, false), "b$$1nana");
        assert_eq!(run("abc", "b", "<$`|$'>", false, true), "a<a|c>c");
        assert_eq!(run("KkK", "k", "x", true, true), "xxx");
        assert_eq!(run("\u{212A}", "k", "x", true, true), "\u{212A}");
        // Case is ignored as without the flag `u`: not across ASCII, nor beyond the first plane.
        assert_eq!(run("ſ", "s", "x", true, true), "ſ");
        assert_eq!(run("s", "ſ", "x", true, true), "s");
        assert_eq!(run("\u{10428}", "\u{10400}", "x", true, true), "\u{10428}");
        assert_eq!(run("ß", "SS", "x", true, true), "ß");
        assert_eq!(run("éÉ", "É", "x", true, false), "xÉ");
        assert_eq!(run("$", "$", "a$", false, true), "a$");
        assert_eq!(run("Σσς", "σ", "x", true, true), "xxx");
        assert_eq!(run("😀a", "A", "x", true, true), "😀x");
    }
}

//! `@replace`: literal patterns, JavaScript's replacement patterns.

use super::Error;
use super::evaluate::Budget;
use super::trace::Reads;

/// How a pattern is searched.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flags {
    pub(super) ignore_case: bool,
    pub(super) global: bool,
}

/// Replaces a literal pattern.
pub(super) fn replace<R: Reads>(
    text: &str,
    pattern: &str,
    replacement: &str,
    flags: Flags,
    budget: &mut Budget<R>,
) -> Result<String, Error> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, found, after)) = find(rest, pattern, flags.ignore_case) {
        out.push_str(before);
        let start = text.len() - rest.len() + before.len();
        expand(replacement, text.get(..start).unwrap_or_default(), found, after, &mut out);
        budget.text(&out)?;
        rest = after;
        if !flags.global {
            break;
        }
    }
    out.push_str(rest);
    budget.text(&out)?;
    Ok(out)
}

/// The text before the first occurrence, the occurrence, and the text after it.
fn find<'t>(
    text: &'t str,
    pattern: &str,
    ignore_case: bool,
) -> Option<(&'t str, &'t str, &'t str)> {
    if !ignore_case {
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

/// What two characters have in common for a regular expression that ignores case: its upper case,
/// if that is one character of the same plane, and never ASCII for what is not.
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
    fn replacements_are_javascripts() {
        let run =
            |text: &str, pattern: &str, replacement: &str, ignore_case: bool, global: bool| {
                let flags = Flags { ignore_case, global };
                replace(text, pattern, replacement, flags, &mut Budget::<()>::default()).unwrap()
            };
        assert_eq!(run("banana", "a", "[$&]", false, true), "b[a]n[a]n[a]");
        assert_eq!(run("banana", "a", "$$$1", false, false), "b$$1nana");
        assert_eq!(run("abc", "b", "<$`|$'>", false, true), "a<a|c>c");
        assert_eq!(run("KkK", "k", "x", true, true), "xxx");
        assert_eq!(run("\u{212A}", "k", "x", true, true), "\u{212A}");
        assert_eq!(run("Σσς", "σ", "x", true, true), "xxx");
        assert_eq!(run("😀a", "A", "x", true, true), "😀x");
    }
}

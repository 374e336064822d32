//! `@template`: first `{{{key}}}` is replaced, then `{{key}}` in the result.

use serde_json::Value;

use super::error::EvaluationError;
use super::reads::Reads;
use super::state::State;
use crate::js;
use crate::path::Path;

/// Replaces the placeholders of a template.
pub(super) fn render<R: Reads>(
    template: &str,
    data: Option<&Value>,
    state: &mut State<R>,
) -> Result<String, EvaluationError> {
    let once = pass(template, "{{{", "}}}", data, state)?;
    pass(&once, "{{", "}}", data, state)
}

fn pass<R: Reads>(
    template: &str,
    open: &str,
    close: &str,
    data: Option<&Value>,
    state: &mut State<R>,
) -> Result<String, EvaluationError> {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, key, after)) = placeholder(rest, open, close) {
        out.push_str(before);
        let value = state.look_up(&Path::parse(key.trim()), data).json();
        if let Some(value) = value.filter(|value| !value.is_null()) {
            out.push_str(&js::text(&value));
        }
        state.check(&out)?;
        rest = after;
    }
    out.push_str(rest);
    state.check(&out)?;
    Ok(out)
}

/// The text before the first placeholder, its key, and the text after it. A key has at least one
/// character, and no closing brace.
fn placeholder<'t>(text: &'t str, open: &str, close: &str) -> Option<(&'t str, &'t str, &'t str)> {
    let mut searched = 0;
    loop {
        let opening = searched + text.get(searched..)?.find(open)?;
        let (before, rest) = text.split_at_checked(opening)?;
        let rest = rest.strip_prefix(open)?;
        let (key, end) = rest.split_at_checked(rest.find('}')?)?;
        match end.strip_prefix(close) {
            Some(after) if !key.is_empty() => return Some((before, key, after)),
            // The openings between here and the brace have the same brace, so they fail too. Skipping
            // them keeps the time linear.
            _ => searched = text.len() - end.len() + 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn braces_are_read_as_segment_reads_them() {
        let data = json!({"foo": "hello", "b": "{{foo}}", "n": 1e21, "list": [1, null, [2, 3]], "o": {}, "d": "$&"});
        for (template, expected) in [
            ("{{foo}} {{ foo }}", "hello hello"),
            ("{{foo}}}", "hello}"),
            ("{{{foo}}", ""),
            ("{{}} {{ }}", "{{}} [object Object]"),
            ("{{b}}", "{{foo}}"),
            ("{{{b}}}", "hello"),
            ("{{n}} {{list}} {{o}} {{d}} {{none}}", "1e+21 1,,2,3 [object Object] $& "),
            ("{{$.foo}}", ""),
            ("{{{{{{{", "{{{{{{{"),
            ("{{foo} {{foo}}", "{{foo} hello"),
            ("{{}{{foo}}", "{{}hello"),
            ("{{{foo} {{n}}", "{{{foo} 1e+21"),
            ("é{{foo}}é{{foo}}", "éhelloéhello"),
            ("{{é", "{{é"),
            ("{{foo}}{", "hello{"),
            ("", ""),
        ] {
            assert_eq!(
                render(template, Some(&data), &mut State::<()>::default()).unwrap(),
                expected,
                "{template}"
            );
        }
    }

    #[test]
    fn a_text_that_grows_without_bound_is_refused() {
        let data = json!({"a": "x".repeat(1_000_000)});
        assert!(render(&"{{a}}".repeat(100), Some(&data), &mut State::<()>::default()).is_err());
    }
}

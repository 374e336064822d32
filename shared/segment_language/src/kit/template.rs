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
    let once = pass(template, 3, data, state)?;
    pass(&once, 2, data, state)
}

/// Replaces placeholders of this many braces, with at least one character between that is not `}`.
fn pass<R: Reads>(
    template: &str,
    braces: usize,
    data: Option<&Value>,
    state: &mut State<R>,
) -> Result<String, EvaluationError> {
    let bytes = template.as_bytes();
    let run = |from: usize, brace: u8| {
        bytes.iter().skip(from).take(braces).filter(|byte| **byte == brace).count() == braces
    };
    let mut out = String::with_capacity(template.len());
    let (mut copied, mut at, mut close) = (0, 0, 0);
    while at + 2 * braces < bytes.len() {
        if !run(at, b'{') {
            at += 1;
            continue;
        }
        let start = at + braces;
        if close < start {
            // Searched once for all the openings before it: the time stays linear for a text of braces.
            close = match bytes.iter().skip(start).position(|byte| *byte == b'}') {
                Some(distance) => start + distance,
                None => break,
            };
        }
        if close == start || !run(close, b'}') {
            at += 1;
            continue;
        }
        let (Some(before), Some(key)) = (template.get(copied..at), template.get(start..close))
        else {
            break;
        };
        out.push_str(before);
        let value = state.look_up(&Path::parse(key.trim()), data).json();
        if let Some(value) = value.filter(|value| !value.is_null()) {
            out.push_str(&js::text(&value));
        }
        at = close + braces;
        copied = at;
        state.check(&out)?;
    }
    out.push_str(template.get(copied..).unwrap_or_default());
    state.check(&out)?;
    Ok(out)
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

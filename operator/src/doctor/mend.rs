//! The calls of Pushwoosh's API that make a tag or an event, as lines for a shell. The Server token comes from a variable,
//! so that a line can be shown to anybody.
//! <https://docs.pushwoosh.com/developer/api-reference/tags>, <https://docs.pushwoosh.com/developer/api-reference/events>

use serde_json::{Value, json};

use super::tags::TagType;

/// What stands for the token until the shell puts the variable in.
const TOKEN: &str = "PUSHWOOSH_SERVER_TOKEN";

/// Makes calls for an application.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mender<'a> {
    pub(super) base_url: &'a str,
    pub(super) code: &'a str,
}

impl Mender<'_> {
    /// Makes a tag. Tags that are set by the user's id are the user's, whatever device they have.
    pub(super) fn add_tag(&self, name: &str, kind: TagType, user_specific: bool) -> String {
        let tag = json!({"name": name, "type": kind.number(), "user_specific": user_specific});
        self.call("addTag", &json!({"request": {"auth": TOKEN, "tag": tag}}))
    }

    /// Makes an event with these attributes.
    pub(super) fn create_event(&self, name: &str, attributes: &[(String, TagType)]) -> String {
        let attributes: Vec<Value> = attributes
            .iter()
            .filter_map(|(name, kind)| {
                Some(json!({"name": name, "type": kind.attribute_number()?}))
            })
            .collect();
        let request = json!({"auth": TOKEN, "application": self.code, "name": name, "eventAttributes": attributes});
        self.call("createEvent", &json!({ "request": request }))
    }

    fn call(&self, method: &str, body: &Value) -> String {
        // A quote ends the shell's text, stands by itself, and begins it again.
        let body = body.to_string().replace('\'', "'\\''");
        let body = body.replacen(&format!("\"{TOKEN}\""), &format!("\"'\"${TOKEN}\"'\""), 1);
        format!(
            "curl {}/json/1.3/{method} -H 'content-type: application/json' -d '{body}'",
            self.base_url
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_gets_the_names_as_they_are_and_the_token_from_its_variable() {
        let mender = Mender { base_url: "https://api.example.com", code: "A" };
        assert_eq!(
            mender.add_tag("it's \"new\" $HOME", TagType::List, true),
            r#"curl https://api.example.com/json/1.3/addTag -H 'content-type: application/json' -d '{"request":{"auth":"'"$PUSHWOOSH_SERVER_TOKEN"'","tag":{"name":"it'\''s \"new\" $HOME","type":3,"user_specific":true}}}'"#
        );
        let event = mender.create_event(
            "E",
            &[("a".to_owned(), TagType::Integer), ("v".to_owned(), TagType::Version)],
        );
        assert!(event.contains(r#""eventAttributes":[{"name":"a","type":1}]"#), "{event}");
    }
}

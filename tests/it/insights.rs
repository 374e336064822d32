//! The filters of CloudWatch Logs Insights, as far as the saved queries use them: `=`, `!=`, `in`, `like /text/`, `and`, `or`,
//! brackets. <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Filter.html>

use serde_json::Value;

/// Whether a query finds a line: all its filters hold.
pub(crate) fn finds(query: &str, line: &Value) -> bool {
    let code: Vec<&str> =
        query.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
    let code = code.join(" ");
    let stages = code.split(" | ").map(str::trim);
    stages.filter_map(|stage| stage.strip_prefix("filter ")).all(|filter| {
        let mut reader = Reader { tokens: tokens(filter), at: 0 };
        let holds = reader.any(line);
        assert_eq!(reader.at, reader.tokens.len(), "{filter} is not read to its end");
        holds
    })
}

/// A field of a line. Fields of fields are named with dots; some of the functions' own names have dots too.
pub(crate) fn field<'a>(line: &'a Value, name: &str) -> Option<&'a Value> {
    line.get(name).or_else(|| line.pointer(&format!("/{}", name.replace('.', "/"))))
}

/// Names, operators, brackets, `"texts"` and `/patterns/`, with what marks them at their front.
fn tokens(filter: &str) -> Vec<String> {
    let (mut tokens, mut rest) = (Vec::new(), filter.trim_start());
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' | '/' => rest.strip_prefix(first).unwrap().find(first).unwrap() + 1,
            '(' | ')' | '[' | ']' | ',' => 1,
            _ => rest.find(|c: char| " ()[],".contains(c)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        tokens.push(token.to_owned());
        // What closes a text or a pattern.
        let after = if "\"/".contains(first) { after.get(1..).unwrap() } else { after };
        rest = after.trim_start();
    }
    tokens
}

struct Reader {
    tokens: Vec<String>,
    at: usize,
}

impl Reader {
    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(found);
        found
    }

    fn next(&mut self) -> String {
        self.at += 1;
        self.tokens[self.at - 1].clone()
    }

    fn text(&mut self) -> String {
        self.next().trim_start_matches(['"', '/']).to_owned()
    }

    fn any(&mut self, line: &Value) -> bool {
        let mut holds = self.all(line);
        while self.take("or") {
            holds |= self.all(line);
        }
        holds
    }

    fn all(&mut self, line: &Value) -> bool {
        let mut holds = self.one(line);
        while self.take("and") {
            holds &= self.one(line);
        }
        holds
    }

    fn one(&mut self, line: &Value) -> bool {
        if self.take("(") {
            let holds = self.any(line);
            assert!(self.take(")"), "a bracket is open");
            return holds;
        }
        let name = self.next();
        let found = field(line, &name).and_then(Value::as_str).map(str::to_owned);
        match self.next().as_str() {
            "=" => found == Some(self.text()),
            "!=" => found != Some(self.text()),
            "like" => {
                let text = self.text();
                found.is_some_and(|found| found.contains(&text))
            }
            "in" => {
                assert!(self.take("["), "a list is expected");
                let mut holds = false;
                while !self.take("]") {
                    holds |= found == Some(self.text());
                    self.take(",");
                }
                holds
            }
            other => panic!("{other} is not known here"),
        }
    }
}

#[test]
fn filters_are_read_as_they_are_meant() {
    let line = serde_json::json!(
        {"message": "item", "outcome": "parked", "level": "WARN", "record": {"status": "error"}}
    );
    for (query, found) in [
        ("filter message = \"item\"", true),
        ("filter message != \"item\"", false),
        ("filter record.status = \"error\"", true),
        ("filter level in [\"WARN\", \"INFO\"]", true),
        ("filter outcome = \"failed\" or message = \"item\" and level = \"WARN\"", true),
        ("filter (outcome = \"failed\" or message = \"item\") and level = \"INFO\"", false),
        ("filter level in [\"INFO\", \"WARN\"] | sort @timestamp", true),
        (
            "# filter nothing\nfields level\n| filter message like /te/\n| filter level = \"INFO\"",
            false,
        ),
    ] {
        assert_eq!(finds(query, &line), found, "{query}");
    }
}

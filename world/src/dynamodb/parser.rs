//! Expressions, read.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::path::{Path, Step};
use super::value::validation;
use crate::aws::ServiceError;

/// Names that an expression cannot use as they are: those of DynamoDB's 573 that an attribute here could
/// have.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>
const RESERVED: &[&str] = &[
    "add",
    "all",
    "and",
    "any",
    "between",
    "binary",
    "by",
    "comment",
    "connection",
    "count",
    "counter",
    "data",
    "date",
    "datetime",
    "day",
    "delete",
    "exists",
    "group",
    "hash",
    "hour",
    "in",
    "index",
    "item",
    "items",
    "key",
    "keys",
    "language",
    "level",
    "list",
    "location",
    "map",
    "method",
    "minute",
    "mode",
    "month",
    "name",
    "names",
    "not",
    "number",
    "or",
    "order",
    "owner",
    "partition",
    "path",
    "position",
    "range",
    "region",
    "remove",
    "role",
    "second",
    "session",
    "set",
    "size",
    "source",
    "start",
    "state",
    "status",
    "stream",
    "string",
    "system",
    "text",
    "time",
    "timestamp",
    "timezone",
    "token",
    "total",
    "ttl",
    "type",
    "update",
    "url",
    "user",
    "users",
    "uuid",
    "value",
    "values",
    "year",
    "zone",
];

/// `ExpressionAttributeNames` and `ExpressionAttributeValues`, and which of them were used.
pub(super) struct Placeholders<'a> {
    names: Option<&'a Map<String, Value>>,
    values: Option<&'a Map<String, Value>>,
    used: HashSet<String>,
}

impl<'a> Placeholders<'a> {
    pub(super) fn new(input: &'a Value) -> Self {
        let map = |name: &str| input.get(name).and_then(Value::as_object);
        Self {
            names: map("ExpressionAttributeNames"),
            values: map("ExpressionAttributeValues"),
            used: HashSet::new(),
        }
    }

    /// Every placeholder must be used.
    pub(super) fn check_used(&self) -> Result<(), ServiceError> {
        let given = self.names.into_iter().chain(self.values).flat_map(|map| map.keys());
        for name in given {
            if !self.used.contains(name) {
                return Err(validation(format!("{name} is provided and unused in expressions")));
            }
        }
        Ok(())
    }

    fn name(&mut self, placeholder: &str) -> Result<String, ServiceError> {
        self.used.insert(placeholder.to_owned());
        let name = self.names.and_then(|names| names.get(placeholder)?.as_str());
        name.map(str::to_owned).ok_or_else(|| undefined("name", placeholder))
    }

    fn value(&mut self, placeholder: &str) -> Result<Value, ServiceError> {
        self.used.insert(placeholder.to_owned());
        let value = self.values.and_then(|values| values.get(placeholder));
        value.cloned().ok_or_else(|| undefined("value", placeholder))
    }
}

fn undefined(what: &str, placeholder: &str) -> ServiceError {
    validation(format!(
        "An expression attribute {what} used in expression is not defined; {placeholder}"
    ))
}

/// Something with a value.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    Path(Path),
    Value(Value),
    Size(Path),
    IfNotExists(Path, Box<Self>),
    ListAppend(Box<Self>, Box<Self>),
}

/// A condition.
#[derive(Debug, Clone)]
pub(super) enum Condition {
    Or(Box<Self>, Box<Self>),
    And(Box<Self>, Box<Self>),
    Not(Box<Self>),
    Compare(Operand, String, Operand),
    Between(Operand, Operand, Operand),
    In(Operand, Vec<Operand>),
    Exists(Path),
    /// `begins_with`, `contains` or `attribute_type`.
    Function(String, Path, Operand),
}

/// A change of an item.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Set(Path, Operand),
    /// The sum of two operands, or their difference.
    SetSum(Path, Operand, Operand, bool),
    Remove(Path),
    Add(Path, Value),
    Delete(Path, Value),
}

impl Action {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Set(path, _)
            | Self::SetSum(path, ..)
            | Self::Remove(path)
            | Self::Add(path, _)
            | Self::Delete(path, _) => path,
        }
    }
}

/// Reads a condition.
pub(super) fn condition(
    text: &str,
    placeholders: &mut Placeholders<'_>,
) -> Result<Condition, ServiceError> {
    let mut parser = Parser::new(text, placeholders)?;
    let condition = parser.or()?;
    parser.end()?;
    Ok(condition)
}

/// Reads an update.
pub(super) fn update(
    text: &str,
    placeholders: &mut Placeholders<'_>,
) -> Result<Vec<Action>, ServiceError> {
    let mut parser = Parser::new(text, placeholders)?;
    let mut actions = Vec::new();
    let mut clauses = HashSet::new();
    while let Some(clause) = parser.next() {
        let clause = clause.to_ascii_uppercase();
        if !clauses.insert(clause.clone()) {
            return Err(syntax(&clause));
        }
        loop {
            actions.push(parser.action(&clause)?);
            if !parser.take(",") {
                break;
            }
        }
    }
    if actions.is_empty() { Err(syntax("<EOF>")) } else { Ok(actions) }
}

fn syntax(token: &str) -> ServiceError {
    validation(format!("Invalid expression: Syntax error; token: \"{token}\""))
}

struct Parser<'a, 'b> {
    tokens: Vec<String>,
    position: usize,
    placeholders: &'a mut Placeholders<'b>,
}

impl<'a, 'b> Parser<'a, 'b> {
    fn new(text: &str, placeholders: &'a mut Placeholders<'b>) -> Result<Self, ServiceError> {
        Ok(Self { tokens: tokens(text)?, position: 0, placeholders })
    }

    fn peek(&self) -> &str {
        self.tokens.get(self.position).map_or("", String::as_str)
    }

    fn next(&mut self) -> Option<String> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    /// Takes this token, in any case, if it is next.
    fn take(&mut self, token: &str) -> bool {
        let found = self.peek().eq_ignore_ascii_case(token);
        self.position += usize::from(found);
        found
    }

    fn expect(&mut self, token: &str) -> Result<(), ServiceError> {
        if self.take(token) { Ok(()) } else { Err(syntax(self.peek())) }
    }

    fn end(&self) -> Result<(), ServiceError> {
        if self.position == self.tokens.len() { Ok(()) } else { Err(syntax(self.peek())) }
    }

    fn or(&mut self) -> Result<Condition, ServiceError> {
        let mut left = self.and()?;
        while self.take("OR") {
            left = Condition::Or(Box::new(left), Box::new(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Condition, ServiceError> {
        let mut left = self.not()?;
        while self.take("AND") {
            left = Condition::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Condition, ServiceError> {
        if self.take("NOT") {
            return Ok(Condition::Not(Box::new(self.not()?)));
        }
        if self.take("(") {
            let inner = self.or()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let function = self.peek().to_owned();
        if self.calls(&function) && function != "size" {
            self.position += 2;
            let path = self.path()?;
            let condition = match function.as_str() {
                "attribute_exists" => Condition::Exists(path),
                "attribute_not_exists" => Condition::Not(Box::new(Condition::Exists(path))),
                "begins_with" | "contains" | "attribute_type" => {
                    self.expect(",")?;
                    Condition::Function(function, path, self.operand()?)
                }
                _ => {
                    return Err(validation(format!("Invalid function name; function: {function}")));
                }
            };
            self.expect(")")?;
            return Ok(condition);
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Result<Condition, ServiceError> {
        let left = self.operand()?;
        if self.take("BETWEEN") {
            let low = self.operand()?;
            self.expect("AND")?;
            return Ok(Condition::Between(left, low, self.operand()?));
        }
        if self.take("IN") {
            self.expect("(")?;
            let mut list = vec![self.operand()?];
            while self.take(",") {
                list.push(self.operand()?);
            }
            self.expect(")")?;
            return Ok(Condition::In(left, list));
        }
        let sign = self.next().unwrap_or_default();
        if !matches!(sign.as_str(), "=" | "<>" | "<" | "<=" | ">" | ">=") {
            return Err(syntax(&sign));
        }
        Ok(Condition::Compare(left, sign, self.operand()?))
    }

    fn action(&mut self, clause: &str) -> Result<Action, ServiceError> {
        let path = self.path()?;
        match clause {
            "REMOVE" => Ok(Action::Remove(path)),
            "ADD" | "DELETE" => {
                let Operand::Value(value) = self.operand()? else {
                    return Err(syntax(self.peek()));
                };
                Ok(if clause == "ADD" {
                    Action::Add(path, value)
                } else {
                    Action::Delete(path, value)
                })
            }
            "SET" => {
                self.expect("=")?;
                let left = self.operand()?;
                if self.take("+") {
                    return Ok(Action::SetSum(path, left, self.operand()?, false));
                }
                if self.take("-") {
                    return Ok(Action::SetSum(path, left, self.operand()?, true));
                }
                Ok(Action::Set(path, left))
            }
            _ => Err(syntax(clause)),
        }
    }

    fn calls(&self, function: &str) -> bool {
        let opens = self.tokens.get(self.position + 1).is_some_and(|token| token == "(");
        opens && function.starts_with(|letter: char| letter.is_ascii_alphabetic())
    }

    fn operand(&mut self) -> Result<Operand, ServiceError> {
        let token = self.peek().to_owned();
        if token.starts_with(':') {
            self.position += 1;
            return self.placeholders.value(&token).map(Operand::Value);
        }
        if !self.calls(&token) {
            return self.path().map(Operand::Path);
        }
        self.position += 2;
        let operand = match token.as_str() {
            "size" => Operand::Size(self.path()?),
            "if_not_exists" => {
                let path = self.path()?;
                self.expect(",")?;
                Operand::IfNotExists(path, Box::new(self.operand()?))
            }
            "list_append" => {
                let left = self.operand()?;
                self.expect(",")?;
                Operand::ListAppend(Box::new(left), Box::new(self.operand()?))
            }
            _ => return Err(validation(format!("Invalid function name; function: {token}"))),
        };
        self.expect(")")?;
        Ok(operand)
    }

    fn path(&mut self) -> Result<Path, ServiceError> {
        let mut path = vec![self.name()?];
        loop {
            if self.take(".") {
                path.push(self.name()?);
            } else if self.take("[") {
                let index = self.next().unwrap_or_default();
                path.push(Step::Index(index.parse().map_err(|_| syntax(&index))?));
                self.expect("]")?;
            } else {
                return Ok(path);
            }
        }
    }

    fn name(&mut self) -> Result<Step, ServiceError> {
        let token = self.next().unwrap_or_default();
        if token.starts_with('#') {
            return self.placeholders.name(&token).map(Step::Name);
        }
        if !token.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            return Err(syntax(&token));
        }
        if RESERVED.contains(&token.to_ascii_lowercase().as_str()) {
            return Err(validation(format!(
                "Attribute name is a reserved keyword; reserved keyword: {token}"
            )));
        }
        Ok(Step::Name(token))
    }
}

fn tokens(text: &str) -> Result<Vec<String>, ServiceError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let length = if word(first) || matches!(first, '#' | ':') {
            let end = rest.char_indices().skip(1).find(|(_, letter)| !word(*letter));
            end.map_or(rest.len(), |(end, _)| end)
        } else if ["<=", ">=", "<>"].iter().any(|operator| rest.starts_with(operator)) {
            2
        } else if "=<>(),.[]+-".contains(first) {
            1
        } else {
            return Err(syntax(&first.to_string()));
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        tokens.push(token.to_owned());
        rest = after.trim_start();
    }
    Ok(tokens)
}

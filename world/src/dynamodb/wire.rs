//! DynamoDB in AWS's JSON protocol: `GetItem`, `BatchGetItem`, `PutItem`, `UpdateItem`, `DeleteItem`.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Operations_Amazon_DynamoDB.html>

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::expression::{holds, updated};
use super::parser::{self, Action, Placeholders};
use super::path;
use super::value::{MAX_ITEM, check, size_of_item, validation};
use super::{DynamoDb, Item, Table, key_text, seen_at};
use crate::aws::{Service, ServiceError, list, text};
use crate::faults::Fault;

/// Keys of a `BatchGetItem`.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const MAX_KEYS: usize = 100;

impl Service for DynamoDb {
    fn call(
        &mut self,
        operation: &str,
        input: &Value,
        fault: Option<&Fault>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Value, ServiceError> {
        match operation {
            "GetItem" => {
                let table = self.table(text(input, "TableName"))?;
                let key = table.key(input.get("Key"))?;
                let at = seen_at(self.late_reads, consistent(input), now, rng);
                Ok(table
                    .read(&key, at, now)
                    .map_or_else(|| json!({}), |item| json!({"Item": item})))
            }
            "BatchGetItem" => self.batch_get(input, fault, now, rng),
            "PutItem" => {
                let new = object(input, "Item")?;
                new.values().try_for_each(check)?;
                self.write(input, input.get("Item"), now, |_| Ok(Some(new.clone())))
            }
            "DeleteItem" => self.write(input, input.get("Key"), now, |_| Ok(None)),
            "UpdateItem" => self.update(input, now),
            _ => Err(ServiceError::unknown_operation()),
        }
    }
}

fn consistent(input: &Value) -> bool {
    input.get("ConsistentRead").and_then(Value::as_bool).unwrap_or_default()
}

fn object<'a>(input: &'a Value, name: &str) -> Result<&'a Item, ServiceError> {
    let object = input.get(name).and_then(Value::as_object);
    object.ok_or_else(|| validation(format!("{name} is missing")))
}

fn missing(table: &str) -> ServiceError {
    ServiceError::new("ResourceNotFoundException", format!("Requested resource not found: {table}"))
}

impl Table {
    /// The key of an item or of a request.
    fn key(&self, attributes: Option<&Value>) -> Result<Vec<String>, ServiceError> {
        let names = [Some(&self.options.partition_key), self.options.sort_key.as_ref()];
        let key = names.into_iter().flatten().map(|name| {
            key_text(attributes.and_then(|attributes| attributes.get(name))).ok_or_else(|| {
                validation(format!("The key attribute {name} is missing, empty or not a string"))
            })
        });
        key.collect()
    }

    fn is_key(&self, attribute: &str) -> bool {
        attribute == self.options.partition_key
            || self.options.sort_key.as_deref() == Some(attribute)
    }
}

impl DynamoDb {
    fn table(&self, name: &str) -> Result<&Table, ServiceError> {
        self.tables.get(name).ok_or_else(|| missing(name))
    }

    /// Replaces an item by what `change` makes of it, if the condition holds.
    fn write(
        &mut self,
        input: &Value,
        key: Option<&Value>,
        now: Timestamp,
        change: impl FnOnce(&Item) -> Result<Option<Item>, ServiceError>,
    ) -> Result<Value, ServiceError> {
        let mut placeholders = Placeholders::new(input);
        self.write_with(input, key, now, &mut placeholders, change)
    }

    fn write_with(
        &mut self,
        input: &Value,
        key: Option<&Value>,
        now: Timestamp,
        placeholders: &mut Placeholders<'_>,
        change: impl FnOnce(&Item) -> Result<Option<Item>, ServiceError>,
    ) -> Result<Value, ServiceError> {
        let window = self.late_reads.window;
        let name = text(input, "TableName");
        let table = self.tables.get_mut(name).ok_or_else(|| missing(name))?;
        let key = table.key(key)?;
        let old = table.newest(&key, now).cloned();
        let condition = match text(input, "ConditionExpression") {
            "" => None,
            condition => Some(parser::condition(condition, placeholders)?),
        };
        placeholders.check_used()?;
        let before = old.clone().unwrap_or_default();
        if condition.is_some_and(|condition| !holds(&condition, &before)) {
            let mut error = ServiceError::new(
                "ConditionalCheckFailedException",
                "The conditional request failed",
            );
            let wanted = text(input, "ReturnValuesOnConditionCheckFailure") == "ALL_OLD";
            if let Some(old) = old.filter(|_| wanted) {
                error.details.insert("Item".to_owned(), old.into());
            }
            return Err(error);
        }
        let new = change(&before)?;
        if new.as_ref().is_some_and(|new| size_of_item(new) > MAX_ITEM) {
            return Err(validation("Item size has exceeded the maximum allowed size"));
        }
        table.write(&key, new.clone(), window, now);
        let returned = match text(input, "ReturnValues") {
            "ALL_OLD" => old,
            "ALL_NEW" => new,
            "UPDATED_OLD" => old.map(|old| changed(old, new.as_ref())),
            "UPDATED_NEW" => new.map(|new| changed(new, old.as_ref())),
            _ => None,
        };
        Ok(returned.map_or_else(|| json!({}), |attributes| json!({ "Attributes": attributes })))
    }

    fn update(&mut self, input: &Value, now: Timestamp) -> Result<Value, ServiceError> {
        let key = object(input, "Key")?;
        let mut placeholders = Placeholders::new(input);
        let actions = match text(input, "UpdateExpression") {
            "" => Vec::new(),
            update => parser::update(update, &mut placeholders)?,
        };
        let table = self.table(text(input, "TableName"))?;
        if let Some(attribute) = actions
            .iter()
            .map(|action| path::attribute(action.path()))
            .find(|name| table.is_key(name))
        {
            return Err(validation(format!(
                "Cannot update attribute {attribute}. This attribute is part of the key"
            )));
        }
        self.write_with(input, input.get("Key"), now, &mut placeholders, |before| {
            // An update creates the item that it does not find.
            let mut before = before.clone();
            before.extend(key.iter().map(|(name, value)| (name.clone(), value.clone())));
            let new = updated(&before, &actions)?;
            let values =
                actions.iter().filter_map(|action: &Action| path::get(&new, action.path()));
            values.into_iter().try_for_each(check)?;
            Ok(Some(new))
        })
    }

    /// Reads many items. The fault leaves some keys unprocessed.
    fn batch_get(
        &mut self,
        input: &Value,
        fault: Option<&Fault>,
        now: Timestamp,
        rng: &mut Rng,
    ) -> Result<Value, ServiceError> {
        let requests = object(input, "RequestItems")?;
        if requests.values().map(|request| list(request, "Keys").len()).sum::<usize>() > MAX_KEYS {
            return Err(validation("Too many items requested for the BatchGetItem call"));
        }
        let mut unprocessed = Map::new();
        let mut responses = Map::new();
        let mut failing = fault.and_then(|fault| fault.failed_entries).unwrap_or_default();
        for (name, request) in requests {
            let table = self.table(name)?;
            let keys = list(request, "Keys");
            let number = failing.min(keys.len());
            failing -= number;
            let failed = rng.choose_multiple(0..keys.len(), number);
            let (mut items, mut left) = (Vec::new(), Vec::new());
            for (index, key) in keys.iter().enumerate() {
                if failed.contains(&index) {
                    left.push(key.clone());
                    continue;
                }
                let at = seen_at(self.late_reads, consistent(request), now, rng);
                items.extend(table.read(&table.key(Some(key))?, at, now).map(|item| json!(item)));
            }
            responses.insert(name.clone(), items.into());
            if !left.is_empty() {
                let mut request = request.clone();
                if let Value::Object(request) = &mut request {
                    request.insert("Keys".to_owned(), left.into());
                }
                unprocessed.insert(name.clone(), request);
            }
        }
        Ok(json!({"Responses": responses, "UnprocessedKeys": unprocessed}))
    }
}

/// The attributes that differ.
fn changed(item: Item, other: Option<&Item>) -> Item {
    item.into_iter()
        .filter(|(name, value)| other.is_none_or(|other| other.get(name) != Some(value)))
        .collect()
}

//! How the ledger calls DynamoDB: conditions, times, and the pause after a failure.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use jiff::Timestamp;

use super::{Ledger, Unavailable};
use crate::aws::{NO_ANSWER, trouble};
use crate::clock::{Instant, after};

/// The table's key.
const KEY: &str = "pk";

/// When DynamoDB may delete the item, in seconds since 1970: the table's TTL attribute. Deletion comes up to
/// days later, so readers look at times themselves.
const EXPIRES: &str = "expires_at";

/// After a failure DynamoDB is not called for this long, so that a hanging one delays few.
const PAUSE: Duration = Duration::from_secs(3);

/// Longest wait for one operation with its second attempt.
const LONGEST: Duration = Duration::from_secs(2);

/// An item.
pub(super) type Row = HashMap<String, AttributeValue>;

/// A change of one item, and the condition under which it is made.
#[derive(Debug, Default)]
pub(super) struct Change {
    sets: Vec<(String, AttributeValue)>,
    removes: Vec<String>,
    condition: String,
    values: HashMap<String, AttributeValue>,
}

impl Change {
    /// Sets an attribute.
    pub(super) fn set(mut self, name: impl Into<String>, value: AttributeValue) -> Self {
        self.sets.push((name.into(), value));
        self
    }

    /// Sets an attribute to this moment, if it has no later one. All moments that one change raises are the same.
    pub(super) fn raise(self, name: &str, at: Timestamp) -> Self {
        let older = format!("attribute_not_exists(#{name}) OR #{name} < :new");
        self.set(name, moment(at)).value(":new", moment(at)).only_if(&older)
    }

    /// Removes an attribute.
    pub(super) fn remove(mut self, name: impl Into<String>) -> Self {
        self.removes.push(name.into());
        self
    }

    /// Names a value of the condition.
    pub(super) fn value(mut self, name: &str, value: AttributeValue) -> Self {
        self.values.insert(name.to_owned(), value);
        self
    }

    /// Makes the change only where this holds as well. Attributes are written as `#name`.
    pub(super) fn only_if(mut self, condition: &str) -> Self {
        if !self.condition.is_empty() {
            self.condition.push_str(" AND ");
        }
        self.condition.extend(["(", condition, ")"]);
        self
    }
}

/// A moment as the ledger keeps it: microseconds since 1970.
pub(super) fn moment(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_microsecond().to_string())
}

/// A moment of an item.
pub(super) fn moment_of(row: &Row, name: &str) -> Option<Timestamp> {
    Timestamp::from_microsecond(row.get(name)?.as_n().ok()?.parse().ok()?).ok()
}

impl Ledger {
    pub(super) async fn client(&self) -> &Client {
        self.client.get_or_init(async || Client::new(&self.config)).await
    }

    /// Runs an operation, boxed since the SDK's futures are large, until the deadline, unless DynamoDB failed a moment ago.
    pub(super) async fn run<T, E>(
        &self,
        deadline: Instant,
        operation: impl Future<Output = Result<T, E>>,
    ) -> Result<Result<T, E>, Unavailable> {
        let paused = *self.paused_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if paused.is_some_and(|until| self.clock.wall() < until) {
            return Err(Unavailable);
        }
        let deadline = deadline.min(self.clock.now() + LONGEST);
        self.clock.timeout_at(deadline, operation).await.map_err(|_| {
            tracing::error!(
                table = self.table,
                error = NO_ANSWER,
                "DynamoDB gave no answer in time"
            );
            self.pause()
        })
    }

    /// Notes that DynamoDB failed.
    pub(super) fn failed<E, R>(&self, error: &SdkError<E, R>) -> Unavailable
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        tracing::error!(
            table = self.table,
            error = trouble(error, "dynamodb:GetItem, BatchGetItem and UpdateItem"),
            "DynamoDB refused an operation on the ledger; what waits keeps waiting"
        );
        self.pause()
    }

    fn pause(&self) -> Unavailable {
        let until = after(self.clock.wall(), PAUSE);
        *self.paused_until.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(until);
        Unavailable
    }

    /// Reads one item.
    pub(super) async fn get(
        &self,
        key: &str,
        deadline: Instant,
    ) -> Result<Option<Row>, Unavailable> {
        let request = self.client().await.get_item().table_name(&self.table).consistent_read(true);
        let request = request.key(KEY, AttributeValue::S(key.to_owned()));
        let answer = self.run(deadline, Box::pin(request.send())).await?;
        Ok(answer.map_err(|error| self.failed(&error))?.item)
    }

    /// Reads items. DynamoDB may answer a part at a time.
    pub(super) async fn get_all(
        &self,
        keys: &[String],
        deadline: Instant,
    ) -> Result<HashMap<String, Row>, Unavailable> {
        use aws_sdk_dynamodb::types::KeysAndAttributes;
        let mut rows = HashMap::new();
        // `BatchGetItem` takes 100 keys.
        for keys in keys.chunks(100) {
            let mut left: Vec<Row> = keys.iter().map(|key| key_of(key)).collect();
            while !left.is_empty() {
                let wanted =
                    KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true);
                let wanted = wanted.build().map_err(|error| {
                    self.failed(&SdkError::<BatchGetItemError>::construction_failure(error))
                })?;
                let request =
                    self.client().await.batch_get_item().request_items(&self.table, wanted);
                let answer = self.run(deadline, Box::pin(request.send())).await?;
                let mut answer = answer.map_err(|error| self.failed(&error))?;
                let found = answer.responses.as_mut().and_then(|all| all.remove(&self.table));
                for row in found.unwrap_or_default() {
                    if let Some(Ok(key)) = row.get(KEY).map(AttributeValue::as_s) {
                        rows.insert(key.clone(), row.clone());
                    }
                }
                let unprocessed = answer.unprocessed_keys.as_mut();
                let unprocessed = unprocessed.and_then(|all| all.remove(&self.table));
                left = unprocessed.map(|wanted| wanted.keys).unwrap_or_default();
            }
        }
        Ok(rows)
    }

    /// Changes an item, which lives on for `life`. `Err` in `Ok` is the item as it is where the condition
    /// does not hold.
    pub(super) async fn change(
        &self,
        key: &str,
        change: Change,
        life: Duration,
        deadline: Instant,
    ) -> Result<Result<(), Row>, Unavailable> {
        let expires = after(self.clock.wall(), life).as_second();
        let change = change.set(EXPIRES, AttributeValue::N(expires.to_string()));
        let mut request = self.client().await.update_item().table_name(&self.table);
        let (mut sets, mut removes) = (Vec::new(), Vec::new());
        for (index, (name, value)) in change.sets.into_iter().enumerate() {
            sets.push(format!("#{name} = :set{index}"));
            request = request
                .expression_attribute_names(format!("#{name}"), name)
                .expression_attribute_values(format!(":set{index}"), value);
        }
        for name in change.removes {
            removes.push(format!("#{name}"));
            request = request.expression_attribute_names(format!("#{name}"), name);
        }
        // A name may be used by the condition alone.
        for name in change.condition.split('#').skip(1) {
            let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
            let name = name.get(..end).unwrap_or_default();
            request = request.expression_attribute_names(format!("#{name}"), name);
        }
        let remove = if removes.is_empty() { "" } else { " REMOVE " };
        let update = format!("SET {}{remove}{}", sets.join(", "), removes.join(", "));
        for (name, value) in change.values {
            request = request.expression_attribute_values(name, value);
        }
        let request = request
            .set_key(Some(key_of(key)))
            .update_expression(update)
            .set_condition_expression(Some(change.condition).filter(|text| !text.is_empty()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match self.run(deadline, Box::pin(request.send())).await? {
            Ok(_) => Ok(Ok(())),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    Ok(Err(failed.item.clone().unwrap_or_default()))
                }
                _ => Err(self.failed(&error)),
            },
        }
    }
}

fn key_of(key: &str) -> Row {
    Row::from([(KEY.to_owned(), AttributeValue::S(key.to_owned()))])
}

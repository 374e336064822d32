//! Secrets Manager and SQS in AWS's JSON protocol, as far as the functions and the redrive use them.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::fault::{Fault, Faults};
use super::sqs::{MAX_MESSAGE, Queue, md5};
use crate::apps::{Apps, Stage};
use crate::http::{self, Request, Response};

/// What the ids of secrets begin with.
const SECRET_PREFIX: &str = "segment-pushwoosh/";

/// Both services on one address.
pub(crate) struct Aws {
    /// Where both are served.
    pub(crate) url: String,
    pub(crate) apps: Arc<Apps>,
    pub(crate) queues: Vec<Arc<Queue>>,
    pub(crate) sqs_faults: Faults,
    pub(crate) secrets_faults: Faults,
}

/// An answer, or the code and the words of an error.
type Answer = Result<Value, (&'static str, &'static str)>;

impl Aws {
    /// The queue of this name.
    pub(crate) fn queue(&self, name: &str) -> Option<&Arc<Queue>> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// Serves until the process ends.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        http::serve(listener, move |request| {
            let aws = Arc::clone(&self);
            async move { aws.handle(request).await }
        })
        .await;
    }

    async fn handle(&self, request: Request) -> Option<Response> {
        let target = request
            .headers()
            .get("x-amz-target")
            .and_then(|target| target.to_str().ok())
            .unwrap_or_default();
        let (service, operation) = target.split_once('.').unwrap_or_default();
        let faults = if service == "AmazonSQS" { &self.sqs_faults } else { &self.secrets_faults };
        if let Some(fault) = faults.take(operation, None) {
            let Fault { status, reset, .. } = &fault;
            tokio::time::sleep(fault.delay()).await;
            if *reset {
                return None;
            }
            if let Some(status) = status {
                return Some(error(*status, "InternalFailure", "a fault of the sandbox"));
            }
        }
        let input: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let answer = match (service, operation) {
            ("secretsmanager", "GetSecretValue") => self.get_secret_value(&input),
            ("AmazonSQS", operation) => self.sqs(operation, &input),
            _ => Err(("UnknownOperationException", "the sandbox does not know this operation")),
        };
        Some(match answer {
            Ok(answer) => http::answer(200, "application/x-amz-json-1.0", answer.to_string()),
            Err((code, message)) => error(400, code, message),
        })
    }

    fn get_secret_value(&self, input: &Value) -> Answer {
        let id = text(input, "SecretId");
        let stage = match text(input, "VersionStage") {
            "" | "AWSCURRENT" => Stage::Current,
            "AWSPREVIOUS" => Stage::Previous,
            _ => return Err(("InvalidParameterException", "there is no such version")),
        };
        let secret = id.strip_prefix(SECRET_PREFIX).and_then(|code| self.apps.secret(code, stage));
        let secret = secret.ok_or((
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
        ))?;
        // A secret that is given as text is served as it is, so that a broken one can be tried.
        let text = secret.as_str().map_or_else(|| secret.to_string(), str::to_owned);
        Ok(json!({
            "ARN": format!("arn:aws:secretsmanager:eu-central-1:123456789012:secret:{id}"), "Name": id,
            "SecretString": text, "VersionId": "sandbox", "VersionStages": ["AWSCURRENT"], "CreatedDate": 1_700_000_000.0,
        }))
    }

    fn sqs(&self, operation: &str, input: &Value) -> Answer {
        if operation == "StartMessageMoveTask" {
            return self.move_messages(input);
        }
        let name = text(input, "QueueUrl").rsplit('/').next().unwrap_or_default();
        let queue = self
            .queue(name)
            .ok_or(("AWS.SimpleQueueService.NonExistentQueue", "the queue does not exist"))?;
        match operation {
            "SendMessage" => {
                let body = text(input, "MessageBody");
                if body.len() > MAX_MESSAGE {
                    return Err((
                        "InvalidParameterValue",
                        "the message is longer than 1048576 bytes",
                    ));
                }
                let id = queue.send(body.to_owned(), seconds(input, "DelaySeconds"));
                Ok(json!({"MessageId": id, "MD5OfMessageBody": md5(body)}))
            }
            "SendMessageBatch" => send_batch(queue, list(input, "Entries")),
            "ReceiveMessage" => {
                let number = input.get("MaxNumberOfMessages").and_then(Value::as_u64).unwrap_or(1);
                let visibility = input
                    .get("VisibilityTimeout")
                    .map_or(Duration::from_secs(30), |_| seconds(input, "VisibilityTimeout"));
                let messages = queue.receive(usize::try_from(number).unwrap_or(1), visibility);
                let messages: Vec<Value> = messages
                    .into_iter()
                    .map(|message| json!({"MessageId": message.id, "ReceiptHandle": message.receipt, "Body": message.body,
                                          "MD5OfBody": message.md5, "Attributes": message.attributes}))
                    .collect();
                Ok(json!({ "Messages": messages }))
            }
            "DeleteMessage" => {
                queue.delete(text(input, "ReceiptHandle"));
                Ok(json!({}))
            }
            "ChangeMessageVisibility" => {
                queue.change_visibility(
                    text(input, "ReceiptHandle"),
                    seconds(input, "VisibilityTimeout"),
                );
                Ok(json!({}))
            }
            "GetQueueAttributes" => Ok(json!({"Attributes": {
                "ApproximateNumberOfMessages": queue.len().to_string(),
                "QueueArn": format!("arn:aws:sqs:eu-central-1:123456789012:{}", queue.name)}})),
            _ => Err(("UnknownOperationException", "the sandbox does not know this operation")),
        }
    }

    /// SQS's own redrive, back to the queue that the messages came from.
    fn move_messages(&self, input: &Value) -> Answer {
        let name = text(input, "SourceArn").rsplit(':').next().unwrap_or_default();
        let (Some(from), Some(to)) = (self.queue(name), self.queue("retry")) else {
            return Err(("ResourceNotFoundException", "the queue does not exist"));
        };
        from.redrive_to(to);
        Ok(json!({"TaskHandle": "sandbox"}))
    }
}

fn send_batch(queue: &Queue, entries: &[Value]) -> Answer {
    if entries.is_empty() {
        return Err(("AWS.SimpleQueueService.EmptyBatchRequest", "there are no entries"));
    }
    if entries.len() > 10 {
        return Err((
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            "a batch has at most 10 entries",
        ));
    }
    if entries.iter().map(|entry| text(entry, "MessageBody").len()).sum::<usize>() > MAX_MESSAGE {
        return Err((
            "AWS.SimpleQueueService.BatchRequestTooLong",
            "the batch is longer than 1048576 bytes",
        ));
    }
    let sent = entries.iter().map(|entry| {
        let body = text(entry, "MessageBody");
        let id = queue.send(body.to_owned(), seconds(entry, "DelaySeconds"));
        json!({"Id": text(entry, "Id"), "MessageId": id, "MD5OfMessageBody": md5(body)})
    });
    Ok(json!({"Successful": sent.collect::<Vec<_>>(), "Failed": []}))
}

fn text<'a>(input: &'a Value, name: &str) -> &'a str {
    input.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(input: &'a Value, name: &str) -> &'a [Value] {
    input.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn seconds(input: &Value, name: &str) -> Duration {
    Duration::from_secs(input.get(name).and_then(Value::as_u64).unwrap_or_default())
}

fn error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"__type": code, "Message": message, "message": message});
    http::with_header(
        http::answer(status, "application/x-amz-json-1.0", body.to_string()),
        "x-amzn-errortype",
        code,
    )
}

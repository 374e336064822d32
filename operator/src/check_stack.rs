//! A test after a deployment: what the stack says of itself, its route, its queues, an application's secret.
//!
//! Invariants: nothing is sent to people and nothing is changed. A request without an application's code is
//! refused before anything is looked up; with a code it is Segment's own test of a key, which has no items.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use clap::Args;
use platform::secret_place::SecretPlace;
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::application_settings::SettingsReader;
use crate::connection::Connection;
use crate::stack::Stack;
use crate::terminal::{bad, good, print};

/// Segment's test of a key.
const PING: &str = "/integration-segment/v1/ping";

/// What the function answers to who names no application. The HTTP API itself never does.
const NO_APPLICATION: &str = "missing application code";

/// Largest answer that is read.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Longest wait for the route, whose function may have to start.
const WAIT: Duration = Duration::from_secs(10);

/// The queues: output, what is on it, and what to read if there is something.
const QUEUES: [(&str, &str, Option<&str>); 3] = [
    ("RetryQueueUrl", "parked items", None),
    ("DeadQueueUrl", "dead letters", Some("docs/OPERATIONS.md#deadletters")),
    ("RejectsQueueUrl", "rejects", Some("docs/OPERATIONS.md#rejects")),
];

/// Flags of `check`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  segment-pushwoosh check --stack segment-pushwoosh --app XXXXX-XXXXX
  segment-pushwoosh check --stack segment-pushwoosh --endpoint https://segment.example.com

It ends with 0 if all is well, and with 1 if something is wrong or cannot be looked at.")]
pub struct Check {
    /// Name of the deployed stack; credentials and region are found as every AWS tool finds them
    #[arg(long, value_name = "NAME")]
    stack: String,
    /// Code of an application: its secret is read, and its key is tried with Segment's test of a key
    #[arg(long, value_name = "CODE")]
    app: Option<String>,
    /// The address that Segment calls, if something stands before the one in the output `Endpoint`
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// One line of JSON per check
    #[arg(long)]
    json: bool,
}

/// Checks, and fails if something is wrong.
pub async fn check(flags: &Check) -> Result<()> {
    let connection = Connection::to_aws().await?;
    let report = look(&connection, flags).await?;
    for (is_well, line) in &report {
        print(&if flags.json {
            json!({"well": is_well, "found": line}).to_string()
        } else {
            format!("{} {line}", if *is_well { good("ok   ") } else { bad("WRONG") })
        });
    }
    let wrong = report.iter().filter(|(is_well, _)| !is_well).count();
    if wrong > 0 {
        bail!("{wrong} of {} checks found something wrong: see above", report.len());
    }
    Ok(())
}

/// Whether it is as it should be, and what was found.
type Line = (bool, String);

async fn look(connection: &Connection, flags: &Check) -> Result<Vec<Line>> {
    let name = &flags.stack;
    let stack = Stack::read(&connection.config, name).await?;
    let given = flags.endpoint.as_deref().map(|url| url.trim_end_matches('/'));
    let endpoint = stack.output("Endpoint").map(|own| given.unwrap_or(own));
    let settled = stack.is_settled();
    let mut report = vec![(settled, format!("the stack {name} is {}", stack.status.as_str()))];
    match endpoint {
        Some(endpoint) => report.push(route(connection, endpoint).await),
        None => {
            report.push((true, "no destination is deployed: nothing comes from Segment".into()));
        }
    }
    match stack.output("SourceMapping") {
        Some(mapping) => report.push((
            true,
            format!("the topic is read by the event source mapping {mapping}: see its last processing result"),
        )),
        None => report.push((true, "no source is deployed: nothing comes from the topic".into())),
    }
    let client = Client::new(&connection.config);
    for (output, content, read) in QUEUES {
        report.push(queue(&client, stack.needed(output)?, content, read).await);
    }
    if let Some(code) = &flags.app {
        report.extend(application(connection, &stack, endpoint, code).await?);
    }
    Ok(report)
}

async fn route(connection: &Connection, endpoint: &str) -> Line {
    match post(connection, endpoint, &[]).await {
        Ok((400, body)) if body.contains(NO_APPLICATION) => {
            (true, format!("the route answers: {endpoint}{PING}"))
        }
        Ok((status, body)) => (
            false,
            format!(
                "{endpoint}{PING} answers {status}, and 400 \"{NO_APPLICATION}\" is expected: {body:.200}"
            ),
        ),
        Err(error) => (false, format!("{endpoint}{PING} does not answer: {error:#}")),
    }
}

async fn queue(client: &Client, url: &str, content: &str, read: Option<&str>) -> Line {
    let attributes = [
        QueueAttributeName::ApproximateNumberOfMessages,
        QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
    ];
    let request = client.get_queue_attributes().queue_url(url);
    let request = request.set_attribute_names(Some(attributes.to_vec()));
    match request.send().await {
        Ok(answer) => {
            let number = |name| answer.attributes()?.get(name)?.parse::<u64>().ok();
            let number: u64 = attributes.iter().filter_map(number).sum();
            let hint = read.filter(|_| number > 0).map(|read| format!(": {read}"));
            (true, format!("{number} {content}{}", hint.unwrap_or_default()))
        }
        Err(error) => {
            let error = platform::aws::trouble_of_command(&error, "sqs:GetQueueAttributes");
            (false, format!("the queue {url} cannot be looked at: {error}"))
        }
    }
}

async fn application(
    connection: &Connection,
    stack: &Stack,
    endpoint: Option<&str>,
    code: &str,
) -> Result<Vec<Line>> {
    let id = stack.needed("SecretId")?;
    let place = SecretPlace::parse(id)
        .with_context(|| format!("{id:?} is no name of secrets: update this command"))?;
    let application = match SettingsReader::new(connection, &place).read(code).await {
        Ok(application) => application,
        Err(error) => return Ok(vec![(false, format!("{code}: {error}"))]),
    };
    let mut report = vec![(true, format!("{code}: its secret can be used"))];
    let account = application.pushwoosh.as_ref().zip(endpoint);
    if let Some((account, endpoint)) = account {
        let token = format!("Token {}", account.api_token.expose_secret());
        let headers = [("x-pw-appcode", code), ("authorization", token.as_str())];
        report.push(match post(connection, endpoint, &headers).await {
            Ok((200, _)) => (true, format!("{code}: the route takes its key")),
            Ok((status, body)) => {
                (false, format!("{code}: the route answers {status} to its key: {body:.200}"))
            }
            Err(error) => (false, format!("{code}: the route does not answer: {error:#}")),
        });
    }
    Ok(report)
}

async fn post(
    connection: &Connection,
    endpoint: &str,
    headers: &[(&str, &str)],
) -> Result<(u16, String)> {
    let mut request = http::Request::post(format!("{endpoint}{PING}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request =
        request.body(bytes::Bytes::new()).with_context(|| format!("{endpoint} is no URL"))?;
    let deadline = connection.clock.now() + WAIT;
    let answer = connection.transport.send(request, MAX_ANSWER_BYTES);
    let answer = connection.clock.timeout_at(deadline, answer).await;
    let answer = answer.ok().with_context(|| format!("nothing within {WAIT:?}"))??;
    let body = String::from_utf8_lossy(&answer.body?).into_owned();
    Ok((answer.status.as_u16(), body))
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string_contains, header, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// An answer of CloudFormation, as
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStacks.html> has it.
    fn described(status: &str, outputs: &[(&str, String)]) -> ResponseTemplate {
        let outputs: Vec<String> = outputs
            .iter()
            .map(|(name, value)| {
                format!("<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>")
            })
            .collect();
        let outputs = outputs.concat();
        let body = format!(
            "<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName>\
             <CreationTime>2026-01-31T12:00:00Z</CreationTime><StackStatus>{status}</StackStatus>\
             <Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"
        );
        ResponseTemplate::new(200).set_body_raw(body, "text/xml")
    }

    /// A deployed stack in which everything is well.
    async fn deployed(status: &str) -> MockServer {
        let server = MockServer::start().await;
        let url = server.uri();
        let mut outputs = vec![
            ("Endpoint", url.clone()),
            ("SecretId", "segment-pushwoosh/{app_code:2}".to_owned()),
        ];
        outputs.extend(QUEUES.map(|(name, ..)| (name, format!("{url}/{name}"))));
        Mock::given(body_string_contains("Action=DescribeStacks"))
            .respond_with(described(status, &outputs))
            .mount(&server)
            .await;
        Mock::given(header("x-amz-target", "AmazonSQS.GetQueueAttributes"))
            .respond_with(ResponseTemplate::new(200).set_body_json(
                json!({"Attributes": {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesDelayed": "1"}}),
            ))
            .mount(&server)
            .await;
        let secret = json!({"AB-1": {"pushwoosh": {"api_token": "key"}}}).to_string();
        Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue"))
            .and(body_string_contains("segment-pushwoosh/AB\""))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"SecretString": secret})))
            .mount(&server)
            .await;
        Mock::given(path(PING))
            .and(header("authorization", "Token key"))
            .and(header("x-pw-appcode", "AB-1"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        server
    }

    /// The route with a function behind it.
    async fn answer_route(server: &MockServer, status: u16, message: &str) {
        Mock::given(path(PING))
            .respond_with(ResponseTemplate::new(status).set_body_json(json!({"message": message})))
            .with_priority(10)
            .mount(server)
            .await;
    }

    async fn checked(server: &MockServer, app: Option<&str>) -> (Vec<String>, Vec<String>) {
        checked_at(server, app, None).await
    }

    async fn checked_at(
        server: &MockServer,
        app: Option<&str>,
        endpoint: Option<String>,
    ) -> (Vec<String>, Vec<String>) {
        let connection = Connection::to_endpoint(&server.uri()).await.unwrap();
        let app = app.map(str::to_owned);
        let flags = Check { stack: "s".to_owned(), app, endpoint, json: false };
        let report = look(&connection, &flags).await.unwrap();
        let (well, wrong): (Vec<Line>, Vec<Line>) =
            report.into_iter().partition(|(is_well, _)| *is_well);
        let lines = |lines: Vec<Line>| lines.into_iter().map(|(_, line)| line).collect();
        (lines(well), lines(wrong))
    }

    #[tokio::test]
    async fn a_stack_that_works_says_so() {
        let server = deployed("UPDATE_COMPLETE").await;
        answer_route(&server, 400, NO_APPLICATION).await;
        let (well, wrong) = checked(&server, Some("AB-1")).await;
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(
            well[3..],
            [
                "3 parked items",
                "3 dead letters: docs/OPERATIONS.md#deadletters",
                "3 rejects: docs/OPERATIONS.md#rejects",
                "AB-1: its secret can be used",
                "AB-1: the route takes its key",
            ]
        );
    }

    #[tokio::test]
    async fn nothing_but_pings_is_sent_to_the_route() {
        let server = deployed("CREATE_COMPLETE").await;
        answer_route(&server, 400, NO_APPLICATION).await;
        checked(&server, Some("AB-1")).await;
        let requests = server.received_requests().await.unwrap();
        let sent = requests.iter().filter(|request| request.url.path().starts_with("/integration"));
        let sent: Vec<_> = sent.map(|request| (request.url.path(), request.body.len())).collect();
        assert_eq!(sent, [(PING, 0), (PING, 0)]);
    }

    #[tokio::test]
    async fn the_address_before_the_stack_is_tried_in_place_of_its_own() {
        let server = deployed("UPDATE_COMPLETE").await;
        let before = MockServer::start().await;
        answer_route(&before, 400, NO_APPLICATION).await;
        let (well, wrong) = checked_at(&server, None, Some(format!("{}/", before.uri()))).await;
        assert_eq!(wrong, Vec::<String>::new());
        assert_eq!(well[1], format!("the route answers: {}{PING}", before.uri()));
    }

    #[tokio::test]
    async fn what_is_wrong_is_named() {
        let server = deployed("UPDATE_ROLLBACK_COMPLETE").await;
        answer_route(&server, 500, "Internal Server Error").await;
        let (_, wrong) = checked(&server, Some("XX-1")).await;
        let all = wrong.join("\n");
        for part in ["is UPDATE_ROLLBACK_COMPLETE", "answers 500", "XX-1: "] {
            assert!(all.contains(part), "{part} in {all}");
        }
        assert_eq!(wrong.len(), 3);
    }
}

//! What a deployed stack says of itself: its state and its outputs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use aws_config::SdkConfig;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::error::ProvideErrorMetadata as _;
use aws_sdk_cloudformation::types::StackStatus;
use platform::aws::trouble_of_command;

/// States in which a stack serves what was deployed last.
const SETTLED: [StackStatus; 3] =
    [StackStatus::CreateComplete, StackStatus::UpdateComplete, StackStatus::ImportComplete];

/// The names of a stack's log groups, by their names in the template; those that it does not have are left out.
pub(crate) async fn log_groups(
    config: &SdkConfig,
    stack: &str,
    logical: &[&str],
) -> Result<Vec<String>> {
    let answer = Client::new(config).describe_stack_resources().stack_name(stack).send().await;
    let answer = answer.map_err(|error| {
        let trouble = trouble_of_command(&error, "cloudformation:DescribeStackResources");
        anyhow::anyhow!(
            "CloudFormation does not list the resources of the stack {stack}: {trouble}"
        )
    })?;
    let wanted = answer
        .stack_resources()
        .iter()
        .filter(|resource| resource.logical_resource_id().is_some_and(|id| logical.contains(&id)));
    Ok(wanted.filter_map(|one| one.physical_resource_id().map(str::to_owned)).collect())
}

/// A deployed stack.
pub(crate) struct Stack {
    name: String,
    /// Its ARN.
    pub(crate) id: String,
    /// As CloudFormation names it.
    pub(crate) status: StackStatus,
    outputs: BTreeMap<String, String>,
}

impl Stack {
    /// Asks CloudFormation.
    pub(crate) async fn read(config: &SdkConfig, name: &str) -> Result<Self> {
        let answer = Client::new(config).describe_stacks().stack_name(name).send().await;
        let answer = answer.map_err(|error| {
            let words = error.message().unwrap_or_default();
            // CloudFormation has no code of its own for it.
            if error.code() == Some("ValidationError") && words.contains("does not exist") {
                let region = config.region().map_or("", |region| region.as_ref());
                return anyhow::anyhow!("there is no stack {name} in the region {region}: check the name, the region (AWS_REGION) and the account");
            }
            let trouble = trouble_of_command(&error, "cloudformation:DescribeStacks");
            anyhow::anyhow!("CloudFormation does not describe the stack {name}: {trouble}")
        })?;
        let stack = answer.stacks().first().with_context(|| format!("there is no stack {name}"))?;
        let status =
            stack.stack_status().with_context(|| format!("the stack {name} has no status"))?;
        let outputs = stack.outputs().iter().filter_map(|output| {
            Some((output.output_key()?.to_owned(), output.output_value()?.to_owned()))
        });
        let id = stack.stack_id().unwrap_or_default().to_owned();
        Ok(Self { name: name.to_owned(), id, status: status.clone(), outputs: outputs.collect() })
    }

    /// Whether it serves what was deployed last.
    pub(crate) fn is_settled(&self) -> bool {
        SETTLED.contains(&self.status)
    }

    /// An output that depends on what is deployed.
    pub(crate) fn output(&self, name: &str) -> Option<&str> {
        self.outputs.get(name).map(String::as_str)
    }

    /// An output that every stack has.
    pub(crate) fn needed(&self, name: &str) -> Result<&str> {
        self.output(name).with_context(|| {
            format!("the stack {} has no output {name}: is it the outermost stack, and deployed from this template?", self.name)
        })
    }
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::any;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;
    use crate::connection::Connection;

    /// CloudFormation's answer about a name that is nobody's.
    #[tokio::test]
    async fn a_stack_that_is_not_there_is_said_to_be_missing_in_its_region() {
        let server = MockServer::start().await;
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>\
                    <Message>Stack with id nope does not exist</Message></Error></ErrorResponse>";
        let answer = ResponseTemplate::new(400).set_body_raw(body, "text/xml");
        Mock::given(any()).respond_with(answer).mount(&server).await;
        let connection = Connection::to_endpoint(&server.uri()).await.unwrap();
        let error = Stack::read(&connection.config, "nope").await.err().unwrap().to_string();
        assert!(error.contains("there is no stack nope in the region eu-central-1"), "{error}");
        assert!(!error.contains("again"), "{error}");
    }
}

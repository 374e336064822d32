//! The HTTP API: under which addresses it is reached.

use serde_json::json;

use crate::translated::template;

/// What is in front of the domain, such as a firewall, must not be passed by.
#[test]
fn with_a_domain_of_its_own_the_api_has_no_other_address() {
    let template = template();
    let body = &template.properties("Api")["Body"];
    let addresses = &body["servers"][0]["x-amazon-apigateway-endpoint-configuration"];
    let expected = json!({"Fn::If": ["HasDomain", true, false]});
    assert_eq!(
        addresses["disableExecuteApiEndpoint"], expected,
        "the API's own address stays open beside its domain"
    );
}

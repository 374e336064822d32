//! Not written yet.

/// Starts the function and serves invocations until the environment is shut down.
pub async fn run() -> Result<(), lambda_runtime::Error> {
    lambda_runtime::run_concurrent(lambda_runtime::service_fn(
        async |event: lambda_runtime::LambdaEvent<serde_json::Value>| {
            Ok::<_, lambda_runtime::Error>(event.payload)
        },
    ))
    .await
}

//! The Lambda binary; see the library.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    platform::function::run::<retry::Retry>().await
}

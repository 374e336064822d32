//! Traces over OTLP, behind the feature `otel`: invocations, and the calls to Pushwoosh and Segment
//! inside of them.
//!
//! On where `OTEL_EXPORTER_OTLP_ENDPOINT` is set; the exporter reads the other `OTEL_…` variables as
//! the specification has them. Spans are exported at the end of every invocation, since Lambda
//! freezes the process after it; the invocation's own span ends later, and goes with the next one.
//! Spans that cannot be exported are lost; invocations go on.

use std::sync::OnceLock;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Where the spans of interest are made.
const TARGETS: [&str; 3] = ["lambda_runtime", "pushwoosh", "segment"];

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// The layer that makes traces of spans, where an endpoint is set.
pub(crate) fn layer<S>() -> Option<impl Layer<S>>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT")?;
    let exporter = SpanExporter::builder().with_http().build().ok()?;
    let provider = provider(exporter);
    let layer = layer_of(&provider);
    PROVIDER.set(provider).ok()?;
    Some(layer)
}

/// Exports what has ended.
pub(crate) fn flush() {
    if let Some(provider) = PROVIDER.get() {
        // Traces are best effort: a collector that does not answer must not fail the invocation.
        provider.force_flush().ok();
    }
}

fn provider(exporter: SpanExporter) -> SdkTracerProvider {
    let name = std::env::var("AWS_LAMBDA_FUNCTION_NAME");
    let name = name.unwrap_or_else(|_| "segment-pushwoosh".to_owned());
    SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name(name).build())
        .build()
}

fn layer_of<S>(provider: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let of_interest = |metadata: &Metadata<'_>| {
        let target = metadata.target().split("::").next().unwrap_or_default();
        metadata.is_span() && TARGETS.contains(&target)
    };
    tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("segment-pushwoosh"))
        .with_filter(filter_fn(of_interest).with_max_level_hint(LevelFilter::DEBUG))
}

#[cfg(test)]
mod tests {
    use opentelemetry_otlp::WithExportConfig;
    use tracing_subscriber::layer::SubscriberExt;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[tokio::test]
    async fn calls_become_spans_at_the_collector() {
        let collector = MockServer::start().await;
        let traces = Mock::given(method("POST")).and(path("/v1/traces"));
        traces.respond_with(ResponseTemplate::new(200)).expect(1).mount(&collector).await;
        let exporter = SpanExporter::builder()
            .with_http()
            .with_endpoint(format!("{}/v1/traces", collector.uri()))
            .build()
            .unwrap();
        let provider = provider(exporter);
        let subscriber = tracing_subscriber::registry().with(layer_of(&provider));
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug_span!(target: "pushwoosh", "pushwoosh call").in_scope(|| ());
            tracing::debug_span!(target: "hyper", "not of interest").in_scope(|| ());
        });
        // The collector is served by this thread.
        let flushed = tokio::task::spawn_blocking(move || provider.force_flush());
        assert!(flushed.await.unwrap().is_ok());
        let requests = collector.received_requests().await.unwrap();
        let body = String::from_utf8_lossy(&requests[0].body).into_owned();
        assert!(body.contains("pushwoosh call") && !body.contains("not of interest"));
    }
}

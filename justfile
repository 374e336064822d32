# Commands that people expect. Each is one line that also works without `just`; what CI runs is a script in ci/.

# List the recipes.
default:
    @just --list

# Run the system on this machine, or a command of it: `just run explain FILE`.
run *ARGS:
    cargo run -- {{ ARGS }}

# Run all tests that need nothing but Rust. Arguments go to `cargo test`.
test *ARGS:
    ci/test {{ ARGS }}

# Check formatting, lints and the crates' documentation.
lint:
    ci/lint

# Format the code.
fmt:
    cargo fmt --all

# Write the generated tables of the documents.
docs:
    ci/docs

# Write the expectations in events/.
events *ARGS:
    ci/events {{ ARGS }}

# Measure everything beside what a user would pick instead, and write docs/PERFORMANCE.md. Needs bench/tools and ci/build-lambda.
bench:
    cargo run --release -p bench

# Measure the mapping engine beside Segment's own (Node 20).
bench-engine:
    bench/run

# Run Segment's own client and mapping engine against ours (Node 20).
clients:
    ci/segment-client
    ci/segment-engine

# Drive the sandbox's page in Chromium (Node 20); `just page pictures` writes docs/images.
page *ARGS:
    ci/page {{ ARGS }}

# Install the Python tools into target/venv (Python 3.11).
tools:
    ci/tools

# Renew the pinned versions of the Python tools: `just pin --upgrade`.
pin *ARGS:
    ci/pin {{ ARGS }}

# Build the functions as they are deployed, and check their size and behaviour (needs `just tools`).
package:
    ci/build-lambda

# Validate the SAM template and compare it with the code (needs `just tools`).
template:
    ci/template

# Draw docs/dashboard.svg from the template and a sandbox under load (needs `just tools`).
dashboard: template
    cargo build --locked
    target/venv/bin/python ci/render_dashboard.py target/translated/observability.json

# Test SQS and Secrets Manager against moto (needs `just tools`).
moto:
    ci/moto

# Deploy the template in ministack, an independent implementation of AWS, and drive it (needs `just package`).
ministack:
    ci/ministack

# Run the functions under an independent Runtime API that freezes them (needs `just package` and Node 20).
runtime-api:
    ci/runtime-api

# Read the topic from a real broker (needs `just tools` and make).
kafka:
    ci/kafka

# Simulate weeks of the system's life: `just simulate --seed 12 --trace`. CI runs ci/simulation.
simulate *ARGS:
    cargo run --release -p simulation -- {{ ARGS }}

# Send the sandbox mixed traffic with faults and kills. CI runs two minutes of it.
soak MINUTES="30":
    ci/soak {{ MINUTES }}

# Test the feature `otel`.
otel:
    ci/otel

# Drive every operation of docs/openapi.yaml with generated requests (Python 3.11).
api:
    ci/api

# Run the fuzz targets, each for so many milliseconds.
fuzz MILLISECONDS="15000":
    ci/fuzz {{ MILLISECONDS }}

# Check the dependencies' licences and sources, and that each is used; list them in target/sbom.
supply-chain:
    ci/supply-chain

# Change the code in small ways and look whether tests notice: `just mutants --package mapping`, `just mutants --changed`.
mutants *ARGS:
    ci/mutants {{ ARGS }}

# Run everything that must pass before a change is merged.
ci:
    .ci/run

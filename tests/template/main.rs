//! The templates agree with the code, the runbook and what AWS requires.
//!
//! They are read as they are deployed, after the transforms: `ci/translate_sam.py` writes that as
//! JSON, and `ci/template` runs this test on it. Every test fails with all the problems that it
//! finds.
//!
//! # Layout
//! * `code`: what the code says; no other file names the code's types.
//! * `translated`: the templates.
//! * `alarms`, `api`, `limits`, `outputs`, `permissions`, `queues`, `rollout`, `settings`, `topic`: the checks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod alarms;
mod api;
mod code;
mod limits;
mod outputs;
mod permissions;
mod queues;
mod rollout;
mod settings;
mod topic;
mod translated;

use std::fmt::Display;

/// What a check found.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    /// Records the problem unless the condition holds.
    fn check(&mut self, holds: bool, problem: impl Display) {
        if !holds {
            self.0.push(problem.to_string());
        }
    }

    /// Records a problem unless both are equal.
    fn equal<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: impl Display,
        template: &T,
        code: &T,
    ) {
        self.check(
            template == code,
            format!("{what} is {template:?} in the template and {code:?} in the code"),
        );
    }

    /// Fails with all problems.
    fn report(self) {
        assert!(self.0.is_empty(), "\n{}\n", self.0.join("\n"));
    }
}

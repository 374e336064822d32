//! What corrected mappings would make of the rejects. Nothing is sent: the mappings have to be in the secret first.

use std::path::Path;

use anyhow::Result;
use mapping::{ItemKind, Refusal};
use segment_language::subscription::Subscription;
use serde_json::json;

use super::entry::Entry;
use super::plan::{Planner, calls};
use crate::explain::mapping_file;
use crate::terminal::{bad, print, say, warning};

/// Reads the mappings of a file.
pub(super) fn read(file: &Path) -> Result<Vec<Subscription>> {
    let read = mapping_file::usable(&mapping_file::read(file)?)?;
    for problem in &read.problems {
        say(&format!("{} {problem}", warning("warning:")));
    }
    Ok(read.subscriptions)
}

/// What would become of the rejects.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    delivered: usize,
    different: usize,
    rejected: usize,
    others: usize,
}

/// Shows what would become of each reject, then how many of each.
pub(super) async fn preview(planner: &Planner, rejects: &[Entry], as_json: bool) -> Result<()> {
    let (mut counts, mut rows) = (Counts::default(), Vec::new());
    for entry in rejects {
        let Some(reject) = entry.reject() else { continue };
        if reject.kind != ItemKind::RawEvent {
            counts.others += 1;
            continue;
        }
        let origin = &reject.origin;
        let (result, why) = match planner.reject(reject).await {
            Ok(parked) => {
                counts.delivered += 1;
                if !as_json {
                    for line in calls(origin, &parked) {
                        print(&line);
                    }
                }
                ("delivered", String::new())
            }
            Err(error) => {
                let reason = error.downcast_ref::<Refusal>().map(|refusal| refusal.reason.code());
                let same = reason.is_none_or(|reason| reason == reject.reason);
                let (count, result) = if same {
                    (&mut counts.rejected, "rejected")
                } else {
                    (&mut counts.different, "different")
                };
                *count += 1;
                (result, format!("{error:#}"))
            }
        };
        if !as_json && result != "delivered" {
            let word = if result == "rejected" { "still rejected" } else { "ends differently" };
            print(&format!("{origin}: {}, {why}", bad(word)));
        }
        rows.push(json!({"origin": origin, "result": result, "was": reject.reason, "why": why}));
    }
    let Counts { delivered, different, rejected, others } = counts;
    if as_json {
        let found = json!({"items": rows, "delivered": delivered, "different": different,
            "rejected": rejected, "not_mapped": others});
        print(&serde_json::to_string_pretty(&found)?);
    }
    let others = match others {
        0 => String::new(),
        number => format!("; {number} are no raw events, which mappings do not concern"),
    };
    say(&format!(
        "with these mappings: {delivered} delivered, {different} different, {rejected} still rejected{others}. Nothing was sent: put the mappings into the secret, then redrive without --mapping"
    ));
    Ok(())
}

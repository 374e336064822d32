//! The tables of `docs/RELIABILITY.md`, in Markdown: `just docs` writes them.

use std::fmt::Write as _;

use crate::guarantee::Guarantee;
use crate::history;
use crate::sabotage::Sabotage;

/// The guarantees: what they say, how many stories broke them before, and which defects show that the judge
/// notices a breach.
pub fn guarantees() -> String {
    let stories = history::SEEDS.count();
    // Writing to a String cannot fail.
    let mut table = format!(
        "| guarantee | what it says | broken at `{}`, of {stories} stories | first seed | broken on purpose by |\n\
         |---|---|---|---|---|\n",
        history::COMMIT
    );
    for guarantee in Guarantee::ALL {
        let (found, first) = guarantee.found().map_or_else(
            || ("0".to_owned(), String::new()),
            |(found, first)| (found.to_string(), first.to_string()),
        );
        let sabotages = Sabotage::ALL.iter().filter(|sabotage| sabotage.breaks() == *guarantee);
        let sabotages: Vec<String> =
            sabotages.map(|sabotage| format!("`{}`", sabotage.name())).collect();
        writeln!(
            table,
            "| `{}` | {} | {found} | {first} | {} |",
            guarantee.name(),
            guarantee.says(),
            sabotages.join(", ")
        )
        .ok();
    }
    table
}

/// The deliberate defects and what they do.
pub fn sabotages() -> String {
    let mut table = "| sabotage | what it does |\n|---|---|\n".to_owned();
    for sabotage in Sabotage::ALL {
        writeln!(table, "| `{}` | {} |", sabotage.name(), sabotage.does()).ok();
    }
    table
}

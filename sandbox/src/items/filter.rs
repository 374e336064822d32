//! Which rows are asked for: `?app=&user=&outcome=&reason=&kind=&since=`, and `q` for a search.

use anyhow::{Context, Result, bail, ensure};
use jiff::Timestamp;
use mapping::ItemKind;

use super::row::{OUTCOMES, REQUEST, Row, shown};

/// Rows of an answer unless it is said otherwise.
const LIMIT: usize = 500;

/// A question for rows. Text is compared whole, except for the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    app: Option<String>,
    user: Option<String>,
    device: Option<String>,
    outcome: Option<String>,
    reason: Option<String>,
    kind: Option<String>,
    since: Option<String>,
    /// Part of a user, a device, an application, a name, a message id or an origin; in lower case.
    search: Option<String>,
    /// Rows at most.
    pub(super) limit: usize,
}

impl Filter {
    /// Reads the query of a request.
    pub(crate) fn read(query: &str) -> Result<Self> {
        let mut filter = Self {
            app: None,
            user: None,
            device: None,
            outcome: None,
            reason: None,
            kind: None,
            since: None,
            search: None,
            limit: LIMIT,
        };
        for (name, value) in pairs(query)? {
            if value.is_empty() {
                continue;
            }
            match name.as_str() {
                "app" => filter.app = Some(value),
                "user" => filter.user = Some(value),
                "device" => filter.device = Some(value),
                "outcome" => {
                    known("outcome", &value, &OUTCOMES)?;
                    filter.outcome = Some(value);
                }
                "reason" => filter.reason = Some(value),
                "kind" => {
                    let kinds: Vec<&str> = ItemKind::ALL.map(ItemKind::name).into();
                    known("kind", &value, &[&kinds, [REQUEST].as_slice()].concat())?;
                    filter.kind = Some(value);
                }
                "q" => filter.search = Some(value.to_lowercase()),
                "since" => {
                    let since: Timestamp = value.parse().with_context(|| {
                        format!("since={value}: a time such as 2026-01-31T12:00:00Z is expected")
                    })?;
                    filter.since = Some(shown(since));
                }
                "limit" => {
                    let limit = value.parse();
                    filter.limit =
                        limit.with_context(|| format!("limit={value}: a number is expected"))?;
                }
                other => bail!(
                    "{other} is no filter: use app, user, device, outcome, reason, kind, since, q or limit"
                ),
            }
        }
        Ok(filter)
    }

    /// Whether a row is asked for.
    pub(super) fn lets(&self, row: &Row) -> bool {
        fn same(wanted: Option<&String>, found: Option<&str>) -> bool {
            wanted.is_none_or(|wanted| found == Some(wanted.as_str()))
        }
        same(self.app.as_ref(), row.app.as_deref())
            && self.user.as_ref().is_none_or(|user| {
                row.user.as_ref() == Some(user) || row.other_users.contains(user)
            })
            && same(self.device.as_ref(), row.device.as_deref())
            && same(self.outcome.as_ref(), Some(&row.outcome))
            && same(self.reason.as_ref(), row.why())
            && same(self.kind.as_ref(), Some(&row.kind))
            && self.since.as_ref().is_none_or(|since| row.at >= *since)
            && self.search.as_ref().is_none_or(|part| finds(row, part))
    }
}

/// A value that no row has would find nothing without a word.
fn known(name: &str, value: &str, known: &[&str]) -> Result<()> {
    ensure!(known.contains(&value), "{name}={value}: expected one of {}", known.join(", "));
    Ok(())
}

fn finds(row: &Row, part: &str) -> bool {
    [&row.user, &row.device, &row.app, &row.name, &row.message_id]
        .into_iter()
        .flatten()
        .chain([&row.origin])
        .chain(&row.other_users)
        .any(|text| text.to_lowercase().contains(part))
}

/// Names and values of a query.
pub(crate) fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}"))?;
    let pairs = url.query_pairs();
    Ok(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
}

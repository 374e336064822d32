//! The fields that Segment's specification names. An event may lack any of them, so none is a misspelling of another.

/// Fields of Segment's calls. <https://segment.com/docs/connections/spec/common/>
pub(super) const EVENT: [&str; 21] = [
    "_metadata",
    "anonymousId",
    "category",
    "channel",
    "context",
    "event",
    "groupId",
    "integrations",
    "messageId",
    "name",
    "originalTimestamp",
    "previousId",
    "projectId",
    "properties",
    "receivedAt",
    "sentAt",
    "timestamp",
    "traits",
    "type",
    "userId",
    "version",
];

/// Fields of their `context`. Customers add their own: only what resembles one of these is reported.
pub(super) const CONTEXT: [(&str, &[&str]); 11] = [
    (
        "context",
        &[
            "active",
            "app",
            "campaign",
            "channel",
            "device",
            "groupId",
            "ip",
            "library",
            "locale",
            "location",
            "network",
            "os",
            "page",
            "referrer",
            "screen",
            "timezone",
            "traits",
            "userAgent",
            "userAgentData",
        ],
    ),
    ("context.app", &["build", "name", "namespace", "version"]),
    ("context.campaign", &["content", "medium", "name", "source", "term"]),
    (
        "context.device",
        &[
            "adTrackingEnabled",
            "advertisingId",
            "id",
            "manufacturer",
            "model",
            "name",
            "token",
            "type",
            "version",
        ],
    ),
    ("context.library", &["name", "version"]),
    ("context.location", &["city", "country", "latitude", "longitude", "region", "speed"]),
    ("context.network", &["bluetooth", "carrier", "cellular", "wifi"]),
    ("context.os", &["name", "version"]),
    ("context.page", &["path", "referrer", "search", "title", "url"]),
    ("context.referrer", &["id", "link", "name", "type", "url"]),
    ("context.screen", &["density", "height", "width"]),
];

/// Traits of people. Customers add their own here too.
/// <https://segment.com/docs/connections/spec/identify/#traits>
pub(super) const TRAITS: [&str; 17] = [
    "address",
    "age",
    "avatar",
    "birthday",
    "company",
    "createdAt",
    "description",
    "email",
    "firstName",
    "gender",
    "id",
    "lastName",
    "name",
    "phone",
    "title",
    "username",
    "website",
];

/// The names that may stand in an object of an event; none for the objects that the specification leaves open.
pub(super) fn names_in(place: &str) -> &'static [&'static str] {
    match place {
        "" => &EVENT,
        place if is_of_traits(place) => &TRAITS,
        _ => CONTEXT.iter().find(|(known, _)| *known == place).map_or(&[], |(_, names)| *names),
    }
}

/// Whether a place holds the traits of a person.
pub(super) fn is_of_traits(place: &str) -> bool {
    matches!(place, "traits" | "context.traits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_that_the_specification_closes_has_its_names() {
        for (place, name) in [
            ("", "userId"),
            ("traits", "firstName"),
            ("context.traits", "firstName"),
            ("context.device", "id"),
        ] {
            assert!(names_in(place).contains(&name), "{place}");
        }
        assert_eq!(names_in("properties"), [""; 0]);
    }
}

//! Addresses from which requests are accepted.

use std::net::IpAddr;

use ipnet::IpNet;

/// A list of addresses and networks; an empty one allows every address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads a comma-separated list, such as `192.0.2.0/24, 2001:db8::1`; nothing where an entry is neither an
    /// address nor a network.
    pub fn parse(list: &str) -> Option<Self> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry: &str| match entry.parse::<IpAddr>() {
            Ok(address) => Some(address.into()),
            Err(_) => entry.parse().ok(),
        };
        entries.map(read).collect::<Option<_>>().map(Self)
    }

    /// Whether requests from an address are accepted. An address that cannot be read is in no network.
    pub fn allow(&self, address: Option<&str>) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let address = address.and_then(|address| address.parse::<IpAddr>().ok());
        let Some(address) = address.map(|address| address.to_canonical()) else {
            return false;
        };
        self.0.iter().any(|network| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_allowed_by_itself_or_by_its_network() {
        let networks = Networks::parse("192.0.2.0/24 , 198.51.100.7,2001:db8::/32").unwrap();
        for allowed in
            ["192.0.2.0", "192.0.2.255", "198.51.100.7", "2001:db8::5", "::ffff:192.0.2.9"]
        {
            assert!(networks.allow(Some(allowed)), "{allowed}");
        }
        for denied in [Some("192.0.3.0"), Some("198.51.100.8"), Some("2001:db9::"), Some("x"), None]
        {
            assert!(!networks.allow(denied), "{denied:?}");
        }
    }

    #[test]
    fn an_empty_list_allows_everything_and_a_wrong_one_is_none() {
        for empty in ["", " , "] {
            let networks = Networks::parse(empty).unwrap();
            assert!(networks.allow(Some("192.0.2.1")) && networks.allow(None));
        }
        for wrong in ["192.0.2.0/33", "example.com", "192.0.2.1;192.0.2.2", "192.0.2"] {
            assert_eq!(Networks::parse(wrong), None, "{wrong}");
        }
    }
}

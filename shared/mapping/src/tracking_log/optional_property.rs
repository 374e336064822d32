//! Properties of Track calls that a setting may ask for.

/// A row per property: variant, name.
macro_rules! optional_properties {
    ($($variant:ident, $name:literal;)*) => {
        /// Properties beyond those of spec S3 that a setting may ask for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum OptionalProperty {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl OptionalProperty {
            /// Every one.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name of the property.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

optional_properties! {
    MessageCode, "message_code";
    CampaignId, "campaign_id";
}

impl OptionalProperty {
    /// Reads the name of the property.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|property| property.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_property_reads_back_from_its_name() {
        for property in OptionalProperty::ALL {
            assert_eq!(OptionalProperty::parse(property.name()), Some(*property));
        }
        assert_eq!(OptionalProperty::parse("payload"), None);
    }
}

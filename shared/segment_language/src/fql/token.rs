//! The tokens of a trigger.

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A name; with dots if dots and names follow each other.
    Name(String),
    Dot,
    Operator(&'static str),
    /// `and`, `or`.
    Conjunction {
        or: bool,
    },
    Null,
    Number(f64),
    /// With its quotes.
    Text(String),
    Open,
    Close,
    BracketOpen,
    BracketClose,
    Comma,
    End,
}

impl Token {
    /// The text that Segment uses if it takes the token for a value.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::Dot => ".".to_owned(),
            Self::Operator(operator) => (*operator).to_owned(),
            Self::Conjunction { or } => if *or { "or" } else { "and" }.to_owned(),
            Self::Null => "null".to_owned(),
            Self::Number(number) => ryu_js::Buffer::new().format(*number).to_owned(),
            Self::Text(text) => text.clone(),
            Self::Open => "(".to_owned(),
            Self::Close => ")".to_owned(),
            Self::BracketOpen => "[".to_owned(),
            Self::BracketClose => "]".to_owned(),
            Self::Comma => ",".to_owned(),
            Self::End => "eos".to_owned(),
        }
    }
}

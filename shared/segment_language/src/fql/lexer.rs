//! Text becomes tokens, as in Segment's lexer: if there is anything that it cannot read, the list of
//! tokens is empty.

use super::token::Token;

/// The tokens of a text, with [`Token::End`] at the end; empty if the text cannot be read.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0 };
    let mut tokens = Vec::new();
    loop {
        match lexer.next() {
            None => return Vec::new(),
            Some(token) => {
                let end = token == Token::End;
                tokens.push(token);
                if end {
                    return dotted(tokens);
                }
            }
        }
    }
}

/// Longest number, name and text.
const MAX_LENGTH: usize = 100_000;

struct Lexer {
    chars: Vec<char>,
    at: usize,
}

fn starts_name(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || c == '\\'
}

fn continues_name(c: char) -> bool {
    starts_name(c) || c.is_ascii_digit() || c == '-'
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n')
}

/// Whether this may follow a keyword or a closing quote.
fn terminates(c: Option<char>) -> bool {
    c.is_none_or(|c| is_space(c) || matches!(c, ',' | ']' | ')'))
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    /// Consumes this text if the word ends after it. If the input ends within the text, the characters
    /// read so far are lost: `type = an` compares with `a`.
    fn accept(&mut self, wanted: &str) -> bool {
        let start = self.at;
        let mut same = true;
        for wanted in wanted.chars() {
            let Some(c) = self.peek() else {
                return false;
            };
            self.at += 1;
            same &= c == wanted;
            if terminates(Some(c)) {
                break;
            }
        }
        let found = same && terminates(self.peek());
        if !found {
            self.at = start;
        }
        found
    }

    /// The next token; `None` is an error.
    fn next(&mut self) -> Option<Token> {
        while self.peek().is_some_and(is_space) {
            self.at += 1;
        }
        let Some(c) = self.peek() else {
            return Some(Token::End);
        };
        self.at += 1;
        Some(match c {
            'a' if self.accept("nd") => Token::Conjunction { or: false },
            'o' if self.accept("r") => Token::Conjunction { or: true },
            'n' if self.accept("ull") => Token::Null,
            c if starts_name(c) => return self.name(c),
            c if c.is_ascii_digit() || c == '+' || c == '-' => return self.number(c),
            '"' | '\'' => return self.text(c),
            '.' => Token::Dot,
            '(' => Token::Open,
            ')' => Token::Close,
            '[' => Token::BracketOpen,
            ']' => Token::BracketClose,
            ',' => Token::Comma,
            '=' => Token::Operator("="),
            '!' if self.peek().is_some_and(|c| c.is_ascii_alphabetic() || c == '(') => {
                Token::Operator("!")
            }
            '!' if self.accept("=") => Token::Operator("!="),
            '<' => Token::Operator(if self.accept("=") { "<=" } else { "<" }),
            '>' => Token::Operator(if self.accept("=") { ">=" } else { ">" }),
            _ => return None,
        })
    }

    /// The rest of a name; `\` escapes any character.
    fn name(&mut self, first: char) -> Option<Token> {
        let mut name = String::new();
        let mut next = first;
        loop {
            if next == '\\' {
                next = self.peek()?;
                self.at += 1;
            }
            name.push(next);
            if name.len() >= MAX_LENGTH {
                return None;
            }
            let Some(c) = self.peek().filter(|c| continues_name(*c)) else {
                break;
            };
            next = c;
            self.at += 1;
        }
        let after = self.peek();
        let ends = terminates(after) || matches!(after, Some('.' | '(' | '=' | '!'));
        ends.then_some(Token::Name(name))
    }

    /// A sign, digits and at most one decimal point, which must not end the number. A sign alone is
    /// NaN.
    fn number(&mut self, first: char) -> Option<Token> {
        let mut number = String::from(first);
        let mut decimal = false;
        while let Some(c) = self.peek().filter(|c| c.is_ascii_digit() || *c == '.') {
            number.push(c);
            self.at += 1;
            if c == '.' {
                if decimal || terminates(self.peek()) {
                    return None;
                }
                decimal = true;
            }
            if number.len() > MAX_LENGTH {
                return None;
            }
        }
        Some(Token::Number(number.parse().unwrap_or(f64::NAN)))
    }

    /// Ends at the next quote. If no white space, `,`, `]`, `)` or end follows, the quote is not
    /// consumed, and opens the next text.
    fn text(&mut self, quote: char) -> Option<Token> {
        let mut text = String::from(quote);
        loop {
            let c = self.peek()?;
            if c == quote {
                if terminates(self.chars.get(self.at + 1).copied()) {
                    self.at += 1;
                }
                text.push(quote);
                return Some(Token::Text(text));
            }
            text.push(c);
            self.at += 1;
            if text.len() > MAX_LENGTH {
                return None;
            }
        }
    }
}

/// Joins names that have dots between them.
fn dotted(tokens: Vec<Token>) -> Vec<Token> {
    let mut joined: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if token == Token::Dot
            && let Some(Token::Name(before)) = joined.last_mut()
            && let Some(Token::Name(after)) = tokens.peek()
        {
            before.push('.');
            before.push_str(after);
            tokens.next();
        } else {
            joined.push(token);
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Token {
        Token::Name(name.to_owned())
    }

    fn text(text: &str) -> Token {
        Token::Text(text.to_owned())
    }

    /// The tokens before the end.
    fn read(text: &str) -> Vec<Token> {
        let mut tokens = tokens(text);
        assert_eq!(tokens.pop(), Some(Token::End), "{text}");
        tokens
    }

    #[test]
    fn words_numbers_and_texts_are_tokens() {
        assert_eq!(
            read("type = \"track\"\tand !contains(\n_a-1, 'x')"),
            [
                name("type"),
                Token::Operator("="),
                text("\"track\""),
                Token::Conjunction { or: false },
                Token::Operator("!"),
                name("contains"),
                Token::Open,
                name("_a-1"),
                Token::Comma,
                text("'x'"),
                Token::Close,
            ]
        );
        assert_eq!(
            read("or null [ ] . < <= > >= != !(a"),
            [
                Token::Conjunction { or: true },
                Token::Null,
                Token::BracketOpen,
                Token::BracketClose,
                Token::Dot,
                Token::Operator("<"),
                Token::Operator("<="),
                Token::Operator(">"),
                Token::Operator(">="),
                Token::Operator("!="),
                Token::Operator("!"),
                Token::Open,
                name("a"),
            ]
        );
        assert_eq!(read("5 -5 +5 1.25 0"), [5.0, -5.0, 5.0, 1.25, 0.0].map(Token::Number));
        assert!(matches!(read("-")[..], [Token::Number(number)] if number.is_nan()));
    }

    #[test]
    fn names_are_joined_by_the_dots_between_them() {
        assert_eq!(read("a.b.c"), [name("a.b.c")]);
        assert_eq!(read("a .b"), [name("a.b")]);
        assert_eq!(read(".b."), [Token::Dot, name("b"), Token::Dot]);
        assert_eq!(read("a.\"b\""), [name("a"), Token::Dot, text("\"b\"")]);
    }

    #[test]
    fn a_backslash_escapes_any_character_of_a_name() {
        assert_eq!(read("a\\$b \\ x"), [name("a$b"), name(" x")]);
        assert_eq!(tokens("b\\"), []);
    }

    #[test]
    fn keywords_end_like_words() {
        assert_eq!(read("android order nullable"), ["android", "order", "nullable"].map(name));
        assert_eq!(read("and)"), [Token::Conjunction { or: false }, Token::Close]);
        assert_eq!(
            read("and,or]"),
            [
                Token::Conjunction { or: false },
                Token::Comma,
                Token::Conjunction { or: true },
                Token::BracketClose,
            ]
        );
        // Where the input ends within a keyword, Segment loses what it has read.
        assert_eq!(read("an"), [name("a")]);
        assert_eq!(read("ab"), [name("a")]);
        assert_eq!(read("ab "), [name("ab")]);
    }

    #[test]
    fn operators_of_two_characters_need_white_space_after_them() {
        assert_eq!(
            read("a <=5"),
            [name("a"), Token::Operator("<"), Token::Operator("="), Token::Number(5.0)]
        );
        assert_eq!(tokens("a !=5"), []);
        assert_eq!(read("a!= 5"), [name("a"), Token::Operator("!="), Token::Number(5.0)]);
    }

    #[test]
    fn a_quote_ends_a_text_and_may_open_the_next() {
        assert_eq!(
            read("\"a\",\"b\")"),
            [text("\"a\""), Token::Comma, text("\"b\""), Token::Close,]
        );
        assert_eq!(read("\"a\"b\""), [text("\"a\""), text("\"b\"")]);
        assert_eq!(read("'a\"b'"), [text("'a\"b'")]);
    }

    #[test]
    fn a_text_that_cannot_be_read_has_no_tokens() {
        for text in ["\"a", "a ? b", "b$", "1.", "1. 2", "1.2.3", "a*b", "a\rb", "a {"] {
            assert_eq!(tokens(text), [], "{text}");
        }
    }

    #[test]
    fn names_numbers_and_texts_have_a_longest_length() {
        let long = |length: usize, first: &str, last: &str| {
            format!("{first}{}{last}", "1".repeat(length - first.len() - last.len()))
        };
        assert_eq!(tokens(&long(MAX_LENGTH, "a", "")), []);
        assert_eq!(tokens(&long(MAX_LENGTH - 1, "a", "")).len(), 2);
        assert_eq!(tokens(&long(MAX_LENGTH + 1, "", "")), []);
        assert_eq!(tokens(&long(MAX_LENGTH, "", "")).len(), 2);
        assert_eq!(tokens(&long(MAX_LENGTH + 2, "\"", "\"")), []);
        assert_eq!(tokens(&long(MAX_LENGTH + 1, "\"", "\"")).len(), 2);
    }
}

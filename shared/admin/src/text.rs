//! Texts that callers choose: bounded, on one line, and free of what can turn or hide what stands around them.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a text is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidText {
    /// Nothing in it.
    #[error("is empty")]
    Empty,
    /// Too long.
    #[error("has more than {0} characters")]
    TooLong(usize),
    /// A control character, a line break, or one that turns the direction of writing.
    #[error("contains a line break or an invisible character")]
    Invisible,
}

fn check(text: &str, longest: usize, lines: bool) -> Result<(), InvalidText> {
    let invisible = |c: char| {
        (c.is_control() && !(lines && c == '\n'))
            || matches!(c, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if text.trim().is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().count() > longest {
        return Err(InvalidText::TooLong(longest));
    }
    if text.contains(invisible) {
        return Err(InvalidText::Invisible);
    }
    Ok(())
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $longest:literal, $lines:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// How many characters it has at most.
            pub const LONGEST: usize = $longest;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                check(&text, $longest, $lines)?;
                Ok(Self(text.trim().to_owned()))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    )+};
}

texts! {
    /// What people call a workspace, a token or an application.
    Name: 100, false;
    /// A few lines to the invited.
    Note: 500, true;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_visible_line() {
        let name = |text: &str| Name::try_from(text.to_owned()).map(String::from);
        assert_eq!(name(" Acme GmbH "), Ok("Acme GmbH".to_owned()));
        assert_eq!(name(&"é".repeat(100)), Ok("é".repeat(100)));
        for (bad, why) in [
            ("", InvalidText::Empty),
            (" \t ", InvalidText::Empty),
            ("a\nb", InvalidText::Invisible),
            ("a\u{202e}b", InvalidText::Invisible),
            ("a\u{200b}", InvalidText::Invisible),
            (&"a".repeat(101), InvalidText::TooLong(100)),
        ] {
            assert_eq!(name(bad), Err(why), "{bad:?}");
        }
        assert!(Note::try_from("two\nlines".to_owned()).is_ok());
    }
}

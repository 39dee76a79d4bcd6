//! Times as the outside reads and writes them: RFC 3339, in UTC, to the millisecond.

use rollcall_domain::Timestamp;
use thiserror::Error;

/// The text is not an RFC 3339 time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a time: it is written like 2026-11-23T06:00:00Z")]
pub struct InvalidTime;

/// Writes a time, for example `2026-11-23T06:00:00.000Z`. Moments outside the years -9999 to 9999 come out as the nearest one inside.
pub fn format(time: Timestamp) -> String {
    let nearest = if time < Timestamp::EPOCH { jiff::Timestamp::MIN } else { jiff::Timestamp::MAX };
    let time = jiff::Timestamp::from_millisecond(time.as_millis()).unwrap_or(nearest);
    format!("{time:.3}")
}

/// Reads a time with any offset. A time without an offset is refused: it names no moment.
pub fn parse(text: &str) -> Result<Timestamp, InvalidTime> {
    // jiff also reads RFC 9557's `[time zone]`, ISO 8601's basic form and a space for the `T`.
    let plain = text.len() >= 20
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            10 => matches!(byte, b'T' | b't'),
            13 | 16 => byte == b':',
            0..19 => byte.is_ascii_digit(),
            _ => matches!(byte, b'0'..=b'9' | b'.' | b'+' | b'-' | b':' | b'Z' | b'z'),
        });
    if !plain {
        return Err(InvalidTime);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| InvalidTime)?;
    Ok(Timestamp::from_millis(time.as_millisecond()))
}

/// For `#[serde(with = "rollcall_service::rfc3339::serde")]` on a [`Timestamp`].
pub mod serde {
    use ::serde::{Deserialize, Deserializer, Serializer, de::Error as _};
    use rollcall_domain::Timestamp;

    /// Writes the time as RFC 3339.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::format(*time))
    }

    /// Reads the time from RFC 3339.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        super::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }

    /// The same for an optional time: `null` where there is none. Add `default` to let the field be left out.
    pub mod option {
        use ::serde::{Deserialize, Deserializer, Serializer, de::Error as _};
        use rollcall_domain::Timestamp;

        /// Writes the time as RFC 3339, or `null`.
        pub fn serialize<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads the time from RFC 3339, or `null`.
        pub fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            Option::<String>::deserialize(deserializer)?
                .map(|text| super::super::parse(&text).map_err(D::Error::custom))
                .transpose()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_as_written() {
        for millis in [0, 1, -1, 1_800_000_000_123, -62_135_596_800_000] {
            let time = Timestamp::from_millis(millis);
            assert_eq!(parse(&format(time)), Ok(time), "{}", format(time));
        }
        assert_eq!(format(Timestamp::from_millis(1_800_000_000_120)), "2027-01-15T08:00:00.120Z");
    }

    #[test]
    fn an_offset_is_understood_and_required() {
        assert_eq!(parse("2026-11-23T08:00:00+02:00"), parse("2026-11-23T06:00:00Z"));
        for bad in [
            "",
            "now",
            "2026-11-23",
            "2026-11-23T06:00:00",
            "2026-11-23 06:00:00Z",
            "20261123T060000Z",
            "2026-11-23T06:00:00Z[UTC]",
            "2026-13-23T06:00:00Z",
        ] {
            assert_eq!(parse(bad), Err(InvalidTime), "{bad}");
        }
    }

    #[test]
    fn a_moment_beyond_the_calendar_is_still_written() {
        assert!(format(Timestamp::from_millis(i64::MAX)).starts_with("9999-12-30T"));
        assert!(format(Timestamp::from_millis(i64::MIN)).starts_with("-009999-"));
    }
}

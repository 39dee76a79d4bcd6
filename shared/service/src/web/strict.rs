//! JSON read as a JSON Schema describes it.
//!
//! What serde derives takes a list for an object, field by field (`["Acme"]` for `{"name":"Acme"}`), which no description says and
//! which passes by the check for unknown fields. And it refuses `25.0` where a whole number is asked for, which to JSON Schema is one.

use core::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
    Visitor,
};

/// The largest whole number that a JSON number with a fraction part stands for exactly (RFC 8259 §6).
const LARGEST: f64 = 9_007_199_254_740_991.0;

/// A deserializer that reads strictly, and so does everything inside of it.
pub(super) struct Strict<D>(pub(super) D);

/// What is asked for, as far as it decides what is accepted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    List,
    WholeNumber,
    Other,
}

/// A visitor that is told strictly.
struct Told<V> {
    visitor: V,
    asked: Asked,
}

macro_rules! forwarded {
    ($asked:expr; $($name:ident)+) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$name(Told { visitor, asked: $asked })
        }
    )+};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forwarded! { Asked::Other;
        deserialize_any deserialize_bool deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit deserialize_map deserialize_identifier
    }
    forwarded! { Asked::WholeNumber;
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }
    forwarded! { Asked::List; deserialize_seq deserialize_ignored_any }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Told { visitor, asked: Asked::Other })
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Told { visitor, asked: Asked::Other })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Told { visitor, asked: Asked::List })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Told { visitor, asked: Asked::List })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Told { visitor, asked: Asked::Other })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Told { visitor, asked: Asked::Other })
    }
}

macro_rules! told {
    ($($name:ident: $type:ty),+ $(,)?) => {$(
        fn $name<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$name(value)
        }
    )+};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Told<V> {
    type Value = V::Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(formatter)
    }

    told! {
        visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_char: char, visit_str: &str, visit_string: String,
        visit_borrowed_str: &'de str, visit_bytes: &[u8], visit_byte_buf: Vec<u8>, visit_borrowed_bytes: &'de [u8],
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        if self.asked != Asked::WholeNumber || value.fract() != 0.0 || value.abs() > LARGEST {
            return self.visitor.visit_f64(value);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it was just checked to be whole and small enough"
        )]
        let whole = value as i64;
        match u64::try_from(whole) {
            Ok(whole) => self.visitor.visit_u64(whole),
            Err(_) => self.visitor.visit_i64(whole),
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        if self.asked == Asked::List {
            self.visitor.visit_seq(Inside(items))
        } else {
            Err(A::Error::invalid_type(Unexpected::Seq, &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Inside(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Inside(variant))
    }
}

/// What is inside of a list, an object or a variant.
struct Inside<T>(T);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Inside<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Inside<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Inside(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Inside<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Inside(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Inside<A> {
    type Error = A::Error;
    type Variant = Inside<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(seed)?;
        Ok((value, Inside(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Inside<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Inside(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Told { visitor, asked: Asked::List })
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, Told { visitor, asked: Asked::Other })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asking {
        name: Option<String>,
        days: Option<u32>,
        tags: Option<Vec<String>>,
        inner: Option<Box<Asking>>,
        kind: Option<Kind>,
        reach: Option<Reach>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
    enum Kind {
        Token { token: String },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Reach {
        All,
        One(String),
        Some { from: u8 },
    }

    fn read(json: &str) -> Result<Asking, serde_json::Error> {
        Asking::deserialize(Strict(&mut serde_json::Deserializer::from_str(json)))
    }

    #[test]
    fn an_object_is_an_object_and_a_list_is_a_list_at_every_depth() {
        for good in [
            "{}",
            r#"{"name":"a","days":3,"tags":["a","b"]}"#,
            r#"{"inner":{"inner":{"tags":[]}}}"#,
            r#"{"kind":{"kind":"token","token":"t"}}"#,
            r#"{"reach":"all"}"#,
            r#"{"reach":{"one":"x"}}"#,
            r#"{"reach":{"some":{"from":1}}}"#,
        ] {
            let plain: Asking = serde_json::from_str(good).unwrap();
            assert_eq!(read(good).unwrap(), plain, "{good}");
        }
        for bad in [
            r#"["a",3,null,null,null,null]"#,
            r#"{"inner":[null,null,null,null,null,null]}"#,
            r#"{"kind":["token","t"]}"#,
            r#"{"reach":{"some":[1]}}"#,
        ] {
            assert!(serde_json::from_str::<Asking>(bad).is_ok(), "serde alone takes {bad}");
            assert!(read(bad).unwrap_err().to_string().contains("invalid type: sequence"), "{bad}");
        }
        assert!(read(r#"{"tags":{"0":"a"}}"#).is_err());
    }

    #[test]
    fn a_whole_number_may_be_written_with_a_point() {
        assert_eq!(read(r#"{"days":25.0}"#).unwrap().days, Some(25));
        assert_eq!(read(r#"{"days":2.5e1}"#).unwrap().days, Some(25));
        for bad in ["25.5", "-1.0", "1e300", "5000000000.0", "\"25\"", "true"] {
            assert!(read(&format!(r#"{{"days":{bad}}}"#)).is_err(), "{bad}");
        }
    }
}

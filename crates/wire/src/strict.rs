//! JSON without ambiguity: one object, each key once, bounded depth and size.
//!
//! `serde_json` keeps the last of two equal keys. Two readers that keep different
//! ones can be played against each other, so both are refused here.

use std::cell::Cell;
use std::fmt;

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::error::{ErrorCode, ParseError};
use crate::limits;

/// Reads one JSON object.
///
/// # Errors
/// [`ErrorCode::TooLarge`], [`ErrorCode::MalformedJson`] or [`ErrorCode::DuplicateKey`].
pub(crate) fn parse_object(text: &str) -> Result<Map<String, Value>, ParseError> {
    if text.len() > limits::MAX_MESSAGE_BYTES {
        return Err(ParseError::new(
            ErrorCode::TooLarge,
            format!("a message may have {} bytes at most", limits::MAX_MESSAGE_BYTES),
        ));
    }
    let budget = Budget { values: Cell::new(limits::MAX_VALUES), fault: Cell::new(None) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = StrictValue { depth: limits::MAX_DEPTH, budget: &budget }
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value))
        .map_err(|error| match budget.fault.take() {
            Some(fault) => ParseError::new(fault, error.to_string()),
            None => ParseError::new(ErrorCode::MalformedJson, format!("not JSON: {error}")),
        })?;
    match value {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ParseError::new(ErrorCode::MalformedJson, "a message must be a JSON object"))
        }
    }
}

/// What one message may still use, and which limit it broke.
struct Budget {
    values: Cell<usize>,
    fault: Cell<Option<ErrorCode>>,
}

impl Budget {
    fn spend<E: de::Error>(&self) -> Result<(), E> {
        match self.values.get().checked_sub(1) {
            Some(left) => {
                self.values.set(left);
                Ok(())
            }
            None => Err(self.refuse(ErrorCode::TooLarge, "the message holds too many values")),
        }
    }

    fn refuse<E: de::Error>(&self, code: ErrorCode, message: &str) -> E {
        self.fault.set(Some(code));
        E::custom(message)
    }
}

#[derive(Clone, Copy)]
struct StrictValue<'a> {
    depth: usize,
    budget: &'a Budget,
}

impl StrictValue<'_> {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(self.budget.refuse(ErrorCode::TooLarge, "the message nests too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for StrictValue<'_> {
    type Value = Value;

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.budget.spend()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictValue<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let element = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(element)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let element = self.deeper()?;
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if values.contains_key(&key) {
                let shown: String = key.chars().take(32).collect();
                let message = format!("the key `{shown}` stands twice");
                return Err(self.budget.refuse(ErrorCode::DuplicateKey, &message));
            }
            let value = map.next_value_seed(element)?;
            values.insert(key, value);
        }
        Ok(Value::Object(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn code(text: &str) -> ErrorCode {
        parse_object(text).unwrap_err().code
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_at_any_depth() {
        assert_eq!(code(r#"{"a":1,"a":2}"#), ErrorCode::DuplicateKey);
        assert_eq!(code(r#"{"a":[{"b":1,"\u0062":2}]}"#), ErrorCode::DuplicateKey);
    }

    #[test]
    fn what_is_no_object_is_malformed() {
        for text in ["", "[]", "1", "null", "{", r#"{"a":1}x"#, "\u{0}", r#"{"a":NaN}"#] {
            assert_eq!(code(text), ErrorCode::MalformedJson, "{text}");
        }
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nest = |n: usize| format!(r#"{{"a":{}1{}}}"#, "[".repeat(n), "]".repeat(n));
        assert!(parse_object(&nest(limits::MAX_DEPTH - 1)).is_ok());
        assert_eq!(code(&nest(limits::MAX_DEPTH)), ErrorCode::TooLarge);
        assert_eq!(code(&nest(10_000)), ErrorCode::TooLarge);
        let many = vec!["1"; limits::MAX_VALUES + 1].join(",");
        assert_eq!(code(&format!(r#"{{"a":[{many}]}}"#)), ErrorCode::TooLarge);
    }

    #[test]
    fn a_message_above_the_limit_is_not_even_read() {
        let text = format!(r#"{{"a":"{}"}}"#, "x".repeat(limits::MAX_MESSAGE_BYTES));
        assert_eq!(code(&text), ErrorCode::TooLarge);
    }
}

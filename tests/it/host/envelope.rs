//! The emulator's envelope is the captured one.

use serde_json::{Value, json};
use time::macros::datetime;

use crate::support::host::{
    envelope::{Encoding, Invocation, envelope},
    storage::Message,
};

fn captured(function: &'static str) -> (Invocation<'static>, Message) {
    let random = "e59556b5-892a-4465-a19d-4396f0978dab".parse().unwrap();
    let invocation = Invocation { function, binding: function, random, now: datetime!(2025-02-18 03:06:20.756_269_1 UTC) };
    let message = Message {
        id: "52d53c5f-e212-487e-998b-abbe3b9d51e4".into(),
        receipt: "MThGZWIyMDI1MDM6MDY6MjA3NjM1".into(),
        dequeue_count: 1,
        text: String::new(),
        inserted: "Tue, 18 Feb 2025 03:06:19 GMT".into(),
        expires: "Tue, 25 Feb 2025 03:06:19 GMT".into(),
        next_visible: "Tue, 18 Feb 2025 03:16:20 GMT".into(),
    };
    (invocation, message)
}

fn of(text: &str, encoding: Encoding) -> Value {
    let (invocation, message) = captured("wake");
    serde_json::from_slice(&envelope(&invocation, &message, text, encoding)).unwrap()
}

#[test]
fn it_is_byte_for_byte_the_one_that_was_captured() {
    let (invocation, message) = captured("queue");
    let made = envelope(&invocation, &message, "hello!!", Encoding::Double);
    assert_eq!(String::from_utf8(made).unwrap(), include_str!("../../host/envelope.json"));
}

#[test]
fn it_can_be_encoded_once_or_hold_the_object_itself() {
    let text = r#"{"a":1}"#;
    assert_eq!(of(text, Encoding::Double)["Data"]["wake"], json!(r#""{\"a\":1}""#));
    assert_eq!(of(text, Encoding::Single)["Data"]["wake"], json!(text));
    assert_eq!(of(text, Encoding::Object)["Data"]["wake"], json!({"a": 1}));
    assert_eq!(of(text, Encoding::Single)["Metadata"]["DequeueCount"], json!(1));
    assert_eq!(of(text, Encoding::Single)["Metadata"]["Id"], json!("52d53c5f-e212-487e-998b-abbe3b9d51e4"));
}

#[test]
fn fields_of_the_message_are_merged_into_the_metadata_and_may_overwrite_it_in_any_case() {
    let text = r#"{"dequeuecount":"many","POPRECEIPT":7,"own":{"a":[1]},"list":[1],"none":null,"yes":true}"#;
    let metadata = of(text, Encoding::Double)["Metadata"].clone();
    assert_eq!(metadata["DequeueCount"], json!("\"many\""));
    assert_eq!(metadata["PopReceipt"], json!("\"7\""));
    assert_eq!(metadata["own"], json!({"a": [1]}));
    assert_eq!(metadata["yes"], json!("\"True\""));
    assert_eq!((metadata.get("list"), metadata.get("none"), metadata.get("dequeuecount")), (None, None, None));
}

//! Any bytes as a message of Stratum V2, as `--frames` tells it: nothing panics, and no byte is
//! left out.
//!
//! The first byte is the type, the second one the extension, the rest the message.
#![cfg_attr(feature = "libfuzzer", no_main)]

use midstate_sv2::TracedFrame;

midstate_fuzz::target!(|bytes| {
    let [kind, extension, payload @ ..] = bytes else { return };
    let frame = TracedFrame::decode(true, u16::from(*extension % 3), *kind, payload);
    let fields = serde_json::to_value(&frame.fields).expect("fields are JSON");
    let rest = fields.get("rest").and_then(|rest| rest.as_str()).unwrap_or_default();
    assert!(rest.len() <= 2 * payload.len());
    if frame.name == "Unknown" {
        assert_eq!(rest.len(), 2 * payload.len());
    } else if !rest.is_empty() {
        assert!(frame.is_malformed);
    }
    if frame.channel.is_some() {
        assert_eq!(fields["channel_id"], frame.channel.unwrap_or_default());
    }
});

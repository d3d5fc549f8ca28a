//! Whatever a client sends before its vhost is open: no panic, and what is read is written back as something that is read the same.

#![no_main]

use kinetic_redirector::{
    amqp::{FrameHead, Method, frame::HEAD},
    door::properties::{Announced, handed_on},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(head) = bytes.first_chunk::<HEAD>() {
        let _ = FrameHead::read(*head, 8192);
    }
    let Ok(method) = Method::read(bytes) else { return };
    // The secret of an update is not kept.
    if !matches!(method, Method::UpdateSecret | Method::Secure | Method::Open(_) | Method::OpenOk | Method::Close(_) | Method::Blocked(_)) {
        let frame = method.frame();
        assert_eq!(Method::read(&frame[HEAD..frame.len() - 1]), Ok(method));
    }
    if let Method::StartOk(ok) = method {
        let _ = Announced::read(ok.client_properties);
        if let Ok(kept) = handed_on(ok.client_properties, None, "acme/web", "127.0.0.1:1") {
            assert!(kept.as_table().fields().count() >= 2);
        }
    }
});

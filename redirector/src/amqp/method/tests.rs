use proptest::prelude::*;

use super::*;
use crate::amqp::{frame::AROUND, table::TableBuf};

fn payload(frame: &[u8]) -> &[u8] {
    &frame[frame::HEAD..frame.len() - 1]
}

fn properties() -> TableBuf {
    TableBuf::default().text("product", "a client").bool("x", true)
}

/// Read by an independent implementation, as lapin would.
#[track_caller]
fn peer(frame: &[u8]) -> amq_protocol::protocol::connection::AMQPMethod {
    let (rest, read) = amq_protocol::frame::parse_frame(frame).expect("a frame");
    assert!(rest.is_empty());
    match read {
        amq_protocol::frame::AMQPFrame::Method(0, amq_protocol::protocol::AMQPClass::Connection(method)) => {
            method
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_we_write_a_peer_reads_and_so_do_we() {
    use amq_protocol::protocol::connection::AMQPMethod as Theirs;
    let properties = properties();
    let tune = Tune { channel_max: 2047, frame_max: 131_072, heartbeat: 60 };
    let all = [
        Method::Start(Start {
            version: (0, 9),
            server_properties: properties.as_table(),
            mechanisms: b"EXTERNAL PLAIN",
            locales: b"en_US",
        }),
        Method::StartOk(StartOk {
            client_properties: properties.as_table(),
            mechanism: "PLAIN",
            response: b"\0user\0secret",
            locale: "en_US",
        }),
        Method::Secure,
        Method::Tune(tune),
        Method::TuneOk(tune),
        Method::Open(Open { vhost: "us-west.aws.acme" }),
        Method::OpenOk,
        Method::Close(Close { code: 530, text: "vhost refused".as_bytes(), cause: (10, 40) }),
        Method::CloseOk,
        Method::Blocked(b"low on memory"),
        Method::Unblocked,
    ];
    for method in all {
        let frame = method.frame();
        assert_eq!(Method::read(payload(&frame)), Ok(method));
        match (method, peer(&frame)) {
            (Method::Start(start), Theirs::Start(theirs)) => {
                assert_eq!((theirs.version_major, theirs.version_minor), start.version);
                assert_eq!(theirs.mechanisms.as_bytes(), start.mechanisms);
                assert_eq!(theirs.server_properties.inner().len(), 2);
            }
            (Method::StartOk(ok), Theirs::StartOk(theirs)) => {
                assert_eq!(
                    (theirs.mechanism.as_str(), theirs.response.as_bytes()),
                    (ok.mechanism, ok.response)
                );
            }
            (Method::Tune(_), Theirs::Tune(theirs)) => {
                assert_eq!((theirs.channel_max, theirs.frame_max, theirs.heartbeat), (2047, 131_072, 60));
            }
            (Method::TuneOk(_), Theirs::TuneOk(theirs)) => {
                assert_eq!((theirs.channel_max, theirs.frame_max, theirs.heartbeat), (2047, 131_072, 60));
            }
            (Method::Open(open), Theirs::Open(theirs)) => {
                assert_eq!(theirs.virtual_host.as_str(), open.vhost);
            }
            (Method::Close(close), Theirs::Close(theirs)) => {
                assert_eq!((theirs.reply_code, theirs.class_id, theirs.method_id), (close.code, 10, 40));
                assert_eq!(theirs.reply_text.as_str().as_bytes(), close.text);
            }
            (Method::Blocked(reason), Theirs::Blocked(theirs)) => {
                assert_eq!(theirs.reason.as_str().as_bytes(), reason);
            }
            (Method::Secure, Theirs::Secure(_))
            | (Method::OpenOk, Theirs::OpenOk(_))
            | (Method::CloseOk, Theirs::CloseOk(_))
            | (Method::Unblocked, Theirs::Unblocked(_)) => {}
            other => panic!("not the same: {other:?}"),
        }
    }
}

#[test]
fn a_text_is_cut_at_a_characters_end() {
    let long = "ü".repeat(200);
    let frame = Method::close(Code::NotAllowed, &long, (0, 0));
    let Ok(Method::Close(close)) = Method::read(payload(&frame)) else { panic!() };
    assert_eq!(std::str::from_utf8(close.text), Ok(&*"ü".repeat(127)));
}

#[test]
fn other_classes_and_bytes_after_the_end() {
    assert_eq!(Method::read(&[0, 20, 0, 10, 0]), Err(Malformed::Method(20, 10)));
    assert_eq!(Method::read(&[0, 10, 0, 99]), Err(Malformed::Method(10, 99)));
    assert_eq!(Method::read(&[0, 10, 0, 51, 0]), Err(Malformed::Rest));
    assert_eq!(Method::read(&[0, 10]), Err(Malformed::Short));
}

#[test]
fn no_limit_gives_way_to_any() {
    let tune = |channel_max, frame_max, heartbeat| Tune { channel_max, frame_max, heartbeat };
    assert_eq!(tune(0, 131_072, 60).smaller(tune(2047, 0, 580)), tune(2047, 131_072, 60));
    assert_eq!(tune(10, 4096, 0).smaller(tune(20, 8192, 0)), tune(10, 4096, 0));
}

proptest! {
    #[test]
    fn any_bytes_are_a_method_or_not(number in 0_u16..80, bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let bytes = [&[0, 10][..], &number.to_be_bytes(), &bytes].concat();
        if let Ok(method) = Method::read(&bytes) {
            prop_assert_eq!(method.id(), (10, number));
            prop_assert!(method.frame().len() <= bytes.len() + AROUND + 510);
        }
    }
}

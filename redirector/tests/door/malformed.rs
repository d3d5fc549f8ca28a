//! Handshakes that no well-meaning client sends: each is answered by a Close with its code, or by the end of the connection, and leaves nothing
//! behind.

use std::{fs, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use kinetic_pki::{Client, ClientFiles, ServerIdentity, TlsMetrics, Trust, client::ClientIdentity};
use kinetic_redirector::{
    amqp::{
        FrameHead, FrameKind, Method, Open, PROTOCOL_HEADER, StartOk, Tune, frame::HEAD, table::TableBuf,
    },
    door::{DoorSettings, leg::Leg, leg::Received},
};
use rustls::{ClientConfig, pki_types::ServerName};
use tempfile::TempDir;
use tokio::{net::TcpStream, time::timeout};

use crate::rig::{Rig, until};

/// What a peer sees at last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// The protocol header that would have been right (specification 2.2.4).
    Header,
    /// The end, without a word: Close may not be sent before the client has presented itself.
    End,
    /// Close with this reply code.
    Close(u16),
}

const METHOD: u8 = 1;
const FRAME_END: u8 = 0xce;

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&[kind][..], &channel.to_be_bytes(), &length.to_be_bytes(), payload, &[FRAME_END]].concat()
}

fn start_ok(properties: &[u8], mechanism: &str, response: &[u8]) -> Vec<u8> {
    let table = u32::try_from(properties.len()).unwrap().to_be_bytes();
    let response_length = u32::try_from(response.len()).unwrap().to_be_bytes();
    let mechanism_length = [u8::try_from(mechanism.len()).unwrap()];
    let payload = [
        &[0, 10, 0, 11][..],
        &table,
        properties,
        &mechanism_length,
        mechanism.as_bytes(),
        &response_length,
        response,
        b"\x05en_US",
    ];
    frame(METHOD, 0, &payload.concat())
}

/// The corpus. Every one is what comes after TLS, by a client of good standing.
fn corpus(vhost: &str) -> Vec<(&'static str, Vec<u8>, Answer)> {
    let header = PROTOCOL_HEADER.to_vec();
    let properties = TableBuf::default().text("product", "hostile");
    let good = StartOk {
        client_properties: properties.as_table(),
        mechanism: "EXTERNAL",
        response: b"",
        locale: "en_US",
    };
    let hello = [header.clone(), Method::StartOk(good).frame()].concat();
    let tune = |channel_max, frame_max| Method::TuneOk(Tune { channel_max, frame_max, heartbeat: 0 }).frame();
    let tuned = [hello.clone(), tune(100, 65_536)].concat();
    let after = |start: &[u8], more: &[u8]| [start, more].concat();
    let started = |properties: &[u8]| after(&header, &start_ok(properties, "EXTERNAL", b""));
    let open = |vhost: &[u8]| {
        let length = [u8::try_from(vhost.len()).unwrap()];
        frame(METHOD, 0, &[&[0, 10, 0, 40][..], &length, vhost, &[0, 0]].concat())
    };
    let deep = (0..200).fold(Vec::new(), |inner: Vec<u8>, _| {
        [&b"\x01aF"[..], &u32::try_from(inner.len()).unwrap().to_be_bytes(), &inner].concat()
    });
    let mut unended = Method::StartOk(good).frame();
    *unended.last_mut().unwrap() = 0;
    vec![
        ("nothing", vec![], Answer::End),
        ("HTTP", b"GET / HTTP/1.1\r\n\r\n".to_vec(), Answer::Header),
        ("AMQP 1.0", b"AMQP\0\x01\0\0".to_vec(), Answer::Header),
        ("AMQP 0-8", b"AMQP\x01\x01\x08\0".to_vec(), Answer::Header),
        ("half a header", b"AMQP".to_vec(), Answer::End),
        ("a header alone", header.clone(), Answer::End),
        ("no kind of frame", after(&header, &frame(9, 0, b"")), Answer::End),
        ("a content header first", after(&header, &frame(2, 0, &[0; 14])), Answer::End),
        ("a body first", after(&header, &frame(3, 1, b"body")), Answer::End),
        ("a frame of 4 GiB", after(&header, &[1, 0, 0, 0xff, 0xff, 0xff, 0xff]), Answer::End),
        ("half a frame", after(&header, &[1, 0, 0, 0, 0, 1, 0, 0, 10]), Answer::End),
        ("no frame end", after(&header, &unended), Answer::End),
        ("an empty method", after(&header, &frame(METHOD, 0, b"")), Answer::End),
        ("a method of no class", after(&header, &frame(METHOD, 0, &[0xff; 4])), Answer::End),
        (
            "basic.publish first",
            after(&header, &frame(METHOD, 1, &[0, 60, 0, 40, 0, 0, 0, 0, 0])),
            Answer::End,
        ),
        ("open first", after(&header, &open(vhost.as_bytes())), Answer::End),
        (
            "start-ok on channel 1",
            after(&header, &{
                let mut moved = Method::StartOk(good).frame();
                moved[2] = 1;
                moved
            }),
            Answer::End,
        ),
        ("start-ok cut short", after(&header, &frame(METHOD, 0, &[0, 10, 0, 11, 0, 0])), Answer::End),
        (
            "a table longer than its frame",
            after(&header, &frame(METHOD, 0, &[0, 10, 0, 11, 0xff, 0, 0, 0, 1])),
            Answer::End,
        ),
        ("a field longer than its table", started(b"\x03keyS\0\0\xff\0short"), Answer::End),
        ("a field of no type", started(b"\x03key?"), Answer::End),
        ("a key longer than its table", started(b"\xffkey"), Answer::End),
        ("start-ok and no more", hello.clone(), Answer::Close(320)),
        ("tables in tables in tables", started(&deep), Answer::Close(320)),
        ("an unknown mechanism", after(&header, &start_ok(b"", "AMQPLAIN", b"")), Answer::Close(403)),
        (
            "somebody else by EXTERNAL",
            after(&header, &start_ok(b"", "EXTERNAL", b"root")),
            Answer::Close(403),
        ),
        ("somebody else by PLAIN", after(&header, &start_ok(b"", "PLAIN", b"\0root\0x")), Answer::Close(403)),
        ("PLAIN without its parts", after(&header, &start_ok(b"", "PLAIN", b"web")), Answer::Close(403)),
        ("start-ok twice", after(&hello, &Method::StartOk(good).frame()), Answer::Close(503)),
        ("frames too small", after(&hello, &tune(100, 100)), Answer::Close(530)),
        ("frames too large", after(&hello, &tune(100, u32::MAX)), Answer::Close(530)),
        ("too many channels", after(&hello, &tune(u16::MAX, 65_536)), Answer::Close(530)),
        ("open before tune-ok", after(&hello, &open(vhost.as_bytes())), Answer::Close(503)),
        ("a body in the handshake", after(&hello, &frame(3, 1, b"body")), Answer::Close(504)),
        ("garbage after start-ok", after(&hello, &[0xaa; 64]), Answer::Close(501)),
        ("tune-ok cut short", after(&hello, &frame(METHOD, 0, &[0, 10, 0, 31, 0])), Answer::Close(502)),
        ("another's vhost", after(&tuned, &open(b"/")), Answer::Close(530)),
        ("a vhost that is not text", after(&tuned, &open(&[0xff, 0xfe])), Answer::Close(502)),
        (
            "update-secret before open",
            after(&tuned, &frame(METHOD, 0, &[0, 10, 0, 70, 0, 0, 0, 0, 0])),
            Answer::Close(503),
        ),
        ("tune-ok twice", after(&tuned, &tune(100, 65_536)), Answer::Close(503)),
        (
            "open on a channel",
            after(&tuned, &{
                let mut moved = Method::Open(Open { vhost }).frame();
                moved[2] = 1;
                moved
            }),
            Answer::Close(504),
        ),
        ("too large after tune-ok", after(&tuned, &[1, 0, 0, 0x7f, 0xff, 0xff, 0xff]), Answer::Close(501)),
    ]
}

/// Says it all at once, and listens until the end.
async fn answer(rig: &Rig, tls: Arc<ClientConfig>, bytes: &[u8]) -> Answer {
    let socket = TcpStream::connect(rig.address).await.unwrap();
    let (name, mut came) = (ServerName::try_from("localhost").unwrap(), Vec::new());
    let mut leg = Leg::connect(socket, tls, name, &mut came).await.unwrap();
    // It may have hung up already.
    let _ = leg.send_all(bytes).await;
    let listening = async { while matches!(leg.receive(&mut came).await, Ok(Received::Some)) {} };
    timeout(Duration::from_secs(20), listening).await.expect("the connection to be ended");
    if came.starts_with(&PROTOCOL_HEADER) {
        return Answer::Header;
    }
    let mut rest = &came[..];
    let mut last = Answer::End;
    while let Some(head) = rest.first_chunk::<HEAD>() {
        let head = FrameHead::read(*head, u32::MAX).expect("what we send is right");
        let (payload, more) = rest[HEAD..].split_at(head.length as usize);
        if head.kind == FrameKind::Method
            && let Ok(Method::Close(close)) = Method::read(payload)
        {
            last = Answer::Close(close.code);
        }
        rest = &more[1..];
    }
    last
}

/// A client's TLS, its certificate included.
fn tls(rig: &Rig, folder: &TempDir) -> Client {
    let certificate = rig.certificate("/customers/acme/clients/web");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let identity = ClientIdentity {
        certificate: write("web.crt", &certificate.chain),
        key: write("web.key", &certificate.key),
    };
    let trust = Trust::File(write("trust.crt", rig.authority.certificate()));
    let files = ClientFiles { identity: Some(identity), trust };
    Client::watch(files, ServerIdentity::Name, &TlsMetrics::default()).unwrap()
}

fn resident_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_handshakes_are_answered_and_leave_nothing() {
    let settings = DoorSettings { handshake: Duration::from_secs(2), ..DoorSettings::default() };
    let rig = Rig::with(settings).await;
    let (vhost, folder) = (rig.vhost("acme"), TempDir::new().unwrap());
    let client = tls(&rig, &folder);
    let corpus = corpus(&vhost);
    let mut resident = Vec::new();
    for _ in 0..6 {
        let answers = stream::iter(&corpus)
            .map(|(name, bytes, expected)| {
                let answer = answer(&rig, client.config(), bytes);
                async move { (*name, *expected, answer.await) }
            })
            .buffer_unordered(corpus.len());
        let wrong: Vec<_> =
            answers.filter(|(_, expected, seen)| std::future::ready(expected != seen)).collect().await;
        assert_eq!(wrong, [], "what, expected, seen");
        resident.push(resident_kib());
    }
    // The first rounds fill caches; then it is flat.
    assert!(resident[5] < resident[1] + 4096, "resident KiB after each round: {resident:?}");
    let web = rig.certificate("/customers/acme/clients/web");
    let open = rig.connect(&web, &vhost).await.unwrap();
    assert!(open.status().connected());
    drop(open);
    until("all seats to be free", || rig.door.connections().is_empty()).await;
}

/// Whatever is left out, doubled or turned: it ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutated_handshakes_end() {
    let settings = DoorSettings { handshake: Duration::from_secs(2), ..DoorSettings::default() };
    let rig = Rig::with(settings).await;
    let (vhost, folder) = (rig.vhost("acme"), TempDir::new().unwrap());
    let client = tls(&rig, &folder);
    let corpus = corpus(&vhost);
    let mut random =
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha);
    let mutated: Vec<Vec<u8>> = (0..600).map(|_| mutate(&corpus, &mut random)).collect();
    let ends = stream::iter(&mutated).map(|bytes| answer(&rig, client.config(), bytes)).buffer_unordered(60);
    assert_eq!(ends.count().await, mutated.len());
}

fn mutate(
    corpus: &[(&'static str, Vec<u8>, Answer)],
    random: &mut proptest::test_runner::TestRng,
) -> Vec<u8> {
    use proptest::prelude::Rng;
    let mut below = |bound: usize| usize::try_from(random.next_u32()).unwrap() % bound.max(1);
    let mut bytes = corpus[below(corpus.len())].1.clone();
    for _ in 0..=below(4) {
        let at = below(bytes.len());
        match below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, u8::try_from(below(256)).unwrap()),
            2 if !bytes.is_empty() => bytes[at] = u8::try_from(below(256)).unwrap(),
            _ => bytes.extend_from_within(at..),
        }
    }
    bytes
}

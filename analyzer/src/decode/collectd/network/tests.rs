use proptest::prelude::*;

use super::*;
use crate::decode::collector::Collector;

fn decoded(body: &[u8]) -> Vec<String> {
    Collector::of(|sink| decode(body, &TypesDb::standard(), sink))
}

fn part(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 4).unwrap();
    [&kind.to_be_bytes()[..], &length.to_be_bytes(), content].concat()
}

fn text(kind: u16, text: &str) -> Vec<u8> {
    part(kind, &[text.as_bytes(), b"\0"].concat())
}

fn number(kind: u16, number: u64) -> Vec<u8> {
    part(kind, &number.to_be_bytes())
}

/// A gauge's type and bytes.
fn gauge(level: f64) -> (u8, [u8; 8]) {
    (1, level.to_le_bytes())
}

/// A derive's type and bytes.
fn derive(number: i64) -> (u8, [u8; 8]) {
    (2, number.to_be_bytes())
}

fn values(values: &[(u8, [u8; 8])]) -> Vec<u8> {
    let mut content = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    content.extend(values.iter().map(|(kind, _)| *kind));
    content.extend(values.iter().flat_map(|(_, bytes)| *bytes));
    part(VALUES, &content)
}

/// As collectd packs two value lists: what did not change is not said again.
fn packet() -> Vec<u8> {
    [
        text(HOST, "db-1"),
        number(TIME_HIRES, 1_251_533_299 << 30 | 1 << 29),
        number(0x0009, 10 << 30),
        text(PLUGIN, "cpu"),
        text(PLUGIN_INSTANCE, "0"),
        text(TYPE, "cpu"),
        text(TYPE_INSTANCE, "idle"),
        values(&[derive(98_261)]),
        number(TIME, 1_251_533_300),
        number(0x0007, 10),
        text(PLUGIN, "load"),
        text(PLUGIN_INSTANCE, ""),
        text(TYPE, "load"),
        text(TYPE_INSTANCE, ""),
        values(&[gauge(0.5), gauge(f64::NAN), gauge(2.0)]),
    ]
    .concat()
}

#[test]
fn parts_hold_until_the_next_of_their_kind() {
    let cpu = "cpu.0.cpu.idle{plugin=cpu,plugin_instance=0,type=cpu,type_instance=idle}@db-1 \
        Raw { raw: Derive(98261), bounds: Bounds { min: 0.0, max: inf } } 1251533299500000000";
    let load = |name: &str, value: &str| {
        format!("load.load.{name}{{plugin=load,type=load}}@db-1 Level({value}) 1251533300000000000")
    };
    let wanted = [cpu.to_owned(), load("shortterm", "0.5"), "gap".to_owned(), load("longterm", "2.0")];
    assert_eq!(decoded(&packet()), wanted);
}

/// Sent by the network plugin of Debian 12's collectd 5.12, which was given the values by its unixsock plugin.
#[test]
fn what_collectd_sends() {
    let raw =
        |raw: &str, min: &str| format!("Raw {{ raw: {raw}, bounds: Bounds {{ min: {min}, max: inf }} }}");
    let (load, cpu) =
        ("{plugin=load,type=load}@web-1", "{plugin=cpu,plugin_instance=0,type=cpu,type_instance=idle}@web-1");
    let disk = "{plugin=disk,plugin_instance=sda,type=disk_octets}@web-1";
    let (counter, absolute) = (
        "{plugin=app,type=counter,type_instance=hits}@web-1",
        "{plugin=app,type=absolute,type_instance=hits}@db-1",
    );
    assert_eq!(
        decoded(include_bytes!("../testdata/packet.bin")),
        [
            format!("load.load.shortterm{load} Level(0.5) 1700000000125000000"),
            format!("load.load.midterm{load} Level(0.25) 1700000000125000000"),
            format!("load.load.longterm{load} Level(0.125) 1700000000125000000"),
            format!("cpu.0.cpu.idle{cpu} {} 1700000000000000000", raw("Derive(4294967290)", "0.0")),
            format!("disk.sda.disk_octets.read{disk} {} 1700000000500000000", raw("Derive(100)", "0.0")),
            format!("disk.sda.disk_octets.write{disk} {} 1700000000500000000", raw("Derive(200)", "0.0")),
            format!("app.counter.hits{counter} {} 1700000000000000000", raw("Counter(7)", "-inf")),
            format!("app.absolute.hits{absolute} {} 1700000000000000000", raw("Absolute(7)", "0.0")),
        ]
    );
}

#[test]
fn every_kind_of_value() {
    let of = |kind: &str, sent| {
        let parts = [text(HOST, "h"), text(PLUGIN, "p"), text(TYPE, kind), values(&[sent])].concat();
        decoded(&parts).concat()
    };
    assert!(of("counter", (0, u64::MAX.to_be_bytes())).contains("Counter(18446744073709551615)"));
    assert!(of("derive", (2, (-5i64).to_be_bytes())).contains("Derive(-5)"));
    assert!(of("absolute", (3, 7u64.to_be_bytes())).contains("Absolute(7)"));
    assert!(of("anything", (1, (-0.25f64).to_le_bytes())).contains("Level(-0.25) now"));
    assert_eq!(of("anything", (1, f64::INFINITY.to_le_bytes())), "bad: NotANumber");
    assert_eq!(of("anything", (9, [0; 8])), "bad: UnknownSourceKind");
}

#[test]
fn what_is_wrong_with_a_list_costs_the_list() {
    let one = gauge(1.0);
    let list = |kind: &str, sent: &[(u8, [u8; 8])]| [text(TYPE, kind), values(sent)].concat();
    let head = [text(HOST, "h"), text(PLUGIN, "p")].concat();
    let body = [&head[..], &list("load", &[one]), &list("", &[one]), &list("gauge", &[one])].concat();
    assert_eq!(
        decoded(&body),
        ["bad: WrongValueCount", "bad: BadIdentifier", "p.gauge{plugin=p,type=gauge}@h Level(1.0) now"]
    );
}

#[test]
fn a_notification_is_an_event() {
    let body = [text(HOST, "h"), number(0x0101, 4), text(MESSAGE, "it burns")].concat();
    assert_eq!(decoded(&body), ["event"]);
}

#[test]
fn what_follows_a_broken_part_is_lost() {
    for (broken, reason) in [
        (vec![0], "BadPart"),
        (vec![0, 0, 0, 3], "BadPart"),
        (vec![0, 0, 0, 9, b'a', 0], "BadPart"),
        (part(HOST, b"no end"), "BadPart"),
        (part(HOST, b"\xff\0"), "NotText"),
        (part(TIME, b"\0"), "BadPart"),
        (part(VALUES, b"\0"), "BadPart"),
        (part(VALUES, b"\0\x01\0"), "BadPart"),
        (part(VALUES, &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0]), "BadPart"),
        (part(SIGNATURE, &[0; 36]), "Sealed"),
        (part(ENCRYPTION, &[0; 40]), "Sealed"),
    ] {
        let told = decoded(&[packet(), broken, packet()].concat());
        assert_eq!((told.len(), told[4].as_str()), (5, format!("bad: {reason}").as_str()));
    }
    let later = [packet(), part(0x7777, b"from a later version"), packet()].concat();
    assert_eq!(decoded(&later).len(), 8);
}

#[test]
fn times_are_read_to_the_nanosecond() {
    assert_eq!(hires(1 << 30), Some(1_000_000_000));
    assert_eq!(hires(1), Some(1));
    assert_eq!(hires(u64::MAX), None);
    assert_eq!(nanoseconds(u128::from(u64::MAX)), None);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decoded(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(at in 0usize..200, byte in any::<u8>(), length in 0usize..250) {
        let mut packet = packet();
        if let Some(place) = packet.get_mut(at) {
            *place = byte;
        }
        packet.truncate(length);
        decoded(&packet);
    }

    #[test]
    fn what_is_written_is_read(
        host in "[a-z.é]{1,30}", plugin in "[a-z]{1,9}", instance in "[a-z0-9-]{1,9}", level in any::<f64>(), seconds in 0u64..9_000_000_000,
    ) {
        let body = [
            text(HOST, &host),
            number(TIME_HIRES, seconds << 30),
            text(PLUGIN, &plugin),
            text(PLUGIN_INSTANCE, &instance),
            text(TYPE, "gauge"),
            values(&[gauge(level)]),
        ]
        .concat();
        let wanted = format!(
            "{plugin}.{instance}.gauge{{plugin={plugin},plugin_instance={instance},type=gauge}}@{host} Level({level:?}) {}",
            seconds * 1_000_000_000
        );
        let wanted = if level.is_nan() { "gap".to_owned() } else if level.is_infinite() { "bad: NotANumber".to_owned() } else { wanted };
        prop_assert_eq!(decoded(&body), [wanted]);
    }
}

use proptest::prelude::*;

use super::*;
use crate::decode::collector::Collector;

fn decoded(body: &[u8]) -> Vec<String> {
    Collector::of(|sink| decode(body, &TypesDb::standard(), sink))
}

#[test]
fn what_the_amqp_plugin_writes() {
    let body = b"PUTVAL leeloo.octo.it/cpu-0/cpu-idle interval=10.000 1251533299.123:98261\n\
        PUTVAL leeloo/load/load interval=10.000 1251533299.000:0.06:0.03:nan\r\n\
        PUTVAL leeloo/interface-eth0/if_octets interval=10.000 1251533299.123:12:34\n";
    assert_eq!(
        decoded(body),
        [
            "cpu.0.cpu.idle{plugin=cpu,plugin_instance=0,type=cpu,type_instance=idle}@leeloo.octo.it \
             Raw { raw: Derive(98261), bounds: Bounds { min: 0.0, max: inf } } 1251533299123000000",
            "load.load.shortterm{plugin=load,type=load}@leeloo Level(0.06) 1251533299000000000",
            "load.load.midterm{plugin=load,type=load}@leeloo Level(0.03) 1251533299000000000",
            "gap",
            "interface.eth0.if_octets.rx{plugin=interface,plugin_instance=eth0,type=if_octets}@leeloo \
             Raw { raw: Derive(12), bounds: Bounds { min: 0.0, max: inf } } 1251533299123000000",
            "interface.eth0.if_octets.tx{plugin=interface,plugin_instance=eth0,type=if_octets}@leeloo \
             Raw { raw: Derive(34), bounds: Bounds { min: 0.0, max: inf } } 1251533299123000000",
        ]
    );
}

#[test]
fn quotes_now_lists_and_options() {
    assert_eq!(
        decoded(b"putval \"h o/df-\\\"root\\\"/percent-used\" interval=10 N:1 5.5:U 6:3 x:1"),
        [
            "df.\"root\".percent.used{plugin=df,plugin_instance=\"root\",type=percent,type_instance=used}@h o Level(1.0) now",
            "gap",
            "df.\"root\".percent.used{plugin=df,plugin_instance=\"root\",type=percent,type_instance=used}@h o Level(3.0) 6000000000",
            "bad: BadTime",
        ]
    );
}

#[test]
fn notifications_are_events() {
    assert_eq!(decoded(b"PUTNOTIF severity=okay time=1201094702 message=hello"), ["event"]);
}

#[test]
fn a_bad_line_costs_that_line() {
    for (line, reason) in [
        ("GETVAL a/b/c", "NoCommand"),
        ("PUTVAL", "BadIdentifier"),
        ("PUTVAL a/b 1:1", "BadIdentifier"),
        ("PUTVAL \"a/b/c 1:1", "BadQuotes"),
        ("PUTVAL a/b/c", "NoValue"),
        ("PUTVAL a/b/c interval=10", "NoValue"),
        ("PUTVAL a/b/c 1", "NoValue"),
        ("PUTVAL a/b/c 1:1:2", "WrongValueCount"),
        ("PUTVAL a/b/load 1:1:2", "WrongValueCount"),
        ("PUTVAL a/b/c 1:x", "NotANumber"),
        ("PUTVAL a/b/c -1:1", "BadTime"),
    ] {
        let body = format!("PUTVAL a/b/c 1:1\n{line}\nPUTVAL a/b/c 2:2\n");
        let told = decoded(body.as_bytes());
        assert_eq!(told.len(), 3, "{line}: {told:?}");
        assert_eq!(told[1], format!("bad: {reason}"), "{line}");
    }
    let long = [b"PUTVAL a/b/c 1:1".as_slice(), &[b' '; MAX_LINE], b"1:1\nPUTVAL a/b/c\xff 1:1"].concat();
    assert_eq!(decoded(&long), ["bad: TooLong", "bad: NotText"]);
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        decoded(&bytes);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(PUTVAL|PUTNOTIF|)[ \"\\\\]{0,3}[a-z/\\-\"]{0,12}[ =:.0-9NU\n\"\\\\é]{0,30}") {
        decoded(text.as_bytes());
    }

    #[test]
    fn what_is_written_is_read(
        host in "[a-z.0-9]{1,9}",
        instance in "[a-z0-9 \"\\\\.-]{0,9}",
        value in -1e15..1e15,
        ms in 0i64..9_000_000_000_000,
    ) {
        let escaped = instance.replace('\\', "\\\\").replace('"', "\\\"");
        let dash = if instance.is_empty() { "" } else { "-" };
        let line = format!(
            "PUTVAL \"{host}/p{dash}{escaped}/gauge\" interval=10.000 {}.{:03}:{value:?}", ms / 1000, ms % 1000
        );
        let (dot, tag) = if instance.is_empty() {
            (String::new(), String::new())
        } else {
            (format!(".{instance}"), format!("plugin_instance={instance},"))
        };
        let ns = i128::from(ms) * 1_000_000;
        let wanted = format!("p{dot}.gauge{{plugin=p,{tag}type=gauge}}@{host} Level({value:?}) {ns}");
        prop_assert_eq!(decoded(line.as_bytes()), [wanted]);
    }
}

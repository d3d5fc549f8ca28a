use proptest::prelude::*;

use super::*;

fn rows(text: &str) -> Rows {
    let mut rows = Rows::default();
    rows.add(text.as_bytes(), "data.csv", "data", "").unwrap();
    rows
}

fn read_error(text: &str) -> String {
    Rows::default().add(text.as_bytes(), "data.csv", "data", "").unwrap_err().to_string()
}

#[test]
fn two_columns_and_three_with_a_header_or_without() {
    for text in [
        "timestamp,value\n2014-04-01 00:00:00,1.5\n",
        "2014-04-01 00:00:00,1.5",
        "value,time\n1.5,1396310400\n",
    ] {
        let rows = rows(text);
        assert_eq!(rows.all.len(), 1, "{text}");
        assert_eq!((rows.all[0].time_ms, rows.all[0].value), (1_396_310_400_000, 1.5), "{text}");
        assert_eq!((rows.origins.as_slice(), rows.metric.as_str()), (&[String::new()][..], "data"));
    }
    for text in [
        "timestamp,origin,value\n1396310400,web-1,1\n1396310400,\"web,2\",2\r\n",
        "1396310400,web-1,1\n1396310400,\"web,2\",2\n",
        "host,value,anything,timestamp\nweb-1,1,x,1396310400\n\"web,2\",2,y,1396310400\n",
    ] {
        let rows = rows(text);
        assert_eq!(rows.origins, ["web-1", "web,2"], "{text}");
        assert_eq!(rows.all.iter().map(|row| row.value).collect::<Vec<_>>(), [1.0, 2.0], "{text}");
    }
}

#[test]
fn a_bad_row_costs_that_row_and_is_told_with_its_line() {
    let rows = rows("timestamp,value\n1,1\nyesterday,2\n3,many\n4\n5,5\n6,6\n7,nan\n8,8\n9,9\n");
    assert_eq!((rows.all.len(), rows.bad), (5, 4));
    let said = rows.warnings.join("\n");
    for told in [
        "data.csv:3: `yesterday` is no timestamp",
        "data.csv:4: `many` is no number",
        "data.csv:5: 1 of 2",
        "data.csv:8:",
    ] {
        assert!(said.contains(told), "{said}");
    }
}

#[test]
fn more_bad_rows_than_good_ones_are_no_data() {
    assert!(read_error("a,b\nc,d\n1,1\ne,f\n").contains("data.csv: 2 of 3 rows"));
    assert!(read_error("").contains("no row"));
    assert!(read_error("timestamp,value\n").contains("no row"));
}

#[test]
fn order_and_spacing_are_by_origin() {
    let rows = rows("10,a,1\n10,b,1\n20,a,2\n40,b,3\n30,a,4\n25,a,5\n");
    let (order, unsorted) = rows.by_time();
    assert_eq!(
        order.iter().map(|&n| rows.all[n].time_ms / 1000).collect::<Vec<_>>(),
        [10, 10, 20, 25, 30, 40]
    );
    assert_eq!(unsorted, 1, "25 after 30; 30 of a after 40 of b is no disorder");
    assert_eq!(rows.spacing_ms(&order), Some(10_000));
    let one = super::tests::rows("10,1\n");
    assert_eq!(one.spacing_ms(&one.by_time().0), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        values in prop::collection::vec((0_i64..4_000_000_000_000, "[ -~]{1,12}", -1e12..1e12_f64), 1..40)
    ) {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["timestamp", "origin", "value"]).unwrap();
        for (ms, origin, value) in &values {
            let time = jiff::Timestamp::from_millisecond(*ms).unwrap();
            writer.write_record([time.to_string(), origin.clone(), value.to_string()]).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let rows = rows(&text);
        prop_assert_eq!(rows.bad, 0);
        let got: Vec<_> = rows.all.iter().map(|r| (r.time_ms, rows.origins[r.origin].clone(), r.value)).collect();
        let want: Vec<_> = values.iter().map(|(ms, origin, value)| (*ms, origin.trim().to_owned(), *value)).collect();
        prop_assert_eq!(got, want);
    }

    #[test]
    fn nothing_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Rows::default().add(text.as_slice(), "data.csv", "data", "");
    }
}

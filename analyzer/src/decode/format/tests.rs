use super::*;
use crate::test_plan;

fn source(kind: SourceType, origin: OriginRule) -> SourcePlan {
    SourcePlan { kind, origin, ..test_plan::source() }
}

#[test]
fn by_content_type_then_key_then_source() {
    use Labelled::{CollectdGraphite, CollectdNetwork, Graphite, Influx, Json, Putval};
    use SourceType::{Collectd, Statsd, Telegraf, Vector};
    let statsd = Some(Format::Statsd);
    let labelled = |format| Some(Format::Labelled(format));
    let cases = [
        (Some("text/x-statsd"), "", Collectd, "", statsd),
        (Some("text/x-statsd; charset=utf-8"), "collectd.web.a", Collectd, "", statsd),
        (Some("Text/X-Statsd"), "", Collectd, "", statsd),
        (Some("text/collectd"), "statsd.web.a", Statsd, "", labelled(Putval)),
        (Some("application/json"), "statsd.web.a", Statsd, "", labelled(Json)),
        (Some("application/x-ndjson"), "", Statsd, "", labelled(Json)),
        (Some("application/x-collectd"), "statsd.web.a", Statsd, "", labelled(CollectdNetwork)),
        (Some("text/graphite"), "statsd.web.a", Statsd, "", labelled(Graphite)),
        (Some("text/graphite"), "graphite.web.a", Collectd, "", labelled(Graphite)),
        (Some("text/graphite"), "collectd.web.a", Statsd, "", labelled(CollectdGraphite)),
        (Some("text/graphite"), "", Collectd, "", labelled(CollectdGraphite)),
        (Some("application/x-protobuf"), "statsd.web.a", Statsd, "", None),
        (Some("image/png"), "telegraf.web.a", Telegraf, "", None),
        (Some("text/plain"), "telegraf.web.a", Statsd, "cpu idle=1", labelled(Influx)),
        (Some("application/octet-stream"), "statsd.web.a", Collectd, "", statsd),
        (Some(""), "influx.web.a", Statsd, "", labelled(Influx)),
        (None, "statsd.web.a", Collectd, "", statsd),
        (None, "graphite.web.a", Statsd, "", labelled(Graphite)),
        (None, "influx.web.a", Statsd, "{", labelled(Influx)),
        (None, "telegraf.web.a", Statsd, " {\"name\":", labelled(Json)),
        (None, "telegraf.web.a", Statsd, "cpu idle=1", labelled(Influx)),
        (None, "vector.web.a", Statsd, "", labelled(Json)),
        (None, "collectd.web.a", Statsd, "PUTVAL a/b/c 1:1", labelled(Putval)),
        (None, "collectd.web.a", Statsd, "putnotif", labelled(Putval)),
        (None, "collectd.web.a", Statsd, "[{}]", labelled(Json)),
        (None, "collectd.web.a", Statsd, "\0\0\0\u{6}a\0", labelled(CollectdNetwork)),
        (None, "collectd.web.a", Statsd, "\u{2}\0", labelled(CollectdNetwork)),
        (None, "collectd.web.a", Statsd, "a.load.load 1 1", labelled(CollectdGraphite)),
        (None, "other.web.a", Statsd, "", statsd),
        (None, "", Telegraf, "", labelled(Influx)),
        (None, "", Vector, "", labelled(Json)),
        (None, "", Collectd, "PUTVAL", labelled(Putval)),
        (None, "statsd", Vector, "", statsd),
    ];
    for (content_type, key, kind, body, format) in cases {
        let source = source(kind, OriginRule::Header("origin".into()));
        assert_eq!(
            tell(content_type, key, &source, body.as_bytes()),
            format,
            "{content_type:?} {key} {kind:?} {body}"
        );
    }
}

#[test]
fn a_pattern_is_one_for_the_whole_path() {
    let pattern = OriginRule::Pattern { glob: "dc.*.**".parse().unwrap(), segment: 1 };
    let source = source(SourceType::Collectd, pattern);
    for content_type in [Some("text/graphite"), None] {
        let format = tell(content_type, "collectd.web.a", &source, b"dc.a.load.load 1 1");
        assert_eq!(format, Some(Format::Labelled(Labelled::Graphite)));
    }
}

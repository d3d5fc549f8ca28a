//! The types that collectd 5 comes with.
//!
//! Only those that are not a single gauge named `value`: that is what a type is that nobody knows.

use super::{
    data_source::{DataSource, SourceKind},
    types_db::TypesDb,
};
use crate::decode::sample::Bounds;

/// One value named `value`, a DERIVE of at least 0.
const DERIVES: &str = "apache_bytes apache_requests ath_stat cache_eviction cache_operation cache_result ceph_rate commands connections \
    contextswitch cookies cpu derive disk_ops_complex dns_answer dns_notify dns_opcode dns_qtype dns_query \
    dns_question dns_rcode dns_reject dns_request dns_resolver dns_response dns_transfer dns_update dns_zops \
    drbd_resource errors evicted_keys expired_keys filter_result fork_rate fscache_stat hash_collisions \
    http_request_methods http_requests http_response_codes ib_errors ib_link_error_recovery ib_xmit_wait if_collisions \
    if_multicast if_rx_dropped if_rx_errors if_rx_nohandler if_rx_octets if_rx_packets if_tx_dropped if_tx_errors \
    if_tx_octets if_tx_packets invocations ipt_bytes ipt_packets irq job_stats memcached_command memcached_ops \
    memory_bandwidth memory_throttle_count mutex_operations mysql_bpool_counters mysql_commands mysql_handler \
    mysql_innodb_data mysql_innodb_dblwr mysql_innodb_log mysql_innodb_pages mysql_innodb_row_lock mysql_innodb_rows \
    mysql_locks mysql_log_position mysql_select mysql_slow_queries mysql_sort mysql_sort_merge_passes mysql_sort_rows \
    nfs_procedure nginx_requests node_stat operations packets perf pf_counters pf_limits pf_source pf_state pg_blks \
    pg_n_tup_c pg_scan pg_xact protocol_counter redis_command_cputime slurm_backfilled_jobs slurm_cycle_depth \
    slurm_cycle_duration slurm_cycles slurm_job_stats slurm_queue_length swap_io total_bytes total_connections \
    total_events total_objects total_operations total_requests total_sessions total_threads total_time_in_ms \
    total_values transitions virt_cpu_total virt_vcpu vmpage_action";

/// The names of several DERIVEs of at least 0, and the types that have them.
const SEVERAL_DERIVES: &[(&[&str], &str)] = &[
    (&["uncompressed", "compressed"], "compression"),
    (&["io_time", "weighted_io_time"], "disk_io_time"),
    (&["read", "write"], "disk_merged disk_octets disk_ops disk_time io_ops ps_disk_octets ps_disk_ops"),
    (&["queries", "responses"], "dns_octets"),
    (
        &["rx", "tx"],
        "ib_octets ib_packets if_dropped if_errors if_octets if_packets io_octets io_packets memcached_octets mysql_octets node_octets serial_octets",
    ),
    (&["user", "syst"], "ps_cputime"),
    (&["minflt", "majflt"], "ps_pagefaults vmpage_faults"),
    (&["vf_value"], "vf_broadcast vf_multicast"),
    (&["vf_rx", "vf_tx"], "vf_bytes vf_dropped vf_packets"),
    (&["in", "out"], "vmpage_io"),
];

/// All others, as a types.db has them.
const OTHERS: &str = "\
absolute value:ABSOLUTE:0:U
counter value:COUNTER:U:U
df used:GAUGE:0:1125899906842623 free:GAUGE:0:1125899906842623
disk_latency read:GAUGE:0:U write:GAUGE:0:U
domain_state state:GAUGE:0:U reason:GAUGE:0:U
dpdk_telemetry value:COUNTER:0:U
duration seconds:GAUGE:0:U
load shortterm:GAUGE:0:5000 midterm:GAUGE:0:5000 longterm:GAUGE:0:5000
ps_count processes:GAUGE:0:1000000 threads:GAUGE:0:1000000
smart_attribute current:GAUGE:0:255 worst:GAUGE:0:255 threshold:GAUGE:0:255 pretty:GAUGE:0:U
vf_link_info vf_value:GAUGE:0:U
voltage_threshold value:GAUGE:U:U threshold:GAUGE:U:U
arc_counts demand_data:COUNTER:0:U demand_metadata:COUNTER:0:U prefetch_data:COUNTER:0:U prefetch_metadata:COUNTER:0:U
arc_l2_bytes read:COUNTER:0:U write:COUNTER:0:U
arc_size current:GAUGE:0:U target:GAUGE:0:U minlimit:GAUGE:0:U maxlimit:GAUGE:0:U
mysql_qcache hits:COUNTER:0:U inserts:COUNTER:0:U not_cached:COUNTER:0:U lowmem_prunes:COUNTER:0:U queries_in_cache:GAUGE:0:U
mysql_threads running:GAUGE:0:U connected:GAUGE:0:U cached:GAUGE:0:U created:COUNTER:0:U
";

/// All of them.
pub(super) fn all() -> TypesDb {
    let mut all = TypesDb::default();
    for name in DERIVES.split(' ') {
        all.insert(name, derives(&["value"]));
    }
    for (sources, names) in SEVERAL_DERIVES {
        for name in names.split(' ') {
            all.insert(name, derives(sources));
        }
    }
    all.add(OTHERS).expect("a test reads it");
    all
}

fn derives(names: &[&str]) -> Vec<DataSource> {
    let derive = |name: &&str| DataSource {
        name: (*name).to_owned(),
        kind: SourceKind::Derive,
        bounds: Bounds::NOT_NEGATIVE,
    };
    names.iter().map(derive).collect()
}

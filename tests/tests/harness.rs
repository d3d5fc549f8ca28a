//! The harness itself: a broker that comes, goes, comes back, and leaves nothing behind.

use kinetic_tests::rabbitmq::RabbitMq;

#[test]
fn a_broker_keeps_its_data_over_stop_and_kill_and_goes_with_the_test() {
    let broker = RabbitMq::start();
    broker.add_vhost("us-west.aws.acme");
    broker.stop();
    broker.start_again();
    broker.kill9();
    broker.start_again();
    assert!(broker.ctl(&["list_vhosts"]).contains("us-west.aws.acme"));
    let pid = broker.ctl(&["eval", "os:getpid()."]);
    let process = format!("/proc/{}", pid.trim().trim_matches('"'));
    assert!(std::path::Path::new(&process).exists());
    drop(broker);
    assert!(!std::path::Path::new(&process).exists());
}

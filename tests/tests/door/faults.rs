//! Crashes and cuts in mid-flow. Publishers with confirms that connect anew, and repeat what was not confirmed, lose nothing.

use std::cell::OnceCell;

use kinetic_tests::{peers, process::eventually};

use super::{
    cut::{Namespace, Proxy},
    peers_are_there, program,
    site::{ANALYZER, Setting, Site, WEB, client},
    steady::{Lapin, Pika, Steady, go_on, nothing_is_missing},
};

#[test]
fn what_was_confirmed_is_there_whatever_was_killed_or_cut() {
    if !peers_are_there() {
        return;
    }
    let proxy = OnceCell::new();
    let mut site = Site::start(&Setting {
        listen: "0.0.0.0",
        more: "amqp: {heartbeat: 2s}\n",
        way: &|port| proxy.get_or_init(|| Proxy::to(port)).port,
        ..Setting::default()
    });
    let upstream = proxy.get().unwrap();
    let (web, analyzer) = (site.issue(&WEB), site.issue(&ANALYZER));
    let steady =
        |name: &str| program(peers::python(), "client.py", &["steady", &format!("statsd.web.{name}"), name]);
    let lapin = Lapin::start(&site, &web);
    let pika = Pika::start("pika", &mut site.client(steady("pika"), &web));
    let both: [&dyn Steady; 2] = [&lapin, &pika];
    go_on(&both);

    site.crash_door();
    go_on(&both);
    // Mnesia writes to its log within seconds only, queues and bindings too.
    site.broker.ctl(&["eval", "mnesia:sync_log()."]);
    site.broker.kill9();
    site.broker.start_again();
    go_on(&both);

    // The broker's network, without a word to anybody: its silence is noticed, and told to the clients.
    let gone = site.ended("broker_gone");
    upstream.cut();
    eventually("the broker's silence to be noticed", || site.ended("broker_gone") >= gone + 2);
    upstream.heal();
    go_on(&both);

    // A client's.
    let mut all = Vec::new();
    match Namespace::new() {
        Ok(network) => {
            let place = format!("{}:{}", network.address, site.port);
            let mut command = client(steady("far"), &place, &web, &site.trust());
            command.env("NAME", "localhost");
            let far = Pika::start("far", &mut network.within(&command));
            go_on(&[&far]);
            let silent = site.ended("missed_heartbeats");
            network.cut();
            eventually("the client's silence to be noticed", || site.ended("missed_heartbeats") > silent);
            network.heal();
            go_on(&[&far, &lapin, &pika]);
            all.push(far.stop());
        }
        Err(reason) => kinetic_tests::skip(&format!("a client's network that is cut: {reason}")),
    }
    let connections = (lapin.connections(), pika.connections());
    assert!(connections.0 >= 4 && connections.1 >= 4, "{connections:?}");
    all.extend([lapin.stop(&site), pika.stop()]);
    nothing_is_missing(&site, &analyzer, &all);
}

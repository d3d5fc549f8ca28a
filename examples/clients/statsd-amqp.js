// A backend for statsd (https://github.com/statsd/statsd) that publishes to Kinetic over AMQP.
//
//   npm install statsd amqplib
//   node node_modules/statsd/stats.js config.js
//
// with a config.js such as
//
//   {
//     port: 8125,
//     backends: ["/path/to/statsd-amqp.js"],
//     kinetic: { url: "amqp://user:password@broker:5672/us-west.aws.acme", profile: "web", origin: "web-1", send: "packets" }
//   }
//
// send: "packets" passes on what clients sent (Kinetic makes the statistics itself, so that quantiles over many hosts are right);
//       "flushes" sends what statsd made of it, every flushInterval, as Graphite lines.
"use strict";

const amqp = require("amqplib");
const os = require("os");

const EXCHANGE = "kinetic.metrics";
const MAX_BYTES = 32 * 1024; // a message
const MAX_AGE_MS = 100; // of the first line in a message
const MAX_WAITING = 1000; // messages while the broker is away; the oldest go first
const RETRY_MS = 1000;

exports.init = (startupTime, config, events, logger) => {
  const { url, profile = "default", origin = os.hostname(), send = "packets" } = config.kinetic || {};
  if (!url) throw new Error('statsd-amqp: the configuration needs kinetic: { url: "amqp://…" }');
  const log = (text) => (logger ? logger.log(text) : console.error(text));
  const waiting = [];
  const stats = { published: 0, dropped: 0 };
  let channel = null;

  const publish = (type, contentType, body) => {
    const headers = { origin, timestamp_in_ms: Date.now() };
    waiting.push([`${type}.${profile}.${origin}`, Buffer.from(body), { contentType, headers, persistent: true }]);
    if (waiting.length > MAX_WAITING) {
      waiting.shift();
      stats.dropped += 1;
    }
    drain();
  };
  // What is published stays until it is confirmed: a connection that breaks costs nothing.
  const drain = () => {
    if (!channel) return;
    const [on, messages] = [channel, waiting.splice(0)];
    for (const message of messages) {
      on.publish(EXCHANGE, ...message, (error) => {
        if (error) waiting.push(message);
        else stats.published += 1;
      });
    }
  };
  const connect = async () => {
    try {
      const connection = await amqp.connect(url);
      connection.on("error", (error) => log(`statsd-amqp: ${error.message}`));
      connection.on("close", () => {
        channel = null;
        setTimeout(connect, RETRY_MS);
      });
      channel = await connection.createConfirmChannel();
      channel.on("error", (error) => log(`statsd-amqp: ${error.message}`));
      drain();
    } catch (error) {
      log(`statsd-amqp: ${error.message}; trying again`);
      setTimeout(connect, RETRY_MS);
    }
  };
  connect();

  if (send === "flushes") {
    events.on("flush", (seconds, metrics) => {
      const lines = graphite(metrics).map(([path, value]) => `stats.${path} ${value} ${seconds}`);
      if (lines.length) publish("graphite", "text/graphite", lines.join("\n"));
    });
  } else {
    let lines = "";
    let timer = null;
    const close = () => {
      clearTimeout(timer);
      timer = null;
      if (lines) publish("statsd", "text/x-statsd", lines);
      lines = "";
    };
    events.on("packet", (packet) => {
      const text = packet.toString().trimEnd();
      if (lines.length + text.length >= MAX_BYTES) close();
      lines = lines ? `${lines}\n${text}` : text;
      timer = timer || setTimeout(close, MAX_AGE_MS);
    });
  }
  events.on("status", (write) => {
    for (const [name, value] of Object.entries(stats)) write(null, "statsd-amqp", name, value);
  });
  return true;
};

/// Path and value of everything that statsd made in a flush.
function graphite({ counters, counter_rates: rates, timer_data: timers, gauges, sets }) {
  const all = [];
  for (const [name, value] of Object.entries(counters)) {
    all.push([`counters.${name}.count`, value], [`counters.${name}.rate`, rates[name]]);
  }
  for (const [name, value] of Object.entries(gauges)) all.push([`gauges.${name}`, value]);
  for (const [name, set] of Object.entries(sets)) all.push([`sets.${name}.count`, set.size()]);
  for (const [name, data] of Object.entries(timers)) {
    for (const [figure, value] of Object.entries(data)) {
      if (typeof value === "number") all.push([`timers.${name}.${figure}`, value]);
    }
  }
  return all;
}

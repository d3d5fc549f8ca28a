// What tests have amqplib do. Where to connect, and as whom, comes from the environment; events are printed, a line each.
"use strict";

const amqp = require("amqplib");
const crypto = require("crypto");
const fs = require("fs");

const EXCHANGE = "kinetic.metrics";

function connect(heartbeat) {
  const { PLACE, VHOST, CERTIFICATE, KEY, TRUST } = process.env;
  const [hostname, port] = PLACE.split(":");
  const place = { protocol: "amqps", hostname, port: Number(port), vhost: VHOST, heartbeat };
  return amqp.connect(place, {
    cert: fs.readFileSync(CERTIFICATE),
    key: fs.readFileSync(KEY),
    ca: [fs.readFileSync(TRUST)],
    credentials: amqp.credentials.external(),
  });
}

const commands = {
  // Publishes with confirms, mandatory; then what no queue takes.
  async publish(key, count, size) {
    const connection = await connect();
    const channel = await connection.createConfirmChannel();
    const returned = [];
    channel.on("return", (message) => returned.push(message.fields.replyCode));
    const options = { persistent: true, mandatory: true };
    for (let number = 0; number < Number(count); number++) {
      channel.publish(EXCHANGE, key, Buffer.alloc(Number(size), number % 256), options);
    }
    await channel.waitForConfirms();
    if (returned.length === 0) console.log(`confirmed ${count}`);
    channel.publish(EXCHANGE, "graphite.web.nowhere", Buffer.from("x"), options);
    await channel.waitForConfirms();
    console.log(`returned ${returned}`);
    await connection.close();
  },

  // Publishes on many channels of one connection.
  async channels(key, count) {
    const connection = await connect();
    const channels = await Promise.all(Array.from({ length: Number(count) }, () => connection.createConfirmChannel()));
    for (const channel of channels) channel.publish(EXCHANGE, key, Buffer.from("c"), { persistent: true, mandatory: true });
    await Promise.all(channels.map((channel) => channel.waitForConfirms()));
    console.log(`confirmed ${count}`);
    await connection.close();
  },

  // Reads a stream from its beginning until there were so many messages of a key; prints the digest of their bodies.
  async stream(queue, key, count) {
    const connection = await connect();
    const channel = await connection.createChannel();
    await channel.prefetch(10);
    const digest = crypto.createHash("sha256");
    let seen = 0;
    await new Promise((done) => {
      const take = (message) => {
        channel.ack(message);
        if (seen < Number(count) && message.fields.routingKey === key) {
          digest.update(message.content);
          if (++seen === Number(count)) done();
        }
      };
      channel.consume(queue, take, { arguments: { "x-stream-offset": "first" } });
    });
    console.log(`read ${digest.digest("hex")}`);
    await connection.close();
  },

  // Waits; publishes a message whenever it is told by SIGUSR1; says when publishers are held up.
  async idle(key, heartbeat) {
    const connection = await connect(heartbeat === "own" ? undefined : Number(heartbeat));
    connection.on("blocked", () => console.log("blocked"));
    connection.on("unblocked", () => console.log("unblocked"));
    const channel = await connection.createConfirmChannel();
    let published = 0;
    // Not SIGUSR1, which is Node's own.
    process.on("SIGUSR2", async () => {
      channel.publish(EXCHANGE, key, Buffer.from("i"), { persistent: true, mandatory: true });
      await channel.waitForConfirms();
      console.log(`published ${++published}`);
    });
    process.on("SIGTERM", async () => {
      await connection.close();
      console.log("closed");
      process.exit(0);
    });
    console.log("idle");
  },

  // Reads a stream, and then reads nothing any more, heartbeats or messages, though it goes on sending heartbeats; until SIGUSR2.
  async stall(queue, key, count) {
    const connection = await connect();
    const { stream, heartbeater } = connection.connection;
    const channel = await connection.createChannel();
    await channel.prefetch(1000);
    let seen = 0;
    let listeners = [];
    const stop = () => {
      // It would otherwise miss the heartbeats that it does not read.
      heartbeater.removeAllListeners("timeout");
      listeners = stream.listeners("readable");
      stream.removeAllListeners("readable");
      console.log("stalled");
    };
    process.on("SIGUSR2", () => {
      for (const listener of listeners) stream.on("readable", listener);
      for (const listener of listeners) listener.call(stream);
    });
    const take = (message) => {
      channel.ack(message);
      if (message.fields.routingKey === key && ++seen === Number(count)) console.log(`read ${seen}`);
    };
    await channel.consume(queue, take, { arguments: { "x-stream-offset": "first" } });
    stop();
  },
};

const [command, ...rest] = process.argv.slice(2);
commands[command](...rest).catch((error) => {
  console.error(error);
  process.exit(1);
});

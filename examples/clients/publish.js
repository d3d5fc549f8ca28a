// Publishes metrics to Kinetic over AMQP with amqplib (npm install amqplib): what it reads from standard input is one message.
//
//   echo 'page.home.time:12|ms|#env:prod' | node publish.js amqp://user:password@broker:5672/us-west.aws.acme statsd.web.web-1
"use strict";

const amqp = require("amqplib");
const fs = require("fs");

async function main([url, key]) {
  if (!key) throw new Error("usage: node publish.js amqp://user:password@host:port/vhost {type}.{profile}.{origin} < metrics");
  const connection = await amqp.connect(url);
  const channel = await connection.createConfirmChannel();
  // Mandatory: a message that no source takes comes back.
  channel.on("return", () => {
    console.error(`${key}: no source takes this`);
    process.exitCode = 1;
  });
  // Without timestamp_in_ms AMQP's own timestamp counts: whole seconds.
  const seconds = Math.floor(Date.now() / 1000);
  const origin = key.split(".").slice(2).join(".");
  const properties = { headers: { origin }, timestamp: seconds, persistent: true, mandatory: true };
  channel.publish("kinetic.metrics", key, fs.readFileSync(0), properties);
  await channel.waitForConfirms();
  await connection.close();
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exit(1);
});

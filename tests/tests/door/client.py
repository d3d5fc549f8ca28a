"""What tests have pika do. Where to connect, and as whom, comes from the environment; events are printed, a line each."""

import hashlib
import os
import signal
import ssl
import sys
import time

import pika

EXCHANGE = "kinetic.metrics"
PERSISTENT = pika.BasicProperties(delivery_mode=2)


def connect(heartbeat=None):
    context = ssl.create_default_context(cafile=os.environ["TRUST"])
    context.load_cert_chain(os.environ["CERTIFICATE"], os.environ["KEY"])
    host, port = os.environ["PLACE"].rsplit(":", 1)
    parameters = pika.ConnectionParameters(
        host,
        int(port),
        os.environ["VHOST"],
        pika.credentials.ExternalCredentials(),
        heartbeat=heartbeat,
        ssl_options=pika.SSLOptions(context, os.environ.get("NAME", host)),
    )
    return pika.BlockingConnection(parameters)


def publish(key, count, size):
    """Publishes with confirms, mandatory; then what no queue takes."""
    connection = connect()
    channel = connection.channel()
    channel.confirm_delivery()
    for number in range(int(count)):
        channel.basic_publish(EXCHANGE, key, bytes([number % 256]) * int(size), PERSISTENT, mandatory=True)
    print("confirmed", count)
    try:
        channel.basic_publish(EXCHANGE, "graphite.web.nowhere", b"x", PERSISTENT, mandatory=True)
    except pika.exceptions.UnroutableError as error:
        print("returned", error.messages[0].method.reply_code)
    connection.close()


def channels(key, count):
    """Publishes on many channels of one connection."""
    connection = connect()
    opened = [connection.channel() for _ in range(int(count))]
    for channel in opened:
        channel.confirm_delivery()
        channel.basic_publish(EXCHANGE, key, b"c", PERSISTENT, mandatory=True)
    print("confirmed", count)
    connection.close()


def stream(queue, key, count):
    """Reads a stream from its beginning until there were so many messages of a key; prints the digest of their bodies."""
    connection = connect()
    channel = connection.channel()
    channel.basic_qos(prefetch_count=1)
    digest, seen = hashlib.sha256(), 0
    for method, _, body in channel.consume(queue, arguments={"x-stream-offset": "first"}):
        if method.routing_key == key:
            digest.update(body)
            seen += 1
        # Without the last one's no other comes, which pika would reject: streams refuse that.
        if seen == int(count):
            break
        channel.basic_ack(method.delivery_tag)
    print("read", digest.hexdigest())
    connection.close()


def idle(key, heartbeat):
    """Waits; publishes a message whenever it is told by SIGUSR1; says when publishers are held up. `own`: with the server's heartbeat."""
    asked = []
    signal.signal(signal.SIGUSR1, lambda *_: asked.append(1))
    signal.signal(signal.SIGTERM, lambda *_: asked.append(0))
    connection = connect(None if heartbeat == "own" else int(heartbeat))
    connection.add_on_connection_blocked_callback(lambda *_: print("blocked"))
    connection.add_on_connection_unblocked_callback(lambda *_: print("unblocked"))
    channel = connection.channel()
    channel.confirm_delivery()
    print("idle")
    published = 0
    while True:
        connection.process_data_events(time_limit=0.1)
        if asked:
            if not asked.pop(0):
                break
            channel.basic_publish(EXCHANGE, key, b"i", PERSISTENT, mandatory=True)
            published += 1
            print("published", published)
    connection.close()
    print("closed")


def steady(key, name):
    """Publishes numbered messages until SIGTERM; connects anew whenever the connection ends, and repeats what was not confirmed."""
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    number, connections = 0, 0
    while not stop:
        try:
            connection = connect()
            channel = connection.channel()
            channel.confirm_delivery()
            connections += 1
            print("connected", connections)
            while not stop:
                channel.basic_publish(EXCHANGE, key, f"{name}:{number}".encode(), PERSISTENT, mandatory=True)
                number += 1
                if number % 20 == 0:
                    print("confirmed", number)
            connection.close()
        except (pika.exceptions.AMQPError, OSError) as error:
            print("lost", repr(error))
            time.sleep(0.2)
    print("confirmed", number)
    print("done")


if __name__ == "__main__":
    {"publish": publish, "channels": channels, "stream": stream, "idle": idle, "steady": steady}[sys.argv[1]](*sys.argv[2:])

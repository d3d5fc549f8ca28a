"""Publishes metrics to Kinetic over AMQP with pika (pip install pika): what it reads from standard input is one message.

    echo 'page.home.time:12|ms|#env:prod' | python3 publish.py amqp://user:password@broker:5672/us-west.aws.acme statsd.web.web-1
"""

import argparse
import sys
import time

import pika

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("url", help="amqp://user:password@host:port/vhost")
parser.add_argument("key", help="{type}.{profile}.{origin}, such as statsd.web.web-1")
parser.add_argument("--content-type", help="such as text/x-statsd; without one the key's first word tells the format")
parser.add_argument("--at", type=int, default=time.time_ns() // 1_000_000, help="milliseconds since 1970 (now)")
parser.add_argument("--bare", action="store_true", help="no headers: the metrics say themselves who sent them, and when")
arguments = parser.parse_args()

connection = pika.BlockingConnection(pika.URLParameters(arguments.url))
channel = connection.channel()
channel.confirm_delivery()
properties = pika.BasicProperties(
    content_type=arguments.content_type,
    delivery_mode=pika.DeliveryMode.Persistent,
    headers=None if arguments.bare else {"origin": arguments.key.split(".", 2)[2], "timestamp_in_ms": arguments.at},
)
# Mandatory: a message that no source takes comes back as an error.
channel.basic_publish("kinetic.metrics", arguments.key, sys.stdin.buffer.read(), properties, mandatory=True)
connection.close()

"""Prints all of a topic by the Python client of Kafka, a line each record, as `kcat -f '%p\\t%o\\t%h\\t%k\\t%s\\n'` does.

Needs TOLLGATE_KAFKA (host:port of a broker), TOLLGATE_TOPIC, and confluent-kafka. Ends where each partition ends; commits nothing.
"""

import os
import sys
import time

try:
    from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, TopicPartition
except ImportError:
    sys.exit("confluent-kafka is missing: run `make setup`, or pip install -r tests/python/requirements.txt")

# Only a hanging broker takes longer.
PATIENCE_S = 120


def environment(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set; it comes from the test that runs this file, or from your shell")
    return value


def shown(message):
    headers = b",".join(name.encode() + b"=" + (value or b"") for name, value in message.headers() or [])
    place = [str(message.partition()).encode(), str(message.offset()).encode()]
    return b"\t".join([*place, headers, message.key() or b"", message.value() or b""]) + b"\n"


def main():
    topic = environment("TOLLGATE_TOPIC")
    consumer = Consumer(
        {
            "bootstrap.servers": environment("TOLLGATE_KAFKA"),
            "group.id": "a-python-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        }
    )
    known = consumer.list_topics(topic, timeout=PATIENCE_S).topics[topic]
    if known.error is not None:
        sys.exit(f"{topic}: {known.error}")
    unread = set(known.partitions)
    consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in sorted(unread)])
    until, error = time.monotonic() + PATIENCE_S, None
    while unread:
        if time.monotonic() > until:
            sys.exit(f"{topic}: partitions {sorted(unread)} do not come to their ends; last error: {error}")
        message = consumer.poll(1.0)
        if message is None:
            continue
        error = message.error()
        if error is None:
            sys.stdout.buffer.write(shown(message))
        elif error.code() == KafkaError._PARTITION_EOF:
            unread.discard(message.partition())
        elif error.fatal():
            sys.exit(f"{topic}: {error}")
    consumer.close()


if __name__ == "__main__":
    main()

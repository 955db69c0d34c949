"""The official Python client reads the embedded engine as the read-only user, and can change nothing.

Needs TOLLGATE_ENGINE_URL, TOLLGATE_ENGINE_USER, TOLLGATE_ENGINE_PASSWORD of a running engine, and clickhouse-connect.
It starts nothing, and writes nothing but what must be refused.
"""

import os
import sys
import unittest
import uuid
from decimal import Decimal
from urllib.parse import urlsplit

try:
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import ClickHouseError
except ImportError:
    sys.exit("clickhouse-connect is missing; install it with: pip install clickhouse-connect")


def environment(name):
    value = os.environ.get(name)
    if not value:
        sys.exit(f"{name} is not set; it comes from the test that runs this file, or from your shell")
    return value


URL = urlsplit(environment("TOLLGATE_ENGINE_URL"))
USER = environment("TOLLGATE_ENGINE_USER")
PASSWORD = environment("TOLLGATE_ENGINE_PASSWORD")


def connect(**options):
    return clickhouse_connect.get_client(
        host=URL.hostname, port=URL.port, username=options.pop("username", USER), password=options.pop("password", PASSWORD), **options
    )


class Reads(unittest.TestCase):
    def setUp(self):
        self.client = connect()
        self.addCleanup(self.client.close)

    def test_types(self):
        result = self.client.query(
            "SELECT toInt64(1) AS i, toDecimal128('12345678901234567890.123456789012345678', 18) AS d,"
            " toUUID('01930000-0000-7000-8000-000000000001') AS u, map('a', 'b') AS m, CAST(NULL AS Nullable(Int64)) AS n,"
            " toDateTime64('2026-11-01 00:00:00.000001', 6, 'UTC') AS t, [1, 2] AS l, 'x\n\ny' AS s"
        )
        self.assertEqual(result.column_names, ("i", "d", "u", "m", "n", "t", "l", "s"))
        i, d, u, m, n, t, l, s = result.first_row
        self.assertEqual((i, m, n, list(l), s), (1, {"a": "b"}, None, [1, 2], "x\n\ny"))
        self.assertEqual(d, Decimal("12345678901234567890.123456789012345678"))
        self.assertEqual(u, uuid.UUID("01930000-0000-7000-8000-000000000001"))
        self.assertEqual(t.microsecond, 1)

    def test_many_blocks(self):
        result = self.client.query("SELECT number, toString(number) FROM numbers(200000)")
        self.assertEqual(result.row_count, 200_000)
        self.assertEqual(result.result_rows[-1], (199_999, "199999"))

    def test_low_cardinality_and_enum(self):
        result = self.client.query("SELECT toLowCardinality(toString(number % 3)), CAST(1 AS Enum8('completed' = 1)) FROM numbers(9)")
        self.assertEqual(result.result_rows[4], ("1", "completed"))

    def test_parameters(self):
        result = self.client.query(
            "SELECT {x:String} AS a, {y:Int64} AS b", parameters={"x": "it's; \\ \n", "y": 7}
        )
        self.assertEqual(result.first_row, ("it's; \\ \n", 7))

    def test_command_and_raw(self):
        self.assertEqual(self.client.command("SELECT 42"), 42)
        self.assertEqual(self.client.raw_query("SELECT 1 AS x", fmt="JSONEachRow"), b'{"x":1}\n')
        self.assertTrue(self.client.ping())

    def test_database_and_session(self):
        client = connect(database="system", session_id="one")
        self.addCleanup(client.close)
        self.assertEqual(client.command("SELECT currentDatabase()"), "system")


class Refusals(unittest.TestCase):
    def setUp(self):
        self.client = connect()
        self.addCleanup(self.client.close)

    def refused(self, sql, code):
        with self.assertRaises(ClickHouseError) as caught:
            self.client.command(sql)
        self.assertIn(str(code), str(caught.exception), sql)

    def test_changes(self):
        for sql in (
            "CREATE TABLE refused (a Int64) ENGINE = Memory",
            "CREATE DATABASE refused",
            "DROP DATABASE system",
            "SET readonly = 0",
            "KILL QUERY WHERE 1",
            "SELECT file('/etc/passwd')",
            "SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString', 'a String')",
        ):
            self.refused(sql, 164)

    def test_errors_have_their_code(self):
        self.refused("SELECT * FROM nope", 60)
        self.refused("SELECT 1 +", 62)

    def test_insert(self):
        with self.assertRaises(ClickHouseError):
            self.client.insert("system.one", [[1]], column_names=["dummy"])

    def test_wrong_password(self):
        with self.assertRaises(ClickHouseError):
            connect(password="wrong")


if __name__ == "__main__":
    unittest.main()

/* The events' texts: every kind of record with every value of its small fields is JSON and fits.
 * With TG_EVENTS_OUT set to a file, all the texts are added to it as records of a log, for
 * tests/house/log.sh to compare with the schema. */
#define _GNU_SOURCE
#include "../../apps/event_json.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <json-c/json.h>

static FILE *kept;

static void keep(const char *text)
{
	if (kept != NULL) {
		fprintf(kept, "\x1e%s\n", text);
	}
}

/* The record's data; the caller puts the record. */
static struct json_object *parse(
	const char *buf, size_t n, const char *name, struct json_object **data)
{
	struct json_object *o, *v;

	ck_assert_uint_eq(strlen(buf), n);
	ck_assert_uint_lt(n, EVENT_JSON_BYTES - 1);
	o = json_tokener_parse(buf);
	ck_assert_msg(o != NULL, "%s", buf);
	ck_assert(json_object_object_get_ex(o, "time", &v));
	ck_assert(json_object_object_get_ex(o, "name", &v));
	if (name != NULL) {
		ck_assert_str_eq(json_object_get_string(v), name);
	}
	ck_assert(json_object_object_get_ex(o, "data", data));
	return o;
}

START_TEST (every_record_is_json) {
	struct tg_trace t;
	char buf[EVENT_JSON_BYTES];

	for (unsigned i = 0; i < 14u * 256u * 2u; i++) {
		struct json_object *o, *data;
		size_t n;

		memset(&t, i & 1 ? 0xff : 0, sizeof t);
		t.kind = (uint8_t)(i / 512);
		t.a = t.b = (uint8_t)(i / 2 % 256);
		t.reason = (uint16_t)(i / 2 % 256);
		t.time_ns = UINT64_MAX / 2;
		if (t.kind == TG_TRACE_STATE) {
			t.a = t.b = (uint8_t)(i / 2 % TG_STATE_COUNT);
		}
		if (t.kind == TG_TRACE_ICMP) {
			t.wnd = i & 1;
		}
		n = event_json(&t, 0, buf);
		if (t.kind == TG_TRACE_NONE) {
			ck_assert_uint_eq(n, 0);
			continue;
		}
		o = parse(buf, n, NULL, &data);
		json_object_put(o);
		keep(buf);
	}
}
END_TEST

START_TEST (gaps_calls_and_measures) {
	struct tg_trace t = {.kind = TG_TRACE_CALL, .a = TG_CALL_SEND, .time_ns = 2500000};
	uint32_t v[EVENT_METRIC_COUNT] = {1000, 2, 3, 200000, 5, 6, 7, 8, UINT32_MAX};
	uint32_t old[EVENT_METRIC_COUNT];
	struct json_object *o, *data;
	char buf[EVENT_JSON_BYTES];
	size_t n;

	t.time_ns = UINT64_MAX / 2;
	t.len = 70;
	n = event_json_calls(&t, 3, 0, buf);
	o = parse(buf, n, "tcp:call", &data);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(data, "calls")), 3);
	ck_assert_int_eq(json_object_get_int(json_object_object_get(data, "len")), 70);
	json_object_put(o);
	keep(buf);
	n = event_json_metrics(&t, v, NULL, 0, buf);
	o = parse(buf, n, "tcp:metrics_updated", &data);
	ck_assert_int_eq(json_object_object_length(data), 4 + EVENT_METRIC_COUNT);
	ck_assert(json_object_get_double(json_object_object_get(data, "rto")) == 200.0);
	ck_assert(json_object_get_int64(json_object_object_get(data, "rcv_wnd")) == UINT32_MAX);
	json_object_put(o);
	keep(buf);
	memcpy(old, v, sizeof v);
	ck_assert_uint_eq(event_json_metrics(&t, v, old, 0, buf), 0);
	v[EVENT_METRIC_cwnd]++;
	n = event_json_metrics(&t, v, old, 0, buf);
	o = parse(buf, n, "tcp:metrics_updated", &data);
	ck_assert_int_eq(json_object_object_length(data), 5);
	json_object_put(o);
	n = event_json_gap(812, UINT64_MAX / 2, 0, buf);
	json_object_put(parse(buf, n, "log:gap", &data));
	keep(buf);
	ck_assert_uint_eq(event_json_gap(812, 2500000, 1000000, buf), strlen(buf));
	ck_assert_str_eq(buf, "{\"time\":1.500000,\"name\":\"log:gap\",\"data\":{\"n\":812}}");
}
END_TEST

static Suite *event_json_suite(void)
{
	const char *out = getenv("TG_EVENTS_OUT");
	Suite *s = suite_create("event_json");
	TCase *t = tcase_create("events");

	if (out != NULL) {
		kept = fopen(out, "ae");
	}
	tcase_add_test(t, every_record_is_json);
	tcase_add_test(t, gaps_calls_and_measures);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(event_json_suite)

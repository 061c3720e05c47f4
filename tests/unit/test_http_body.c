/* The pure parts of the HTTP server behind the head: chunked coding, ranges, dates, conditions, the
 * WebSocket handshake, events as JSON. */
#include "../../apps/http_chunk.h"
#include "../../apps/http_cond.h"
#include "../../apps/http_date.h"
#include "../../apps/http_range.h"
#include "../../apps/sha1.h"
#include "../../apps/ws_handshake.h"
#include "unit.h"

#include <stdio.h>
#include <string.h>

/* ---- Chunks ---------------------------------------------------------------------------------- */

/* Decodes text in steps; a copy of the exact size lets the sanitizer see an overrun. */
static int dechunk(const char *text, size_t n, size_t step, char *out, size_t *out_n, size_t *used)
{
	struct http_chunk d = {0};

	*out_n = *used = 0;
	while (*used < n && !d.done && d.status == 0) {
		size_t k = n - *used < step ? n - *used : step, took, data_n;
		char *copy = malloc(k);
		const char *data;

		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text + *used, k);
		took = http_chunk_take(&d, copy, k, &data, &data_n);
		ck_assert_uint_gt(took, 0);
		ck_assert_uint_le(took, k);
		ck_assert(data_n == 0 || (data >= copy && data + data_n <= copy + k));
		memcpy(out + *out_n, data, data_n);
		*out_n += data_n;
		*used += took;
		free(copy);
	}
	return d.done ? 0 : d.status != 0 ? d.status : -1;
}

static const struct {
	const char *text;
	int want; /* 0: complete, -1: more is to come, else the status */
	const char *body;
} chunks[] = {
	{"0\r\n\r\n", 0, ""},
	{"5\r\nhello\r\n0\r\n\r\n", 0, "hello"},
	{"1\r\na\r\n02\r\nbc\r\n0\r\n\r\nnext", 0, "abc"},
	{"a;x=\"y\"\r\n0123456789\r\n0 ; z\r\nA: b\r\nC:\r\n\r\n", 0, "0123456789"},
	{"5\r\nhel", -1, "hel"},
	{"5\r\nhello\r\n0\r\nA: b\r\n", -1, "hello"},
	{"5\r\nhelloX", 400, "hello"},
	{"5\nhello", 400, ""},
	{"\r\n", 400, ""},
	{"g\r\n", 400, ""},
	{"+5\r\n", 400, ""},
	{" 5\r\n", 400, ""},
	{"5 \r\n", 400, ""},
	{"5\r\rhello", 400, ""},
	{"5;\x7f\r\n", 400, ""},
	{"0000000000000005\r\n", 400, ""},
	{"0\r\n: x\r\n\r\n", 400, ""},
	{"0\r\nA b: x\r\n\r\n", 400, ""},
	{"0\r\nA: \x01\r\n\r\n", 400, ""},
	{"0\r\nA: b\n\r\n", 400, ""},
	{"0\r\n\rX", 400, ""},
};

START_TEST (chunks_in_steps_of_any_size) {
	const char *text = chunks[_i].text;
	size_t n = strlen(text), used_first = 0;

	for (size_t step = 1; step <= n; step++) {
		char out[64];
		size_t out_n, used;
		int got = dechunk(text, n, step, out, &out_n, &used);

		ck_assert_msg(got == chunks[_i].want, "%d for %s", got, text);
		ck_assert_uint_eq(out_n, strlen(chunks[_i].body));
		ck_assert_int_eq(memcmp(out, chunks[_i].body, out_n), 0);
		used_first = step == 1 ? used : used_first;
		ck_assert(got > 0 || used == used_first);
	}
}
END_TEST

START_TEST (chunk_limits) {
	struct http_chunk d = {0};
	const char *data;
	size_t n;

	http_chunk_take(&d, "1;", 2, &data, &n);
	for (unsigned i = 0; i < HTTP_CHUNK_EXT_MAX_BYTES; i++) {
		ck_assert_int_eq(d.status, 0);
		http_chunk_take(&d, "x", 1, &data, &n);
	}
	http_chunk_take(&d, "x", 1, &data, &n);
	ck_assert_int_eq(d.status, 400);
	memset(&d, 0, sizeof d);
	http_chunk_take(&d, "0\r\n", 3, &data, &n);
	for (unsigned i = 0; i < HTTP_CHUNK_TRAILERS_MAX; i++) {
		http_chunk_take(&d, "A: b\r\n", 6, &data, &n);
		ck_assert_int_eq(d.status, 0);
	}
	http_chunk_take(&d, "A", 1, &data, &n);
	ck_assert_int_eq(d.status, 431);
}
END_TEST

START_TEST (random_bytes_end_every_body) {
	struct unit_rng rng;
	char text[300], out[300];
	size_t out_n, used;

	unit_rng_start(&rng, _i);
	for (int run = 0; run < 500; run++) {
		unit_bytes(&rng, text, sizeof text);
		for (size_t i = 0; i < sizeof text; i++) {
			static const char likely[] = "0123456789abcdef;: \r\n\r\n";

			if (unit_below(&rng, 4) != 0) {
				text[i] = likely[unit_below(&rng, sizeof likely - 1)];
			}
		}
		dechunk(text, sizeof text, 1 + unit_below(&rng, 40), out, &out_n, &used);
		UNIT_CHECK(used <= sizeof text && out_n <= used);
	}
}
END_TEST

/* ---- Ranges ---------------------------------------------------------------------------------- */

static const struct {
	const char *value;
	uint64_t length;
	int want;
	struct http_range first;
} ranges[] = {
	{"bytes=0-0", 10, 1, {0, 0}},
	{"bytes=0-99", 10, 1, {0, 9}},
	{"BYTES=5-", 10, 1, {5, 9}},
	{"bytes=-3", 10, 1, {7, 9}},
	{"bytes=-30", 10, 1, {0, 9}},
	{"bytes=10-", 10, 0, {0, 0}},
	{"bytes=-0", 10, 0, {0, 0}},
	{"bytes=20-30, -1", 10, 1, {9, 9}},
	{"bytes= 1-2 ,, 4-5", 10, 2, {1, 2}},
	{"bytes=99999999999999999999999-", 10, 0, {0, 0}},
	{"bytes=1-99999999999999999999999", 10, 1, {1, 9}},
	{"bytes=2-1", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=-", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=1", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=1-2x", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=+1-2", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"byte=1-2", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=-5", 0, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=0-5,1-6", 10, 2, {0, 5}},
	{"bytes=0-,0-,0-", 10, HTTP_RANGE_IGNORE, {0, 0}},
	{"bytes=1-1,2-2,3-3,4-4,5-5,6-6,7-7,8-8,9-9,0-0,11-11,12-12,13-13,14-14,15-15,16-16,17-17",
		100, HTTP_RANGE_IGNORE, {0, 0}},
};

START_TEST (ranges_are_understood) {
	struct http_range out[HTTP_RANGES_MAX];
	const char *v = ranges[_i].value;
	int got = http_range_parse(v, strlen(v), ranges[_i].length, out);

	ck_assert_msg(got == ranges[_i].want, "%d for %s", got, v);
	if (got > 0) {
		ck_assert_uint_eq(out[0].first, ranges[_i].first.first);
		ck_assert_uint_eq(out[0].last, ranges[_i].first.last);
	}
}
END_TEST

/* ---- Dates ----------------------------------------------------------------------------------- */

START_TEST (dates) {
	static const struct {
		const char *text;
		int64_t want; /* -1: no date */
	} t[] = {{"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
		{"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
		{"Sun Nov  6 08:49:37 1994", 784111777}, {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
		{"Tue, 29 Feb 2000 12:00:00 GMT", 951825600},
		{"Wednesday, 06-May-20 07:08:09 GMT", 1588748889},
		{"Mon, 29 Feb 2100 12:00:00 GMT", -1}, {"Sun, 06 Nov 1994 24:00:00 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 UTC", -1}, {"Sun, 6 Nov 1994 08:49:37 GMT", -1},
		{"Sun, 06 Nov 1994 08:49:37 GMT ", -1}, {"Sun, 31 Nov 1994 08:49:37 GMT", -1},
		{"Xxx, 06 Nov 1994 08:49:37 GMT", -1}, {"784111777", -1}, {"", -1}};
	char buf[HTTP_DATE_BYTES];

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		int64_t got = -1;

		if (!http_date_parse(t[i].text, strlen(t[i].text), 1700000000, &got)) {
			got = -1;
		}
		ck_assert_msg(got == t[i].want, "%lld for %s", (long long)got, t[i].text);
	}
	for (int64_t when = -2000000000; when < INT64_C(253402300000); when += 86400 * 11 + 3607) {
		int64_t back;

		http_date_format(when, buf);
		UNIT_CHECK(http_date_parse(buf, strlen(buf), 0, &back) && back == when);
	}
	http_date_format(784111777, buf);
	ck_assert_str_eq(buf, "Sun, 06 Nov 1994 08:49:37 GMT");
}
END_TEST

/* ---- Conditions ------------------------------------------------------------------------------ */

#define SAME  "Sun, 06 Nov 1994 08:49:37 GMT"
#define OLDER "Sun, 06 Nov 1994 08:49:36 GMT"
#define NEWER "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct {
	const char *method, *fields;
	bool exists;
	int want;
	bool range;
} conditions[] = {
	{"GET", "", true, 0, false},
	{"GET", "If-Match: \"t\"\r\n", true, 0, false},
	{"GET", "If-Match: \"s\", \"t\"\r\n", true, 0, false},
	{"GET", "If-Match: \"s\"\r\nIf-Match: \"t\"\r\n", true, 0, false},
	{"GET", "If-Match: W/\"t\"\r\n", true, 412, false},
	{"GET", "If-Match: t\r\n", true, 412, false},
	{"PUT", "If-Match: *\r\n", false, 412, false},
	{"PUT", "If-None-Match: *\r\n", false, 0, false},
	{"PUT", "If-None-Match: *\r\n", true, 412, false},
	{"GET", "If-None-Match: \"a,b\", W/\"t\"\r\n", true, 304, false},
	{"HEAD", "If-None-Match: \"t\"\r\n", true, 304, false},
	{"DELETE", "If-None-Match: \"t\"\r\n", true, 412, false},
	{"GET", "If-None-Match: \"x\r\n", true, 0, false},
	{"GET", "If-None-Match: \"x\"\r\nIf-Modified-Since: " NEWER "\r\n", true, 0, false},
	{"GET", "If-Modified-Since: " SAME "\r\n", true, 304, false},
	{"GET", "If-Modified-Since: " OLDER "\r\n", true, 0, false},
	{"PUT", "If-Modified-Since: " SAME "\r\n", true, 0, false},
	{"GET", "If-Modified-Since: " SAME "\r\nIf-Modified-Since: " SAME "\r\n", true, 0, false},
	{"PUT", "If-Unmodified-Since: " SAME "\r\n", true, 0, false},
	{"PUT", "If-Unmodified-Since: " OLDER "\r\n", true, 412, false},
	{"GET", "If-Match: \"t\"\r\nIf-Unmodified-Since: " OLDER "\r\n", true, 0, false},
	{"GET", "If-Match: \"t\"\r\nIf-None-Match: \"t\"\r\n", true, 304, false},
	{"GET", "Range: bytes=0-1\r\n", true, 0, true},
	{"HEAD", "Range: bytes=0-1\r\n", true, 0, false},
	{"GET", "Range: bytes=0-1\r\nIf-Range: \"t\"\r\n", true, 0, true},
	{"GET", "Range: bytes=0-1\r\nIf-Range: W/\"t\"\r\n", true, 0, false},
	{"GET", "Range: bytes=0-1\r\nIf-Range: " SAME "\r\n", true, 0, true},
	{"GET", "Range: bytes=0-1\r\nIf-Range: " NEWER "\r\n", true, 0, false},
	{"GET", "Range: bytes=0-1\r\nIf-Range: soon\r\n", true, 0, false},
};

START_TEST (conditions_in_their_order) {
	struct http_current there = {conditions[_i].exists, "\"t\"", 784111777};
	struct http_request r = {0};
	char head[512];
	int n = snprintf(head, sizeof head, "%s / HTTP/1.1\r\nHost: x\r\n%s\r\n",
		conditions[_i].method, conditions[_i].fields);

	ck_assert_int_eq(http_parse(&r, head, (size_t)n), HTTP_DONE);
	ck_assert_int_eq(http_cond(&r, head, &there, 1700000000), conditions[_i].want);
	ck_assert(http_cond_range(&r, head, &there, 1700000000) == conditions[_i].range);
	/* [9110 8.8.2.2] in the second of the change a date is no strong validator */
	if (strstr(conditions[_i].fields, "If-Range: Sun") != NULL) {
		ck_assert(!http_cond_range(&r, head, &there, 784111777));
	}
}
END_TEST

/* ---- WebSockets ------------------------------------------------------------------------------ */

START_TEST (sha1_of_known_messages) {
	static const struct {
		const char *text, *want;
	} t[] = {{"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
		{"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
		{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
		{"0123456701234567012345670123456701234567012345670123456701234567",
			"e0c094e867ef46c350ef54a7f59dd60bed92ae83"}};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		uint8_t hash[SHA1_BYTES];
		char hex[2 * SHA1_BYTES + 1];

		sha1(t[i].text, strlen(t[i].text), hash);
		for (size_t j = 0; j < SHA1_BYTES; j++) {
			snprintf(hex + 2 * j, 3, "%02x", (unsigned)hash[j]);
		}
		ck_assert_str_eq(hex, t[i].want);
	}
}
END_TEST

START_TEST (handshake_of_the_rfc) {
	static const char head[] = "GET /chat HTTP/1.1\r\nHost: server\r\nUpgrade: websocket\r\n"
				   "Connection: Upgrade\r\n"
				   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
				   "Sec-WebSocket-Version: 13\r\n\r\n";
	struct http_request r = {0};
	char accept[WS_ACCEPT_BYTES];

	ck_assert_int_eq(http_parse(&r, head, sizeof head - 1), HTTP_DONE);
	ck_assert_int_eq(ws_handshake(&r, head, accept), 101);
	ck_assert_str_eq(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); /* [6455 1.3] */
}
END_TEST

START_TEST (origins) {
	static const struct {
		const char *origin, *host;
		bool want;
	} t[] = {{"http://192.0.2.2", "192.0.2.2", true},
		{"http://192.0.2.2:80", "192.0.2.2", false},
		{"http://127.0.0.1:8080", "127.0.0.1:8080", true}, {"http://[::1]", "[::1]", true},
		{"http://localhost:1", "LOCALHOST:1", true}, {"http://stack", "stack", true},
		{"http://a.example", "a.example", false}, {"http://a.example", "192.0.2.2", false},
		{"http://1.2.3.4.example", "1.2.3.4.example", false}, {"null", "null", false},
		{"", "", false}, {"http://", "", false}, {"http:/", "x", false}};

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ck_assert_msg(ws_origin_ok(t[i].origin, strlen(t[i].origin), t[i].host,
				      strlen(t[i].host)) == t[i].want,
			"%s at %s", t[i].origin, t[i].host);
	}
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static Suite *http_body_suite(void)
{
	Suite *s = suite_create("http_body");
	TCase *t = tcase_create("pure");

	tcase_add_loop_test(t, chunks_in_steps_of_any_size, 0, COUNT(chunks));
	tcase_add_test(t, chunk_limits);
	tcase_add_loop_test(t, random_bytes_end_every_body, 0, 10);
	tcase_add_loop_test(t, ranges_are_understood, 0, COUNT(ranges));
	tcase_add_test(t, dates);
	tcase_add_loop_test(t, conditions_in_their_order, 0, COUNT(conditions));
	tcase_add_test(t, sha1_of_known_messages);
	tcase_add_test(t, handshake_of_the_rfc);
	tcase_add_test(t, origins);
	suite_add_tcase(s, t);
	return s;
}

UNIT_MAIN(http_body_suite)

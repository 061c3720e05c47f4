/* The HTTP server's request parser: valid heads in one piece and byte by byte, what is refused and
 * with which status, limits, and that it never reads past what it was given. */
#include "../../apps/http_parse.h"
#include "unit.h"

#include <stdlib.h>
#include <string.h>

/* Parses n bytes, in steps of at most step; a copy of the exact size lets the sanitizer see an
 * overrun. */
static int parse_in_steps(struct http_request *r, const char *text, size_t n, size_t step)
{
	int rc = HTTP_MORE;

	memset(r, 0, sizeof *r);
	for (size_t have = 0; have < n && rc == HTTP_MORE;) {
		char *copy;

		have = n - have < step ? n : have + step;
		copy = malloc(have);
		ck_assert_ptr_nonnull(copy);
		memcpy(copy, text, have);
		rc = http_parse(r, copy, have);
		free(copy);
	}
	return rc;
}

static int parse(struct http_request *r, const char *text)
{
	size_t n = strlen(text);
	struct http_request slow;
	int rc = parse_in_steps(r, text, n, n), rc_slow = parse_in_steps(&slow, text, n, 1);

	ck_assert_int_eq(rc, rc_slow);
	if (rc == HTTP_DONE) {
		ck_assert_uint_eq(r->line_bytes, slow.line_bytes);
		ck_assert_uint_eq(r->target_start_bytes, slow.target_start_bytes);
		ck_assert_uint_eq(r->target_bytes, slow.target_bytes);
		ck_assert_uint_eq(r->content_length, slow.content_length);
		ck_assert_uint_eq(r->n_fields, slow.n_fields);
	}
	return rc;
}

#define H "Host: x\r\n"

static const struct {
	const char *text;
	int want;
} verdicts[] = {
	{"GET / HTTP/1.1\r\n" H "\r\n", HTTP_DONE},
	{"GET / HTTP/1.1\nHost: x\n\n", HTTP_DONE}, /* [9112 2.2] LF alone */
	{"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", HTTP_DONE},
	{"\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
	{"GET / HTTP/1.0\r\n\r\n", HTTP_DONE},
	{"GET / HTTP/1.9\r\n" H "\r\n", HTTP_DONE},
	{"HEAD /x?y=1 HTTP/1.1\r\nhOsT:\r\n\r\n", HTTP_DONE},
	{"GET http://a/b HTTP/1.1\r\n" H "\r\n", HTTP_DONE},
	{"GET / HTTP/1.1\r\n" H "X:\tv \t\r\n\r\n", HTTP_DONE},
	{"GET / HTTP/1.1\r\n" H "X: \xc3\xa4\r\n\r\n", HTTP_DONE},
	{"GET / HTTP/1.1\r\n" H, HTTP_MORE},
	/* request line [9112 3] */
	{"GET /\r\n\r\n", 400},
	{"GET  / HTTP/1.1\r\n", 400},
	{"GET /  HTTP/1.1\r\n", 400},
	{"GET / HTTP/1.1 \r\n", 400},
	{" GET / HTTP/1.1\r\n", 400},
	{"G(T / HTTP/1.1\r\n", 400},
	{"GET /\x01 HTTP/1.1\r\n", 400},
	{"GET /\xc3 HTTP/1.1\r\n", 400},
	{"GET / http/1.1\r\n", 400},
	{"GET / HTTP/1.\r\n", 400},
	{"GET / HTTP/11.1\r\n", 400},
	{"GET / HTTP/1.1\r\r\n", 400},
	{"GET\t/ HTTP/1.1\r\n", 400},
	{"\x16\x03\x01 HTTP\r\n", 400},
	{"PRI * HTTP/2.0\r\n", 505},
	{"GET / HTTP/0.9\r\n", 505},
	/* fields [9112 5] */
	{"GET / HTTP/1.1\r\n" H "X : v\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H " X: v\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "X: v\r\n folded\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H ": v\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "X\xc3: a\r\n\r\n", 400},
	/* Host [9112 3.2] */
	{"GET / HTTP/1.1\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H H "\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\nHost: u@b\r\n\r\n", 400},
	/* framing [9112 6] */
	{"GET / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", HTTP_DONE},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: \r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", HTTP_DONE},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", 501},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
		400},
	{"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
	{"GET / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
};

START_TEST (verdict_in_one_piece_and_byte_by_byte) {
	struct http_request r;
	int got = parse(&r, verdicts[_i].text);

	ck_assert_msg(got == verdicts[_i].want, "%d instead of %d for %s", got, verdicts[_i].want,
		verdicts[_i].text);
}
END_TEST

START_TEST (fields_are_understood) {
	static const char text[] =
		"POST /a/b?c HTTP/1.1\r\nHost: h:80\r\nContent-Length: 1234\r\n"
		"Connection: foo, Close ,bar\r\nExpect: 100-continue\r\n\r\nrest";
	struct http_request r;

	ck_assert_int_eq(parse(&r, text), HTTP_DONE);
	ck_assert_uint_eq(r.line_bytes, sizeof text - 1 - 4);
	ck_assert_uint_eq(r.method, HTTP_POST);
	ck_assert_int_eq(memcmp(text + r.method_start_bytes, "POST", r.method_bytes), 0);
	ck_assert_uint_eq(r.target_bytes, 6);
	ck_assert_int_eq(memcmp(text + r.target_start_bytes, "/a/b?c", 6), 0);
	ck_assert_uint_eq(r.content_length, 1234);
	ck_assert(r.says_close && !r.says_keep_alive && r.expects_continue && !r.expects_other);
	ck_assert_uint_eq(r.n_fields, 4);
}
END_TEST

START_TEST (methods) {
	static const struct {
		const char *text;
		uint8_t method;
	} t[] = {{"GET / HTTP/1.0\n\n", HTTP_GET}, {"HEAD / HTTP/1.0\n\n", HTTP_HEAD},
		{"get / HTTP/1.0\n\n", HTTP_UNKNOWN}, {"PUT / HTTP/1.0\n\n", HTTP_PUT},
		{"OPTIONS * HTTP/1.0\n\n", HTTP_OPTIONS},
		{"CONNECT a:1 HTTP/1.0\n\n", HTTP_NOT_ALLOWED},
		{"BREW / HTTP/1.0\n\n", HTTP_UNKNOWN}};
	struct http_request r;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ck_assert_int_eq(parse(&r, t[i].text), HTTP_DONE);
		ck_assert_uint_eq(r.method, t[i].method);
	}
}
END_TEST

START_TEST (persistence) {
	static const struct {
		const char *text;
		bool persists;
	} t[] = {{"GET / HTTP/1.1\n" H "\n", true}, {"GET / HTTP/1.0\n\n", false},
		{"GET / HTTP/1.0\nConnection: Keep-Alive\n\n", true},
		{"GET / HTTP/1.0\nConnection: keep-alive, close\n\n", false},
		{"GET / HTTP/1.1\n" H "Connection: close\n\n", false},
		{"GET / HTTP/1.1\n" H "Connection: a\nConnection: close\n\n", false},
		{"GET / HTTP/1.1\n" H "Connection: closed\n\n", true},
		{"GET / HTTP/1.1\n" H "Transfer-Encoding: chunked\n\n", true}};
	struct http_request r;

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		ck_assert_int_eq(parse(&r, t[i].text), HTTP_DONE);
		ck_assert_msg(http_request_persists(&r) == t[i].persists, "%s", t[i].text);
	}
}
END_TEST

/* A request in three parts, the middle one n times. */
static char *request_make(const char *head, const char *middle, size_t n, const char *tail)
{
	size_t m = strlen(middle);
	char *text = malloc(strlen(head) + m * n + strlen(tail) + 1), *o;

	ck_assert_ptr_nonnull(text);
	o = text + strlen(head);
	memcpy(text, head, strlen(head));
	for (size_t i = 0; i < n; i++, o += m) {
		memcpy(o, middle, m);
	}
	memcpy(o, tail, strlen(tail) + 1);
	return text;
}

static void limit_check(const char *head, const char *middle, size_t n, const char *tail, int want)
{
	char *text = request_make(head, middle, n, tail);
	struct http_request r;
	int got = parse_in_steps(&r, text, strlen(text), 997);

	ck_assert_msg(got == want, "%d instead of %d: %.20s x %zu", got, want, middle, n);
	free(text);
}

START_TEST (limits) {
	static const char line[] = "GET / HTTP/1.1\r\n" H;
	/* "GET /" and " HTTP/1.1\r" leave 8192 - 15 */
	limit_check("GET /", "a", HTTP_LINE_MAX_BYTES - 15, " HTTP/1.1\r\n" H "\r\n", HTTP_DONE);
	limit_check("GET /", "a", HTTP_LINE_MAX_BYTES - 14, " HTTP/1.1\r\n" H "\r\n", 414);
	limit_check("GET /", "a", 100000, "", 414);
	limit_check("", "a", 100000, "", 400);
	limit_check("", "(", 100000, "", 400);
	limit_check(line, "X: y\r\n", HTTP_FIELDS_MAX - 1, "\r\n", HTTP_DONE);
	limit_check(line, "X: y\r\n", HTTP_FIELDS_MAX, "\r\n", 431);
	limit_check("GET / HTTP/1.1\r\n" H "X: ", "y", HTTP_FIELDS_MAX_BYTES - 20, "\r\n\r\n",
		HTTP_DONE);
	limit_check("GET / HTTP/1.1\r\n" H "X: ", "y", HTTP_FIELDS_MAX_BYTES, "\r\n\r\n", 431);
	limit_check("GET / HTTP/1.1\r\n" H "X: ", "y", 100000, "", 431);
}
END_TEST

/* Whatever comes in, it ends in a verdict within the limits, and the pieces do not matter. */
START_TEST (random_bytes_in_random_pieces) {
	static const char base[] = "GET /index.html HTTP/1.1\r\nHost: example\r\nAccept: */*\r\n"
				   "Content-Length: 12\r\nConnection: keep-alive\r\n\r\n";
	struct http_request whole, pieces;
	struct unit_rng rng;
	char text[sizeof base];

	unit_rng_start(&rng, _i);
	for (int run = 0; run < 2000; run++) {
		uint32_t flips = unit_below(&rng, 4);
		int a, b;

		memcpy(text, base, sizeof base);
		for (uint32_t f = 0; f < flips; f++) {
			text[unit_below(&rng, sizeof base - 1)] = (char)unit_u64(&rng);
		}
		a = parse_in_steps(&whole, text, sizeof base - 1, sizeof base);
		b = parse_in_steps(&pieces, text, sizeof base - 1, 1 + unit_below(&rng, 30));
		UNIT_CHECK(a == b);
		UNIT_CHECK(a == HTTP_MORE || a == HTTP_DONE || (a >= 400 && a <= 505));
		UNIT_CHECK(a != HTTP_DONE || whole.line_bytes == pieces.line_bytes);
		UNIT_CHECK(whole.line_bytes <= sizeof base - 1);
	}
}
END_TEST

START_TEST (paths) {
	static const struct {
		const char *target, *path; /* path NULL: refused */
	} t[] = {{"/", "/"}, {"/a/b", "/a/b"}, {"/a?b/../c", "/a"}, {"/%41%7e", "/A~"},
		{"http://h/x", "/x"}, {"HTTP://h", "/"}, {"http://h?q", "/"}, {"http:///x", NULL},
		{"*", NULL}, {"a", NULL}, {"", NULL}, {"/..", NULL}, {"/a/../b", NULL},
		{"/%2e%2e/b", NULL}, {"/%2E./b", NULL}, {"/...", "/..."}, {"/..a", "/..a"},
		{"/a..", "/a.."}, {"/%00", NULL}, {"/%2f", NULL}, {"/%2Fetc", NULL}, {"/%0a", NULL},
		{"/%7f", NULL}, {"/%", NULL}, {"/%4", NULL}, {"/%zz", NULL}, {"/a#b", NULL},
		{"/%c3%a4", "/\xc3\xa4"}, {"/a%20b", "/a b"}, {"/%252e", "/%2e"}};
	char out[64];

	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		int n = http_path_decode(t[i].target, strlen(t[i].target), out, sizeof out);

		if (t[i].path == NULL) {
			ck_assert_msg(n == -400, "%s: %d", t[i].target, n);
		} else {
			ck_assert_msg(n == (int)strlen(t[i].path), "%s: %d", t[i].target, n);
			ck_assert_str_eq(out, t[i].path);
		}
	}
	ck_assert_int_eq(http_path_decode("/abc", 4, out, 5), 4);
	ck_assert_int_eq(http_path_decode("/abc", 4, out, 4), -400);
}
END_TEST

static Suite *http_parse_suite(void)
{
	Suite *s = suite_create("http_parse");
	TCase *c = tcase_create("all");

	tcase_set_timeout(c, 30);
	tcase_add_loop_test(c, verdict_in_one_piece_and_byte_by_byte, 0,
		(int)(sizeof verdicts / sizeof verdicts[0]));
	tcase_add_test(c, fields_are_understood);
	tcase_add_test(c, methods);
	tcase_add_test(c, persistence);
	tcase_add_test(c, limits);
	tcase_add_loop_test(c, random_bytes_in_random_pieces, 0, 4);
	tcase_add_test(c, paths);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(http_parse_suite)

/* The head of an HTTP response: what is accepted, what is refused, whatever the pieces it comes in.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "curl_head.h"
#include "options.h"
#include "verbs.h"

static struct curl_head head;

/* The verdict on a text that comes in pieces of so many bytes, and what is left of it. */
static int verdict(const char *text, size_t piece, size_t *left)
{
	size_t n = strlen(text), at = 0, taken;
	int rc = CURL_HEAD_MORE;

	memset(&head, 0, sizeof(head));
	while (rc == CURL_HEAD_MORE && at < n) {
		rc = curl_head_take(&head, text + at, n - at < piece ? n - at : piece, &taken);
		at += taken;
	}
	*left = n - at;
	return rc;
}

#define OK "HTTP/1.1 200 OK\r\n"

START_TEST (framings) {
	static const struct {
		const char *text;
		enum curl_framing framing;
		uint64_t length;
	} cases[] = {
		{OK "\r\nbody", CURL_UNTIL_CLOSE, 0},
		{"HTTP/1.0 200\n\nbody", CURL_UNTIL_CLOSE, 0},
		{OK "Content-Length: 7\r\n\r\nbody", CURL_LENGTH, 7},
		{OK "content-length:\t0 \r\nContent-LENGTH: 0\r\n\r\nbody", CURL_LENGTH, 0},
		{OK "Transfer-Encoding: chunked\r\n\r\nbody", CURL_CHUNKED, 0},
		{OK "Transfer-Encoding: gzip, Chunked\r\n\r\nbody", CURL_CHUNKED, 0},
		{OK "Transfer-Encoding: chunked, gzip\r\n\r\nbody", CURL_UNTIL_CLOSE, 0},
		{OK "Transfer-Encoding: unchunked\r\n\r\nbody", CURL_UNTIL_CLOSE, 0},
		{OK "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nbody", CURL_CHUNKED, 3},
		{"HTTP/1.1 204 No\r\nContent-Length: 3\r\n\r\nbody", CURL_NONE, 3},
		{"HTTP/1.1 304 No\r\n\r\nbody", CURL_NONE, 0},
		{"HTTP/1.1 100 Go on\r\n\r\nbody", CURL_NONE, 0},
	};
	size_t left;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t piece = 1; piece < 90; piece++) {
			ck_assert_int_eq(verdict(cases[i].text, piece, &left), CURL_HEAD_DONE);
			ck_assert_uint_eq(left, 4);
			ck_assert_int_eq(
				(int)curl_head_framing(&head, false), (int)cases[i].framing);
			ck_assert_uint_eq(head.length, cases[i].length);
		}
		ck_assert_int_eq((int)curl_head_framing(&head, true), (int)CURL_NONE);
	}
	ck_assert_int_eq(verdict(OK "Content-Type:  text/html \r\n\r\n", 1, &left), CURL_HEAD_DONE);
	ck_assert_uint_eq(head.type_bytes, 9);
	ck_assert_mem_eq(head.text + head.type_at, "text/html", 9);
	ck_assert_uint_eq(head.status, 200);
}
END_TEST

START_TEST (refusals) {
	static const char *const bad[] = {"hello", "HTTP/2 200 OK\r\n", "HTTP/1.1 20 OK\r\n",
		"HTTP/1.1 2000 OK\r\n", "HTTP/1.1  200 OK\r\n", "HTTP/1.x 200 OK\r\n",
		"HTTP/1.1 099 OK\r\n", "http/1.1 200 OK\r\n", OK "no colon\r\n", OK ": empty\r\n",
		OK "blank : x\r\n", OK " folded: x\r\n", OK "a: b\rc\r\n",
		OK "Content-Length: \r\n", OK "Content-Length: -1\r\n",
		OK "Content-Length: 1,1\r\n", OK "Content-Length: 0x1\r\n",
		OK "Content-Length: 1\r\nContent-Length: 2\r\n",
		OK "Content-Length: 9999999999999999999\r\n"};
	size_t left;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (size_t piece = 1; piece < 60; piece++)
			ck_assert_int_eq(verdict(bad[i], piece, &left), CURL_HEAD_BAD);
	}
	ck_assert_int_eq(verdict(OK "A: b\r\n folded\r\n\r\n", 3, &left), CURL_HEAD_DONE);
	ck_assert_int_eq(verdict(OK "A: b\r\n", 3, &left), CURL_HEAD_MORE);
}
END_TEST

START_TEST (limits) {
	size_t taken, n = 2 * (size_t)CURL_HEAD_MAX_BYTES;
	char *text = malloc(n);

	ck_assert_ptr_nonnull(text);
	memset(text, 'x', n);
	memcpy(text, OK "a:", strlen(OK "a:"));
	memset(&head, 0, sizeof(head));
	ck_assert_int_eq(curl_head_take(&head, text, n, &taken), CURL_HEAD_LONG);
	ck_assert_uint_eq(taken, CURL_HEAD_MAX_BYTES);
	for (size_t i = strlen(OK); i + 4 <= n; i += 4)
		memcpy(text + i, "a:\r\n", 4);
	memset(&head, 0, sizeof(head));
	ck_assert_int_eq(curl_head_take(&head, text, n, &taken), CURL_HEAD_LONG);
	ck_assert_uint_eq(taken, strlen(OK) + 4 * (CURL_FIELDS_MAX + 1));
	free(text);
}
END_TEST

/* ---- Options --------------------------------------------------------------------------------- */

static void count_names(void *ctx, const struct option_spec *s)
{
	int *letters = ctx;

	letters[(unsigned char)s->letter]++;
	ck_assert(s->name != NULL || s->letter != 0);
}

START_TEST (no_letter_means_two_things) {
	static const struct verb_spec *const specs[] = {&up_spec, &ping_spec, &curl_spec, &nc_spec,
		&ss_spec, &arp_spec, &route_spec, &stat_spec, &cap_spec, &sh_spec, &wait_spec,
		&doctor_spec, &setup_spec, &drill_spec};

	for (size_t i = 0; i < sizeof(specs) / sizeof(specs[0]); i++) {
		int letters[256] = {0};

		options_each(specs[i], count_names, letters);
		for (int c = 1; c < 256; c++)
			ck_assert_msg(letters[c] < 2, "%s: -%c", specs[i]->usage, c);
		ck_assert_int_eq(letters['h'], 1);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("curl");
	TCase *t = tcase_create("head");
	SRunner *r;
	int failed;

	tcase_add_test(t, framings);
	tcase_add_test(t, refusals);
	tcase_add_test(t, limits);
	tcase_add_test(t, no_letter_means_two_things);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

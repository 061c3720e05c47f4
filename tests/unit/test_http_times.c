/* Time-outs of the HTTP server, and what it does without memory, in virtual time: server and
 * clients are on one instance, over its loopback. */
#define _GNU_SOURCE
#include "http_server.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define MEM_BYTES (256u << 20)
#define SEC       1000000000ull

static void *mem;
static struct tg *s;
static struct services v;
static struct http_server *h;
static uint64_t now;

static void setup(void)
{
	struct http_config c = {.port = 80};
	struct tg_config cfg;
	bool bad;
	int rc;

	mem = mmap(NULL, MEM_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ck_assert(mem != MAP_FAILED);
	tg_config_default(&cfg);
	memset(cfg.seed, 7, sizeof(cfg.seed));
	now = 1000 * SEC;
	s = tg_create(&cfg, mem, MEM_BYTES, now);
	ck_assert_ptr_nonnull(s);
	v = (struct services){.s = s};
	h = http_start(&v, &c, now, &rc, &bad);
	ck_assert_ptr_nonnull(h);
}

static void teardown(void)
{
	http_free(h);
	munmap(mem, MEM_BYTES);
}

/* Everything that is due now. */
static void settle(void)
{
	struct tg_event e;

	for (unsigned i = 0; i < 2000; i++) {
		bool some = false;

		tg_step(s, now);
		while (tg_event(s, &e)) {
			some = true;
			if (e.cookie)
				svc_event(&e, now);
		}
		http_round(h, now);
		svc_round(&v, now);
		if (!some && tg_next_deadline(s) > now)
			return;
	}
	ck_abort_msg("the server does not come to rest");
}

static void pass(uint64_t ns)
{
	uint64_t end = now + ns;

	while (now < end) {
		now = now + SEC / 20 < end ? now + SEC / 20 : end;
		settle();
	}
}

static tg_sock client(void)
{
	struct tg_addr to = {tg_ip4(127, 0, 0, 1), 80};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(s, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(s, k, &to, now), -TG_EINPROGRESS);
	settle();
	return k;
}

static void tell(tg_sock k, const char *text)
{
	ck_assert_int_eq(tg_sock_send(s, k, text, strlen(text), 0, now), (int64_t)strlen(text));
	settle();
}

/* What has come; -1 at its end: nothing and the end; -2: reset. */
static int64_t hear(tg_sock k, char *buf, size_t n)
{
	size_t got = 0;
	int64_t r;

	while ((r = tg_sock_recv(s, k, buf + got, n - 1 - got, 0, now)) > 0)
		got += (size_t)r;
	buf[got] = '\0';
	settle();
	if (got)
		return (int64_t)got;
	return r == 0 ? -1 : r == -TG_EAGAIN ? 0 : -2;
}

static char buf[2000000];

START_TEST (who_says_nothing_is_sent_away) {
	tg_sock k = client();

	pass(9 * SEC);
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), 0);
	pass(2 * SEC);
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), -1);
	tg_sock_close(s, k, now);
}
END_TEST

START_TEST (a_slow_head_gets_408) {
	tg_sock k = client();

	tell(k, "GET / HTTP/1.1\r\n");
	/* More of it changes nothing: the time is for all of the head. */
	for (unsigned i = 0; i < 9; i++) {
		pass(SEC);
		tell(k, "A: b\r\n");
	}
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), 0);
	pass(2 * SEC);
	ck_assert_int_gt(hear(k, buf, sizeof(buf)), 0);
	ck_assert_int_eq(strncmp(buf, "HTTP/1.1 408 ", 13), 0);
	ck_assert_ptr_nonnull(strstr(buf, "Connection: close"));
	pass(6 * SEC);
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), -1);
	tg_sock_close(s, k, now);
}
END_TEST

START_TEST (an_idle_connection_lasts_30_s) {
	tg_sock k = client();

	for (unsigned i = 0; i < 3; i++) {
		tell(k, "GET /bytes/3 HTTP/1.1\r\nHost: x\r\n\r\n");
		ck_assert_int_gt(hear(k, buf, sizeof(buf)), 0);
		ck_assert_int_eq(strncmp(buf, "HTTP/1.1 200 ", 13), 0);
		pass(29 * SEC); /* each request begins it anew */
	}
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), 0);
	pass(2 * SEC);
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), -1);
	tg_sock_close(s, k, now);
}
END_TEST

START_TEST (a_slow_body_gets_408) {
	tg_sock k = client();

	tell(k, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
	pass(9 * SEC);
	ck_assert_int_ge(hear(k, buf, sizeof(buf)), 0);
	pass(2 * SEC);
	/* The answer had not begun, or is cut off: in any case it is over soon. */
	pass(6 * SEC);
	while (hear(k, buf, sizeof(buf)) > 0)
		;
	ck_assert_int_lt(hear(k, buf, sizeof(buf)), 0);
	tg_sock_close(s, k, now);
}
END_TEST

START_TEST (who_does_not_read_is_reset_after_60_s) {
	tg_sock k = client();

	tell(k, "GET /bytes/100000000 HTTP/1.1\r\nHost: x\r\n\r\n");
	pass(59 * SEC);
	ck_assert_uint_eq(tg_sock_ready(s, k) & (TG_ERR | TG_HUP), 0);
	pass(62 * SEC); /* the first period may have moved enough */
	ck_assert_uint_ne(tg_sock_ready(s, k) & TG_HUP, 0);
	tg_sock_close(s, k, now);
}
END_TEST

START_TEST (who_reads_slowly_but_enough_is_served) {
	tg_sock k = client();
	uint64_t total = 0;

	tell(k, "GET /bytes/20000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	for (unsigned i = 0; i < 400; i++) {
		int64_t r;

		pass(5 * SEC);
		r = tg_sock_recv(s, k, buf, 60000, 0, now);
		ck_assert_msg(r >= 0, "after %u: %d", i, (int)r);
		total += (uint64_t)r;
		if (r == 0)
			break;
	}
	ck_assert_uint_gt(total, 20000000);
	tg_sock_close(s, k, now);
}
END_TEST

START_TEST (a_connection_that_is_to_end_lingers_5_s) {
	tg_sock k = client();

	tell(k, "GET /bytes/3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
	ck_assert_int_gt(hear(k, buf, sizeof(buf)), 0);
	ck_assert_int_eq(hear(k, buf, sizeof(buf)), -1); /* its end was sent */
	for (unsigned i = 0; i < 4; i++) {
		pass(SEC);
		tell(k, "what is sent now is read and thrown away");
	}
	ck_assert_uint_eq(tg_sock_ready(s, k) & TG_HUP, 0);
	pass(2 * SEC);
	tg_sock_send(s, k, "x", 1, 0, now); /* nobody is there any more */
	pass(SEC);
	ck_assert_uint_ne(tg_sock_ready(s, k) & TG_HUP, 0);
	tg_sock_close(s, k, now);
}
END_TEST

/* Requests that lie in several pieces, some of them in two, are put together. */
START_TEST (requests_in_pieces) {
	static const char request[] = "GET /bytes/1 HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char status[] = "HTTP/1.1 200";
	const size_t bytes = sizeof(request) - 1, total = 3000 * bytes;
	size_t sent = 0, same = 0;
	unsigned answers = 0;
	tg_sock k = client();
	char got[4096];
	int64_t r;

	for (size_t i = 0; i < total; i++)
		buf[i] = request[i % bytes];
	for (unsigned i = 0; i < 1000 && answers < 3000; i++) {
		r = sent < total ? tg_sock_send(s, k, buf + sent, total - sent, 0, now) : 0;
		sent += r > 0 ? (size_t)r : 0;
		pass(SEC / 20);
		while ((r = tg_sock_recv(s, k, got, sizeof(got), 0, now)) > 0) {
			for (int64_t j = 0; j < r; j++) {
				same = got[j] == status[same] ? same + 1 : got[j] == 'H';
				answers += same == sizeof(status) - 1;
				same = same == sizeof(status) - 1 ? 0 : same;
			}
		}
		ck_assert_int_eq(r, -TG_EAGAIN);
	}
	ck_assert_uint_eq(answers, 3000);
	tg_sock_close(s, k, now);
}
END_TEST

/* The instance's memory fails now and then: whatever becomes of a request, the server goes on, and
 * nothing is left behind. */
START_TEST (out_of_memory_is_an_ordinary_event) {
	struct tg_memory before, after;
	unsigned good = 0;

	pass(120 * SEC);
	tg_memory_stats(s, &before);
	for (unsigned i = 0; i < 300; i++) {
		tg_sock k;
		struct tg_addr to = {tg_ip4(127, 0, 0, 1), 80};

		tg_memory_fail_after(s, 1 + i % 23, 1 + i % 5);
		if (tg_sock_open(s, TG_STREAM, 0, 0, &k) < 0)
			continue;
		tg_sock_connect(s, k, &to, now);
		settle();
		tg_sock_send(s, k, "GET /bytes/5000 HTTP/1.1\r\nHo", 28, 0, now);
		settle();
		tg_sock_send(s, k, "st: x\r\n\r\n", 9, 0, now);
		settle();
		pass(SEC);
		tg_memory_fail_after(s, 0, 0);
		pass(SEC);
		good += hear(k, buf, sizeof(buf)) > 5000;
		tg_sock_abort(s, k, now);
		settle();
	}
	ck_assert_uint_gt(good, 30);
	pass(300 * SEC);
	tg_memory_stats(s, &after);
	/* Handles' and tables' pages stay, connections do not. */
	ck_assert_uint_lt(after.in_use_bytes, before.in_use_bytes + 300000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("http_times");
	TCase *tc = tcase_create("times");
	SRunner *r;
	int failed;

	tcase_set_timeout(tc, 120);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, who_says_nothing_is_sent_away);
	tcase_add_test(tc, a_slow_head_gets_408);
	tcase_add_test(tc, an_idle_connection_lasts_30_s);
	tcase_add_test(tc, a_slow_body_gets_408);
	tcase_add_test(tc, who_does_not_read_is_reset_after_60_s);
	tcase_add_test(tc, who_reads_slowly_but_enough_is_served);
	tcase_add_test(tc, a_connection_that_is_to_end_lingers_5_s);
	tcase_add_test(tc, requests_in_pieces);
	tcase_add_test(tc, out_of_memory_is_an_ordinary_event);
	suite_add_tcase(suite, tc);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* port/capture_hub and capture_note: two instances on a wire of one host, captured while they
 * talk, and what the comments say; and captures that come and go. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "port/capture_hub.h"
#include "port/capture_note.h"
#include "tapglass_host.h"
#include "unit.h"

#define PORT 7000

static struct tg_host *h;
static struct tg *s[2];
static int netif[2];
static char path[64];
static struct tg_host_error err;
static uint8_t file[4 << 20];
static size_t file_bytes;

static void world(uint32_t drop_ppm)
{
	struct tg_link_options o[2];
	struct tg_config c;
	int fd;

	strcpy(path, "/tmp/tapglass-test-XXXXXX");
	fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	h = tg_host_new();
	ck_assert_ptr_nonnull(h);
	for (unsigned i = 0; i < 2; i++) {
		tg_link_options_default(&o[i]);
		o[i].mac[5] = (uint8_t)(i + 1);
		o[i].in.drop_ppm = i == 0 ? drop_ppm : 0;
		ck_assert_int_eq(tg_host_config(&c), 0);
		c.seed[0] = (uint8_t)(i + 1);
		ck_assert_int_eq(tg_host_add(h, &c, 1u << 30, NULL, &s[i]), 0);
	}
	ck_assert_int_eq(tg_host_wire(h, s[0], s[1], &o[0], &o[1], netif), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct tg_ip ip = tg_ip4_of(0xc0000201u + i);

		ck_assert_int_eq(tg_addr_add(s[i], (unsigned)netif[i], &ip, 24, tg_host_now()), 0);
	}
}

static void teardown(void)
{
	tg_host_free(h);
	unlink(path);
}

static void rounds(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_ge(tg_host_round(h, NS_PER_MS), 0);
}

/* Instance 0 listens, 1 connects, sends a byte, both close. to: port asked for. */
static void talk(uint16_t to)
{
	struct tg_addr any = {.port = PORT}, peer = {.ip = tg_ip4_of(0xc0000201u), .port = to};
	tg_sock l, a = 0, c;

	ck_assert_int_eq(tg_sock_open(s[0], TG_STREAM, 0, 0, &l), 0);
	ck_assert_int_eq(tg_sock_bind(s[0], l, &any), 0);
	ck_assert_int_eq(tg_sock_listen(s[0], l, 4, tg_host_now()), 0);
	ck_assert_int_eq(tg_sock_open(s[1], TG_STREAM, 0, 0, &c), 0);
	tg_sock_connect(s[1], c, &peer, tg_host_now());
	rounds(20);
	if (to == PORT) {
		ck_assert_int_eq(tg_sock_accept(s[0], l, 0, &a, tg_host_now()), 0);
		ck_assert_int_eq(tg_sock_send(s[1], c, "x", 1, 0, tg_host_now()), 1);
		rounds(5);
	}
	tg_sock_close(s[1], c, tg_host_now());
	rounds(5);
	if (a)
		tg_sock_close(s[0], a, tg_host_now());
	tg_sock_close(s[0], l, tg_host_now());
	rounds(20);
}

static void slurp(void)
{
	FILE *f = fopen(path, "rb");

	ck_assert_ptr_nonnull(f);
	file_bytes = fread(file, 1, sizeof(file), f);
	fclose(f);
}

static bool says(const char *text)
{
	return memmem(file, file_bytes, text, strlen(text)) != NULL;
}
static unsigned blocks(uint32_t type)
{
	unsigned n = 0;
	uint32_t head[2];

	for (size_t at = 0; at + 12 <= file_bytes; at += head[1]) {
		memcpy(head, file + at, sizeof(head));
		ck_assert(head[1] >= 12 && head[1] % 4 == 0 && at + head[1] <= file_bytes);
		n += head[0] == type;
	}
	return n;
}

START_TEST (both_ends_explain_themselves) {
	struct tg_capture *c;

	world(0);
	c = tg_capture_open(path, &err);
	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(tg_host_capture(h, s[0], netif[0], c), 0);
	ck_assert_int_eq(tg_host_capture(h, s[1], netif[1], c), 0);
	talk(PORT);
	talk(PORT + 1);
	tg_host_capture_end(h, c);
	ck_assert_int_eq(tg_capture_close(c), 0);
	slurp();
	ck_assert_uint_eq(blocks(1), 2);
	ck_assert_uint_eq(blocks(5), 2);
	/* of what was received */
	ck_assert(says("LISTEN -> SYN-RECEIVED (9293 3.10.7.2)"));
	ck_assert(says("SYN-RECEIVED -> ESTABLISHED (9293 3.10.7.4-5)"));
	ck_assert(says("SYN-SENT -> ESTABLISHED (9293 3.10.7.3)"));
	ck_assert(says("ESTABLISHED -> CLOSE-WAIT (9293 3.10.7.4-8)"));
	ck_assert(says("dropped: no connection: answered by a reset (9293 3.10.7.1)"));
	/* of what a call had sent */
	ck_assert(says("CLOSED -> SYN-SENT (9293 3.10.1)"));
	ck_assert(says("ESTABLISHED -> FIN-WAIT-1 (9293 3.10.4)"));
	teardown();
}
END_TEST

/* A link that loses everything: nothing arrives, SYNs are sent again. */
START_TEST (losses_and_retransmissions) {
	struct tg_capture *c;
	struct tg_addr peer = {.ip = tg_ip4_of(0xc0000201u), .port = PORT};
	uint64_t end;
	tg_sock k;

	world(0);
	talk(PORT); /* so that addresses are known */
	teardown();
	world(600000);
	c = tg_capture_open(path, &err);
	ck_assert_int_eq(tg_host_capture(h, s[1], netif[1], c), 0);
	for (unsigned i = 0; i < 10; i++) {
		ck_assert_int_eq(tg_sock_open(s[1], TG_STREAM, 0, 0, &k), 0);
		tg_sock_connect(s[1], k, &peer, tg_host_now());
	}
	for (end = tg_host_now() + 5 * NS_PER_SEC / 2; tg_host_now() < end;)
		rounds(1);
	tg_host_capture_end(h, c);
	ck_assert_int_eq(tg_capture_close(c), 0);
	slurp();
	ck_assert_uint_eq(blocks(1), 2); /* the wire, and "stack" */
	ck_assert(says("stack"));
	ck_assert(says("link: dropped"));
	ck_assert(says("retransmission: timeout (6298 5.4)"));
	teardown();
}
END_TEST

START_TEST (captures_come_and_go) {
	struct tg_capture *c[HUB_CAPTURES_MAX + 1];

	world(0);
	for (unsigned i = 0; i <= HUB_CAPTURES_MAX; i++) {
		c[i] = tg_capture_open(i == 3 ? path : "/dev/null", &err);
		ck_assert_int_eq(tg_host_capture(h, s[0], netif[0], c[i]),
			i < HUB_CAPTURES_MAX ? 0 : -EBUSY);
	}
	ck_assert_int_eq(tg_host_capture(h, s[0], 17, c[0]), -EINVAL);
	tg_host_capture_end(h, c[0]);
	tg_host_capture_end(h, c[0]); /* it is not there any more */
	talk(PORT);
	tg_host_capture_end(h, c[3]);
	slurp();
	ck_assert(says("LISTEN -> SYN-RECEIVED"));
	ck_assert_uint_eq(blocks(5), 1);
	talk(PORT); /* the others go on */
	for (unsigned i = 0; i <= HUB_CAPTURES_MAX; i++) {
		if (i & 1) /* without having been ended */
			ck_assert_int_eq(tg_capture_close(c[i]), 0);
	}
	talk(PORT);
	for (unsigned i = 0; i <= HUB_CAPTURES_MAX; i += 2) {
		tg_host_capture_end(h, c[i]);
		ck_assert_int_eq(tg_capture_close(c[i]), 0);
	}
	teardown();
}
END_TEST

static Suite *capture_hub_suite(void)
{
	Suite *u = suite_create("capture_hub");
	TCase *t = tcase_create("capture_hub");

	tcase_set_timeout(t, 30);
	tcase_add_test(t, both_ends_explain_themselves);
	tcase_add_test(t, losses_and_retransmissions);
	tcase_add_test(t, captures_come_and_go);
	suite_add_tcase(u, t);
	return u;
}

UNIT_MAIN(capture_hub_suite)

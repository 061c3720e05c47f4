/* TG_TCP_NOTSENT_LOWAT: how much text send takes while some waits to be sent, and that TG_OUT comes
 * back, once, when less than half of the mark waits (Linux's TCP_NOTSENT_LOWAT). */
#include "tcp_support.h"

#include "tapglass_host.h"

#define MSS 1000u

static struct tcp_world *w;
static const uint8_t text[20000];

static void setup(void)
{
	w = tw_new(NULL);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS, .mss = MSS};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
}

static void teardown(void)
{
	tw_end(w);
}

static int mark(int64_t v)
{
	return tg_sock_setopt(w->s, w->conn, TG_TCP_NOTSENT_LOWAT, v, w->now_ns);
}

static int64_t send_text(size_t n)
{
	return tg_sock_send(w->s, w->conn, text, n, 0, w->now_ns);
}

/* How often writability was told since the last time. */
static unsigned times_told(void)
{
	struct tg_event e;
	unsigned n = 0;

	while (tg_event(w->s, &e))
		n += (e.events & TG_OUT) != 0;
	return n;
}

static bool is_writable(void)
{
	return (tg_sock_ready(w->s, w->conn) & TG_OUT) != 0;
}

/* The peer acknowledges n more bytes. */
static void ack_in(uint32_t n)
{
	struct tcp_seg g = tw_seg(w);

	g.ack = seq_add(w->c->snd.una, n);
	tw_in(w, &g, NULL, 0);
	tg_step(w->s, w->now_ns);
}

START_TEST (test_none_by_default) {
	int64_t v = -1;

	ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, TG_TCP_NOTSENT_LOWAT, &v), 0);
	ck_assert_int_eq(v, 0);
	ck_assert_int_eq(send_text(20000), 20000);
	ck_assert_int_eq(send_text(20000), 20000);
	ck_assert(is_writable());
}
END_TEST

START_TEST (test_values) {
	int64_t v = -1;

	ck_assert_int_eq(mark(-1), -TG_EINVAL);
	ck_assert_int_eq(mark((int64_t)UINT32_MAX + 1), -TG_EINVAL);
	ck_assert_int_eq(mark(UINT32_MAX), 0);
	ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, TG_TCP_NOTSENT_LOWAT, &v), 0);
	ck_assert_int_eq(v, UINT32_MAX);
	ck_assert_int_eq(send_text(20000), 20000);
	ck_assert(is_writable());
}
END_TEST

/* The device is busy: what waits is at the mark, whatever was asked for. As soon as it goes,
 * without any acknowledgment, there is room, and that is told. */
START_TEST (test_taken_up_to_the_mark) {
	ck_assert_int_eq(mark(4000), 0);
	times_told();
	w->dev.room = 0;
	ck_assert_int_eq(send_text(3999), 3999);
	ck_assert_int_eq(send_text(20000), 1);
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
	ck_assert(!is_writable());
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(times_told(), 0);
	w->dev.room = UINT32_MAX;
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(times_told(), 1);
	ck_assert(is_writable());
	ck_assert_int_eq(send_text(20000), 4000);
}
END_TEST

/* Writing in place is under the same mark. */
START_TEST (test_reserve) {
	struct tg_mspan sp[2];
	size_t sum = 0;
	int n;

	ck_assert_int_eq(mark(4000), 0);
	n = tg_sock_reserve(w->s, w->conn, 20000, sp);
	ck_assert_int_gt(n, 0);
	for (int i = 0; i < n; i++)
		sum += sp[i].len;
	ck_assert_uint_eq(sum, 4000);
	ck_assert_int_eq(tg_sock_commit(w->s, w->conn, sum, 0, w->now_ns), 0);
	ck_assert_int_eq(tg_sock_reserve(w->s, w->conn, 1, sp), -TG_EAGAIN);
}
END_TEST

/* A mark of more than a frame is cut to whole ones, 65 segments here. */
START_TEST (test_whole_frames) {
	w->dev.room = 0;
	ck_assert_int_eq(mark(2 * 65000 - 1), 0);
	for (unsigned i = 0; i < 3; i++)
		ck_assert_int_eq(send_text(20000), 20000);
	ck_assert_int_eq(send_text(20000), 5000);
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
	ck_assert(!is_writable());
	ck_assert_int_eq(mark(65000), 0);
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
	ck_assert_int_eq(mark(64999), 0);
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
	ck_assert_int_eq(mark(65001), 0);
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
}
END_TEST

/* What is in flight does not count; more is taken from half on, but told below it only. */
START_TEST (test_told_below_half) {
	ck_assert_int_eq(mark(8000), 0);
	times_told();
	ck_assert_int_eq(send_text(20000), 8000);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(times_told(), 1);
	ck_assert_int_eq(send_text(20000), 8000);
	tg_step(w->s, w->now_ns); /* 10,000 in flight, cwnd is full */
	ck_assert_uint_eq(tcp_unsent(w->c), 6000);
	ck_assert_uint_eq(times_told(), 0);
	ck_assert(!is_writable());
	ack_in(1000); /* and 1,000 more by slow start */
	ck_assert_uint_eq(tcp_unsent(w->c), 4000);
	ck_assert_uint_eq(times_told(), 0);
	ck_assert_int_eq(send_text(20000), 4000);
	for (unsigned i = 0; i < 2; i++)
		ack_in(1000);
	ck_assert_uint_eq(times_told(), 0);
	ack_in(1000);
	ck_assert_uint_eq(tcp_unsent(w->c), 2000);
	ck_assert_uint_eq(times_told(), 1);
	ck_assert(is_writable());
}
END_TEST

/* A mark below a segment does not make small ones: it may be filled up, also while it is corked. */
START_TEST (test_small_mark) {
	ck_assert_int_eq(mark(1), 0);
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_TCP_CORK, 1, w->now_ns), 0);
	ck_assert_int_eq(send_text(1), 1);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tcp_unsent(w->c), 1);
	times_told();
	ck_assert(!is_writable());
	ck_assert_int_eq(send_text(20000), MSS - 1);
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
	tg_step(w->s, w->now_ns);
	ck_assert_uint_eq(tcp_unsent(w->c), 0);
	ck_assert_uint_eq(times_told(), 1);
}
END_TEST

/* A higher mark makes room at once; 0 takes the limit away. */
START_TEST (test_raised) {
	w->dev.room = 0;
	ck_assert_int_eq(mark(1000), 0);
	ck_assert_int_eq(send_text(20000), 1000);
	times_told();
	ck_assert_int_eq(mark(2000), 0);
	ck_assert_uint_eq(times_told(), 0);
	ck_assert_int_eq(mark(2001), 0);
	ck_assert_uint_eq(times_told(), 1);
	ck_assert_int_eq(send_text(20000), 2000);
	ck_assert(!is_writable());
	ck_assert_int_eq(mark(0), 0);
	ck_assert_uint_eq(times_told(), 1);
	ck_assert_int_eq(send_text(20000), 20000);
}
END_TEST

/* The send buffer limits as before. */
START_TEST (test_buffer_counts) {
	ck_assert_int_eq(tg_sock_setopt(w->s, w->conn, TG_SO_SNDBUF, 3000, w->now_ns), 0);
	ck_assert_int_eq(mark(8000), 0);
	ck_assert_int_eq(send_text(20000), 3000);
	tg_step(w->s, w->now_ns);
	times_told();
	ck_assert(!is_writable()); /* all is in flight */
	ck_assert_int_eq(send_text(1), -TG_EAGAIN);
	ack_in(2000);
	ck_assert_uint_eq(times_told(), 1);
}
END_TEST

START_TEST (test_inherited) {
	int64_t v = 0;

	ck_assert_int_eq(
		tg_sock_setopt(w->s, w->listener, TG_TCP_NOTSENT_LOWAT, 2000, w->now_ns), 0);
	tg_sock_abort(w->s, w->conn, w->now_ns);
	tw_establish(w, TW_FAR + 1, seq_of(TW_IRS));
	ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, TG_TCP_NOTSENT_LOWAT, &v), 0);
	ck_assert_int_eq(v, 2000);
	ck_assert_int_eq(send_text(20000), 2000);
}
END_TEST

/* The configuration's is that of whoever says nothing; the option tells 0 then, as on Linux. */
START_TEST (test_configured) {
	struct tg_config c;
	int64_t v = -1;

	tw_end(w);
	world_config(&c);
	ck_assert(tg_config_sysctl(&c, "net.ipv4.tcp_notsent_lowat", "3000"));
	ck_assert_uint_eq(c.tcp.notsent_lowat_bytes, 3000);
	w = tw_new(&c);
	w->syn_opts = (struct tcp_opts){.has = TCP_HAS_MSS, .mss = MSS};
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
	ck_assert_int_eq(tg_sock_getopt(w->s, w->conn, TG_TCP_NOTSENT_LOWAT, &v), 0);
	ck_assert_int_eq(v, 0);
	ck_assert_int_eq(send_text(20000), 3000);
	ck_assert_int_eq(mark(5000), 0);
	ck_assert_int_eq(send_text(20000), 2000);
	ck_assert_int_eq(mark(0), 0);
	ck_assert_int_eq(send_text(20000), -TG_EAGAIN);
}
END_TEST

static Suite *tcp_lowat_suite(void)
{
	Suite *suite = suite_create("tcp lowat");
	TCase *t = tcase_create("notsent");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_none_by_default);
	tcase_add_test(t, test_values);
	tcase_add_test(t, test_taken_up_to_the_mark);
	tcase_add_test(t, test_reserve);
	tcase_add_test(t, test_whole_frames);
	tcase_add_test(t, test_told_below_half);
	tcase_add_test(t, test_small_mark);
	tcase_add_test(t, test_raised);
	tcase_add_test(t, test_buffer_counts);
	tcase_add_test(t, test_inherited);
	tcase_add_test(t, test_configured);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_lowat_suite)

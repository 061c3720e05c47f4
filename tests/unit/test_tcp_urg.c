/* Urgent octets as the user reads them (tcp_urg.c): which octet it is, and that no other is
 * touched. What is on the wire is proved by packet scripts. */
#include "tcp_support.h"

static struct tcp_world *w;

static void setup(void)
{
	w = tw_new(NULL);
	tw_establish(w, TW_FAR, seq_of(TW_IRS));
}

static void teardown(void)
{
	tw_end(w);
}

/* "abcdef" in two segments; the urgent octet is 'd', in the second. */
static void text_in(void)
{
	struct tcp_seg g = tw_seg(w);

	g.flags |= TCP_URG;
	g.up = 4;
	tw_in(w, &g, "abc", 3);
	g = tw_seg(w);
	tw_in(w, &g, "def", 3);
}

static int64_t take(void *data, size_t n, unsigned flags)
{
	return tg_sock_recv(w->s, w->conn, data, n, flags, w->now_ns);
}

/* [9293 MUST-32] */
START_TEST (test_octet) {
	char got[8] = "......";

	text_in();
	ck_assert_int_eq(take(got, 6, TG_MSG_OOB), 1);
	ck_assert_str_eq(got, "d.....");
	ck_assert_int_eq(take(got, 6, 0), 3);
	ck_assert_str_eq(got, "abc...");
	ck_assert_int_eq(take(got, 6, 0), 2);
	ck_assert_str_eq(got, "efc...");
}
END_TEST

/* As on Linux: asked for without room for it, it counts as taken. */
START_TEST (test_no_room) {
	char got[8] = "......";

	text_in();
	ck_assert_int_eq(take(got, 0, TG_MSG_OOB), 0);
	ck_assert_str_eq(got, "......");
	ck_assert_int_eq(take(got, 6, TG_MSG_OOB), -TG_EINVAL);
}
END_TEST

/* A listener has none. */
START_TEST (test_listener) {
	char got;

	ck_assert_int_eq(
		tg_sock_recv(w->s, w->listener, &got, 1, TG_MSG_OOB, w->now_ns), -TG_EINVAL);
}
END_TEST

static Suite *tcp_urg_suite(void)
{
	Suite *suite = suite_create("tcp urg");
	TCase *t = tcase_create("rfc 9293 3.8.5");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_octet);
	tcase_add_test(t, test_no_room);
	tcase_add_test(t, test_listener);
	suite_add_tcase(suite, t);
	return suite;
}

UNIT_MAIN(tcp_urg_suite)

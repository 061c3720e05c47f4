/* A packet script in the stepper: its lines as events, its comments as notes, its verdict at the
 * end, and what the user can and cannot do to it. That every script can be stepped through is
 * sim/test_step_script's. */
#define _DEFAULT_SOURCE
#include "step_support.h"

static struct tg_step_options opt;
static struct tg_stepper *w;
static struct tg_step_event ev;
static struct tg_step_effects fx;

static const char served[] = "// A title, above a setting.\n"
			     "//@ config tcp.sack 0\n"
			     "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3 // the listener\n"
			     "+0 bind(3, ..., ...) = 0\n"
			     "# stands alone\n"
			     "\n"
			     "/* of two\n"
			     " * lines */\n"
			     "+0 listen(3, 1) = 0\n"
			     "+.1 < S 0:0(0) win 65535 <mss 1000>\n"
			     "+0 > S. 0:0(0) ack 1 <mss 1460>\n"
			     "+.1 < . 1:1(0) ack 1 win 65535\n"
			     "+0 accept(3, ..., ...) = 4\n"
			     "+0 write(4, ..., 10) = 10\n"
			     "+0 > P. 1:11(10) ack 1\n"
			     "+.15~+.5 > P. 1:11(10) ack 1 # again\n"
			     "//@ state 4 ESTABLISHED // still\n";

static void open_text(const char *text)
{
	struct tg_drill_options d;
	const char *why;

	step_options(&opt, TG_STEP_MEM_BYTES);
	tg_drill_options_default(&d);
	w = tg_step_script(&opt, &d, text, strlen(text), NULL, &why);
	ck_assert_msg(w != NULL, "%s", why);
}

static void end(void)
{
	step_free(&opt);
}

static void step(enum tg_step_kind kind, uint32_t line, const char *text, const char *note)
{
	ck_assert(step_predicted(w, &ev, &fx));
	ck_assert_int_eq(ev.kind, kind);
	ck_assert_uint_eq(ev.line, line);
	ck_assert_str_eq(ev.text, text);
	ck_assert_uint_eq(ev.note_bytes, strlen(note));
	ck_assert(!ev.note_bytes || memcmp(ev.note, note, ev.note_bytes) == 0);
}

START_TEST (lines_timers_and_comments) {
	open_text(served);
	step(TG_STEP_CALL, 3, "0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3",
		"A title, above a setting.\nthe listener\n");
	step(TG_STEP_CALL, 4, "+0 bind(3, ..., ...) = 0", "");
	step(TG_STEP_CALL, 9, "+0 listen(3, 1) = 0", "of two\nlines\n");
	ck_assert_uint_ne(ev.conn, 0);
	step(TG_STEP_FRAME, 10, "+.1 < S 0:0(0) win 65535 <mss 1000>", "");
	ck_assert_uint_eq(ev.time_ns, 100 * NS_PER_MS);
	ck_assert_uint_eq(ev.frame_bytes, 44);
	ck_assert_uint_eq(fx.n_frames, 1);
	step(TG_STEP_LINE, 11, "+0 > S. 0:0(0) ack 1 <mss 1460>", "");
	ck_assert_uint_eq(fx.n_frames, 0);
	step(TG_STEP_FRAME, 12, "+.1 < . 1:1(0) ack 1 win 65535", "");
	step(TG_STEP_CALL, 13, "+0 accept(3, ..., ...) = 4", "");
	step(TG_STEP_CALL, 14, "+0 write(4, ..., 10) = 10", "");
	step(TG_STEP_LINE, 15, "+0 > P. 1:11(10) ack 1", "");
	step(TG_STEP_TIMER, 0, "retransmission", "");
	ck_assert_uint_eq(fx.n_frames, 1);
	ck_assert_uint_ne(ev.conn, 0);
	step(TG_STEP_LINE, 16, "+.15~+.5 > P. 1:11(10) ack 1", "again\n");
	step(TG_STEP_LINE, 17, "//@ state 4 ESTABLISHED", "still\n");
	ck_assert(!tg_stepper_step(w, &ev, &fx));
	ck_assert_int_eq(ev.kind, TG_STEP_END);
	ck_assert_str_eq(ev.text, "passed");
	end();
}
END_TEST

START_TEST (a_failure_is_told_at_the_end) {
	struct tg_drill_options d;
	struct tg_drill_result r;
	const char *why;

	open_text("0 socket(..., SOCK_STREAM, IPPROTO_TCP) = 3\n"
		  "+0 listen(3, 1) = -1 EINVAL\n");
	ck_assert(step_predicted(w, &ev, &fx));
	ck_assert(step_predicted(w, &ev, &fx));
	ck_assert(!step_predicted(w, &ev, &fx));
	ck_assert_int_eq(ev.kind, TG_STEP_END);
	ck_assert_uint_eq(ev.line, 2);
	ck_assert_ptr_nonnull(strstr(ev.text, "failed in line 2"));
	ck_assert_ptr_nonnull(strstr(ev.text, "wanted: -1 EINVAL"));
	tg_drill_options_default(&d);
	w = tg_step_script(&opt, &d, "0 sing()\n", 9, &r, &why);
	ck_assert_ptr_null(w);
	ck_assert_ptr_nonnull(strstr(why, "unknown call"));
	ck_assert_uint_eq(r.line, 1);
	end();
}
END_TEST

static int64_t act(const struct tg_step_action *a)
{
	const char *why;
	int64_t r = tg_stepper_act(w, a, &ev, &fx, &why);

	ck_assert_msg(why == NULL, "%s", why);
	return r;
}

static void check_refused(const struct tg_step_action *a, const char *word)
{
	uint64_t hash = tg_stepper_hash(w);
	const char *why = NULL;

	ck_assert_int_lt(tg_stepper_act(w, a, NULL, NULL, &why), 0);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, word) != NULL, "%s", why);
	ck_assert_uint_eq(tg_stepper_hash(w), hash);
}

static void go(uint64_t position)
{
	const char *why;

	ck_assert_msg(tg_stepper_goto(w, position, &why), "%s", why);
}

START_TEST (the_packet_that_is_about_to_come) {
	struct tg_step_action a = {.act = TG_ACT_DROP, .frame_id = 1};
	struct tg_step_frame f;

	open_text(served);
	check_refused(&a, "no packet is about to come");
	go(3);
	ck_assert(tg_stepper_queue(w, 0, &f));
	ck_assert_uint_eq(f.id, 1);
	ck_assert_uint_eq(f.bytes, 44);
	ck_assert(!tg_stepper_queue(w, 1, &f));
	a.frame_id = 2;
	check_refused(&a, "only the packet that is about to come");
	a.act = TG_ACT_DELAY;
	check_refused(&a, "the script says when");

	a = (struct tg_step_action){.act = TG_ACT_DROP, .frame_id = 1};
	act(&a);
	ck_assert_int_eq(ev.kind, TG_STEP_HAND);
	ck_assert(step_predicted(w, &ev, &fx)); /* no SYN-ACK comes */
	ck_assert(!step_predicted(w, &ev, &fx));
	ck_assert_ptr_nonnull(strstr(ev.text, "failed in line 11"));
	check_refused(&a, "over");

	go(3);
	a = (struct tg_step_action){.act = TG_ACT_CORRUPT, .frame_id = 1, .offset = 39};
	act(&a);
	ck_assert(step_predicted(w, &ev, &fx));
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(fx.n_frames, 0);
	ck_assert_uint_eq(tg_counters(tg_stepper_instance(w, 0))->drops[TG_DROP_TCP_CSUM], 1);

	go(3);
	a = (struct tg_step_action){.act = TG_ACT_DUP, .frame_id = 1};
	act(&a);
	for (unsigned i = 1; i <= 2; i++) {
		ck_assert(step_predicted(w, &ev, &fx));
		ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
		ck_assert_uint_eq(ev.frame_id, i);
		ck_assert_uint_eq(fx.n_frames, 1);
	}
	end();
}
END_TEST

START_TEST (calls_beside_the_scripts) {
	struct tg_step_action a = {.act = TG_ACT_ADVANCE, .ns = 50 * NS_PER_MS};
	uint64_t hash;

	open_text(served);
	go(9);
	act(&a);
	ck_assert_uint_eq(tg_stepper_now(w), 250 * NS_PER_MS);
	a.ns = NS_PER_SEC;
	check_refused(&a, "an event comes before");
	/* Between the script's write and its retransmission: the time is the user's. */
	a = (struct tg_step_action){.act = TG_ACT_SEND, .bytes = 5, .data = "hello"};
	check_refused(&a, "no such connection");
	for (uint64_t cursor = 0; a.sock == 0;) {
		struct tg_tcb t;

		ck_assert(tg_tcb_next(tg_stepper_instance(w, 0), &cursor, &t));
		if (t.v[TG_TCB_STATE] == TG_ESTABLISHED)
			a.sock = t.sock;
	}
	ck_assert_int_eq(act(&a), 5);
	ck_assert_uint_eq(ev.time_ns, 250 * NS_PER_MS);
	ck_assert_uint_eq(fx.n_conns, 1);
	hash = tg_stepper_hash(w);
	go(2);
	go(11);
	ck_assert_uint_eq(tg_stepper_hash(w), hash);
	a.end = 1;
	check_refused(&a, "not ours");
	a = (struct tg_step_action){.act = TG_ACT_CLOSE, .sock = a.sock};
	act(&a);
	end();
}
END_TEST

static Suite *step_script_suite(void)
{
	Suite *s = suite_create("step_script");
	TCase *c = tcase_create("script");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, lines_timers_and_comments);
	tcase_add_test(c, a_failure_is_told_at_the_end);
	tcase_add_test(c, the_packet_that_is_about_to_come);
	tcase_add_test(c, calls_beside_the_scripts);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(step_script_suite)

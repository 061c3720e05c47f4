/* The stepper's lab: what is predicted of an event is what happens, every position can be gone to
 * and is the same each time, and the user's hand changes what comes. */
#define _DEFAULT_SOURCE
#include <stdio.h>

#include "step_support.h"
#include "wire/ip4.h"
#include "wire/tcp_wire.h"

static struct tg_step_options opt;
static struct tg_stepper *w;
static struct tg_step_event ev;
static struct tg_step_effects fx;
static uint64_t hashes[4096];

static void lab(void)
{
	const char *why = NULL;

	step_options(&opt, TG_STEP_MEM_BYTES);
	w = tg_step_lab(&opt, &why);
	ck_assert_msg(w != NULL, "%s", why);
	ck_assert_ptr_null(why);
	hashes[0] = tg_stepper_hash(w);
}

static void end(void)
{
	step_free(&opt);
}

static int64_t act(const struct tg_step_action *a)
{
	const char *why;
	int64_t r = tg_stepper_act(w, a, &ev, &fx, &why);

	ck_assert_msg(why == NULL, "%s: %s", tg_step_act_name(a->act), why);
	ck_assert_uint_lt(ev.number, ARRAY_LEN(hashes));
	hashes[ev.number] = fx.hash;
	return r;
}

static tg_sock call_listen(unsigned e)
{
	struct tg_step_action a = {.act = TG_ACT_LISTEN, .end = (uint8_t)e, .addr = {.port = 80}};
	int64_t k = act(&a);

	ck_assert_int_gt(k, 0);
	return (tg_sock)k;
}

static tg_sock call_connect(unsigned e)
{
	struct tg_step_action a = {.act = TG_ACT_CONNECT,
		.end = (uint8_t)e,
		.addr = {.ip = tg_ip4(10, 0, 0, (uint8_t)(2 - e)), .port = 80}};
	int64_t k = act(&a);

	ck_assert_int_gt(k, 0);
	return (tg_sock)k;
}

static int64_t call(unsigned a, unsigned e, tg_sock k, uint32_t bytes)
{
	struct tg_step_action x = {.act = (uint8_t)a, .end = (uint8_t)e, .sock = k, .bytes = bytes};

	return act(&x);
}

static int64_t hand(unsigned a, uint32_t id, uint32_t offset, uint64_t ns)
{
	struct tg_step_action x = {
		.act = (uint8_t)a, .frame_id = id, .frame_id2 = offset, .offset = offset, .ns = ns};

	return act(&x);
}

/* One event, as predicted. */
static bool step(void)
{
	if (!step_predicted(w, &ev, &fx))
		return false;
	ck_assert_uint_lt(ev.number, ARRAY_LEN(hashes));
	hashes[ev.number] = fx.hash;
	return true;
}

static enum tg_state state_of(unsigned e, tg_sock k)
{
	struct tg_tcp_info i = {.state = TG_CLOSED};

	tg_tcp_status(tg_stepper_instance(w, e), k, &i);
	return (enum tg_state)i.state;
}

/* Steps until nothing comes any more. */
static unsigned step_all(void)
{
	unsigned n = 0;

	while (step())
		n++;
	return n;
}

/* Every position once more, backwards and forwards. */
static void check_all_positions(void)
{
	uint64_t last = tg_stepper_last(w);
	const char *why;

	for (uint64_t p = last + 1; p-- > 0;) {
		ck_assert(tg_stepper_goto(w, p, &why));
		ck_assert_uint_eq(tg_stepper_position(w), p);
		ck_assert_msg(tg_stepper_hash(w) == hashes[p], "position %" PRIu64, p);
	}
	for (uint64_t p = 1; p <= last; p++) {
		ck_assert(step_predicted(w, &ev, &fx));
		ck_assert_uint_eq(ev.number, p);
		ck_assert_msg(fx.hash == hashes[p], "position %" PRIu64, p);
	}
}

START_TEST (a_handshake_in_three_frames) {
	tg_sock c, l;

	lab();
	ck_assert(!step());
	ck_assert_int_eq(ev.kind, TG_STEP_NOTHING);
	l = call_listen(1);
	ck_assert_int_eq(ev.kind, TG_STEP_CALL);
	ck_assert_str_eq(ev.text, "listen(0.0.0.0:80)");
	c = call_connect(0);
	ck_assert_uint_eq(fx.n_frames, 1);
	ck_assert_uint_eq(fx.frame[0].id, 1);
	ck_assert_int_eq(state_of(0, c), TG_SYN_SENT);

	ck_assert(step()); /* the SYN */
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(ev.end, 1);
	ck_assert_uint_eq(ev.time_ns, 10 * NS_PER_MS);
	ck_assert_uint_eq(ev.frame_id, 1);
	ck_assert_uint_eq(ev.frame_bytes, IP4_HDR_BYTES + 40);
	ck_assert_uint_eq(ev.frame[IP4_HDR_BYTES + 13], TCP_SYN);
	ck_assert_uint_eq(fx.n_frames, 1);
	ck_assert_uint_eq(fx.frame[0].head[IP4_HDR_BYTES + 13], TCP_SYN | TCP_ACK);
	ck_assert_uint_eq(fx.n_conns, 1);
	ck_assert(!fx.conn[0].was && fx.conn[0].is);
	ck_assert_uint_eq(fx.conn[0].after.v[TG_TCB_STATE], TG_SYN_RECEIVED);

	ck_assert(step()); /* the SYN-ACK */
	ck_assert_uint_eq(ev.end, 0);
	ck_assert_uint_ne(ev.conn, 0);
	ck_assert_int_eq(state_of(0, c), TG_ESTABLISHED);
	ck_assert_uint_eq(fx.n_conns, 1);
	ck_assert_uint_eq(fx.conn[0].before.v[TG_TCB_STATE], TG_SYN_SENT);
	ck_assert_uint_eq(fx.conn[0].after.v[TG_TCB_STATE], TG_ESTABLISHED);
	ck_assert_uint_eq(fx.n_events, 1);
	ck_assert_uint_eq(fx.event[0].sock, c);
	ck_assert(fx.event[0].events & TG_OUT);

	ck_assert(step()); /* the ACK: a half-open record becomes a connection */
	ck_assert_uint_eq(ev.end, 1);
	ck_assert_uint_eq(fx.n_conns, 1);
	ck_assert(fx.conn[0].was && fx.conn[0].is);
	ck_assert_uint_eq(fx.conn[0].before.v[TG_TCB_STATE], TG_SYN_RECEIVED);
	ck_assert_uint_eq(fx.conn[0].after.v[TG_TCB_STATE], TG_ESTABLISHED);
	ck_assert(!step());
	ck_assert_int_gt(call(TG_ACT_ACCEPT, 1, l, 0), 0);
	ck_assert_uint_ne(ev.conn, 0);
	check_all_positions();
	end();
}
END_TEST

/* A listener and a connection to it, both ends of it. */
static void connect_both(tg_sock k[2])
{
	tg_sock l = call_listen(1);

	k[0] = call_connect(0);
	while (step())
		;
	k[1] = (tg_sock)call(TG_ACT_ACCEPT, 1, l, 0);
	ck_assert_int_gt((int64_t)k[1], 0);
}

START_TEST (data_and_close) {
	tg_sock k[2];

	lab();
	connect_both(k);
	ck_assert_int_eq(call(TG_ACT_SEND, 0, k[0], 5000), 5000);
	ck_assert_uint_eq(fx.n_frames, 3); /* Nagle holds the rest */
	step_all();
	ck_assert_int_eq(call(TG_ACT_RECV, 1, k[1], 30), 30);
	ck_assert_uint_eq(fx.n_got, 30);
	ck_assert_mem_eq(fx.got, "abcdefghijklmnopqrstuvwxyzabcd", 30);
	ck_assert_int_eq(call(TG_ACT_RECV, 1, k[1], 65536), 4970);
	call(TG_ACT_CLOSE, 0, k[0], 0);
	ck_assert(step());
	ck_assert_int_eq(state_of(1, k[1]), TG_CLOSE_WAIT);
	call(TG_ACT_CLOSE, 1, k[1], 0);
	step_all();
	/* The last event is the end of 2 MSL. */
	ck_assert_uint_eq(tg_stepper_now(w) / NS_PER_SEC, 60);
	check_all_positions();
	end();
}
END_TEST

START_TEST (a_dropped_segment_is_sent_again) {
	struct tg_step_frame f;
	tg_sock k[2];
	bool rexmit = false;

	lab();
	connect_both(k);
	call(TG_ACT_SEND, 0, k[0], 100);
	ck_assert(tg_stepper_queue(w, 0, &f));
	ck_assert_uint_eq(f.to_end, 1);
	ck_assert_int_eq(hand(TG_ACT_DROP, f.id, 0, 0), 0);
	ck_assert_int_eq(ev.kind, TG_STEP_HAND);
	ck_assert(!tg_stepper_queue(w, 0, &f));
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_TIMER);
	ck_assert_uint_ne(ev.timers, 0);
	ck_assert_uint_ne(ev.conn, 0);
	for (uint32_t i = 0; i < fx.n_traces; i++)
		rexmit |= fx.trace[i].t.kind == TG_TRACE_SEGMENT_OUT && fx.trace[i].t.a;
	ck_assert(rexmit);
	step_all();
	ck_assert_int_eq(call(TG_ACT_RECV, 1, k[1], 1000), 100);
	check_all_positions();
	end();
}
END_TEST

START_TEST (ethernet_begins_with_arp) {
	const char *why = NULL;

	step_options(&opt, TG_STEP_MEM_BYTES);
	opt.link = TG_LINK_ETHERNET;
	w = tg_step_lab(&opt, &why);
	ck_assert_ptr_nonnull(w);
	hashes[0] = tg_stepper_hash(w);
	call_listen(1);
	call_connect(0);
	ck_assert_uint_eq(fx.n_frames, 1);
	ck_assert_uint_eq(fx.frame[0].head[12], 8);
	ck_assert_uint_eq(fx.frame[0].head[13], 6);
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(ev.link, TG_LINK_ETHERNET);
	ck_assert(step()); /* the reply lets the SYN go */
	ck_assert_uint_eq(fx.n_frames, 1);
	ck_assert_uint_eq(fx.frame[0].bytes, 14 + 60);
	ck_assert(step());
	ck_assert_uint_ne(ev.conn, 0);
	check_all_positions();
	end();
}
END_TEST

/* What the queue holds, as ids in order. */
static void check_queue(const char *want)
{
	struct tg_step_frame f;
	char got[64] = "";
	size_t n = 0;

	for (uint32_t i = 0; tg_stepper_queue(w, i, &f) && n + 12 < sizeof(got); i++)
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%u ", f.id);
	ck_assert_str_eq(got, want);
}

START_TEST (the_queue_by_hand) {
	tg_sock k[2];
	struct tg_step_frame f;
	uint64_t at;
	uint8_t octet;

	lab();
	connect_both(k);
	call(TG_ACT_SEND, 0, k[0], 1448 * 4);
	check_queue("4 5 6 7 ");
	hand(TG_ACT_SWAP, 4, 7, 0);
	check_queue("7 5 6 4 ");
	hand(TG_ACT_SWAP, 5, 6, 0);
	check_queue("7 6 5 4 ");
	hand(TG_ACT_SWAP, 6, 7, 0);
	check_queue("6 7 5 4 ");
	ck_assert_int_eq(hand(TG_ACT_DUP, 7, 0, 0), 8);
	check_queue("6 7 8 5 4 ");
	hand(TG_ACT_DELAY, 6, 0, NS_PER_MS);
	check_queue("7 8 5 4 6 ");
	hand(TG_ACT_SWAP, 7, 6, 0); /* with their times */
	check_queue("6 8 5 4 7 ");
	ck_assert(tg_stepper_queue(w, 0, &f));
	at = f.due_ns;
	ck_assert(tg_stepper_queue(w, 4, &f));
	ck_assert_uint_eq(f.due_ns, at + NS_PER_MS);
	hand(TG_ACT_SWAP, 7, 6, 0);
	check_queue("7 8 5 4 6 ");
	hand(TG_ACT_DROP, 5, 0, 0);
	check_queue("7 8 4 6 ");
	ck_assert(tg_stepper_queue(w, 2, &f));
	octet = f.data[30];
	hand(TG_ACT_CORRUPT, 4, 30, 0);
	ck_assert(tg_stepper_queue(w, 2, &f));
	ck_assert_uint_eq(f.data[30], octet ^ 0xff);
	hand(TG_ACT_DELIVER, 6, 0, 0);
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(ev.act, TG_ACT_DELIVER);
	ck_assert_uint_eq(ev.frame_id, 6);
	check_queue("7 8 4 9 ");
	hand(TG_ACT_ADVANCE, 0, 0, NS_PER_MS);
	step_all();
	ck_assert_int_eq(call(TG_ACT_RECV, 1, k[1], 65536), 1448 * 4);
	check_all_positions();
	end();
}
END_TEST

static void check_refused(const struct tg_step_action *a, const char *word)
{
	uint64_t hash = tg_stepper_hash(w), at = tg_stepper_position(w);
	const char *why = NULL;

	ck_assert_int_lt(tg_stepper_act(w, a, NULL, NULL, &why), 0);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, word) != NULL, "%s", why);
	ck_assert_uint_eq(tg_stepper_position(w), at);
	ck_assert_uint_eq(tg_stepper_hash(w), hash);
}

START_TEST (what_is_impossible_is_said_in_words) {
	struct tg_step_action a = {.act = TG_ACT_SEND, .sock = 4711, .bytes = 1};
	const char *why;

	lab();
	check_refused(&a, "no such connection");
	a = (struct tg_step_action){.act = TG_ACT_DROP, .frame_id = 1};
	check_refused(&a, "no frame is on its way");
	call_connect(0);
	a.frame_id = 2;
	check_refused(&a, "no such frame");
	a = (struct tg_step_action){.act = TG_ACT_SWAP, .frame_id = 1, .frame_id2 = 1};
	check_refused(&a, "two frames");
	a = (struct tg_step_action){.act = TG_ACT_CORRUPT, .frame_id = 1, .offset = 60};
	check_refused(&a, "shorter");
	a = (struct tg_step_action){.act = TG_ACT_ADVANCE, .ns = 10 * NS_PER_MS + 1};
	check_refused(&a, "an event comes before");
	a = (struct tg_step_action){.act = TG_ACT_CONNECT};
	check_refused(&a, "port");
	a = (struct tg_step_action){.act = TG_ACT_COUNT};
	check_refused(&a, "no such action");
	ck_assert(!tg_stepper_goto(w, 100, &why));
	ck_assert_ptr_nonnull(strstr(why, "nothing happens"));
	ck_assert(!tg_stepper_fork(w, "x", &why));
	ck_assert_ptr_nonnull(strstr(why, "nothing lies behind"));
	ck_assert(tg_stepper_goto(w, 0, &why));
	ck_assert(!tg_stepper_fork(w, "main", &why));
	ck_assert_ptr_nonnull(strstr(why, "another name"));
	ck_assert(!tg_stepper_switch(w, "nowhere", &why));
	ck_assert_ptr_nonnull(strstr(why, "no line"));
	end();
}
END_TEST

START_TEST (lines_are_kept_and_gone_on_with) {
	uint64_t at, last, hash_a, hash_b;
	const char *name, *why;

	lab();
	call_listen(1);
	call_connect(0);
	step_all();
	hash_a = tg_stepper_hash(w);
	ck_assert(tg_stepper_goto(w, 2, &why));
	ck_assert(tg_stepper_fork(w, "whole", &why));
	ck_assert_uint_eq(tg_stepper_last(w), 2);
	hand(TG_ACT_DROP, 1, 0, 0);
	ck_assert(step()); /* the SYN again */
	hash_b = tg_stepper_hash(w);
	ck_assert(tg_stepper_branch(w, 0, &name, &at, &last));
	ck_assert_str_eq(name, "whole");
	ck_assert_uint_eq(at, 2);
	ck_assert_uint_eq(last, 5);
	ck_assert(tg_stepper_switch(w, "whole", &why));
	ck_assert_str_eq(tg_stepper_line(w), "whole");
	ck_assert_uint_eq(tg_stepper_position(w), 5);
	ck_assert_uint_eq(tg_stepper_hash(w), hash_a);
	ck_assert(tg_stepper_switch(w, "main", &why));
	ck_assert_uint_eq(tg_stepper_hash(w), hash_b);
	ck_assert_uint_eq(tg_stepper_position(w), 4);
	/* What is done in the past keeps what was behind it. */
	ck_assert(tg_stepper_goto(w, 1, &why));
	call_connect(0);
	ck_assert(tg_stepper_branch(w, 1, &name, &at, &last));
	ck_assert_str_eq(name, "was-01");
	ck_assert_uint_eq(last, 4);
	end();
}
END_TEST

START_TEST (a_long_past_is_forgotten_from_its_beginning) {
	struct tg_step_event past;
	const char *why = NULL;
	tg_sock k[2];

	step_options(&opt, TG_STEP_MEM_BYTES);
	opt.history_bytes = 3u << 20;
	w = tg_step_lab(&opt, &why);
	ck_assert_ptr_nonnull(w);
	connect_both(k);
	while (!tg_stepper_first(w)) {
		ck_assert_uint_lt(tg_stepper_last(w), 4000);
		call(TG_ACT_SEND, 0, k[0], 1000);
		ck_assert(step());
		call(TG_ACT_RECV, 1, k[1], 2000);
	}
	ck_assert(!tg_stepper_goto(w, 0, &why));
	ck_assert_ptr_nonnull(strstr(why, "forgotten"));
	ck_assert(!tg_stepper_past(w, tg_stepper_first(w), &past));
	ck_assert(tg_stepper_past(w, tg_stepper_first(w) + 1, &past));
	for (uint64_t p = tg_stepper_last(w); p >= tg_stepper_first(w); p -= 7) {
		ck_assert_msg(tg_stepper_goto(w, p, &why), "%s", why);
		ck_assert(tg_stepper_hash(w) == hashes[p]);
	}
	end();
}
END_TEST

START_TEST (the_past_can_be_read) {
	struct tg_step_action a;
	struct tg_step_event past;
	uint8_t text[300];
	tg_sock k[2];

	lab();
	connect_both(k);
	memset(text, 'x', sizeof(text));
	a = (struct tg_step_action){
		.act = TG_ACT_SEND, .sock = k[0], .bytes = sizeof(text), .data = text};
	ck_assert_int_eq(act(&a), 300);
	memset(text, 'y', sizeof(text));
	ck_assert(step());
	ck_assert(tg_stepper_past_action(w, ev.number - 1, &a));
	ck_assert_uint_eq(a.bytes, sizeof(text));
	ck_assert_uint_eq(((const uint8_t *)a.data)[299], 'x');
	ck_assert(!tg_stepper_past_action(w, ev.number, &a));
	ck_assert(tg_stepper_past(w, ev.number, &past));
	ck_assert_int_eq(past.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(past.frame_bytes, 300 + 52);
	ck_assert_uint_eq(past.frame_here, TG_STEP_KEPT);
	ck_assert_uint_eq(past.frame[52], 'x');
	ck_assert(!tg_stepper_past(w, 0, &past));
	ck_assert(!tg_stepper_past(w, ev.number + 1, &past));
	end();
}
END_TEST

START_TEST (a_full_queue_makes_the_device_busy) {
	struct tg_step_action a = {.act = TG_ACT_DUP, .frame_id = 1};
	const char *why;
	uint32_t n = 0;
	tg_sock c;

	lab();
	c = call_connect(0);
	for (; tg_stepper_act(w, &a, NULL, NULL, &why) > 0; n++)
		ck_assert_uint_lt(n, 5000);
	ck_assert_ptr_nonnull(strstr(why, "too many"));
	ck_assert_uint_gt(n, 4000);
	a = (struct tg_step_action){.act = TG_ACT_CONNECT, .addr = {tg_ip4(10, 0, 0, 2), 81}};
	ck_assert_int_gt(tg_stepper_act(w, &a, NULL, &fx, &why), 0);
	ck_assert_uint_eq(fx.n_frames, 0);
	a = (struct tg_step_action){.act = TG_ACT_DROP, .frame_id = 1};
	ck_assert_int_eq(tg_stepper_act(w, &a, NULL, &fx, &why), 0);
	ck_assert_uint_eq(fx.n_frames, 1); /* there is room again */
	ck_assert_int_eq(state_of(0, c), TG_SYN_SENT);
	end();
}
END_TEST

/* At one moment: timers before frames, the client's before the server's. */
START_TEST (what_comes_at_one_moment_has_an_order) {
	struct tg_step_frame f;
	uint64_t at;

	lab();
	call_connect(0);
	call_connect(1);
	/* Both SYNs are lost: both ends' timers are due at once. */
	hand(TG_ACT_DROP, 1, 0, 0);
	hand(TG_ACT_DROP, 2, 0, 0);
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_TIMER);
	ck_assert_uint_eq(ev.end, 0);
	ck_assert_uint_eq(ev.timers, 1u << TG_TIMER_REXMIT);
	at = ev.time_ns;
	ck_assert(step());
	ck_assert_uint_eq(ev.end, 1);
	ck_assert_uint_eq(ev.time_ns, at);
	/* A frame that comes when the next timer goes off. */
	ck_assert(tg_stepper_queue(w, 0, &f));
	hand(TG_ACT_DELAY, f.id, 0, 2 * NS_PER_SEC - 10 * NS_PER_MS);
	ck_assert(tg_stepper_queue(w, 0, &f));
	hand(TG_ACT_DROP, f.id, 0, 0);
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_TIMER);
	ck_assert_uint_eq(ev.time_ns, at + 2 * NS_PER_SEC);
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_TIMER);
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(ev.time_ns, at + 2 * NS_PER_SEC);
	check_all_positions();
	end();
}
END_TEST

static Suite *step_lab_suite(void)
{
	Suite *s = suite_create("step_lab");
	TCase *c = tcase_create("lab");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_handshake_in_three_frames);
	tcase_add_test(c, data_and_close);
	tcase_add_test(c, a_dropped_segment_is_sent_again);
	tcase_add_test(c, ethernet_begins_with_arp);
	tcase_add_test(c, the_queue_by_hand);
	tcase_add_test(c, what_is_impossible_is_said_in_words);
	tcase_add_test(c, lines_are_kept_and_gone_on_with);
	tcase_add_test(c, a_long_past_is_forgotten_from_its_beginning);
	tcase_add_test(c, the_past_can_be_read);
	tcase_add_test(c, a_full_queue_makes_the_device_busy);
	tcase_add_test(c, what_comes_at_one_moment_has_an_order);
	suite_add_tcase(s, c);
	return s;
}

UNIT_MAIN(step_lab_suite)

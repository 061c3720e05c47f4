/* The stepper around an instance that somebody else drives: the test is its device, its clock and
 * its application, and a second instance, not stepped, is the peer. */
#define _DEFAULT_SOURCE
#include <stdio.h>

#include "step_support.h"

#define RESERVED (16u << 20)
#define FRAMES   64u
#define NEW_FLOW 1u /* cookie of the listener */

struct held {
	uint32_t id, bytes;
	uint8_t data[2048];
};

static struct tg *s, *peer;
static struct held queue[FRAMES];
static uint32_t n_queue, next_id, n_sent;
static uint64_t now_ns;
static tg_sock listener, served;
static struct tg_step_options opt;
static struct tg_stepper *w;
static struct tg_step_event ev;
static struct tg_step_effects fx;

/* ---- The device ------------------------------------------------------------------------------ */

static uint32_t gather(const struct tg_frame *f, uint8_t *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->n_spans; n += f->span[i].len, i++)
		if (f->span[i].len)
			memcpy(out + n, f->span[i].base, f->span[i].len);
	return n;
}

/* What the instance sends reaches the peer at once. */
static bool to_peer(void *dev, const struct tg_frame *f)
{
	struct tg_pkt *p = tg_pkt_alloc(peer, f->bytes);

	(void)dev;
	p->len = gather(f, p->data);
	n_sent++;
	tg_input(peer, 1, p, now_ns);
	return true;
}

/* What the peer sends waits. */
static bool to_queue(void *dev, const struct tg_frame *f)
{
	(void)dev;
	if (n_queue == FRAMES)
		return false;
	queue[n_queue].id = ++next_id;
	queue[n_queue].bytes = gather(f, queue[n_queue].data);
	n_queue++;
	return true;
}

static void run_peer(void)
{
	struct tg_event e;

	while (tg_event(peer, &e))
		;
	do
		tg_step(peer, now_ns);
	while (tg_next_deadline(peer) <= now_ns);
}

static uint64_t live_now(void *arg)
{
	(void)arg;
	return now_ns;
}

static uint32_t live_queued(void *arg)
{
	(void)arg;
	return n_queue;
}

static bool live_look(void *arg, uint32_t i, struct tg_step_frame *f)
{
	(void)arg;
	if (i >= n_queue)
		return false;
	f->id = queue[i].id;
	f->link = TG_LINK_IP;
	f->netif = 1;
	f->data = queue[i].data;
	f->bytes = queue[i].bytes;
	return true;
}

static void live_take(void *arg, uint32_t i)
{
	(void)arg;
	n_queue--;
	memmove(&queue[i], &queue[i + 1], (n_queue - i) * sizeof(queue[0]));
}

/* The application sends back what it reads. */
static void live_run(void *arg)
{
	char text[1000];
	struct tg_event e;
	int64_t n;

	(void)arg;
	while (tg_event(s, &e)) {
		if (e.cookie == NEW_FLOW) {
			tg_sock_accept(s, listener, 2, &served, now_ns);
			continue;
		}
		while ((n = tg_sock_recv(s, e.sock, text, sizeof(text), 0, now_ns)) > 0)
			tg_sock_send(s, e.sock, text, (size_t)n, 0, now_ns);
		if (n == 0)
			tg_sock_close(s, e.sock, now_ns);
	}
}

static const struct tg_step_live live = {.now = live_now,
	.queued = live_queued,
	.look = live_look,
	.take = live_take,
	.run = live_run};

/* ---- The two instances ----------------------------------------------------------------------- */

static struct tg *instance(
	uint8_t host, bool (*transmit)(void *, const struct tg_frame *), struct tg_recorder *rec)
{
	struct tg_netif_config nc = {
		.name = "t0", .link = TG_LINK_IP, .mtu = 1500, .transmit = transmit};
	struct tg_ip ip = tg_ip4(192, 0, 2, host);
	struct tg_config c;
	struct tg *x;

	tg_config_default(&c);
	c.seed[0] = host;
	x = tg_create(&c, step_map(RESERVED), RESERVED, now_ns);
	ck_assert_ptr_nonnull(x);
	if (rec)
		ck_assert_int_eq(tg_record_start(rec, x, "test"), 0);
	ck_assert_int_eq(tg_netif_add(x, &nc, now_ns), 1);
	ck_assert_int_eq(tg_addr_add(x, 1, &ip, 24, now_ns), 0);
	return x;
}

static void world(struct tg_recorder *rec)
{
	const struct tg_addr any = {.port = 7};
	struct tg_step_live l = live;
	const char *why;

	now_ns = 5 * NS_PER_SEC;
	n_queue = next_id = n_sent = 0;
	s = instance(1, to_peer, rec);
	peer = instance(2, to_queue, NULL);
	ck_assert_int_eq(tg_sock_open(s, TG_STREAM, 0, NEW_FLOW, &listener), 0);
	ck_assert_int_eq(tg_sock_bind(s, listener, &any), 0);
	ck_assert_int_eq(tg_sock_listen(s, listener, 4, now_ns), 0);
	step_options(&opt, TG_STEP_LIVE_BYTES);
	l.s = s;
	w = tg_step_live(&opt, &l, &why);
	ck_assert_msg(w != NULL, "%s", why);
}

/* The next event; if it can be foreseen, as predicted, and nothing leaves before it happens. */
static bool step(void)
{
	static struct tg_step_effects before;
	struct tg_step_event next;
	uint32_t sent = n_sent, queued = n_queue;
	bool told, happened;

	tg_stepper_next(w, &next);
	told = tg_stepper_predict(w, &before);
	ck_assert_uint_eq(n_sent, sent);
	ck_assert_uint_eq(n_queue, queued);
	happened = tg_stepper_step(w, &ev, &fx);
	run_peer();
	if (!happened)
		return false;
	ck_assert_int_eq(ev.kind, next.kind);
	ck_assert_int_eq(told, ev.kind != TG_STEP_CALL);
	ck_assert(!told || memcmp(&before, &fx, sizeof(fx)) == 0);
	ck_assert_uint_eq(n_sent, sent + fx.n_frames);
	return true;
}

static tg_sock peer_connects(void)
{
	const struct tg_addr to = {.ip = tg_ip4(192, 0, 2, 1), .port = 7};
	tg_sock k;

	ck_assert_int_eq(tg_sock_open(peer, TG_STREAM, 0, 0, &k), 0);
	ck_assert_int_eq(tg_sock_connect(peer, k, &to, now_ns), -TG_EINPROGRESS);
	run_peer();
	return k;
}

static void step_all(void)
{
	while (step())
		;
}

static void check_refused(const struct tg_step_action *a, const char *word)
{
	const char *why = NULL;

	ck_assert_int_lt(tg_stepper_act(w, a, NULL, NULL, &why), 0);
	ck_assert_ptr_nonnull(why);
	ck_assert_msg(strstr(why, word) != NULL, "%s", why);
}

START_TEST (a_peer_is_served_stop_by_stop) {
	char text[100];
	tg_sock k;

	world(NULL);
	ck_assert(!step());
	ck_assert_int_eq(ev.kind, TG_STEP_NOTHING);
	k = peer_connects();
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(fx.n_frames, 1); /* the SYN-ACK */
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME); /* the ACK */
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_CALL); /* accept */
	ck_assert_int_eq(tg_sock_send(peer, k, "hello", 5, 0, now_ns), 5);
	run_peer();
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_CALL); /* the echo */
	ck_assert_uint_eq(fx.n_frames, 1);
	ck_assert_int_eq(tg_sock_recv(peer, k, text, sizeof(text), 0, now_ns), 5);
	ck_assert_mem_eq(text, "hello", 5);
	/* The peer owes an ACK: of ours a retransmission is due, later. */
	tg_stepper_next(w, &ev);
	ck_assert_int_eq(ev.kind, TG_STEP_TIMER);
	ck_assert_uint_gt(ev.time_ns, tg_stepper_now(w));
	ck_assert(!step());
	now_ns += 50 * NS_PER_MS;
	run_peer(); /* its delayed ACK */
	ck_assert(step());
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	tg_sock_close(peer, k, now_ns);
	run_peer();
	step_all();
	ck_assert_uint_eq(n_queue, 0);
	step_free(&opt);
}
END_TEST

START_TEST (a_dropped_frame_makes_the_peer_send_again) {
	struct tg_step_action a = {.act = TG_ACT_DROP};
	struct tg_step_frame f;
	const char *why;

	world(NULL);
	check_refused(&a, "no frame waits");
	peer_connects();
	ck_assert(tg_stepper_queue(w, 0, &f));
	a.frame_id = f.id + 1;
	check_refused(&a, "no such frame");
	a.frame_id = f.id;
	ck_assert_int_eq(tg_stepper_act(w, &a, &ev, &fx, &why), 0);
	ck_assert_ptr_null(why);
	ck_assert_int_eq(ev.kind, TG_STEP_HAND);
	ck_assert(!tg_stepper_queue(w, 0, &f));
	now_ns += NS_PER_SEC;
	run_peer();
	ck_assert(tg_stepper_queue(w, 0, &f)); /* the SYN again */
	a = (struct tg_step_action){.act = TG_ACT_CORRUPT, .frame_id = f.id, .offset = 30};
	ck_assert_int_eq(tg_stepper_act(w, &a, &ev, &fx, &why), 0);
	ck_assert(step());
	ck_assert_uint_eq(tg_counters(s)->drops[TG_DROP_TCP_CSUM], 1);
	now_ns += 2 * NS_PER_SEC;
	run_peer();
	ck_assert(tg_stepper_queue(w, 0, &f));
	a = (struct tg_step_action){.act = TG_ACT_DUP, .frame_id = f.id};
	ck_assert_int_eq(tg_stepper_act(w, &a, &ev, &fx, &why), 0);
	ck_assert(tg_stepper_queue(w, 0, &f));
	ck_assert_uint_eq(f.id, a.frame_id);
	step_all();
	ck_assert_uint_ne(served, 0);
	a = (struct tg_step_action){.act = TG_ACT_ADVANCE};
	check_refused(&a, "clock goes by itself");
	a = (struct tg_step_action){.act = TG_ACT_SWAP};
	check_refused(&a, "keep their order");
	step_free(&opt);
}
END_TEST

START_TEST (the_past_can_be_looked_at_and_left) {
	struct tg_step_action a = {.act = TG_ACT_ABORT};
	uint64_t last, hash;
	const char *why;
	tg_sock k;

	world(NULL);
	k = peer_connects();
	step_all();
	last = tg_stepper_last(w);
	hash = tg_stepper_hash(w);
	ck_assert_uint_eq(last, 3);
	ck_assert(tg_stepper_goto(w, 1, &why));
	ck_assert_uint_eq(tg_stepper_position(w), 1);
	ck_assert(tg_stepper_hash(w) != hash);
	tg_stepper_next(w, &ev);
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	ck_assert_uint_eq(ev.number, 2);
	ck_assert(!tg_stepper_predict(w, &fx));
	check_refused(&a, "step returns to now");
	ck_assert(tg_stepper_goto(w, 0, &why));
	ck_assert(!tg_stepper_goto(w, last + 1, &why));
	ck_assert_ptr_nonnull(strstr(why, "future"));
	ck_assert(!step()); /* nothing has come meanwhile, but now it is now */
	ck_assert_uint_eq(tg_stepper_position(w), last);
	ck_assert_uint_eq(tg_stepper_hash(w), hash);
	ck_assert(tg_stepper_goto(w, 2, &why));
	tg_sock_send(peer, k, "x", 1, 0, now_ns);
	run_peer();
	ck_assert(tg_stepper_step(w, &ev, &fx));
	ck_assert_uint_eq(ev.number, last + 1);
	ck_assert_int_eq(ev.kind, TG_STEP_FRAME);
	run_peer();
	step_all();
	ck_assert_uint_eq(tg_counters(s)->tcp_in_bytes, 1);
	step_free(&opt);
}
END_TEST

/* ---- Recorded -------------------------------------------------------------------------------- */

static uint8_t book[1 << 20];
static size_t book_bytes;

static bool book_write(void *arg, const void *data, size_t n)
{
	(void)arg;
	ck_assert_uint_le(book_bytes + n, sizeof(book));
	memcpy(book + book_bytes, data, n);
	book_bytes += n;
	return true;
}

/* Trying is not recorded, and what is recorded can be replayed. */
START_TEST (what_is_tried_is_not_recorded) {
	static struct tg_recorder rec = {.write = book_write, .max_bytes = sizeof(book)};
	static struct tg_replay replay;
	const char *why;
	tg_sock k;

	book_bytes = 0;
	world(&rec);
	k = peer_connects();
	step_all();
	ck_assert_int_eq(tg_sock_send(peer, k, "hello", 5, 0, now_ns), 5);
	run_peer();
	step_all();
	ck_assert(!tg_stepper_goto(w, 1, &why));
	ck_assert_ptr_nonnull(strstr(why, "recorded"));
	now_ns += NS_PER_SEC;
	run_peer();
	tg_sock_close(peer, k, now_ns);
	run_peer();
	step_all();
	ck_assert_int_eq(tg_record_stop(&rec), TG_RECORD_STOPPED);
	ck_assert(tg_replay_open(&replay, book, book_bytes));
	ck_assert(tg_replay_begin(
		&replay, step_map((size_t)replay.reserved_bytes), step_map(TG_RECORD_BYTES_MAX)));
	while (tg_replay_next(&replay) == TG_REPLAY_MORE)
		;
	ck_assert_msg(replay.state == TG_REPLAY_END, "%s", replay.why);
	step_free(&opt);
}
END_TEST

static Suite *step_live_suite(void)
{
	Suite *x = suite_create("step_live");
	TCase *c = tcase_create("live");

	tcase_set_timeout(c, 60);
	tcase_add_test(c, a_peer_is_served_stop_by_stop);
	tcase_add_test(c, a_dropped_frame_makes_the_peer_send_again);
	tcase_add_test(c, the_past_can_be_looked_at_and_left);
	tcase_add_test(c, what_is_tried_is_not_recorded);
	suite_add_tcase(x, c);
	return x;
}

UNIT_MAIN(step_live_suite)

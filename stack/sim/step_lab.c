/* The lab: 10.0.0.1 and 10.0.0.2, plain frames between them that wait where they can be seen, and
 * the user as the application at both ends. Events come in order of time; at one moment timers
 * before frames, the client's before the server's. After each event the end that it concerns acts,
 * so that what it sends is on its way. A deadline at which nothing comes of an instance is no event
 * (timers are re-armed lazily): the clock passes over it. */
#include "sim/step_lab.h"

#define INSTANCE_LEAST (8u << 20)
#define INSTANCE_BYTES (16u << 20)
#define PREFIX         24u

/* ---- What comes next ------------------------------------------------------------------------- */

/* The end whose deadline comes first; *t its time, NEVER_NS: none. */
static unsigned first_deadline(const struct tg_stepper *w, uint64_t *t)
{
	uint64_t a = tg_next_deadline(w->inst[0]), b = tg_next_deadline(w->inst[1]);

	*t = max_u64(min_u64(a, b), w->st.now_ns);
	if (min_u64(a, b) == NEVER_NS)
		*t = NEVER_NS;
	return b < a;
}

static void tell_timer(
	const struct tg_stepper *w, unsigned end, uint64_t t, struct tg_step_event *ev)
{
	ev->kind = TG_STEP_TIMER;
	ev->end = (uint8_t)end;
	ev->time_ns = t - w->epoch_ns;
	ev->timers = step_timers_due(w->inst[end], t, &ev->conn);
	step_text_timers(ev->timers, ev->text, sizeof(ev->text));
}

/* The end's step at time t: has anything come of it? The end stays as it is then. */
static bool passes_quietly(struct tg_stepper *w, unsigned end, uint64_t t)
{
	uint64_t told = w->told, traces = w->inst[end]->trace_head;
	uint64_t now_ns = w->st.now_ns;

	w->st.now_ns = t;
	step_settle(w, end);
	w->st.now_ns = now_ns;
	return w->told == told && w->inst[end]->trace_head == traces;
}

/* Is one of TCP's timers due, at which something happens for sure? */
static bool is_plain(const struct tg_stepper *w, unsigned end, uint64_t t)
{
	uint32_t conn;

	return step_timers_due(w->inst[end], t, &conn) != 0;
}

/* What comes next when the first deadline may come to nothing: tried out, and put back. */
static void try_out(struct tg_stepper *w, uint64_t until_ns, struct tg_step_event *ev)
{
	struct tg_step_effects *fx = w->fx;
	struct step_block *k = step_pin(w);
	uint64_t t;
	unsigned end = first_deadline(w, &t);

	w->fx = NULL;
	while (k && t <= until_ns && t != NEVER_NS && !is_plain(w, end, t)) {
		struct tg_step_event here = {.end = 0};

		tell_timer(w, end, t, &here);
		if (!passes_quietly(w, end, t))
			break;
		end = first_deadline(w, &t);
	}
	if (t <= until_ns && t != NEVER_NS)
		tell_timer(w, end, t, ev);
	w->fx = fx;
	if (k) {
		bool known = w->next_known;

		step_unpin(w, k, true);
		w->next_known = known;
	}
}

static void lab_next(struct tg_stepper *w, struct tg_step_event *ev)
{
	const struct lab_frame *f = lab_head(w->world);
	uint64_t frame_ns = f ? max_u64(f->due_ns, w->st.now_ns) : NEVER_NS, t;
	unsigned end = first_deadline(w, &t);

	if (t != NEVER_NS && t <= frame_ns) {
		if (is_plain(w, end, t))
			tell_timer(w, end, t, ev);
		else
			try_out(w, frame_ns, ev);
	}
	if (ev->kind == TG_STEP_TIMER)
		return;
	ev->time_ns = w->st.now_ns - w->epoch_ns;
	if (!f)
		return;
	ev->kind = TG_STEP_FRAME;
	ev->time_ns = frame_ns - w->epoch_ns;
	lab_tell_frame(w, f, ev);
}

/* ---- It happens ------------------------------------------------------------------------------ */

/* An end whose device was busy is told that there is room again. */
static void wake_refused(struct tg_stepper *w)
{
	struct lab *lab = w->world;

	for (unsigned e = 0; e < 2; e++) {
		if (!lab->end[e].refused || !lab_has_room(w))
			continue;
		lab->end[e].refused = false;
		step_settle(w, e);
	}
}

static void deliver(struct tg_stepper *w, struct lab_frame *f)
{
	struct lab *lab = w->world;
	unsigned to = f->to;

	step_input(w->inst[to], lab->end[to].netif, f->data, f->bytes, w->st.now_ns);
	lab_forget(lab, f);
	step_settle(w, to);
	wake_refused(w);
}

static void lab_go(struct tg_stepper *w, const struct tg_step_event *ev)
{
	uint64_t at_ns = ev->time_ns + w->epoch_ns, t;
	bool timer = ev->kind == TG_STEP_TIMER;

	/* Deadlines on the way, of which lab_next has found that nothing comes. */
	for (;;) {
		unsigned end = first_deadline(w, &t);

		if (t > at_ns || (timer && t == at_ns && end == ev->end))
			break;
		passes_quietly(w, end, t);
	}
	w->st.now_ns = at_ns;
	if (timer) {
		step_settle(w, ev->end);
		wake_refused(w);
	} else {
		deliver(w, lab_head(w->world));
	}
}

static const char *lab_may(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev)
{
	if (a->act >= TG_ACT_DELIVER)
		return lab_hand_may(w, a, ev);
	return step_call_may(w->inst[a->end], a, ev);
}

static int64_t lab_act(struct tg_stepper *w, const struct tg_step_action *a)
{
	int64_t result;

	if (a->act == TG_ACT_DELIVER) {
		deliver(w, lab_find(w->world, a->frame_id));
		return 0;
	}
	if (a->act > TG_ACT_DELIVER) {
		result = lab_hand(w, a);
		wake_refused(w);
		return result;
	}
	result = step_call(w, w->inst[a->end], a, w->st.now_ns);
	step_settle(w, a->end);
	return result;
}

/* ---- Its state ------------------------------------------------------------------------------- */

static size_t lab_bytes(struct tg_stepper *w)
{
	const struct lab *lab = w->world;

	return arena_snapshot_bytes(lab->arena) + tg_snapshot_bytes(w->inst[0]) +
	       tg_snapshot_bytes(w->inst[1]) + 2 * sizeof(uint64_t);
}

static void lab_save(struct tg_stepper *w, uint8_t *buf, size_t bytes)
{
	const struct lab *lab = w->world;
	uint64_t n[2];
	uint8_t *at = buf + sizeof(n), *end = buf + bytes;

	n[0] = arena_snapshot_save(lab->arena, at, (size_t)(end - at));
	at += n[0];
	n[1] = tg_snapshot_save(w->inst[0], at, (size_t)(end - at));
	at += n[1];
	memcpy(buf, n, sizeof(n));
	tg_snapshot_save(w->inst[1], at, (size_t)(end - at));
}

static void lab_restore(struct tg_stepper *w, const uint8_t *buf, size_t bytes)
{
	const struct lab *lab = w->world;
	const uint8_t *at = buf + 2 * sizeof(uint64_t), *end = buf + bytes;
	uint64_t n[2];
	bool good;

	memcpy(n, buf, sizeof(n));
	good = arena_snapshot_restore(lab->arena, at, n[0]);
	at += n[0];
	good = good && tg_snapshot_restore(w->inst[0], at, n[1]);
	at += n[1];
	good = good && tg_snapshot_restore(w->inst[1], at, (size_t)(end - at));
	ASSERT(good);
}

static bool lab_queue(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out)
{
	const struct lab *lab = w->world;

	list_for_each (n, &lab->queue) {
		const struct lab_frame *f = list_entry(n, struct lab_frame, node);

		if (i-- > 0)
			continue;
		out->id = f->id;
		out->to_end = f->to;
		out->link = (uint8_t)w->o.link;
		out->due_ns = f->due_ns - w->epoch_ns;
		out->data = f->data;
		out->bytes = f->bytes;
		return true;
	}
	return false;
}

static uint64_t lab_hash(struct tg_stepper *w, uint64_t h)
{
	const struct lab *lab = w->world;

	list_for_each (n, &lab->queue) {
		const struct lab_frame *f = list_entry(n, struct lab_frame, node);
		const uint64_t v[4] = {f->due_ns, f->id, f->to, f->bytes};

		h = chain_hash(chain_hash(h, v, sizeof(v)), f->data, f->bytes);
	}
	return h;
}

static const struct step_ops lab_ops = {lab_next, lab_go, lab_may, lab_act, lab_bytes, lab_save,
	lab_restore, lab_queue, lab_hash, NULL, false};

/* ---- Making it ------------------------------------------------------------------------------- */

static bool make_end(struct tg_stepper *w, unsigned e, uint8_t *mem, size_t bytes)
{
	struct lab *lab = w->world;
	struct lab_end *end = &lab->end[e];
	struct impair_config ic = {.opt = w->o.impair[e],
		.purpose = e,
		.link = w->o.link,
		.latency_ns = w->o.latency_ns,
		.max_bytes = LAB_BYTES / 2};
	struct tg_netif_config nc = {.name = "eth0",
		.link = w->o.link,
		.mac = {2, 0, 0, 0, 0, (uint8_t)(e + 1)},
		.mtu = w->o.mtu,
		.transmit = lab_transmit,
		.dev = end};
	struct tg_ip ip = tg_ip4(10, 0, 0, (uint8_t)(e + 1));
	struct tg_config cfg = w->o.config;
	int netif;

	/* The same seed at both ends would give them the same numbers. */
	for (size_t i = 0; e && i < sizeof(cfg.seed); i++)
		cfg.seed[i] = (uint8_t)~cfg.seed[i];
	memcpy(ic.seed, w->o.impair_seed, sizeof(ic.seed));
	end->w = w;
	end->lab = lab;
	end->index = (uint8_t)e;
	w->inst[e] = tg_create(&cfg, mem, bytes, STEP_EPOCH_NS);
	if (!w->inst[e] || !impair_init(&end->out, lab->arena, &ic))
		return false;
	netif = tg_netif_add(w->inst[e], &nc, STEP_EPOCH_NS);
	if (netif < 0)
		return false;
	end->netif = (unsigned)netif;
	return tg_addr_add(w->inst[e], end->netif, &ip, PREFIX, STEP_EPOCH_NS) == 0;
}

struct tg_stepper *tg_step_lab(const struct tg_step_options *o, const char **why)
{
	struct arena *a;
	struct tg_stepper *w;
	struct lab *lab;
	uint8_t *rest;
	size_t bytes, each;

	*why = NULL;
	w = step_create(o, &lab_ops, &rest, &bytes, why);
	if (!w)
		return NULL;
	*why = "too little memory for a lab: 32 MiB are the least";
	if (bytes < LAB_BYTES + (size_t)2 * INSTANCE_LEAST)
		return NULL;
	each = (bytes - LAB_BYTES) / 2 / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
	each = each < INSTANCE_BYTES ? each : INSTANCE_BYTES;
	a = arena_init(rest, LAB_BYTES, 0);
	lab = a ? arena_alloc(a, sizeof(*lab)) : NULL;
	if (!lab)
		return NULL;
	lab->arena = a;
	list_init(&lab->queue);
	w->world = lab;
	w->st.now_ns = STEP_EPOCH_NS;
	*why = "the configuration, the MTU or an impairment is impossible";
	for (unsigned e = 0; e < 2; e++)
		if (!make_end(w, e, rest + LAB_BYTES + e * each, each))
			return NULL;
	for (unsigned e = 0; e < 2; e++)
		step_settle(w, e);
	*why = NULL;
	return step_begin(w, STEP_EPOCH_NS, why) ? w : NULL;
}

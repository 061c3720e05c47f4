/* What an event did: the records of the trace, the rules that were gone through, the connections
 * before and after, the frames and events that came out; and a hash over all of it, chained from
 * event to event, so that two worlds with one hash have done the same from the beginning. */
#include "sim/segment.h"
#include "sim/step.h"

/* ---- Before ---------------------------------------------------------------------------------- */

/* The connections of an end; of more than there is room for, the first and the event's. */
static void remember(struct step_before *b, const struct tg *s, uint32_t conn)
{
	uint64_t cursor = 0;
	struct tg_tcb t;

	b->n = 0;
	b->whole = true;
	b->serial = s->conn_serial;
	while (tg_tcb_next(s, &cursor, &t)) {
		if (b->n < STEP_TCBS) {
			b->tcb[b->n++] = t;
			continue;
		}
		b->whole = false;
		if (!conn)
			break;
		if (t.conn == conn) {
			b->tcb[STEP_TCBS - 1] = t;
			break;
		}
	}
}

void step_effects_begin(
	struct tg_stepper *w, struct tg_step_effects *fx, uint32_t conn, unsigned end)
{
	w->fx = fx;
	if (fx)
		memset(fx, 0, sizeof(*fx));
	for (unsigned e = 0; fx && e < 2; e++) {
		if (!w->inst[e])
			continue;
		tg_rules_clear(w->inst[e]);
		remember(&w->before[e], w->inst[e], e == end ? conn : 0);
	}
}

/* ---- Meanwhile ------------------------------------------------------------------------------- */

static void told(struct tg_stepper *w, const void *data, size_t n)
{
	w->st.chain = chain_hash(w->st.chain, data, n);
	w->told++;
}

void step_told_frame(struct tg_stepper *w, unsigned end, const struct tg_frame *f, uint32_t id)
{
	uint64_t head[2] = {end, f->bytes};
	uint32_t n;

	if (w->muted)
		return;
	told(w, head, sizeof(head));
	for (uint32_t i = 0; i < f->n_spans; i++)
		if (f->span[i].len)
			w->st.chain = chain_hash(w->st.chain, f->span[i].base, f->span[i].len);
	if (!w->fx)
		return;
	n = w->fx->n_frames++;
	if (n >= TG_STEP_FRAMES)
		return;
	w->fx->frame[n].end = (uint8_t)end;
	w->fx->frame[n].id = id;
	w->fx->frame[n].bytes = f->bytes;
	segment_gather(f, 0, min_u32(f->bytes, TG_STEP_HEAD), w->fx->frame[n].head);
}

void step_told_event(struct tg_stepper *w, unsigned end, const struct tg_event *e)
{
	uint64_t v[3] = {end, e->sock, e->events};
	uint32_t n;

	if (w->muted)
		return;
	told(w, v, sizeof(v));
	if (!w->fx)
		return;
	n = w->fx->n_events++;
	if (n >= TG_STEP_EVENTS)
		return;
	w->fx->event[n].end = (uint8_t)end;
	w->fx->event[n].sock = e->sock;
	w->fx->event[n].events = e->events;
}

void step_told_bytes(struct tg_stepper *w, const void *data, uint32_t n)
{
	if (w->muted)
		return;
	if (n)
		told(w, data, n);
	if (!w->fx)
		return;
	w->fx->n_got = n;
	if (n)
		memcpy(w->fx->got, data, min_u32(n, TG_STEP_GOT));
}

static void told_traces(struct tg_stepper *w, unsigned end)
{
	struct tg_trace t;
	uint32_t n;

	while (tg_trace_next(w->inst[end], &w->st.trace_cursor[end], &t, NULL)) {
		told(w, &t, sizeof(t));
		if (!w->fx)
			continue;
		n = w->fx->n_traces++;
		if (n >= TG_STEP_TRACES)
			continue;
		w->fx->trace[n].end = (uint8_t)end;
		w->fx->trace[n].t = t;
	}
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

static void tell_rules(struct tg_stepper *w, unsigned end)
{
	const struct tg_rule_hit *hit;
	uint32_t n = tg_rules(w->inst[end], &hit), at;

	for (uint32_t i = 0; i < n; i++) {
		at = w->fx->n_rules++;
		if (at >= TG_RULE_HITS)
			continue;
		w->fx->rule[at].end = (uint8_t)end;
		w->fx->rule[at].hit = hit[i];
	}
}

static bool same_addrs(const struct tg_tcb *a, const struct tg_tcb *b)
{
	return memcmp(&a->local, &b->local, sizeof(a->local)) == 0 &&
	       memcmp(&a->peer, &b->peer, sizeof(a->peer)) == 0;
}

/* Is this the same connection? One that was a half-open record has no number yet, one that has
 * become a TIME-WAIT record none any more. */
static bool is_same(const struct tg_tcb *a, const struct tg_tcb *b)
{
	if (a->conn && b->conn)
		return a->conn == b->conn;
	return same_addrs(a, b);
}

static void tell_conn(
	struct tg_stepper *w, unsigned end, const struct tg_tcb *before, const struct tg_tcb *after)
{
	uint32_t n;

	if (before && after && memcmp(before, after, sizeof(*after)) == 0)
		return;
	n = w->fx->n_conns++;
	if (n >= TG_STEP_CONNS)
		return;
	w->fx->conn[n].end = (uint8_t)end;
	w->fx->conn[n].was = before != NULL;
	w->fx->conn[n].is = after != NULL;
	if (before)
		w->fx->conn[n].before = *before;
	if (after)
		w->fx->conn[n].after = *after;
}

static void tell_conns(struct tg_stepper *w, unsigned end)
{
	struct step_before *b = &w->before[end];
	uint64_t cursor = 0, seen = 0;
	struct tg_tcb t;

	_Static_assert(STEP_TCBS == 64, "a bit for each");
	while (tg_tcb_next(w->inst[end], &cursor, &t)) {
		uint32_t i = 0;

		while (i < b->n && (seen >> i & 1 || !is_same(&b->tcb[i], &t)))
			i++;
		if (i < b->n)
			seen |= 1ull << i;
		if (i < b->n)
			tell_conn(w, end, &b->tcb[i], &t);
		else if (b->whole || t.conn > b->serial)
			tell_conn(w, end, NULL, &t);
	}
	for (uint32_t i = 0; i < b->n; i++)
		if (!(seen >> i & 1))
			tell_conn(w, end, &b->tcb[i], NULL);
}

void step_effects_end(struct tg_stepper *w, int64_t result)
{
	const uint64_t last[3] = {w->st.position, w->st.now_ns, (uint64_t)result};

	for (unsigned e = 0; e < 2; e++)
		if (w->inst[e])
			told_traces(w, e);
	told(w, last, sizeof(last));
	if (!w->fx)
		return;
	w->fx->result = result;
	for (unsigned e = 0; e < 2; e++) {
		if (!w->inst[e])
			continue;
		tell_rules(w, e);
		tell_conns(w, e);
	}
	w->fx->hash = step_hash(w);
	w->fx = NULL;
}

/* ---- The hash of a world --------------------------------------------------------------------- */

static uint64_t hash_instance(const struct tg *s, uint64_t h)
{
	uint64_t cursor = 0, deadline = tg_next_deadline(s);
	struct tg_tcb t;

	h = chain_hash(h, tg_counters(s), sizeof(struct tg_counters));
	h = chain_hash(h, &deadline, sizeof(deadline));
	while (tg_tcb_next(s, &cursor, &t))
		h = chain_hash(h, &t, sizeof(t));
	return h;
}

uint64_t step_hash(struct tg_stepper *w)
{
	uint64_t h = w->st.chain;

	for (unsigned e = 0; e < 2; e++)
		if (w->inst[e])
			h = hash_instance(w->inst[e], h);
	return w->ops->hash ? w->ops->hash(w, h) : h;
}

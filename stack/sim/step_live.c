/* A live world: one instance that somebody else drives, with a device, a clock and applications of
 * its own. Frames wait at the caller's and are put into the instance here; what the instance sends
 * passes by here on its way to the device, and stays here while an event is only tried. */
#include "sim/step.h"

#define FLIPS 64u /* octets inverted in frames that wait */

struct live_tap {
	struct live *v;
	bool (*transmit)(void *dev, const struct tg_frame *f);
	void *dev;
};

struct live {
	struct tg_stepper *w;
	struct tg_step_live l;
	struct live_tap tap[CORE_NETIFS_MAX];
	struct {
		uint32_t id, offset;
	} flip[FLIPS];
	uint32_t n_flips;
	struct tg_recorder *recorder; /* put aside while an event is tried */
	bool aside;
	uint8_t frame[STEP_FRAME_MAX];
};

/* ---- What the instance sends ----------------------------------------------------------------- */

static bool tap_transmit(void *dev, const struct tg_frame *f)
{
	const struct live_tap *t = dev;
	struct tg_stepper *w = t->v->w;
	bool taken = w->dry || t->transmit(t->dev, f);

	if (taken)
		step_told_frame(w, 0, f, 0);
	return taken;
}

static void taps_in(struct live *v)
{
	struct tg *s = v->l.s;

	if (v->w->dry && !v->aside) {
		v->recorder = s->recorder;
		s->recorder = NULL;
		v->aside = true;
	}
	for (uint32_t i = 1; i < s->n_netifs; i++) {
		v->tap[i] = (struct live_tap){v, s->netif[i].c.transmit, s->netif[i].c.dev};
		s->netif[i].c.transmit = tap_transmit;
		s->netif[i].c.dev = &v->tap[i];
	}
}

static void taps_out(struct live *v)
{
	struct tg *s = v->l.s;

	for (uint32_t i = 1; i < s->n_netifs; i++) {
		if (s->netif[i].c.transmit != tap_transmit)
			continue;
		s->netif[i].c.transmit = v->tap[i].transmit;
		s->netif[i].c.dev = v->tap[i].dev;
	}
}

/* The instance acts; who is to be told of it is told when applications have their turn. */
static void settle(struct live *v)
{
	for (uint32_t i = 0; i < STEP_SETTLE_MAX; i++) {
		tg_step(v->l.s, v->w->st.now_ns);
		if (tg_next_deadline(v->l.s) > v->w->st.now_ns)
			return;
	}
}

/* ---- Frames that wait ------------------------------------------------------------------------ */

static uint32_t place_of(const struct live *v, uint32_t id, struct tg_step_frame *f)
{
	uint32_t n = v->l.queued(v->l.arg);

	for (uint32_t i = 0; i < n; i++) {
		memset(f, 0, sizeof(*f));
		if (v->l.look(v->l.arg, i, f) && f->id == id)
			return i;
	}
	return UINT32_MAX;
}

/* The i-th frame, with what the user did to it. */
static bool look_at(struct live *v, uint32_t i, struct tg_step_frame *f)
{
	memset(f, 0, sizeof(*f));
	if (i >= v->l.queued(v->l.arg) || !v->l.look(v->l.arg, i, f) || f->bytes > STEP_FRAME_MAX)
		return false;
	memcpy(v->frame, f->data, f->bytes);
	for (uint32_t k = 0; k < v->n_flips; k++)
		if (v->flip[k].id == f->id && v->flip[k].offset < f->bytes)
			v->frame[v->flip[k].offset] ^= 0xff;
	f->data = v->frame;
	f->to_end = 0;
	f->due_ns = v->w->st.now_ns - v->w->epoch_ns;
	return true;
}

static void forget_flips(struct live *v, uint32_t id)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < v->n_flips; i++)
		if (v->flip[i].id != id)
			v->flip[n++] = v->flip[i];
	v->n_flips = n;
}

static void take(struct live *v, uint32_t i, uint32_t id)
{
	if (v->w->dry)
		return;
	v->l.take(v->l.arg, i);
	forget_flips(v, id);
}

static void put_in(struct live *v, const struct tg_step_frame *f)
{
	struct tg_pkt *p = tg_pkt_alloc(v->l.s, f->bytes);

	if (!p)
		return;
	memcpy(p->data, f->data, f->bytes);
	p->len = f->bytes;
	p->gso = f->gso;
	p->gso_size = f->gso_size;
	p->csum = f->csum;
	tg_input(v->l.s, f->netif, p, v->w->st.now_ns);
}

static void deliver(struct live *v, uint32_t i, bool keep)
{
	struct tg_step_frame f;

	if (!look_at(v, i, &f))
		return;
	put_in(v, &f);
	if (!keep)
		take(v, i, f.id);
	settle(v);
}

/* ---- What comes next ------------------------------------------------------------------------- */

/* What would come of a step now, of which it is not plain that anything does. */
static bool comes_to_something(struct live *v)
{
	struct tg_stepper *w = v->w;
	struct tg_step_effects *fx = w->fx;
	uint64_t told = w->told, traces = v->l.s->trace_head;
	struct step_block *k = step_pin(w);
	bool came;

	if (!k)
		return true;
	w->dry = true;
	w->fx = NULL;
	taps_in(v);
	settle(v);
	taps_out(v);
	came = w->told != told || v->l.s->trace_head != traces;
	step_unpin(w, k, true);
	w->fx = fx;
	w->dry = false;
	return came;
}

static bool tell_timer(struct live *v, uint64_t t, struct tg_step_event *ev)
{
	struct tg_stepper *w = v->w;
	uint32_t conn, due = step_timers_due(v->l.s, t, &conn);

	if (t <= w->st.now_ns && !due && !comes_to_something(v))
		return false;
	ev->kind = TG_STEP_TIMER;
	ev->time_ns = max_u64(t, w->st.now_ns) - w->epoch_ns;
	ev->timers = due;
	ev->conn = conn;
	step_text_timers(due, ev->text, sizeof(ev->text));
	return true;
}

static bool tell_frame(struct live *v, uint32_t i, struct tg_step_event *ev)
{
	struct tg_step_frame f;

	if (!look_at(v, i, &f))
		return false;
	ev->kind = TG_STEP_FRAME;
	ev->link = f.link;
	ev->frame_id = f.id;
	ev->frame = f.data;
	ev->frame_bytes = ev->frame_here = f.bytes;
	ev->conn = step_conn_of_frame(v->l.s, (enum tg_link)f.link, f.data, f.bytes);
	return true;
}

static void live_next(struct tg_stepper *w, struct tg_step_event *ev)
{
	struct live *v = w->world;
	uint64_t t = tg_next_deadline(v->l.s);

	w->st.now_ns = max_u64(w->st.now_ns, v->l.now(v->l.arg));
	ev->time_ns = w->st.now_ns - w->epoch_ns;
	if (!list_empty(&v->l.s->events)) {
		static const char turn[] = "the applications' turn";

		ev->kind = TG_STEP_CALL;
		w->next_unforeseen = true;
		memcpy(ev->text, turn, sizeof(turn));
		return;
	}
	if (t <= w->st.now_ns && tell_timer(v, t, ev))
		return;
	if (tell_frame(v, 0, ev))
		return;
	if (t > w->st.now_ns && t != NEVER_NS)
		tell_timer(v, t, ev);
}

static void live_go(struct tg_stepper *w, const struct tg_step_event *ev)
{
	struct live *v = w->world;

	taps_in(v);
	if (ev->kind == TG_STEP_CALL) {
		v->l.run(v->l.arg);
		w->st.now_ns = max_u64(w->st.now_ns, v->l.now(v->l.arg));
	}
	if (ev->kind == TG_STEP_FRAME)
		deliver(v, 0, false);
	else
		settle(v);
	taps_out(v);
}

static void live_idle(struct tg_stepper *w)
{
	struct live *v = w->world;

	if (tg_next_deadline(v->l.s) <= w->st.now_ns)
		settle(v);
}

/* ---- By hand --------------------------------------------------------------------------------- */

static const char *may_hand(
	struct live *v, const struct tg_step_action *a, struct tg_step_event *ev)
{
	struct tg_step_frame f;
	uint32_t i;

	if (a->act == TG_ACT_ADVANCE)
		return "a live world's clock goes by itself: continue, or step";
	if (a->act == TG_ACT_SWAP || a->act == TG_ACT_DELAY)
		return "frames of a device keep their order: deliver one before the others";
	i = place_of(v, a->frame_id, &f);
	if (i == UINT32_MAX)
		return v->l.queued(v->l.arg) ? "no such frame waits: `info queue` shows which do"
					     : "no frame waits: the peer has sent nothing yet";
	if (a->act == TG_ACT_CORRUPT && (a->offset >= f.bytes || v->n_flips == FLIPS))
		return "the frame is shorter than that, or too much was changed already";
	tell_frame(v, i, ev);
	ev->kind = a->act == TG_ACT_DELIVER || a->act == TG_ACT_DUP ? TG_STEP_FRAME : TG_STEP_HAND;
	step_text_action(a, ev->text, sizeof(ev->text));
	return NULL;
}

static const char *live_may(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev)
{
	struct live *v = w->world;

	w->st.now_ns = max_u64(w->st.now_ns, v->l.now(v->l.arg));
	ev->time_ns = w->st.now_ns - w->epoch_ns;
	if (a->act >= TG_ACT_DELIVER)
		return may_hand(v, a, ev);
	return step_call_may(w->inst[a->end], a, ev);
}

static int64_t live_act(struct tg_stepper *w, const struct tg_step_action *a)
{
	struct live *v = w->world;
	struct tg_step_frame f;
	int64_t result = 0;
	uint32_t i;

	taps_in(v);
	if (a->act < TG_ACT_DELIVER) {
		result = step_call(w, v->l.s, a, w->st.now_ns);
		settle(v);
		taps_out(v);
		return result;
	}
	i = place_of(v, a->frame_id, &f);
	if (a->act == TG_ACT_DROP) {
		take(v, i, a->frame_id);
	} else if (a->act == TG_ACT_CORRUPT) {
		v->flip[v->n_flips].id = a->frame_id;
		v->flip[v->n_flips++].offset = a->offset;
	} else {
		deliver(v, i, a->act == TG_ACT_DUP);
	}
	taps_out(v);
	return result;
}

/* ---- Its state ------------------------------------------------------------------------------- */

static size_t live_bytes(struct tg_stepper *w)
{
	return tg_snapshot_bytes(w->inst[0]);
}

static void live_save(struct tg_stepper *w, uint8_t *buf, size_t bytes)
{
	tg_snapshot_save(w->inst[0], buf, bytes);
}

/* What is put back is the state that the record has come to: the recorder may go on. */
static void live_restore(struct tg_stepper *w, const uint8_t *buf, size_t bytes)
{
	struct live *v = w->world;
	bool good;

	if (!v->aside)
		v->recorder = v->l.s->recorder;
	v->aside = false;
	v->l.s->recorder = NULL;
	good = tg_snapshot_restore(v->l.s, buf, bytes);
	v->l.s->recorder = v->recorder;
	ASSERT(good);
}

static const char *live_fixed(const struct tg_stepper *w)
{
	if (w->inst[0]->recorder)
		return "what is being recorded cannot be put back: look at the past in the record "
		       "(`tapglass replay --step`)";
	return NULL;
}

static bool live_queue(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out)
{
	return look_at(w->world, i, out);
}

static const struct step_live_ops live_live = {live_idle, live_fixed};

static const struct step_ops live_ops = {live_next, live_go, live_may, live_act, live_bytes,
	live_save, live_restore, live_queue, NULL, &live_live, false};

struct tg_stepper *tg_step_live(
	const struct tg_step_options *o, const struct tg_step_live *l, const char **why)
{
	struct tg_stepper *w;
	struct live *v;
	uint8_t *rest;
	size_t bytes;

	_Static_assert(sizeof(*w) + sizeof(*v) + 8192 < TG_STEP_LIVE_BYTES, "it fits");
	*why = NULL;
	w = step_create(o, &live_ops, &rest, &bytes, why);
	if (!w)
		return NULL;
	if (bytes < sizeof(*v)) {
		*why = "too little memory for a live world: TG_STEP_LIVE_BYTES do";
		return NULL;
	}
	v = (struct live *)(void *)rest;
	memset(v, 0, sizeof(*v));
	v->w = w;
	v->l = *l;
	w->world = v;
	w->inst[0] = l->s;
	w->st.now_ns = l->now(l->arg);
	return step_begin(w, w->st.now_ns, why) ? w : NULL;
}

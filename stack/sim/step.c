/* The stepper: a world that stops before every event. Looking at what comes, doing it, predicting
 * it: the state is saved, the event happens with all that comes out of it noted, and the state is
 * put back. What is an event, and how it happens, is the kind of world's to say. */
#include "sim/step.h"

#define LOG_SHARE    4 /* of the history: one in so many parts is the log */
#define BRANCH_SHARE 16
#define PAGE         4096u
#define HISTORY_MIN  (1u << 20)

void tg_step_options_default(struct tg_step_options *o)
{
	memset(o, 0, sizeof(*o));
	tg_config_default(&o->config);
	for (uint8_t i = 0; i < sizeof(o->config.seed); i++)
		o->config.seed[i] = (uint8_t)(i + 1);
	o->config.trace_records = 512;
	o->latency_ns = 10 * NS_PER_MS;
	o->mtu = 1500;
	o->link = TG_LINK_IP;
	tg_impair_default(&o->impair[0]);
	tg_impair_default(&o->impair[1]);
}

static const char *const act_names[] = {"none", "connect", "listen", "accept", "send", "recv",
	"shutdown", "close", "abort", "setopt", "deliver", "drop", "dup", "swap", "corrupt",
	"delay", "advance"};
_Static_assert(ARRAY_LEN(act_names) == TG_ACT_COUNT, "each act has a name");

const char *tg_step_act_name(unsigned act)
{
	return act < TG_ACT_COUNT ? act_names[act] : "?";
}

/* ---- Making a world -------------------------------------------------------------------------- */

struct tg_stepper *step_create(const struct tg_step_options *o, const struct step_ops *ops,
	uint8_t **rest, size_t *rest_bytes, const char **why)
{
	size_t own = (sizeof(struct tg_stepper) + PAGE - 1) / PAGE * PAGE;
	struct tg_stepper *w = o->mem;
	uint8_t *h = o->history;

	if (!o->mem || o->mem_bytes < own + PAGE) {
		*why = "too little memory for a world";
		return NULL;
	}
	if (!h || o->history_bytes < HISTORY_MIN) {
		*why = "too little memory for a history";
		return NULL;
	}
	memset(w, 0, sizeof(*w));
	w->ops = ops;
	w->o = *o;
	memcpy(w->line, "main", 5);
	w->log.mem = h;
	w->log.bytes = o->history_bytes / LOG_SHARE / PAGE * PAGE;
	w->branch_mem = h + w->log.bytes;
	w->branch_bytes = o->history_bytes / BRANCH_SHARE / PAGE * PAGE;
	w->snaps_mem = w->branch_mem + w->branch_bytes;
	w->snaps_bytes = o->history_bytes - w->log.bytes - w->branch_bytes;
	list_init(&w->blocks);
	*rest = (uint8_t *)o->mem + own;
	*rest_bytes = o->mem_bytes - own;
	return w;
}

bool step_begin(struct tg_stepper *w, uint64_t epoch_ns, const char **why)
{
	struct tg_trace t;

	w->epoch_ns = epoch_ns;
	for (unsigned e = 0; e < 2; e++) {
		if (!w->inst[e])
			continue;
		if (!w->ops->live)
			w->inst[e]->rules = &w->book[e];
		tg_rules_note(w->inst[e], true);
		while (tg_trace_next(w->inst[e], &w->st.trace_cursor[e], &t, NULL))
			;
	}
	step_snap_take(w);
	if (w->n_snaps == 0)
		*why = "too little memory for one snapshot of this world";
	return w->n_snaps > 0;
}

void step_settle(struct tg_stepper *w, unsigned end)
{
	struct tg *s = w->inst[end];
	struct tg_event e;

	for (uint32_t i = 0; i < STEP_SETTLE_MAX; i++) {
		tg_step(s, w->st.now_ns);
		while (tg_event(s, &e))
			step_told_event(w, end, &e);
		if (tg_next_deadline(s) > w->st.now_ns)
			return;
	}
}

bool step_input(struct tg *s, unsigned netif, const uint8_t *data, uint32_t bytes, uint64_t now_ns)
{
	struct tg_pkt *p = tg_pkt_alloc(s, bytes);

	if (!p)
		return false;
	memcpy(p->data, data, bytes);
	p->len = bytes;
	tg_input(s, netif, p, now_ns);
	return true;
}

/* ---- What comes next ------------------------------------------------------------------------- */

void step_look(struct tg_stepper *w)
{
	const struct step_entry *e;

	if (w->next_known && !w->ops->live)
		return;
	memset(&w->next, 0, sizeof(w->next));
	w->next_by_hand = w->next_unforeseen = false;
	w->next_known = true;
	w->next.number = w->st.position + 1;
	e = step_log_at(w, w->st.position + 1);
	if (e && w->now) { /* the past of a live world */
		step_entry_event(e, w->st.position + 1, &w->next);
		w->next_unforeseen = true;
		return;
	}
	if (!e || !e->act) {
		w->ops->next(w, &w->next);
		return;
	}
	step_entry_action(e, &w->next_action);
	w->next_by_hand = true;
	w->next.act = e->act;
	w->next.time_ns = w->st.now_ns - w->epoch_ns;
	w->ops->may(w, &w->next_action, &w->next);
}

static bool nothing_comes(const struct tg_stepper *w)
{
	return w->next.kind == TG_STEP_NOTHING || w->next.kind == TG_STEP_END ||
	       (w->ops->live && w->next.time_ns + w->epoch_ns > w->st.now_ns);
}

void tg_stepper_next(struct tg_stepper *w, struct tg_step_event *out)
{
	step_look(w);
	*out = w->next;
}

/* ---- It happens ------------------------------------------------------------------------------ */

/* The event's frame may be gone when it has happened. */
static void hold_frame(struct tg_stepper *w, struct tg_step_event *ev)
{
	if (!ev->frame || ev->frame == w->frame)
		return;
	ev->frame_here = min_u32(ev->frame_here, STEP_FRAME_MAX);
	memcpy(w->frame, ev->frame, ev->frame_here);
	ev->frame = w->frame;
}

int64_t step_happen(struct tg_stepper *w, const struct tg_step_event *what,
	const struct tg_step_action *a, bool keep, struct tg_step_event *done,
	struct tg_step_effects *fx)
{
	struct tg_step_event ev = *what;
	int64_t result = 0;

	hold_frame(w, &ev);
	step_effects_begin(w, fx, ev.conn, ev.end);
	if (a)
		result = w->ops->act(w, a);
	else
		w->ops->go(w, &ev);
	w->st.position++;
	w->next_known = false;
	ev.number = w->st.position;
	step_effects_end(w, result);
	if (!keep)
		return result;
	if (a && !ev.conn && result > 0 && (a->act == TG_ACT_CONNECT || a->act == TG_ACT_ACCEPT))
		ev.conn = step_conn_of(w->inst[ev.end], (tg_sock)result);
	step_log_add(w, &ev, a);
	step_snap_now_and_then(w);
	if (done)
		*done = ev;
	return result;
}

bool step_do(struct tg_stepper *w, struct tg_step_event *done, struct tg_step_effects *fx)
{
	step_return(w);
	step_look(w);
	if (nothing_comes(w)) {
		if (w->ops->live)
			w->ops->live->idle(w);
		if (done)
			*done = w->next;
		if (fx)
			memset(fx, 0, sizeof(*fx));
		return false;
	}
	step_happen(w, &w->next, w->next_by_hand ? &w->next_action : NULL, true, done, fx);
	return true;
}

bool tg_stepper_step(struct tg_stepper *w, struct tg_step_event *done, struct tg_step_effects *fx)
{
	return step_do(w, done, fx);
}

bool tg_stepper_predict(struct tg_stepper *w, struct tg_step_effects *out)
{
	struct step_block *k;
	struct tg_step_event ev;
	struct tg_step_action a;
	bool by_hand;

	memset(out, 0, sizeof(*out));
	step_look(w);
	if (nothing_comes(w) || w->next_unforeseen)
		return false;
	k = step_pin(w);
	if (!k)
		return false;
	w->dry = true;
	ev = w->next;
	a = w->next_action;
	by_hand = w->next_by_hand;
	step_happen(w, &ev, by_hand ? &a : NULL, false, NULL, out);
	step_unpin(w, k, true);
	w->dry = false;
	return true;
}

int64_t tg_stepper_act(struct tg_stepper *w, const struct tg_step_action *a,
	struct tg_step_event *done, struct tg_step_effects *fx, const char **why)
{
	struct tg_step_event ev;

	memset(&ev, 0, sizeof(ev));
	ev.act = a->act;
	ev.time_ns = w->st.now_ns - w->epoch_ns;
	*why = NULL;
	if (a->act == TG_ACT_NONE || a->act >= TG_ACT_COUNT || a->end > 1)
		*why = "no such action";
	else if (w->now)
		*why = "this is the past of a live world: step returns to now";
	else
		*why = w->ops->may(w, a, &ev);
	if (*why)
		return -TG_EINVAL;
	if (w->st.position < tg_stepper_last(w))
		step_branch_keep(w);
	return step_happen(w, &ev, a, true, done, fx);
}

/* ---- Looking --------------------------------------------------------------------------------- */

uint64_t tg_stepper_position(const struct tg_stepper *w)
{
	return w->st.position;
}

uint64_t tg_stepper_last(const struct tg_stepper *w)
{
	return max_u64(w->st.position, w->log.first + w->log.n);
}

uint64_t tg_stepper_first(const struct tg_stepper *w)
{
	return w->ops->foreign ? 0 : w->log.first;
}

uint64_t tg_stepper_now(const struct tg_stepper *w)
{
	return w->st.now_ns - w->epoch_ns;
}

uint64_t tg_stepper_epoch(const struct tg_stepper *w)
{
	return w->epoch_ns;
}

struct tg *tg_stepper_instance(struct tg_stepper *w, unsigned end)
{
	return end < 2 ? w->inst[end] : NULL;
}

uint64_t tg_stepper_hash(struct tg_stepper *w)
{
	return step_hash(w);
}

bool tg_stepper_queue(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out)
{
	memset(out, 0, sizeof(*out));
	return w->ops->queue(w, i, out);
}

const char *tg_stepper_line(const struct tg_stepper *w)
{
	return w->line;
}

bool tg_stepper_goto(struct tg_stepper *w, uint64_t position, const char **why)
{
	*why = NULL;
	return step_goto(w, position, why);
}

bool tg_stepper_past(struct tg_stepper *w, uint64_t number, struct tg_step_event *out)
{
	const struct step_entry *e = step_log_at(w, number);

	if (e)
		step_entry_event(e, number, out);
	return e != NULL;
}

bool tg_stepper_past_action(struct tg_stepper *w, uint64_t number, struct tg_step_action *out)
{
	const struct step_entry *e = step_log_at(w, number);

	if (!e || !e->act)
		return false;
	step_entry_action(e, out);
	return true;
}

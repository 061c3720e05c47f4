/* Runs of a script, stopped at a place; see step_script.h. */
#include "sim/step_script.h"

/* ---- What is about to happen ----------------------------------------------------------------- */

/* The socket that a call is made on. */
static uint32_t conn_of_call(const struct drill *d, const struct drill_event *e)
{
	const struct expr *x = e->call->args;
	int fd;

	if (!x || x->kind != EXPR_INT || x->named)
		return 0;
	fd = drill_fd(d, x->value);
	return fd < 0 ? 0 : step_conn_of(d->s, bsd_sock(&d->bsd, fd));
}

static uint32_t conn_of_flow(const struct drill *d)
{
	const struct drill_flow *f = &d->flows[d->cur_flow];
	uint64_t cursor = 0;
	struct tg_tcb t;

	while (d->n_flows && tg_tcb_next(d->s, &cursor, &t))
		if (t.local.port == f->lport && t.peer.port == f->rport)
			return t.conn;
	return 0;
}

static void tell_packet(struct script *x, const struct drill_moment *m, struct tg_step_event *ev)
{
	ev->kind = TG_STEP_FRAME;
	ev->link = TG_LINK_IP;
	ev->frame = m->frame;
	ev->frame_bytes = ev->frame_here = m->bytes;
	ev->frame_id = x->injected + 1;
	ev->conn = step_conn_of_frame(x->d->s, TG_LINK_IP, m->frame, m->bytes);
}

static void tell_next(struct script *x, const struct drill_moment *m)
{
	struct tg_step_event *ev = &x->next;
	const struct drill *d = x->d;

	memset(ev, 0, sizeof(*ev));
	ev->time_ns = m->time_ns - x->w->epoch_ns;
	x->packet = m->frame != NULL;
	if (!m->e) {
		ev->kind = TG_STEP_TIMER;
		ev->timers = step_timers_due(d->s, m->time_ns, &ev->conn);
		step_text_timers(ev->timers, ev->text, sizeof(ev->text));
		return;
	}
	script_notes_tell(x, m->e->pos.line, ev);
	if (m->frame) {
		tell_packet(x, m, ev);
		return;
	}
	ev->kind = m->e->kind == EV_CALL ? TG_STEP_CALL : TG_STEP_LINE;
	ev->conn = m->e->kind == EV_CALL ? conn_of_call(d, m->e) : conn_of_flow(d);
}

/* ---- Asked before each event ----------------------------------------------------------------- */

/* The place before is an event unless it is a deadline at which nothing came. */
static void survey_settle(struct script *x)
{
	bool came = x->came != x->pending.came || x->d->s->trace_head != x->pending.traces;

	if (x->pending.place == SCRIPT_NEVER || (x->pending.timer && !came))
		return;
	if (x->n_events < SCRIPT_EVENTS)
		x->place[x->n_events++] = x->pending.place;
	x->pending.place = SCRIPT_NEVER;
}

static void survey(struct script *x, const struct drill_moment *m, bool by_hand)
{
	survey_settle(x);
	x->pending.place = x->at;
	x->pending.timer = !m->e && !by_hand;
	x->pending.came = x->came;
	x->pending.traces = x->d->s->trace_head;
}

static enum drill_go act(struct script *x, const struct script_act *k, const struct drill_moment *m)
{
	struct drill *d = x->d;

	switch (k->a.act) {
	case TG_ACT_DROP: x->injected++; return DRILL_SKIP;
	case TG_ACT_DUP: x->twice = true; return DRILL_AGAIN;
	case TG_ACT_CORRUPT: m->frame[k->a.offset] ^= 0xff; return DRILL_AGAIN;
	case TG_ACT_ADVANCE: return DRILL_AGAIN;
	default: break;
	}
	d->now_ns = k->now_ns;
	x->result = step_call(x->w, d->s, &k->a, d->now_ns);
	drill_settle(d);
	return DRILL_AGAIN;
}

static enum drill_go stop(struct script *x, const struct drill_moment *m)
{
	tell_next(x, m);
	/* A call that blocks goes on a little when it is told to end: the instance as it is now
	 * counts. */
	if (x->d->blocked)
		x->held_bytes = tg_snapshot_save(x->d->s, x->held, x->image_room);
	x->w->muted = true;
	return DRILL_STOP;
}

static enum drill_go before(void *arg, const struct drill_moment *m)
{
	struct script *x = arg;
	const struct script_act *k = &x->act[x->next_act];
	bool by_hand = x->next_act < x->n_acts && k->place == x->at;

	if (x->at == x->stop_at)
		return stop(x, m);
	if (x->survey)
		survey(x, m, by_hand);
	if (x->at == x->tell_from) {
		x->w->muted = false;
		x->w->st.now_ns = by_hand ? k->now_ns : m->time_ns;
		tg_rules_clear(x->d->s);
	}
	x->at++;
	if (by_hand) {
		x->next_act++;
		return act(x, k, m);
	}
	if (!m->frame)
		return DRILL_GO;
	x->injected++;
	if (!x->twice)
		return DRILL_GO;
	x->twice = false;
	return DRILL_TWICE;
}

static void sent(void *arg, const struct tg_frame *f)
{
	struct script *x = arg;

	x->came++;
	step_told_frame(x->w, 0, f, 0);
}

static void told(void *arg, const struct tg_event *ev)
{
	struct script *x = arg;

	x->came++;
	step_told_event(x->w, 0, ev);
}

void script_hooks(struct script *x)
{
	x->hooks = (struct drill_hooks){x, before, sent, told, x->hold};
}

/* ---- Runs ------------------------------------------------------------------------------------ */

static void run(struct script *x)
{
	bool good;

	memset(&x->r, 0, sizeof(x->r));
	*x->d = x->start;
	good = tg_snapshot_restore(x->d->s, x->fresh, x->fresh_bytes);
	ASSERT(good);
	x->at = x->next_act = x->injected = 0;
	x->twice = x->packet = false;
	x->came = 0;
	x->result = 0;
	x->held_bytes = 0;
	x->w->muted = true;
	drill_run(x->d);
	x->over = !x->d->stopped;
	if (x->held_bytes)
		tg_snapshot_restore(x->d->s, x->held, x->held_bytes);
	x->w->muted = false;
}

void script_survey(struct script *x)
{
	x->survey = true;
	x->n_events = 0;
	x->pending.place = SCRIPT_NEVER;
	x->stop_at = x->tell_from = SCRIPT_NEVER;
	run(x);
	survey_settle(x);
	x->survey = false;
	x->n_surveyed = x->n_acts;
}

void script_run(struct script *x, uint64_t position, bool tell)
{
	x->stop_at = position < x->n_events ? x->place[position] : SCRIPT_NEVER;
	x->tell_from = tell ? x->place[position - 1] : SCRIPT_NEVER;
	run(x);
}

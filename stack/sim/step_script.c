/* The world of a packet script: one instance, and the script as the other end and the application.
 * See step_script.h. Left out: moving packets about, whose times are the script's. */
#include "sim/step_script.h"

#define FRESH_ROOM     (4u << 20)
#define HELD_ROOM      (16u << 20)
#define DATA_ROOM      (1u << 20)
#define PAGE           4096u
#define INSTANCE_BYTES (64u << 20)
#define INSTANCE_LEAST (16u << 20)

static size_t pages(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* ---- What comes next, and it happens --------------------------------------------------------- */

static void tell_end(const struct script *x, struct tg_step_event *ev)
{
	struct text t = text_in(ev->text, sizeof(ev->text));

	ev->kind = TG_STEP_END;
	ev->time_ns = x->w->st.now_ns - x->w->epoch_ns;
	if (x->r.verdict == TG_DRILL_PASSED) {
		text_add(&t, "passed");
		return;
	}
	ev->line = x->r.line;
	text_add(&t, "%s in line %u: %s",
		x->r.verdict == TG_DRILL_FAILED ? "failed" : "cannot go on", x->r.line,
		x->r.message);
	if (x->r.wanted[0])
		text_add(&t, "; wanted: %s", x->r.wanted);
	if (x->r.got[0])
		text_add(&t, "; got: %s", x->r.got);
}

static void script_next(struct tg_stepper *w, struct tg_step_event *ev)
{
	const struct script *x = w->world;
	uint64_t number = ev->number;

	if (x->over) {
		tell_end(x, ev);
		return;
	}
	*ev = x->next;
	ev->number = number;
}

static void script_go(struct tg_stepper *w, const struct tg_step_event *ev)
{
	(void)ev;
	script_run(w->world, w->st.position + 1, true);
}

/* ---- By hand --------------------------------------------------------------------------------- */

static const char *may_hand(
	const struct script *x, const struct tg_step_action *a, struct tg_step_event *ev)
{
	ev->kind = TG_STEP_HAND;
	step_text_action(a, ev->text, sizeof(ev->text));
	if (a->act == TG_ACT_DELIVER || a->act == TG_ACT_SWAP || a->act == TG_ACT_DELAY)
		return "the script says when its packets come: drop, dup and corrupt are possible, "
		       "or `--lab` without a script";
	if (a->act == TG_ACT_ADVANCE) {
		ev->time_ns += a->ns;
		if (a->ns > UINT64_MAX / 4 || ev->time_ns > x->next.time_ns)
			return "an event comes before that: step through it, or advance less";
		return NULL;
	}
	if (!x->packet)
		return "no packet is about to come: step until the next event is one";
	if (a->frame_id != x->next.frame_id)
		return "only the packet that is about to come can be touched: `info queue` shows "
		       "it";
	if (a->act == TG_ACT_CORRUPT && a->offset >= x->next.frame_bytes)
		return "the frame is shorter than that: `x/frame` shows its octets";
	ev->link = TG_LINK_IP;
	ev->frame_id = x->next.frame_id;
	ev->frame = x->next.frame;
	ev->frame_bytes = ev->frame_here = x->next.frame_bytes;
	ev->conn = x->next.conn;
	return NULL;
}

static const char *script_may(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev)
{
	const struct script *x = w->world;
	const char *why;

	if (x->over)
		return "the script is over: go back to do otherwise";
	if (x->n_acts == SCRIPT_ACTS)
		return "1,024 things were done to this script already: go back to do otherwise";
	if (a->act >= TG_ACT_DELIVER)
		return may_hand(x, a, ev);
	why = step_call_may(w->inst[a->end], a, ev);
	if (!why && a->act == TG_ACT_SEND && a->data && a->bytes > x->data_room - x->data_bytes)
		return "there is no room for so much text: send without it";
	return why;
}

static int64_t script_act(struct tg_stepper *w, const struct tg_step_action *a)
{
	struct script *x = w->world;
	struct script_act *k = &x->act[x->n_acts++];

	memset(k, 0, sizeof(*k));
	k->place = x->place[w->st.position];
	k->now_ns = max_u64(w->st.now_ns, w->inst[0]->now_ns);
	k->a = *a;
	if (a->act == TG_ACT_ADVANCE)
		k->now_ns += a->ns;
	if (a->act == TG_ACT_SEND && a->data) {
		memcpy(x->data + x->data_bytes, a->data, a->bytes);
		k->a.data = x->data + x->data_bytes;
		x->data_bytes += a->bytes;
	}
	script_survey(x);
	script_run(x, w->st.position + 1, true);
	return x->result;
}

/* ---- Its state: the position, and what the user did before it -------------------------------- */

struct script_image {
	uint64_t data_bytes;
	uint32_t n_acts;
};

static size_t script_bytes(struct tg_stepper *w)
{
	(void)w;
	return sizeof(struct script_image);
}

static void script_save(struct tg_stepper *w, uint8_t *buf, size_t bytes)
{
	const struct script *x = w->world;
	struct script_image i;

	memset(&i, 0, sizeof(i));
	i.data_bytes = x->data_bytes;
	i.n_acts = x->n_acts;
	memcpy(buf, &i, bytes);
}

static void script_restore(struct tg_stepper *w, const uint8_t *buf, size_t bytes)
{
	struct script *x = w->world;
	struct script_image i;

	memcpy(&i, buf, bytes);
	x->n_acts = i.n_acts;
	x->data_bytes = i.data_bytes;
	if (x->n_acts != x->n_surveyed)
		script_survey(x);
	script_run(x, w->st.position, false);
}

static bool script_queue(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out)
{
	const struct script *x = w->world;

	if (i > 0 || x->over || !x->packet)
		return false;
	out->id = x->next.frame_id;
	out->link = TG_LINK_IP;
	out->due_ns = x->next.time_ns;
	out->data = x->next.frame;
	out->bytes = x->next.frame_bytes;
	return true;
}

static const struct step_ops script_ops = {script_next, script_go, script_may, script_act,
	script_bytes, script_save, script_restore, script_queue, NULL, NULL, false};

/* ---- Making it ------------------------------------------------------------------------------- */

/* The next n bytes of the memory; NULL: there are not so many. */
static uint8_t *cut_off(uint8_t **rest, size_t *bytes, size_t n)
{
	uint8_t *p = *rest;

	n = pages(n);
	if (n > *bytes)
		return NULL;
	*rest += n;
	*bytes -= n;
	return p;
}

static struct script *lay_out(
	struct tg_stepper *w, uint8_t *rest, size_t bytes, size_t notes, struct tg_drill_options *o)
{
	struct script *x = (struct script *)(void *)cut_off(&rest, &bytes, sizeof(*x));
	uint8_t *note_mem;

	if (!x)
		return NULL;
	memset(x, 0, sizeof(*x));
	x->w = w;
	o->scratch = cut_off(&rest, &bytes, TG_DRILL_SCRATCH_BYTES);
	o->scratch_bytes = TG_DRILL_SCRATCH_BYTES;
	x->fresh = cut_off(&rest, &bytes, FRESH_ROOM);
	x->held = cut_off(&rest, &bytes, HELD_ROOM);
	x->image_room = HELD_ROOM;
	x->data = cut_off(&rest, &bytes, DATA_ROOM);
	x->data_room = DATA_ROOM;
	x->place = (uint32_t *)(void *)cut_off(&rest, &bytes, SCRIPT_EVENTS * sizeof(uint32_t));
	note_mem = cut_off(&rest, &bytes, notes);
	if (!note_mem || bytes < INSTANCE_LEAST)
		return NULL;
	x->notes = note_mem;
	o->mem = rest;
	o->mem_bytes = bytes < INSTANCE_BYTES ? bytes : INSTANCE_BYTES;
	return x;
}

/* The script is read, its instance made, and kept as it is then. NULL: it can be run. */
static const char *make(
	struct script *x, const struct tg_drill_options *o, const char *text, size_t n)
{
	x->d = drill_open(o, text, n, &x->r);
	if (x->d->failed || !drill_make(x->d))
		return x->r.message;
	x->d->s->rules = &x->w->book[0];
	x->d->hooks = &x->hooks;
	script_hooks(x);
	x->start = *x->d;
	x->fresh_bytes = tg_snapshot_save(x->d->s, x->fresh, FRESH_ROOM);
	return x->fresh_bytes ? NULL : "too little memory for this script";
}

struct tg_stepper *tg_step_script(const struct tg_step_options *o, const struct tg_drill_options *d,
	const char *text, size_t n, struct tg_drill_result *r, const char **why)
{
	struct tg_drill_options own = *d;
	struct tg_stepper *w;
	struct script *x;
	uint8_t *rest;
	size_t bytes;

	*why = NULL;
	w = step_create(o, &script_ops, &rest, &bytes, why);
	if (!w)
		return NULL;
	x = lay_out(w, rest, bytes, script_notes_room(text, n), &own);
	if (!x) {
		*why = "too little memory for a script: TG_STEP_MEM_BYTES do";
		return NULL;
	}
	own.dry_run = false;
	*why = make(x, &own, text, n);
	if (r)
		*r = x->r;
	if (*why)
		return NULL;
	script_notes_read(x, text, n, x->notes);
	w->world = x;
	w->inst[0] = x->d->s;
	w->st.now_ns = w->epoch_ns = DRILL_START_NS;
	script_survey(x);
	script_run(x, 0, false);
	return step_begin(w, DRILL_START_NS, why) ? w : NULL;
}

/* The past of a world: snapshots, dense near the present position and thinned out with distance,
 * and a log of what was done, from which everything between them is done again. */
#include "sim/step.h"

#define ALIGN 64u
/* A snapshot is taken every so many positions at the least, and so many bytes of it for each
 * position that it saves doing again. */
#define SNAP_EVERY 8u
#define SNAP_WORTH 32768u

static size_t round_up(size_t n)
{
	return (n + ALIGN - 1) / ALIGN * ALIGN;
}

/* ---- Room for snapshots ---------------------------------------------------------------------- */

static struct step_block *block_of(struct list *n)
{
	return list_entry(n, struct step_block, node);
}

/* Room of that many bytes, first fit; NULL: none. It is on the list, but nobody's yet. */
static struct step_block *room(struct tg_stepper *w, size_t bytes)
{
	uint8_t *at = w->snaps_mem, *end = w->snaps_mem + w->snaps_bytes;
	struct list *before = &w->blocks;
	struct step_block *k;

	list_for_each (n, &w->blocks) {
		if ((size_t)((uint8_t *)block_of(n) - at) >= bytes)
			break;
		at = (uint8_t *)block_of(n) + block_of(n)->bytes;
		before = n;
	}
	if (before->next == &w->blocks && (size_t)(end - at) < bytes)
		return NULL;
	k = (struct step_block *)(void *)at;
	list_insert_after(before, &k->node);
	k->bytes = bytes;
	return k;
}

static void forget_snap(struct tg_stepper *w, uint32_t i)
{
	list_del(&w->snap[i]->node);
	w->n_snaps--;
	memmove(&w->snap[i], &w->snap[i + 1], (w->n_snaps - i) * sizeof(struct step_block *));
}

/* Forgets the snapshot that is missed least: the gap that it leaves, measured by how far away it
 * is. The first stays. False: there is no other. */
static bool thin_out(struct tg_stepper *w)
{
	uint64_t here = w->st.position, best_score = UINT64_MAX;
	uint32_t best = 0;

	for (uint32_t i = 1; i < w->n_snaps; i++) {
		uint64_t p = w->snap[i]->position, far = p > here ? p - here : here - p;
		uint64_t behind = i + 1 < w->n_snaps ? w->snap[i + 1]->position
						     : max_u64(here, p) + SNAP_EVERY;
		uint64_t score = (behind - w->snap[i - 1]->position) * 65536 / (far + 1);

		if (score >= best_score)
			continue;
		best = i;
		best_score = score;
	}
	if (best)
		forget_snap(w, best);
	return best != 0;
}

static struct step_block *save(struct tg_stepper *w)
{
	size_t image = w->ops->bytes(w), bytes = round_up(sizeof(struct step_block) + image);
	struct step_block *k;

	while (!(k = room(w, bytes)))
		if (!thin_out(w))
			return NULL;
	k->image_bytes = image;
	k->position = w->st.position;
	k->st = w->st;
	w->ops->save(w, (uint8_t *)(k + 1), image);
	return k;
}

static void put_back(struct tg_stepper *w, const struct step_block *k)
{
	w->st = k->st;
	w->next_known = false;
	w->ops->restore(w, (const uint8_t *)(k + 1), k->image_bytes);
}

struct step_block *step_pin(struct tg_stepper *w)
{
	return save(w);
}

void step_unpin(struct tg_stepper *w, struct step_block *k, bool restore)
{
	if (restore)
		put_back(w, k);
	list_del(&k->node);
}

/* The last snapshot at or before a position: its index + 1; 0: none. */
static uint32_t snap_before(const struct tg_stepper *w, uint64_t position)
{
	uint32_t lo = 0, hi = w->n_snaps;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (w->snap[mid]->position <= position)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

void step_snap_take(struct tg_stepper *w)
{
	uint32_t at = snap_before(w, w->st.position);
	struct step_block *k;

	if (at && w->snap[at - 1]->position == w->st.position)
		return;
	if (w->n_snaps == STEP_SNAPS && !thin_out(w))
		return;
	k = save(w);
	if (!k)
		return;
	at = snap_before(w, w->st.position); /* room may have been made */
	memmove(&w->snap[at + 1], &w->snap[at], (w->n_snaps - at) * sizeof(struct step_block *));
	w->snap[at] = k;
	w->n_snaps++;
}

void step_snap_now_and_then(struct tg_stepper *w)
{
	uint64_t p = w->st.position;
	uint32_t i;

	if (p % SNAP_EVERY && !w->ops->live)
		return;
	i = snap_before(w, p);
	if (!i || w->ops->live || p - w->snap[i - 1]->position >= w->ops->bytes(w) / SNAP_WORTH)
		step_snap_take(w);
}

void step_snaps_cut(struct tg_stepper *w, uint64_t position)
{
	while (w->n_snaps && w->snap[w->n_snaps - 1]->position > position)
		forget_snap(w, w->n_snaps - 1);
}

/* ---- The log --------------------------------------------------------------------------------- */

/* Offsets of the entries stand at the end of the memory, the first one last. */
static uint32_t *offset_at(const struct step_log *l, uint64_t i)
{
	return (uint32_t *)(void *)(l->mem + l->bytes) - 1 - i;
}

static struct step_entry *entry_at(const struct step_log *l, uint64_t i)
{
	return (struct step_entry *)(void *)(l->mem + *offset_at(l, i));
}

const struct step_entry *step_log_at(const struct tg_stepper *w, uint64_t number)
{
	const struct step_log *l = &w->log;

	if (number <= l->first || number > l->first + l->n)
		return NULL;
	return entry_at(l, number - l->first - 1);
}

static size_t entry_bytes(const struct step_entry *e)
{
	uint32_t data = e->data_bytes == UINT32_MAX ? 0 : e->data_bytes;

	return round_up(sizeof(*e) + e->frame_here + e->text_bytes + data);
}

void step_log_cut(struct tg_stepper *w, uint64_t position)
{
	struct step_log *l = &w->log;

	if (position >= l->first + l->n)
		return;
	l->n = position - l->first;
	l->used = l->n ? *offset_at(l, l->n - 1) + entry_bytes(entry_at(l, l->n - 1)) : 0;
	step_snaps_cut(w, position);
}

/* Forgets the first n entries, and the snapshots among them. */
static void log_forget(struct tg_stepper *w, uint64_t n)
{
	struct step_log *l = &w->log;
	uint32_t off = n < l->n ? *offset_at(l, n) : (uint32_t)l->used;

	memmove(l->mem, l->mem + off, l->used - off);
	l->used -= off;
	for (uint64_t i = n; i < l->n; i++)
		*offset_at(l, i - n) = *offset_at(l, i) - off;
	l->n -= n;
	l->first += n;
	/* From a snapshot alone one cannot go on: what the user did is in the log. */
	while (!w->ops->foreign && w->n_snaps && w->snap[0]->position < l->first)
		forget_snap(w, 0);
}

/* Makes room by forgetting a part of what is oldest: the log begins at a snapshot. */
static bool log_shrink(struct tg_stepper *w)
{
	struct step_log *l = &w->log;
	uint32_t i = 0;

	if (w->ops->foreign) {
		log_forget(w, l->n / 4 + 1);
		return true;
	}
	while (i < w->n_snaps && w->snap[i]->position < l->first + l->n / 4 + 1)
		i++;
	if (i == w->n_snaps)
		return false;
	log_forget(w, w->snap[i]->position - l->first);
	return true;
}

static size_t put(uint8_t *at, const void *data, size_t n)
{
	if (n)
		memcpy(at, data, n);
	return n;
}

static uint32_t text_bytes(const char *t)
{
	const char *end = memchr(t, 0, sizeof(((struct tg_step_event *)0)->text));

	return (uint32_t)(end - t) + 1;
}

static uint32_t data_bytes(const struct tg_step_action *a)
{
	if (!a || a->act != TG_ACT_SEND || !a->data)
		return UINT32_MAX;
	return a->bytes;
}

static void fill_entry(struct tg_stepper *w, struct step_entry *e, const struct tg_step_event *ev,
	const struct tg_step_action *a)
{
	e->chain = w->st.chain;
	e->time_ns = ev->time_ns;
	e->note = ev->note;
	e->note_bytes = ev->note_bytes;
	e->conn = ev->conn;
	e->timers = ev->timers;
	e->frame_id = ev->frame_id;
	e->frame_bytes = ev->frame_bytes;
	e->line = ev->line;
	e->kind = ev->kind;
	e->end = ev->end;
	e->link = ev->link;
	e->act = ev->act;
	if (a)
		e->action = *a;
}

static void append(struct tg_stepper *w, const struct step_entry *sizes,
	const struct tg_step_event *ev, const struct tg_step_action *a)
{
	struct step_log *l = &w->log;
	struct step_entry *e = (struct step_entry *)(void *)(l->mem + l->used);
	uint8_t *at = (uint8_t *)(e + 1);

	*e = *sizes;
	fill_entry(w, e, ev, a);
	at += put(at, ev->frame, e->frame_here);
	at += put(at, ev->text, e->text_bytes);
	if (e->data_bytes != UINT32_MAX)
		put(at, a->data, e->data_bytes);
	*offset_at(l, l->n) = (uint32_t)l->used;
	l->used += entry_bytes(e);
	l->n++;
}

void step_log_add(
	struct tg_stepper *w, const struct tg_step_event *ev, const struct tg_step_action *a)
{
	struct step_log *l = &w->log;
	const struct step_entry *known = step_log_at(w, w->st.position);
	struct step_entry e;
	size_t need;

	if (w->st.position <= l->first || (known && known->chain == w->st.chain))
		return;
	if (known) { /* what is done again does the same */
		ASSERT(w->ops->foreign);
		step_log_cut(w, w->st.position - 1);
	}
	memset(&e, 0, sizeof(e));
	e.frame_here = ev->frame ? min_u32(ev->frame_here, TG_STEP_KEPT) : 0;
	e.text_bytes = text_bytes(ev->text);
	e.data_bytes = data_bytes(a);
	need = entry_bytes(&e);
	while (l->used + need + (l->n + 1) * sizeof(uint32_t) > l->bytes && l->n)
		if (!log_shrink(w)) {
			/* No snapshot to begin at: the past begins here. */
			log_forget(w, l->n);
			l->first = w->st.position;
			step_snap_take(w);
			return;
		}
	append(w, &e, ev, a);
}

void step_entry_event(const struct step_entry *e, uint64_t number, struct tg_step_event *out)
{
	const uint8_t *at = (const uint8_t *)(e + 1);

	memset(out, 0, sizeof(*out));
	out->kind = e->kind;
	out->end = e->end;
	out->link = e->link;
	out->act = e->act;
	out->number = number;
	out->time_ns = e->time_ns;
	out->conn = e->conn;
	out->timers = e->timers;
	out->frame_id = e->frame_id;
	out->frame_bytes = e->frame_bytes;
	out->frame_here = e->frame_here;
	out->line = e->line;
	out->note = e->note;
	out->note_bytes = e->note_bytes;
	if (e->frame_here)
		out->frame = at;
	memcpy(out->text, at + e->frame_here, e->text_bytes);
}

void step_entry_action(const struct step_entry *e, struct tg_step_action *out)
{
	*out = e->action;
	out->data = NULL;
	if (e->data_bytes != UINT32_MAX)
		out->data = (const uint8_t *)(e + 1) + e->frame_here + e->text_bytes;
}

/* ---- Going to a position --------------------------------------------------------------------- */

void step_return(struct tg_stepper *w)
{
	if (!w->now)
		return;
	step_unpin(w, w->now, true);
	w->now = NULL;
}

/* A live world cannot do again what it did: only what was kept can be looked at. */
static bool look_back(struct tg_stepper *w, uint64_t position, const char **why)
{
	uint32_t i = snap_before(w, position);

	if (position == tg_stepper_last(w)) {
		step_return(w);
		return true;
	}
	*why = w->ops->live->fixed(w);
	if (*why)
		return false;
	*why = position > tg_stepper_last(w)
		       ? "a live world's future comes by stepping alone"
		       : "this position of the past was not kept: go to another one near it";
	if (!i || w->snap[i - 1]->position != position)
		return false;
	if (!w->now)
		w->now = step_pin(w);
	i = snap_before(w, position); /* room may have been made */
	if (!w->now || !i || w->snap[i - 1]->position != position)
		return false;
	put_back(w, w->snap[i - 1]);
	*why = NULL;
	return true;
}

bool step_goto(struct tg_stepper *w, uint64_t position, const char **why)
{
	uint32_t i = snap_before(w, position);

	if (w->ops->live)
		return look_back(w, position, why);
	if (position < tg_stepper_first(w)) {
		*why = "this part of the past is forgotten: `history` was full";
		return false;
	}
	/* From the nearest snapshot, unless the way from here is shorter. */
	if (position < w->st.position || (i && w->snap[i - 1]->position > w->st.position)) {
		if (!i) {
			*why = "there is no snapshot to begin at: too little memory for a history";
			return false;
		}
		put_back(w, w->snap[i - 1]);
	}
	while (w->st.position < position)
		if (!step_do(w, NULL, NULL)) {
			*why = "nothing happens before that position unless you do something";
			return false;
		}
	return true;
}

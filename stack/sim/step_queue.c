/* The frames between a lab's instances: in order of delivery, each with an id and a time, and what
 * the user can do to them. */
#include "sim/segment.h"
#include "sim/step_lab.h"
#include "wire/eth.h"

/* ---- In and out ------------------------------------------------------------------------------ */

static size_t frame_size(uint32_t bytes)
{
	return sizeof(struct lab_frame) + bytes;
}

bool lab_has_room(const struct tg_stepper *w)
{
	const struct lab *lab = w->world;
	uint64_t frame_bytes = arena_capacity(frame_size(w->o.mtu + ETH_HDR_BYTES));

	return lab->n_queue + 2 <= LAB_FRAMES &&
	       lab->queue_bytes + 2 * frame_bytes <= LAB_BYTES / 2;
}

struct lab_frame *lab_head(const struct lab *lab)
{
	return list_empty(&lab->queue) ? NULL : list_entry(lab->queue.next, struct lab_frame, node);
}

struct lab_frame *lab_find(const struct lab *lab, uint32_t id)
{
	list_for_each (n, &lab->queue) {
		struct lab_frame *f = list_entry(n, struct lab_frame, node);

		if (f->id == id)
			return f;
	}
	return NULL;
}

/* Behind all that are due no later. */
static void insert(struct lab *lab, struct lab_frame *f)
{
	struct list *at = lab->queue.prev;

	while (at != &lab->queue && list_entry(at, struct lab_frame, node)->due_ns > f->due_ns)
		at = at->prev;
	list_insert_after(at, &f->node);
}

static struct lab_frame *frame_new(struct lab *lab, uint32_t bytes)
{
	struct lab_frame *f;

	if (lab->n_queue >= LAB_FRAMES)
		return NULL;
	f = arena_alloc(lab->arena, frame_size(bytes));
	if (!f)
		return NULL;
	lab->n_queue++;
	lab->queue_bytes += arena_capacity(frame_size(bytes));
	list_init(&f->node);
	f->id = ++lab->next_id;
	f->bytes = bytes;
	return f;
}

void lab_forget(struct lab *lab, struct lab_frame *f)
{
	list_del(&f->node);
	lab->n_queue--;
	lab->queue_bytes -= arena_capacity(frame_size(f->bytes));
	arena_free(lab->arena, f, frame_size(f->bytes));
}

/* What has left the impairing device; false: no room, it is lost. */
static bool enqueue(struct lab_end *e, const struct impair_pkt *k)
{
	struct lab_frame *f = frame_new(e->lab, k->bytes);

	if (!f)
		return false;
	f->due_ns = k->due_ns;
	f->to = !e->index;
	memcpy(f->data, k->data, k->bytes);
	insert(e->lab, f);
	return true;
}

bool lab_transmit(void *end, const struct tg_frame *f)
{
	struct lab_end *e = end;
	struct impair_pkt *k;
	uint32_t id = 0;

	if (!lab_has_room(e->w)) {
		e->refused = true;
		return false;
	}
	impair_put(&e->out, f, 0, e->w->st.now_ns);
	/* Its time is known at once: it waits in the queue, where it can be seen. */
	while ((k = impair_pop(&e->out, UINT64_MAX)) != NULL) {
		if (enqueue(e, k) && !id)
			id = e->lab->next_id;
		impair_free(&e->out, k);
	}
	step_told_frame(e->w, e->index, f, id);
	return true;
}

/* ---- By hand --------------------------------------------------------------------------------- */

void lab_tell_frame(const struct tg_stepper *w, const struct lab_frame *f, struct tg_step_event *ev)
{
	ev->end = f->to;
	ev->link = (uint8_t)w->o.link;
	ev->frame_id = f->id;
	ev->frame = f->data;
	ev->frame_bytes = ev->frame_here = f->bytes;
	ev->conn = step_conn_of_frame(w->inst[f->to], w->o.link, f->data, f->bytes);
}

static const char *may_advance(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev)
{
	struct tg_step_event next;

	ev->time_ns = sat_add_u64(ev->time_ns, a->ns);
	if (a->ns > UINT64_MAX / 4)
		return "that is longer than any clock goes";
	memset(&next, 0, sizeof(next));
	w->ops->next(w, &next);
	if (next.kind != TG_STEP_NOTHING && next.time_ns < ev->time_ns)
		return "an event comes before that: step through it, or advance less";
	return NULL;
}

const char *lab_hand_may(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev)
{
	struct lab *lab = w->world;
	const struct lab_frame *f;

	ev->kind = a->act == TG_ACT_DELIVER ? TG_STEP_FRAME : TG_STEP_HAND;
	step_text_action(a, ev->text, sizeof(ev->text));
	if (a->act == TG_ACT_ADVANCE)
		return may_advance(w, a, ev);
	f = lab_find(lab, a->frame_id);
	if (!f)
		return lab->n_queue ? "no such frame is on its way: `info queue` shows which are"
				    : "no frame is on its way: step or call until one is sent";
	lab_tell_frame(w, f, ev);
	if (a->act == TG_ACT_SWAP && (a->frame_id2 == a->frame_id || !lab_find(lab, a->frame_id2)))
		return "swap takes two frames that are on their way: `info queue` shows which are";
	if (a->act == TG_ACT_CORRUPT && a->offset >= f->bytes)
		return "the frame is shorter than that: `x/frame` shows its octets";
	if (a->act == TG_ACT_DELAY && a->ns > UINT64_MAX / 4)
		return "that is longer than any clock goes";
	if (a->act == TG_ACT_DUP && !lab_has_room(w))
		return "too many frames are on their way: deliver or drop some";
	return NULL;
}

static int64_t dup(struct lab *lab, struct lab_frame *f)
{
	struct lab_frame *copy = frame_new(lab, f->bytes);

	if (!copy)
		return -TG_ENOMEM;
	copy->due_ns = f->due_ns;
	copy->to = f->to;
	memcpy(copy->data, f->data, f->bytes);
	list_insert_after(&f->node, &copy->node);
	return copy->id;
}

static void swap(struct lab_frame *a, struct lab_frame *b)
{
	uint64_t due_ns = a->due_ns;
	struct list *before_a = a->node.prev, *before_b = b->node.prev;

	a->due_ns = b->due_ns;
	b->due_ns = due_ns;
	list_del(&a->node);
	list_del(&b->node);
	if (before_b == &a->node) { /* b followed a */
		list_insert_after(before_a, &b->node);
		list_insert_after(&b->node, &a->node);
	} else if (before_a == &b->node) {
		list_insert_after(before_b, &a->node);
		list_insert_after(&a->node, &b->node);
	} else {
		list_insert_after(before_b, &a->node);
		list_insert_after(before_a, &b->node);
	}
}

int64_t lab_hand(struct tg_stepper *w, const struct tg_step_action *a)
{
	struct lab *lab = w->world;
	struct lab_frame *f = lab_find(lab, a->frame_id);

	switch ((enum tg_step_act)a->act) {
	case TG_ACT_DROP: lab_forget(lab, f); return 0;
	case TG_ACT_DUP: return dup(lab, f);
	case TG_ACT_SWAP: swap(f, lab_find(lab, a->frame_id2)); return 0;
	case TG_ACT_CORRUPT: f->data[a->offset] ^= 0xff; return 0;
	case TG_ACT_DELAY:
		f->due_ns = sat_add_u64(f->due_ns, a->ns);
		list_del(&f->node);
		insert(lab, f);
		return 0;
	case TG_ACT_ADVANCE: w->st.now_ns += a->ns; return 0;
	case TG_ACT_NONE:
	case TG_ACT_CONNECT:
	case TG_ACT_LISTEN:
	case TG_ACT_ACCEPT:
	case TG_ACT_SEND:
	case TG_ACT_RECV:
	case TG_ACT_SHUTDOWN:
	case TG_ACT_CLOSE:
	case TG_ACT_ABORT:
	case TG_ACT_SETOPT:
	case TG_ACT_DELIVER:
	case TG_ACT_COUNT: break;
	}
	return -TG_EINVAL;
}

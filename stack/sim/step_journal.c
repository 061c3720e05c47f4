/* The world of a recorded run: the journal's calls, made again. An event is a frame that came in, a
 * call of the application's, or a step of the instance at which a timer was due; what belongs to it
 * (the step that sends what it brought about, what applications were told, blocks taken from the
 * pool) is done with it. The user can look and go to and fro, but not do otherwise: the rest of the
 * record would not follow. A damaged or truncated file is good up to the damage; END says so. */
#include "sim/drill.h"
#include "sim/journal.h"
#include "sim/step.h"

#define PAGE 4096u

struct journal_tap {
	struct journal *j;
	bool (*transmit)(void *dev, const struct tg_frame *f);
	void *dev;
};

struct journal {
	struct tg_stepper *w;
	struct tg_replay r;
	uint32_t n_taps;
	struct journal_tap tap[CORE_NETIFS_MAX];
};

static size_t pages(size_t n)
{
	return (n + PAGE - 1) / PAGE * PAGE;
}

/* ---- What comes out -------------------------------------------------------------------------- */

static bool tap_transmit(void *dev, const struct tg_frame *f)
{
	const struct journal_tap *t = dev;
	bool taken = t->transmit(t->dev, f);

	if (taken)
		step_told_frame(t->j->w, 0, f, 0);
	return taken;
}

/* Puts taps between the instance and the devices that have none. */
static void tap_devices(struct journal *j)
{
	struct tg *s = j->r.s;

	for (uint32_t i = 1; i < s->n_netifs; i++) {
		struct tg_netif_config *c = &s->netif[i].c;

		if (c->transmit == tap_transmit)
			continue;
		j->tap[i] = (struct journal_tap){j, c->transmit, c->dev};
		c->transmit = tap_transmit;
		c->dev = &j->tap[i];
	}
}

/* The next record, made again. */
static void replay(struct journal *j)
{
	struct tg_event e;

	tg_replay_next(&j->r);
	if (j->r.last == TG_RECORD_NETIF_ADD)
		tap_devices(j);
	if (j->r.last != TG_RECORD_EVENT)
		return;
	e = (struct tg_event){j->r.rec.word[0], j->r.rec.word[1], (unsigned)j->r.rec.word[2]};
	step_told_event(j->w, 0, &e);
}

/* ---- Which record is an event? --------------------------------------------------------------- */

/* The next record, which is not taken yet; NULL: there is none. */
static const struct tg_record *peek(struct journal *j)
{
	if (j->r.state != TG_REPLAY_MORE || !journal_read(&j->r))
		return NULL;
	return &j->r.rec;
}

/* Does anything come of this step that is not on account of what went before? Tried out. */
static bool step_is_event(struct journal *j, uint64_t now_ns)
{
	struct tg_stepper *w = j->w;
	const struct tg *s = j->r.s;
	struct tg_step_effects *fx = w->fx;
	struct step_block *k;
	uint64_t told, traces;
	bool came, known = w->next_known;
	uint32_t conn;

	if (wheel_next(&s->wheel) > now_ns)
		return false;
	if (step_timers_due(s, now_ns, &conn))
		return true;
	if (tg_next_deadline(s) <= s->now_ns)
		return false;
	k = step_pin(w);
	if (!k)
		return true;
	told = w->told;
	traces = s->trace_head;
	w->fx = NULL;
	replay(j);
	w->fx = fx;
	came = w->told != told || s->trace_head != traces;
	step_unpin(w, k, true);
	w->next_known = known;
	return came;
}

static int64_t result_of(const struct tg_record *r)
{
	return (int64_t)r->word[r->n_words - 1u];
}

static bool is_event(struct journal *j, const struct tg_record *r)
{
	switch ((enum tg_record_type)r->type) {
	case TG_RECORD_INPUT:
	case TG_RECORD_NETIF_ADD:
	case TG_RECORD_ADDR_ADD:
	case TG_RECORD_ROUTE_ADD:
	case TG_RECORD_ROUTE_DEL:
	case TG_RECORD_SOCK_OPEN:
	case TG_RECORD_SOCK_BIND:
	case TG_RECORD_SOCK_LISTEN:
	case TG_RECORD_SOCK_CONNECT:
	case TG_RECORD_SOCK_SHUTDOWN:
	case TG_RECORD_SOCK_CLOSE:
	case TG_RECORD_SOCK_ABORT:
	case TG_RECORD_SOCK_SETOPT:
	case TG_RECORD_PUT_ERROR:
	case TG_RECORD_FAIL_AFTER: return true;
	case TG_RECORD_SOCK_ACCEPT:
	case TG_RECORD_SOCK_SEND:
	case TG_RECORD_SOCK_RECV:
	case TG_RECORD_SOCK_COMMIT:
	case TG_RECORD_SOCK_CONSUME:
	case TG_RECORD_SOCK_SENDTO:
	case TG_RECORD_SOCK_RECVFROM: return result_of(r) != -TG_EAGAIN;
	case TG_RECORD_STEP: return step_is_event(j, r->word[0]);
	case TG_RECORD_NONE:
	case TG_RECORD_BEGIN:
	case TG_RECORD_END:
	case TG_RECORD_CHECK:
	case TG_RECORD_TRANSMIT:
	case TG_RECORD_PASS:
	case TG_RECORD_PKT_ALLOC:
	case TG_RECORD_PKT_FREE:
	case TG_RECORD_SOCK_RESERVE:
	case TG_RECORD_SOCK_PEEK:
	case TG_RECORD_SOCK_GETOPT:
	case TG_RECORD_EVENT:
	case TG_RECORD_COUNT: break;
	}
	return false;
}

/* Everything up to the next event. */
static void run_tail(struct journal *j)
{
	const struct tg_record *r;

	while ((r = peek(j)) != NULL && !is_event(j, r))
		replay(j);
}

/* ---- What comes next ------------------------------------------------------------------------- */

/* The word that has the time; UINT8_MAX: none has. */
static uint8_t time_word(unsigned type)
{
	static const uint8_t word[TG_RECORD_COUNT] = {
		[TG_RECORD_NETIF_ADD] = 1 + 0,
		[TG_RECORD_ADDR_ADD] = 1 + 2,
		[TG_RECORD_ROUTE_ADD] = 1 + 3,
		[TG_RECORD_ROUTE_DEL] = 1 + 2,
		[TG_RECORD_INPUT] = 1 + 1,
		[TG_RECORD_STEP] = 1 + 0,
		[TG_RECORD_SOCK_LISTEN] = 1 + 2,
		[TG_RECORD_SOCK_CONNECT] = 1 + 1,
		[TG_RECORD_SOCK_ACCEPT] = 1 + 2,
		[TG_RECORD_SOCK_SEND] = 1 + 3,
		[TG_RECORD_SOCK_RECV] = 1 + 3,
		[TG_RECORD_SOCK_COMMIT] = 1 + 3,
		[TG_RECORD_SOCK_CONSUME] = 1 + 2,
		[TG_RECORD_SOCK_SENDTO] = 1 + 5,
		[TG_RECORD_SOCK_RECVFROM] = 1 + 4,
		[TG_RECORD_SOCK_SHUTDOWN] = 1 + 2,
		[TG_RECORD_SOCK_CLOSE] = 1 + 1,
		[TG_RECORD_SOCK_ABORT] = 1 + 1,
		[TG_RECORD_SOCK_SETOPT] = 1 + 3,
	};

	return (uint8_t)(word[type] - 1);
}

static uint64_t time_of(const struct tg_stepper *w, const struct tg_record *r)
{
	uint8_t i = time_word(r->type);

	return i == UINT8_MAX ? w->st.now_ns : max_u64(w->st.now_ns, r->word[i]);
}

static void tell_input(const struct journal *j, const struct tg_record *r, struct tg_step_event *ev)
{
	const struct tg *s = j->r.s;

	ev->kind = TG_STEP_FRAME;
	ev->link = TG_LINK_IP;
	if (r->word[0] < s->n_netifs)
		ev->link = (uint8_t)s->netif[r->word[0]].c.link;
	if (!r->n_data)
		return;
	ev->frame_id = (uint32_t)s->frame + 1; /* its number in the trace */
	ev->frame = r->data[0].base;
	ev->frame_bytes = ev->frame_here = r->data[0].len;
	ev->conn = step_conn_of_frame(s, (enum tg_link)ev->link, ev->frame, ev->frame_bytes);
}

static bool moves_bytes(unsigned type)
{
	return type == TG_RECORD_SOCK_SEND || type == TG_RECORD_SOCK_RECV ||
	       type == TG_RECORD_SOCK_COMMIT || type == TG_RECORD_SOCK_CONSUME ||
	       type == TG_RECORD_SOCK_SENDTO || type == TG_RECORD_SOCK_RECVFROM;
}

static void tell_call(const struct journal *j, const struct tg_record *r, struct tg_step_event *ev)
{
	struct text t = text_in(ev->text, sizeof(ev->text));
	int64_t result = result_of(r);
	const char *error = drill_errno_name((int)(result < 0 && result > -4096 ? -result : 0));
	struct tg_addr a;
	char ip[16];

	ev->kind = TG_STEP_CALL;
	text_add(&t, "%s(", tg_record_call((enum tg_record_type)r->type));
	if (moves_bytes(r->type))
		text_add(&t, "%d bytes", (int64_t)r->word[1]);
	if ((r->type == TG_RECORD_SOCK_BIND || r->type == TG_RECORD_SOCK_CONNECT) && r->n_data &&
		r->data[0].len == sizeof(a)) {
		memcpy(&a, r->data[0].base, sizeof(a));
		text_add(&t, "%s:%u", tg_ip_format(&a.ip, ip), (uint32_t)a.port);
	}
	if (r->type == TG_RECORD_SOCK_SETOPT)
		text_add(&t, "%d, %d", (int64_t)r->word[1], (int64_t)r->word[2]);
	if (result < 0 && error)
		text_add(&t, ") = -%s", error);
	else
		text_add(&t, ") = %d", result);
	if (r->type >= TG_RECORD_SOCK_BIND && r->type <= TG_RECORD_SOCK_GETOPT)
		ev->conn = step_conn_of(j->r.s, r->word[0]);
}

static void tell_end(const struct journal *j, struct tg_step_event *ev)
{
	struct text t = text_in(ev->text, sizeof(ev->text));
	const struct tg_replay *r = &j->r;

	ev->kind = TG_STEP_END;
	ev->time_ns = j->w->st.now_ns - j->w->epoch_ns;
	if (r->state == TG_REPLAY_END)
		text_add(&t, "the end of the record: %s",
			tg_record_end_text((enum tg_record_end)r->ended));
	else if (r->state == TG_REPLAY_DIFFERENT)
		text_add(&t, "not what was recorded, in call %d: %s", (int64_t)r->calls, r->why);
	else
		text_add(&t, "%s, at octet %d: the run is good up to here", r->why, (int64_t)r->at);
}

static void journal_next(struct tg_stepper *w, struct tg_step_event *ev)
{
	struct journal *j = w->world;
	const struct tg_record *r = peek(j);

	if (!r) {
		tell_end(j, ev);
		return;
	}
	ev->time_ns = time_of(w, r) - w->epoch_ns;
	if (r->type == TG_RECORD_INPUT) {
		tell_input(j, r, ev);
	} else if (r->type == TG_RECORD_STEP) {
		ev->kind = TG_STEP_TIMER;
		ev->timers = step_timers_due(j->r.s, r->word[0], &ev->conn);
		step_text_timers(ev->timers, ev->text, sizeof(ev->text));
	} else {
		tell_call(j, r, ev);
	}
}

static void journal_go(struct tg_stepper *w, const struct tg_step_event *ev)
{
	struct journal *j = w->world;

	w->st.now_ns = ev->time_ns + w->epoch_ns;
	replay(j);
	run_tail(j);
}

static const char *journal_may(
	struct tg_stepper *w, const struct tg_step_action *a, struct tg_step_event *ev)
{
	(void)w;
	(void)a;
	(void)ev;
	return "a recorded run is fixed: step, look and go back; to do otherwise, do it in a lab";
}

static int64_t journal_act(struct tg_stepper *w, const struct tg_step_action *a)
{
	(void)w;
	(void)a;
	return -TG_EOPNOTSUPP;
}

/* ---- Its state ------------------------------------------------------------------------------- */

static size_t journal_bytes(struct tg_stepper *w)
{
	return sizeof(struct tg_replay) + tg_snapshot_bytes(w->inst[0]);
}

static void journal_save(struct tg_stepper *w, uint8_t *buf, size_t bytes)
{
	const struct journal *j = w->world;

	memcpy(buf, &j->r, sizeof(j->r));
	tg_snapshot_save(w->inst[0], buf + sizeof(j->r), bytes - sizeof(j->r));
}

static void journal_restore(struct tg_stepper *w, const uint8_t *buf, size_t bytes)
{
	struct journal *j = w->world;
	bool good;

	memcpy(&j->r, buf, sizeof(j->r));
	good = tg_snapshot_restore(w->inst[0], buf + sizeof(j->r), bytes - sizeof(j->r));
	ASSERT(good);
}

static bool journal_queue(struct tg_stepper *w, uint32_t i, struct tg_step_frame *out)
{
	struct tg_step_event ev = {.number = 0};

	if (i > 0)
		return false;
	journal_next(w, &ev);
	if (ev.kind != TG_STEP_FRAME)
		return false;
	out->id = ev.frame_id;
	out->link = ev.link;
	out->due_ns = ev.time_ns;
	out->data = ev.frame;
	out->bytes = ev.frame_bytes;
	return true;
}

static const struct step_ops journal_ops = {journal_next, journal_go, journal_may, journal_act,
	journal_bytes, journal_save, journal_restore, journal_queue, NULL, NULL, true};

/* ---- Making it ------------------------------------------------------------------------------- */

static size_t bytes_of(uint64_t reserved_bytes)
{
	return pages(sizeof(struct tg_stepper)) + pages(sizeof(struct journal)) +
	       TG_RECORD_BYTES_MAX + (size_t)reserved_bytes + PAGE;
}

/* The journal's first record, without a replay's memory. */
static bool read_head(const void *file, size_t bytes, uint64_t *reserved_bytes)
{
	uint64_t word[4];
	const uint8_t *at = file;

	if (bytes < JOURNAL_HEAD_BYTES + sizeof(word))
		return false;
	memcpy(word, at + JOURNAL_HEAD_BYTES, sizeof(word));
	*reserved_bytes = word[3];
	return word[0] == JOURNAL_MAGIC && word[3] <= SIZE_MAX / 2;
}

size_t tg_step_journal_bytes(const void *file, size_t bytes)
{
	uint64_t reserved;

	return read_head(file, bytes, &reserved) ? bytes_of(reserved) : 0;
}

struct tg_stepper *tg_step_journal(
	const struct tg_step_options *o, const void *file, size_t bytes, const char **why)
{
	struct tg_stepper *w;
	struct journal *j;
	uint8_t *rest, *scratch;
	size_t left;

	*why = NULL;
	w = step_create(o, &journal_ops, &rest, &left, why);
	if (!w)
		return NULL;
	*why = "too little memory: tg_step_journal_bytes says how much a journal needs";
	if (left < pages(sizeof(*j)) + TG_RECORD_BYTES_MAX)
		return NULL;
	j = (struct journal *)(void *)rest;
	memset(j, 0, sizeof(*j));
	scratch = rest + pages(sizeof(*j));
	left -= pages(sizeof(*j)) + TG_RECORD_BYTES_MAX;
	j->w = w;
	w->world = j;
	if (!tg_replay_open(&j->r, file, bytes)) {
		*why = j->r.why;
		return NULL;
	}
	if (j->r.reserved_bytes > left)
		return NULL;
	if (!tg_replay_begin(&j->r, scratch + TG_RECORD_BYTES_MAX, scratch)) {
		*why = j->r.why;
		return NULL;
	}
	*why = NULL;
	w->inst[0] = j->r.s;
	w->st.now_ns = w->epoch_ns = j->r.start_ns;
	j->r.s->rules = &w->book[0];
	run_tail(j);
	return step_begin(w, w->epoch_ns, why) ? w : NULL;
}

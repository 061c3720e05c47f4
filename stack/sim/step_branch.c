/* Lines of events that were kept. All that makes a line is what the user did in it: the rest
 * follows, so a line is a list of actions with their positions, and its last position. */
#include "sim/step.h"

#define NO_ROOM                                                                                    \
	"there is no room for another line: at most 16 are kept, and what was sent in them takes " \
	"room as well"

static size_t round_up(size_t n)
{
	return (n + 15) / 16 * 16;
}

static bool same_name(const char *a, const char *b)
{
	for (size_t i = 0; i < TG_STEP_NAME_BYTES; i++) {
		if (a[i] != b[i])
			return false;
		if (!a[i])
			return true;
	}
	return true;
}

static void copy_name(char *to, const char *from)
{
	for (size_t i = 0; i < TG_STEP_NAME_BYTES - 1 && from[i]; i++)
		to[i] = from[i];
}

static struct step_branch *find(struct tg_stepper *w, const char *name)
{
	for (uint32_t i = 0; i < w->n_branches; i++)
		if (same_name(w->branch[i].name, name))
			return &w->branch[i];
	return NULL;
}

/* ---- The present line ------------------------------------------------------------------------ */

static uint32_t bytes_of_data(uint32_t data_bytes)
{
	return data_bytes == UINT32_MAX ? 0 : data_bytes;
}

static size_t input_bytes(const struct step_entry *e)
{
	return round_up(sizeof(struct step_input) + bytes_of_data(e->data_bytes));
}

static size_t line_bytes(const struct tg_stepper *w)
{
	size_t n = 0;

	for (uint64_t i = w->log.first + 1; i <= w->log.first + w->log.n; i++) {
		const struct step_entry *e = step_log_at(w, i);

		n += e->act ? input_bytes(e) : 0;
	}
	return n;
}

/* Keeps the present line, all of it, under a name. */
static bool keep(struct tg_stepper *w, const char *name)
{
	struct step_branch *b = &w->branch[w->n_branches];
	size_t bytes = line_bytes(w);
	uint8_t *at = w->branch_mem + w->branch_used;

	if (w->n_branches == TG_STEP_BRANCHES || bytes > w->branch_bytes - w->branch_used)
		return false;
	memset(b, 0, sizeof(*b));
	copy_name(b->name, name);
	b->inputs = at;
	b->bytes = bytes;
	b->first = w->log.first;
	b->last = tg_stepper_last(w);
	for (uint64_t i = w->log.first + 1; i <= w->log.first + w->log.n; i++) {
		const struct step_entry *e = step_log_at(w, i);
		struct step_input *in = (struct step_input *)(void *)at;

		if (!e->act)
			continue;
		memset(in, 0, input_bytes(e));
		in->number = i;
		in->data_bytes = e->data_bytes;
		in->bytes = (uint32_t)input_bytes(e);
		step_entry_action(e, &in->action);
		if (in->action.data)
			memcpy(in + 1, in->action.data, e->data_bytes);
		in->action.data = NULL;
		at += in->bytes;
	}
	w->branch_used += bytes;
	w->n_branches++;
	return true;
}

static void forget(struct tg_stepper *w, struct step_branch *b)
{
	uint8_t *end = b->inputs + b->bytes;
	size_t bytes = b->bytes;

	memmove(b->inputs, end, (size_t)(w->branch_mem + w->branch_used - end));
	w->branch_used -= bytes;
	for (uint32_t i = 0; i < w->n_branches; i++)
		if (w->branch[i].inputs >= end)
			w->branch[i].inputs -= bytes;
	w->n_branches--;
	memmove(b, b + 1, (size_t)(&w->branch[w->n_branches] - b) * sizeof(*b));
}

/* ---- Where two lines part -------------------------------------------------------------------- */

static const struct step_input *input_at(const struct step_branch *b, size_t off)
{
	return (const struct step_input *)(const void *)(b->inputs + off);
}

static bool same_action(const struct step_entry *e, const struct step_input *in)
{
	struct tg_step_action a, b = in->action;
	const void *data;

	step_entry_action(e, &a);
	data = a.data;
	a.data = b.data = NULL;
	return e->data_bytes == in->data_bytes && memcmp(&a, &b, sizeof(a)) == 0 &&
	       (!data || memcmp(data, in + 1, in->data_bytes) == 0);
}

/* The last position that a kept line and the present one share. */
static uint64_t parting(const struct tg_stepper *w, const struct step_branch *b)
{
	uint64_t last = b->last < tg_stepper_last(w) ? b->last : tg_stepper_last(w);
	size_t off = 0;

	for (uint64_t i = w->log.first + 1; i <= last; i++) {
		const struct step_entry *e = step_log_at(w, i);
		bool here, there;

		while (off < b->bytes && input_at(b, off)->number < i)
			off += input_at(b, off)->bytes;
		here = e->act != 0;
		there = off < b->bytes && input_at(b, off)->number == i;
		if (here != there || (here && !same_action(e, input_at(b, off))))
			return i - 1;
	}
	return last;
}

/* ---- What the user asks for ------------------------------------------------------------------ */

static const char *check_name(struct tg_stepper *w, const char *name)
{
	if (!name[0] || !memchr(name, 0, TG_STEP_NAME_BYTES))
		return "a name has 1 to 31 letters";
	if (same_name(name, w->line) || find(w, name))
		return "there is a line of that name already: take another name";
	return NULL;
}

void step_branch_keep(struct tg_stepper *w)
{
	char name[TG_STEP_NAME_BYTES] = "was-00";

	do {
		w->lines++;
		name[4] = (char)('0' + w->lines / 10 % 10);
		name[5] = (char)('0' + w->lines % 10);
	} while (check_name(w, name) && w->lines % 100);
	if (!check_name(w, name))
		keep(w, name);
	step_log_cut(w, w->st.position);
	w->next_known = false;
}

bool tg_stepper_fork(struct tg_stepper *w, const char *name, const char **why)
{
	*why = check_name(w, name);
	if (!*why && w->st.position == tg_stepper_last(w))
		*why = "nothing lies behind this position: go back first, then fork";
	if (*why)
		return false;
	if (!keep(w, name)) {
		*why = NO_ROOM;
		return false;
	}
	step_log_cut(w, w->st.position);
	w->next_known = false;
	return true;
}

bool tg_stepper_branch(
	struct tg_stepper *w, uint32_t i, const char **name, uint64_t *forked_at, uint64_t *last)
{
	if (i >= w->n_branches)
		return false;
	*name = w->branch[i].name;
	*forked_at = parting(w, &w->branch[i]);
	*last = w->branch[i].last;
	return true;
}

/* Does again what was done in b behind the present position. */
static void follow(struct tg_stepper *w, const struct step_branch *b)
{
	struct tg_step_action a;
	size_t off = 0;

	while (w->st.position < b->last) {
		const char *why = NULL;
		const struct step_input *in;
		bool done;

		while (off < b->bytes && input_at(b, off)->number <= w->st.position)
			off += input_at(b, off)->bytes;
		in = off < b->bytes ? input_at(b, off) : NULL;
		if (in && in->number == w->st.position + 1) {
			a = in->action;
			a.data = in->data_bytes == UINT32_MAX ? NULL : in + 1;
			tg_stepper_act(w, &a, NULL, NULL, &why);
			done = why == NULL;
		} else {
			done = step_do(w, NULL, NULL);
		}
		/* It was possible then, from the same position. */
		ASSERT(done);
	}
}

bool tg_stepper_switch(struct tg_stepper *w, const char *name, const char **why)
{
	struct step_branch *b = find(w, name), wanted;
	uint64_t at;

	*why = NULL;
	if (!b) {
		*why = same_name(name, w->line) ? "this is the present line"
						: "there is no line of that name";
		return false;
	}
	at = parting(w, b);
	if (at < w->log.first || b->first > w->log.first) {
		*why = "the place where that line parts is forgotten: `history` was full";
		return false;
	}
	if (!keep(w, w->line)) {
		*why = NO_ROOM;
		return false;
	}
	if (!step_goto(w, at, why))
		return false;
	step_log_cut(w, at);
	w->next_known = false;
	b = find(w, name);
	wanted = *b;
	follow(w, &wanted);
	memcpy(w->line, wanted.name, sizeof(w->line));
	forget(w, b);
	return true;
}
